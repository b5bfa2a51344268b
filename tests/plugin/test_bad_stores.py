"""Baselines and histories that are missing, damaged, newer, locked or cannot be written."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.store.files import locked, safe_file_name
from pytest_goref.store.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest
import pytest_goref

@pytest.mark.profile
def test_one():
    pytest_goref.ref("one").deref()

@pytest.mark.profile
def test_two():
    pytest_goref.ref("two").deref()
"""
_ILLEGAL: Final = (
    *(
        "../x",
        "..",
        "a/b",
        "a\\b",
        "/nowhere/at/all",
        "~",
        ".hidden",
        "-x",
        "a b",
        "main.",
        "n\u00e9",
        "a\x1b[31mb",
    ),
    *(
        "a" * 101,
        "a" * 5000,
        "con",
        "NUL",
        "lpt1.x",
        "git:HEAD",
        "run:x",
        "run:-1",
        "run:1.5",
        "run:" + "9" * 20,
    ),
)
_ENTRY: Final = {"mode": "warm", "python": "cpython-3.12", "measurements": {}}
"""What the file of a baseline holds of a test, at the least."""
_DAMAGE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "binary": lambda _: b"\x00\xff\xfe\x01",
    "text": lambda _: b"hello",
    "nested": lambda _: b"[" * 100_000,
    "conflict": lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n" + data + b">>>>>>> branch\n",
    "no object": lambda _: b"[]",
    "no format": lambda data: data.replace(b'"format"', b'"form"'),
    "no path": lambda data: data.replace(b'"path"', b'"place"'),
    "no tests": lambda data: data.replace(b'"tests"', b'"test"'),
    "format of text": lambda data: data.replace(b'"format": 1', b'"format": "1"'),
    "fraction": lambda data: data.replace(b'"one": 1', b'"one": 1.5'),
    "negative": lambda data: data.replace(b'"one": 1', b'"one": -1'),
    "huge": lambda data: data.replace(b'"one": 1', b'"one": 1' + 5000 * b"0"),
    "text for a number": lambda data: data.replace(b'"one": 1', b'"one": "1"'),
    "true for a number": lambda data: data.replace(b'"one": 1', b'"one": true'),
    "no number": lambda data: data.replace(b'"one": 1', b'"one": []'),
    "unknown mode": lambda data: data.replace(b'"warm"', b'"hot"'),
    "twice": lambda data: data.replace(b'"test_two"', b'"test_one"'),
    "entry of text": lambda data: json.dumps({**json.loads(data), "tests": {"test_one": "?"}}).encode(),
    "other module": lambda data: data.replace(b'"test_it.py"', b'"test_other.py"'),
}
_NEWER: Final = "written by a newer pytest-goref ("


@pytest.fixture
def saved(project: Project) -> Project:
    """A project with two tests and the baseline ``main``."""
    project.write({"test_it.py": _TESTS})
    project.run("--goref-save=main", COUNTS).assert_outcomes(passed=2)
    return project


@pytest.fixture
def known(project: Project) -> Project:
    """A project with two tests and the baseline ``main``, in which nothing has run yet."""
    directory = cache_of(project) / "baselines" / "main"
    directory.mkdir(parents=True)
    tests = {
        name: {**_ENTRY, "measurements": {"refs": {name.removeprefix("test_"): 1}}}
        for name in ("test_one", "test_two")
    }
    plain = {"format": 1, "path": "test_it.py", "tests": tests}
    (directory / safe_file_name("test_it.py", ".json")).write_text(json.dumps(plain), encoding="utf-8")
    project.write({"test_it.py": _TESTS})
    return project


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for a lock."""
    soon = functools.partial(History, busy_timeout_ms=20)
    monkeypatch.setattr("pytest_goref.plugin.controller.History", soon)
    monkeypatch.setattr("pytest_goref.store.reference.History", soon)
    monkeypatch.setattr("pytest_goref.store.baseline.locked", functools.partial(locked, timeout_s=0.02))


def cache_of(project: Project) -> Path:
    return project.path / ".goref_cache"


def baseline_file(project: Project) -> Path:
    """Return the one file of the baseline ``main``."""
    (file,) = (cache_of(project) / "baselines" / "main").iterdir()
    return file


def refusal(result: pytest.RunResult) -> str:
    """Return the one line with which pytest refused to start."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    (line,) = (line for line in result.errlines if line)
    assert line.startswith("ERROR: goref: ")
    return line.removeprefix("ERROR: goref: ")


def note(result: pytest.RunResult, text: str) -> str:
    """Return the one line of the output that holds ``text``."""
    (line,) = (line for line in result.outlines if text in line)
    return line


def short(text: object) -> str:
    """Return a readable id."""
    return ascii(text)[1:-1][:20]


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


