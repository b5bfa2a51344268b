"""Ctrl-C at any moment: the session ends as pytest's, no profiler stays on, and what had finished is kept."""

from __future__ import annotations

import gc
import json
import signal
import sys
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.model import TestKey
from pytest_goref.plugin.region import Region
from pytest_goref.profilers import Observation
from pytest_goref.profilers.calls import CallsProfiler
from pytest_goref.profilers.memory import MemoryProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.watcher import unwatched

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ("plugin_project",)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C")

_CONFTEST: Final = """
import gc, json, os, pathlib, signal, sys
import memray
import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
PHASE, NUMBER = os.environ.get("PHASE", ":0").split(":")
executions = 0

def maybe(phase):
    if phase == PHASE and executions == int(NUMBER):
        os.kill(os.getpid(), signal.{name})

@pytest.fixture
def interrupted():
    global executions
    executions += 1
    maybe("setup")
    yield maybe
    maybe("teardown")

FROZEN = gc.get_freeze_count()

def pytest_unconfigure():
    state = [sys.getprofile() is None, gc.isenabled(), gc.get_freeze_count() <= FROZEN, os.environ.get("SET")]
    with memray.Tracker("free.bin"):  # fails while another one is on
        pass
    pathlib.Path("state.json").write_text(json.dumps(state))
"""
_TESTS: Final = """
import os, pathlib
import pytest

@pytest.mark.profile
def test_finished():
    pass

@pytest.mark.profile
def test_interrupted(interrupted):
    os.environ["SET"] = "by a test"
    interrupted("call")

@pytest.mark.profile
def test_never():
    pathlib.Path("never").touch()
"""


@pytest.fixture
def interruptible(project: Project) -> Project:
    """A project whose second test is interrupted."""
    project.write({"conftest.py": _CONFTEST.replace("{name}", "SIGINT"), "test_it.py": _TESTS})
    return project


@pytest.mark.parametrize(
    ("passes", "moment"),
    [
        ("counts", "setup:2"),
        ("counts", "call:2"),
        ("counts", "teardown:2"),
        ("memory", "call:2"),
        ("time", "call:4"),
        ("cpu", "call:3"),
        ("counts,memory,time,cpu", "call:1"),
    ],
)
def test_ctrl_c_in_a_pass(
    interruptible: Project, monkeypatch: pytest.MonkeyPatch, passes: str, moment: str
) -> None:
    monkeypatch.setenv("PHASE", moment)

    result = interruptible.run_apart(
        "--goref-save=main", f"--goref-passes={passes}", "-p", "no:cacheprovider"
    )

    assert result.ret == pytest.ExitCode.INTERRUPTED
    first = moment.endswith(":1")
    result.assert_outcomes(passed=1 if first else 2)  # the report of a first execution is told
    assert "KeyboardInterrupt" in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()
    assert json.loads((interruptible.path / "state.json").read_text()) == [True, True, True, "by a test"]
    assert not (interruptible.path / "never").exists()
    finished = {key.name for key, ended in interruptible.last_results().items() if ended.record}
    assert finished == {"test_finished"}
    assert interruptible.history.runs()[0].complete is False
    assert closing_line(result).startswith("goref: 1 measured")


