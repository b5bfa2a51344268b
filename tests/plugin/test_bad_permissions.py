"""Caches that are none, or that may not be written or read."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from plugin_project import COUNTS, Project, closing_line
from saved_project import TESTS, baseline_file, cache_of, note, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ("plugin_project", "saved_project")


@contextlib.contextmanager
def unwritable(*directories: Path, mode: int = 0o555) -> Iterator[None]:
    """Take rights on ``directories`` away."""
    before = {directory: stat.S_IMODE(directory.stat().st_mode) for directory in directories}
    try:
        for directory in reversed(directories):
            directory.chmod(mode)
        yield
    finally:
        for directory in directories:
            directory.chmod(before[directory])


def run_without_privileges(project: Project, *args: str) -> pytest.RunResult:
    """Run pytest in a process that permissions stop; root's own do not count."""
    if sys.platform == "win32":
        pytest.skip("directories have no such permissions")
    if os.geteuid() != 0:
        return project.run_apart(*args)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("run as root, and without setpriv")
    command = [
        setpriv,
        "--bounding-set=-dac_override,-dac_read_search",
        sys.executable,
        "-m",
        "pytest",
        *args,
    ]
    ended = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    if ended.stderr.startswith("setpriv:"):
        pytest.skip("root may not give up its privileges here")
    return pytest.RunResult(ended.returncode, ended.stdout.splitlines(), ended.stderr.splitlines(), 0.0)


@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_a_cache_that_is_no_directory(project: Project, kind: str) -> None:
    project.write({"test_it.py": TESTS})
    if kind == "file":
        cache_of(project).write_text("precious", encoding="utf-8")
    else:
        cache_of(project).symlink_to(project.path / "nowhere")

    result = project.run("--goref", COUNTS)
    assert result.ret == pytest.ExitCode.OK
    assert note(result, "this run is not in the history: ").count(str(cache_of(project))) == 1
    assert closing_line(result) == "goref: 2 measured"
    assert str(cache_of(project)) in refusal(project.run("--goref-save=main"))
    assert str(cache_of(project)) in refusal(project.run("--goref-compare=main"))
    assert "there is no run to compare with yet" in refusal(project.run("--goref-compare=last"))
    assert not (project.path / "nowhere").exists()
    if kind == "file":
        assert cache_of(project).read_text(encoding="utf-8") == "precious"


def test_a_read_only_project_is_told_once(project: Project) -> None:
    project.write({"test_it.py": TESTS})
    with unwritable(project.path):
        measured = run_without_privileges(project, "--goref", COUNTS, "-p", "no:cacheprovider")
        refused = run_without_privileges(project, "--goref-save=main", "-p", "no:cacheprovider")

    assert measured.ret == pytest.ExitCode.OK
    line = note(measured, str(cache_of(project)))
    assert line.startswith("this run is not in the history: ")
    assert line.endswith(f"cannot make the cache directory: Permission denied: make {project.path} writable")
    assert closing_line(measured) == "goref: 2 measured"
    assert refusal(refused).endswith(f"Permission denied: make {project.path} writable")
    assert not cache_of(project).exists()


@pytest.mark.parametrize("part", ["locks", "baselines", "baselines/main"])
def test_a_baseline_that_cannot_be_written_is_refused_before_the_first_test(
    saved: Project, part: str
) -> None:
    saved.replace("test_it.py", 'ref("two")', 'ref("three")')
    if part == "baselines":
        shutil.rmtree(cache_of(saved) / "baselines" / "main")
    with unwritable(cache_of(saved) / part):
        result = run_without_privileges(saved, "--goref-save=main", COUNTS)

    line = refusal(result)
    assert line == f"{cache_of(saved) / part}: cannot write: Permission denied: make the directory writable"


def test_a_read_only_cache_can_be_compared_with(saved: Project) -> None:
    cache = cache_of(saved)
    parts = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
    (cache / "history.db").chmod(0o444)
    with unwritable(*parts):
        results = [
            run_without_privileges(saved, f"--goref-compare={which}", COUNTS, "-p", "no:cacheprovider")
            for which in ("main", "last")
        ]

    for result in results:
        assert result.ret == pytest.ExitCode.OK
        assert "check the permissions of the file" in note(result, "this run is not in the history: ")
        assert closing_line(result).startswith("goref: 2 compared")


def test_a_cache_that_cannot_be_read_is_refused_or_told(saved: Project) -> None:
    with unwritable(cache_of(saved), mode=0):
        measured = run_without_privileges(saved, "--goref", COUNTS, "-p", "no:cacheprovider")
        refused = [
            run_without_privileges(saved, option, COUNTS, "-p", "no:cacheprovider")
            for option in ("--goref-save=main", "--goref-compare=main", "--goref-compare=last")
        ]

    assert measured.ret == pytest.ExitCode.OK
    assert "Permission denied" in note(measured, "this run is not in the history: ")
    for result in refused:
        assert str(cache_of(saved)) in refusal(result)


def test_a_file_that_may_not_be_looked_at_is_refused(saved: Project) -> None:
    secret = saved.path / "secret"
    secret.mkdir()
    with unwritable(secret, mode=0):
        result = run_without_privileges(saved, f"--goref-compare={secret / 'file.json'}")

    assert refusal(result).endswith("there is no file of that name")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes")
def test_a_full_disk_fails_the_save_and_keeps_what_was_there(saved: Project) -> None:
    # A limit on the size of files is the full disk that a test can make: writing fails half-way.
    saved.write(
        {
            "conftest.py": """
import resource, signal
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
"""
        }
    )
    before = baseline_file(saved).read_bytes()
    runs = len(saved.history.runs())
    added = "".join(f"\n@pytest.mark.profile\ndef test_more_{number}(): pass\n" for number in range(20))
    saved.write({"test_it.py": TESTS + added})

    result = saved.run_apart("--goref-save=main", COUNTS, "-q", "-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = note(result, "was not saved")
    assert line.startswith(f"goref: baseline main was not saved: {baseline_file(saved)}: cannot write the b")
    assert "free space or make it writable" in line
    assert "INTERNALERROR" not in result.stdout.str()
    assert baseline_file(saved).read_bytes() == before
    assert len(saved.history.runs()) == runs
    assert [path.name for path in cache_of(saved).rglob("*.tmp")] == []