@pytest.mark.parametrize("name", _ILLEGAL, ids=short)
def test_an_illegal_name_is_refused(known: Project, name: str) -> None:
    before = sorted(known.path.rglob("*"))

    assert refusal(known.run(f"--goref-save={name}")).startswith("a baseline cannot be named ")
    to_compare = refusal(known.run(f"--goref-compare={name}"))
    no_git = (": it is not in a git repository", "git is not installed")
    no_baseline = ("a baseline cannot be named ", "is neither a baseline, nor", ": no baseline: ")
    assert any(text in to_compare for text in (*no_baseline, *no_git))
    assert "\x1b" not in to_compare
    assert sorted(known.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last", "it stands for the last run"),
        ("Last", "it stands for the last run"),
        ("run:1", "use 1 to 100"),
    ],
)
def test_a_name_that_means_something_else_cannot_be_known(known: Project, name: str, expected: str) -> None:
    assert expected in refusal(known.run(f"--goref-save={name}"))


def test_a_missing_baseline_is_refused_with_those_that_exist(saved: Project) -> None:
    saved.run("--goref-save=other", COUNTS)

    line = refusal(saved.run("--goref-compare=mian"))

    assert line.startswith(f"no baseline 'mian' in {cache_of(saved) / 'baselines'}: there are main, other; ")
    assert line.endswith("make it with: pytest --goref-save=mian")


def test_a_missing_baseline_is_refused_where_there_is_none(project: Project) -> None:
    project.write({"test_it.py": _TESTS})

    assert "there are none yet; make it with: pytest --goref-save=main" in refusal(
        project.run("--goref-compare=main")
    )
    assert not cache_of(project).exists()


def test_a_run_that_does_not_exist_is_refused(saved: Project) -> None:
    assert refusal(saved.run("--goref-compare=run:99")).endswith("no run 99 in the history: it holds 1 to 1")
    assert refusal(saved.run("--goref-compare=run:0")).endswith("no run 0 in the history: it holds 1 to 1")


@pytest.mark.parametrize("which", ["last", "run:1"])
def test_a_run_without_history_is_refused(project: Project, which: str) -> None:
    line = refusal(project.run(f"--goref-compare={which}"))

    assert "with pytest --goref" in line or "run pytest with --goref" in line
    assert not cache_of(project).exists()


def test_a_name_differing_in_case_only_is_refused(saved: Project) -> None:
    result = saved.run("--goref-save=Main", COUNTS)

    if result.errlines:  # a file system that ignores case
        pytest.skip("the file system ignores case")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "there is a baseline 'main', and 'Main' differs from it in case only" in result.stdout.str()


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_damaged_baseline_stops_the_session_and_stays(known: Project, damage: str) -> None:
    file = baseline_file(known)
    before = file.read_bytes()
    damaged = _DAMAGE[damage](before)
    assert damaged != before
    file.write_bytes(damaged)

    lines = {refusal(known.run(f"--goref-{option}=main")) for option in ("compare", "save")}

    (line,) = lines
    assert line.startswith(f"{file}: damaged baseline: ")
    assert line.endswith(": restore it from version control, or delete it and save again with --goref-save")
    assert len(line) < len(str(file)) + 300
    assert file.read_bytes() == damaged


def test_a_damaged_file_is_refused_by_its_path(known: Project) -> None:
    copy = known.path / "copy.json"
    copy.write_bytes(baseline_file(known).read_bytes()[:99])

    assert refusal(known.run("--goref-compare=copy.json")).startswith(f"{copy}: damaged baseline: ")


def test_a_baseline_of_a_newer_format_stops_the_session_and_stays(known: Project) -> None:
    file = baseline_file(known)
    newer = file.read_bytes().replace(b'"format": 1', b'"format": 2')
    file.write_bytes(newer)

    for option in ("compare", "save"):
        line = refusal(known.run(f"--goref-{option}=main"))
        assert line.startswith(f"{file}: {_NEWER}format 2; this one reads up to 1): upgrade, or")
    assert file.read_bytes() == newer


@pytest.mark.parametrize("option", ["compare", "save"])
def test_a_directory_in_the_place_of_a_file_stops_the_session(known: Project, option: str) -> None:
    file = baseline_file(known)
    file.unlink()
    file.mkdir()

    assert refusal(known.run(f"--goref-{option}=main")).startswith(f"{file}: damaged baseline: not a file")


def test_what_the_format_does_not_say_is_kept(saved: Project) -> None:
    file = baseline_file(saved)
    plain = json.loads(file.read_bytes())
    plain["later"] = "more"
    plain["tests"]["test_one"]["measurements"]["not_yet_invented"] = {"": 5}
    plain["tests"]["test_gone"] = _ENTRY
    file.write_text(json.dumps(plain), encoding="utf-8")

    assert "2 unchanged" in closing_line(saved.run("--goref-save=main", COUNTS))
    assert json.loads(file.read_bytes()) == plain


