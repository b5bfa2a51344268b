"""Sessions that are killed: what they were writing is there or not, and nobody goes on computing for them."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from git_project import SHOP, TEST_SHOP, GitProject
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ("plugin_project", "git_project")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals that kill")

_MODULE: Final = """
import pytest
import pytest_goref

@pytest.mark.profile
def test_it():
    pytest_goref.ref("step").deref()
"""
_KILLED: Final = """
import os, signal, sys

event, place, ordinal = os.environ["KILLED_AT"].split()
seen = 0

def kill(happening, arguments):
    global seen
    if happening == event and place in str(arguments):
        seen += 1
        if seen == int(ordinal):
            os.kill(os.getpid(), signal.SIGKILL)

def pytest_sessionfinish():
    sys.addaudithook(kill)
"""
_HANGING: Final = """
import os, pathlib, time
import pytest

IS_VISIT = "GOREF_VISIT" in os.environ

@pytest.fixture
def hanging():
    if IS_VISIT:
        pathlib.Path("pid.tmp").write_text(str(os.getpid()))
        os.replace("pid.tmp", "pid")
        while True:
            pass
"""
_TIMED: Final = """
import pytest

@pytest.mark.profile
def test_it(hanging):
    sum(range(10_000))
"""


@pytest.mark.parametrize(
    "moment",
    [
        "open .goref- 1",  # before anything is written
        "os.rename .json 1",  # the first file is written, and not in its place
        "os.rename .json 2",  # one of two is in its place
        "sqlite3.connect history.db 1",  # the baseline is whole, the run is not in the history
        "os.rename .json.gz 1",  # a profile is written, and not in its place
    ],
)
def test_a_save_that_is_killed_leaves_old_or_new(
    project: Project, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Each file of a baseline is old or new; a baseline of several files may have both kinds."""
    saving = ("--goref-save=main", "--goref-passes=counts,memory", "-p", "no:cacheprovider")
    project.write({"test_a.py": _MODULE, "test_b.py": _MODULE})
    project.run(*saving).assert_outcomes(passed=2)
    old = project.baseline()
    added = 'pytest_goref.ref("step").deref(); pytest_goref.ref("more").deref()'
    for name in ("test_a.py", "test_b.py"):
        project.replace(name, 'pytest_goref.ref("step").deref()', added)
    project.write({"conftest.py": _KILLED})
    monkeypatch.setenv("KILLED_AT", moment)

    assert project.run_apart(*saving).ret == -signal.SIGKILL

    killed = {name: data for name, data in project.baseline().items() if not name.startswith(".")}
    (project.path / "conftest.py").unlink()
    assert all(
        result.record for run in project.history.runs() for result in project.history.results(run.id or 0)
    )
    project.run("--goref-compare=main", COUNTS, "-p", "no:cacheprovider")
    result = project.run(*saving)
    result.assert_outcomes(passed=2)
    new = project.baseline()
    assert new.keys() == old.keys()
    assert all(killed[name] in (old[name], new[name]) for name in old)
    assert [path.name for path in (project.path / ".goref_cache" / "baselines").rglob("*.tmp")] == []
    project.run("--goref-compare=main", COUNTS).assert_outcomes(passed=2)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as status:  # noqa: PTH123 - of Linux
            return status.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a visit ends before its next execution")
def test_a_visit_ends_with_the_session_that_is_killed(project: Project, pytester: pytest.Pytester) -> None:
    project.write({"conftest.py": _HANGING, "test_it.py": _TIMED})
    command = [sys.executable, "-m", "pytest", "--goref-save=main", "--goref-passes=time", "--goref-rounds=1"]
    nowhere = subprocess.DEVNULL  # a pipe would have to be closed
    session = pytester.popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    pid = project.path / "pid"
    _wait_until(pid.exists)
    session.kill()
    session.wait()

    visit = int(pid.read_text(encoding="utf-8"))
    _wait_until(lambda: not is_alive(visit))
    pid.unlink()
    project.write({"conftest.py": _HANGING.replace("if IS_VISIT", "if False")})
    result = project.run_apart("--goref", "--goref-passes=time", "--goref-rounds=1")
    assert "waiting for" not in result.stdout.str()  # the machine lock is free
    assert closing_line(result) == "goref: 1 measured"


def _wait_until(condition: object) -> None:
    """Wait for what another process does; the time limit is for one that never does."""
    import time  # noqa: PLC0415 - nobody else here waits

    until_s = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_the_worktree_of_a_killed_session_is_removed_by_the_next(git_project: GitProject) -> None:
    git_project.commit({"shop.py": SHOP, "test_shop.py": TEST_SHOP, ".gitignore": ".goref_cache\n"})
    killing = "\nimport os, signal\n\ndef test_kills():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    git_project.project.write({"test_shop.py": TEST_SHOP + killing})
    compare = ("--goref-compare=git:base", COUNTS)

    assert git_project.project.run_apart(*compare).ret == -signal.SIGKILL
    assert _worktrees(git_project.path)

    git_project.project.write({"test_shop.py": TEST_SHOP})
    git_project.project.run(*compare).assert_outcomes(passed=1)
    git_project.assert_worktrees_removed()


def _worktrees(top: Path) -> list[str]:
    return [path.name for path in (top / ".goref_cache" / "worktrees").iterdir()]