@pytest.mark.parametrize("place", ["os.rename .json", "sqlite3.connect history.db", "os.mkdir baselines"])
def test_a_second_ctrl_c_while_it_is_written(
    interruptible: Project, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("PHASE", "call:2")
    again = """
event, place = {place}

def interrupt(happening, arguments):
    global event
    if happening == event and place in str(arguments):
        event = ""
        os.kill(os.getpid(), signal.SIGINT)

def pytest_sessionfinish():
    sys.addaudithook(interrupt)
""".replace("{place}", repr(place.split()))
    interruptible.write({"conftest.py": _CONFTEST.replace("{name}", "SIGINT") + again})

    interruptible.run_apart("--goref-save=main", COUNTS, "-p", "no:cacheprovider")

    (interruptible.path / "conftest.py").unlink()
    interruptible.write(
        {"test_it.py": _TESTS.replace("interrupted(", "print(").replace("(interrupted)", "()")}
    )
    interruptible.run("--goref-save=main", COUNTS).assert_outcomes(passed=3)
    names = {key.name for key in interruptible.last_results()}
    assert names == {"test_finished", 'print("call")', "test_never"} or len(names) == 3
    assert all('"test_finished"' in data.decode() for data in interruptible.baseline().values())
    for run in interruptible.history.runs():
        assert TestKey("test_it.py", "test_finished") in {
            r.key for r in interruptible.history.results(run.id or 0)
        }


_MEETS_PYINSTRUMENT: Final = """
import pyinstrument

start = pyinstrument.Profiler.start

def interrupted_start(*args, **kwargs):
    start(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGINT)

pyinstrument.Profiler.start = interrupted_start
"""


def test_ctrl_c_when_pyinstrument_has_just_started(interruptible: Project) -> None:
    interruptible.write({"conftest.py": _CONFTEST.replace("{name}", "SIGINT") + _MEETS_PYINSTRUMENT})

    result = interruptible.run_apart("--goref", "--goref-passes=cpu", "-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert json.loads((interruptible.path / "state.json").read_text())[:3] == [True, True, True]


_DROPPED: Final = """
import os, pathlib, signal
import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)
EXECUTIONS = []

class Finalized:
    def __del__(self):
        if len(EXECUTIONS) == 2:
            os.kill(os.getpid(), signal.SIGINT)

@pytest.mark.profile
def test_interrupted():
    EXECUTIONS.append(1)
    Finalized()

@pytest.mark.profile
def test_never():
    pathlib.Path("never").touch()
"""


def test_ctrl_c_that_python_drops_in_a_finalizer(project: Project) -> None:
    project.write({"test_it.py": _DROPPED})

    result = project.run_apart("--goref", COUNTS, "-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in result.stdout.str()
    assert not (project.path / "never").exists()


class Stopping:
    """A profiler that is interrupted when it is first stopped, or not."""

    def __init__(self, *, interrupted: bool) -> None:
        self._interrupted = interrupted
        self.stops = 0

    def start(self) -> Stopping:
        return self

    def stop(self) -> Observation:
        self.stops += 1
        if self._interrupted and self.stops == 1:
            raise KeyboardInterrupt
        return Observation()


def test_what_is_interrupted_when_it_stops_is_stopped_again() -> None:
    first, second = Stopping(interrupted=False), Stopping(interrupted=True)
    with pytest.raises(KeyboardInterrupt), Region((first, second)):
        pass

    assert (first.stops, second.stops) == (1, 2)


@pytest.mark.parametrize(
    ("profiler", "running"), [(CallsProfiler, "calls.RunningCalls"), (MemoryProfiler, "memory.RunningMemory")]
)
def test_ctrl_c_between_a_profiler_and_the_test(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profiler: type[CallsProfiler | MemoryProfiler],
    running: str,
) -> None:
    def interrupted(*_parts: object) -> None:
        raise KeyboardInterrupt

    tool, frozen = profiler(Places(tmp_path)), gc.get_freeze_count()
    with monkeypatch.context() as patch:
        patch.setattr(f"pytest_goref.profilers.{running}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unwatched(tool.start)

    assert gc.get_freeze_count() <= frozen
    unwatched(lambda: tool.start().stop())  # refuses while another one is on


def test_a_session_that_is_told_to_end(interruptible: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interruptible.run("--goref-save=main", COUNTS, "-k", "finished")
    before = interruptible.baseline()
    interruptible.write({"conftest.py": _CONFTEST.replace("{name}", "SIGTERM")})
    monkeypatch.setenv("PHASE", "call:2")

    assert interruptible.run_apart("--goref-save=main", COUNTS).ret == -signal.SIGTERM

    assert interruptible.baseline() == before
    assert len(interruptible.history.runs()) == 1
