"""Disks that are full, read-only, without locks, or gone."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest
import pytest_goref

@pytest.mark.profile
@pytest.mark.parametrize("number", range(20))
def test_it(number):
    pytest_goref.ref("step").deref()
    assert [bytearray(1000) for _ in range(number)] is not None
"""
_FILLING: Final = """
import os, pytest

def fill():
    with open(os.environ["FILLER"], "wb", 0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass

def pytest_collection_finish():
    if os.environ["FILLED"] == "first":
        fill()

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    if os.environ["FILLED"] == "last":
        fill()
"""
_LOCKLESS: Final = """
import errno, fcntl

def flock(*_):
    raise OSError(errno.{number}, "{words}")

fcntl.flock = flock
"""
_QUICK: Final = ("-p", "no:cacheprovider")


@contextlib.contextmanager
def small_disk(directory: Path, size: str = "1m") -> Iterator[None]:
    """Mount a small disk of its own on ``directory``."""
    directory.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    if mount is None or sys.platform != "linux":
        pytest.skip("no disk can be mounted here")
    command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a disk is not permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True, capture_output=True)  # noqa: S607 - beside mount


def remounted(directory: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(directory)], check=True)  # noqa: S607 - found before


def told(result: pytest.RunResult, text: str) -> str:
    """Return the one line that says ``text``."""
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    (line,) = (line for line in result.outlines + result.errlines if text in line)
    return line


@pytest.mark.parametrize("filled", ["first", "last"])
def test_a_full_disk_keeps_what_was_there(
    project: Project, monkeypatch: pytest.MonkeyPatch, filled: str
) -> None:
    project.write({"test_it.py": _TESTS})
    cache = project.path / ".goref_cache"
    with small_disk(cache):
        project.run("--goref-save=main", COUNTS, *_QUICK).assert_outcomes(passed=20)
        before = project.baseline()
        project.replace("test_it.py", '"step"', '"another.step"')
        project.write({"conftest.py": _FILLING})
        monkeypatch.setenv("FILLER", str(cache / "filler"))
        monkeypatch.setenv("FILLED", filled)

        result = project.run("--goref-save=main", "--goref-passes=counts,memory", *_QUICK)

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.assert_outcomes(passed=20)
        assert "No space left on device: free space" in told(result, "baseline main was not saved: ")
        told(result, "this run is not in the history: ")
        assert project.baseline() == before
        (cache / "filler").unlink()
        assert [len(list(project.history.results(run.id or 0))) for run in project.history.runs()] == [20]
        (project.path / "conftest.py").unlink()
        project.run("--goref-save=main", COUNTS, *_QUICK).assert_outcomes(passed=20)
        assert project.baseline() != before
        assert len(project.history.runs()) == 2


def test_no_room_for_captures_costs_the_allocations_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"test_it.py": _TESTS, "conftest.py": _FILLING})
    temporary = project.path / "temporary"
    with small_disk(temporary):
        monkeypatch.setenv("TMPDIR", str(temporary))
        monkeypatch.setenv("FILLER", str(temporary / "filler"))
        monkeypatch.setenv("FILLED", "first")
        result = project.run_apart("--goref-save=main", "--goref-passes=counts,memory", *_QUICK)

    assert result.ret == pytest.ExitCode.OK
    assert closing_line(result) == "goref: 20 measured, saved to main: 20 entries written, 0 unchanged"
    assert "allocations are not measured" in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_temporary_directory_that_goes_costs_the_fresh_processes_alone(project: Project) -> None:
    removing = """
import shutil, tempfile

def pytest_collection_finish():
    shutil.rmtree(tempfile.gettempdir())
"""
    project.write({"test_it.py": "import pytest\n\n@pytest.mark.profile\ndef test_it(): pass\n"})
    project.write({"conftest.py": removing})

    result = project.run_apart("--goref-save=main", "--goref-passes=time", "--goref-rounds=1", "-s", *_QUICK)

    assert result.ret == pytest.ExitCode.OK
    assert "No such file or directory" in told(result, "durations of 1 test are not saved whole: ")
    assert closing_line(result).startswith("goref: 1 measured, saved to main: ")


def test_a_disk_that_is_read_only_can_be_compared_with(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    cache = project.path / ".goref_cache"
    with small_disk(cache):
        project.run("--goref-save=main", COUNTS, *_QUICK).assert_outcomes(passed=20)
        before = project.baseline()
        remounted(cache, "ro")
        compared = [project.run(f"--goref-compare={name}", COUNTS, *_QUICK) for name in ("main", "last")]
        refused = project.run("--goref-save=main", COUNTS, *_QUICK)
        assert project.baseline() == before
        remounted(cache, "rw")

    for result in compared:
        assert result.ret == pytest.ExitCode.OK
        assert "Read-only file system" in told(result, "this run is not in the history: ")
        assert closing_line(result).startswith("goref: 20 compared")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert "Read-only file system: make the directory writable" in told(refused, "cannot write: ")


@pytest.mark.skipif(sys.platform == "win32", reason="other locks")
@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_named(project: Project, number: str) -> None:
    words = os.strerror(getattr(errno, number))
    project.write({"test_it.py": _TESTS, "conftest.py": _LOCKLESS.format(number=number, words=words)})

    result = project.run_apart("--goref-save=main", COUNTS, *_QUICK, "-Werror")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes(passed=20)
    for text in ("baseline main was not saved: ", "this run is not in the history: "):
        assert told(result, text).endswith(": put the project on a file system that has locks")