def test_a_baseline_that_is_damaged_meanwhile_stays_and_fails_the_session(saved: Project) -> None:
    file = baseline_file(saved)
    damage = f"from pathlib import Path\n\ndef test():\n    Path({str(file)!r}).write_text('meanwhile')\n"
    saved.write({"test_a_damage.py": damage})

    result = saved.run("--goref-save=main", COUNTS, "-q")

    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert note(result, "damaged baseline").startswith(f"goref: baseline main was not saved: {file}: damaged")
    assert closing_line(result) == "goref: 2 measured"
    assert file.read_text(encoding="utf-8") == "meanwhile"


def test_a_cache_that_is_removed_meanwhile_disturbs_nothing(saved: Project) -> None:
    saved.write(
        {"test_it.py": _TESTS + f"    import shutil; shutil.rmtree({str(cache_of(saved))!r}, True)\n"}
    )

    for option in ("--goref-compare=main", "--goref-save=main"):
        result = saved.run(option, COUNTS)
        assert closing_line(result).startswith("goref: 2 ")
        assert result.ret == pytest.ExitCode.OK
        assert len(saved.history.runs()) == 1  # this run
        saved.run("--goref-save=main", COUNTS, "-k", "one")


def test_a_damaged_history_is_moved_aside_and_told_once(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    database.write_bytes(b"no database, but long enough to be taken for one" * 100)

    result = saved.run("--goref", COUNTS)

    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    line = note(result, "damaged history")
    assert line.startswith(f"{database}: damaged history (file is not a database): it is now ")
    assert line.endswith("history.db.damaged-1, a new one begins with this run")
    assert (cache_of(saved) / "history.db.damaged-1").read_bytes().startswith(b"no database")
    again = saved.run("--goref-compare=last", COUNTS)
    assert "damaged history" not in again.stdout.str()
    assert closing_line(again).startswith("goref: 2 compared")


@pytest.mark.parametrize("which", ["last", "run:1"])
def test_a_damaged_history_cannot_be_compared_with(saved: Project, which: str) -> None:
    database = cache_of(saved) / "history.db"
    database.write_bytes(b"no database, but long enough to be taken for one" * 100)

    line = refusal(saved.run(f"--goref-compare={which}"))

    assert line.startswith(f"{database}: damaged history (file is not a database): delete it, or run pytest")
    assert database.exists()


def test_a_newer_history_stays_and_is_told(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 3")
        connection.commit()

    result = saved.run("--goref-compare=main", COUNTS)

    assert result.ret == pytest.ExitCode.OK
    assert note(result, _NEWER).startswith(f"this run is not in the history: {database}: {_NEWER}version 3;")
    assert closing_line(result).startswith("goref: 2 compared")
    assert _NEWER in refusal(saved.run("--goref-compare=last"))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_the_database_of_another_program_stays_and_is_told(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    database.unlink()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    result = saved.run("--goref", COUNTS)

    assert result.ret == pytest.ExitCode.OK
    assert note(result, "another program").endswith("the database of another program: move it away")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


@pytest.mark.usefixtures("impatient")
def test_a_locked_history_is_told_once_and_stops_nothing(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        results = [
            saved.run(option, COUNTS) for option in ("--goref", "--goref-compare=last", "--goref-save=x")
        ]

    for result in results:
        result.assert_outcomes(passed=2)
        assert result.ret == pytest.ExitCode.OK
        assert "it is locked by another process: wait" in note(result, "this run is not in the history: ")
    assert len(saved.history.runs()) == 1


@pytest.mark.usefixtures("impatient")
def test_a_locked_baseline_fails_the_session_that_should_save(saved: Project) -> None:
    saved.replace("test_it.py", 'ref("two")', 'ref("three")')
    (lock,) = (cache_of(saved) / "locks").glob("main-*.lock")
    before = baseline_file(saved).read_bytes()

    with locked(lock):
        result = saved.run("--goref-save=main", COUNTS, "-qq")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = note(result, "was not saved")
    assert line.startswith(f"goref: baseline main was not saved: {lock}: locked by another process for more")
    assert baseline_file(saved).read_bytes() == before


@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_a_cache_that_is_no_directory(project: Project, kind: str) -> None:
    project.write({"test_it.py": _TESTS})
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
    project.write({"test_it.py": _TESTS})
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
    saved.write({"test_it.py": _TESTS + added})

    result = saved.run_apart("--goref-save=main", COUNTS, "-q", "-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = note(result, "was not saved")
    assert line.startswith(f"goref: baseline main was not saved: {baseline_file(saved)}: cannot write the b")
    assert "free space or make it writable" in line
    assert "INTERNALERROR" not in result.stdout.str()
    assert baseline_file(saved).read_bytes() == before
    assert len(saved.history.runs()) == runs
    assert [path.name for path in cache_of(saved).rglob("*.tmp")] == []
