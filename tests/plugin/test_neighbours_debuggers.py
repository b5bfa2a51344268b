"""Whoever debugs a test meets it once."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest
from plugin_project import COUNTS, Project

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest

def note(name):
    with open("log.txt", "a") as file:
        file.write(name + "\\n")

@pytest.mark.profile
def test_one():
    note("one")
    STOP

@pytest.mark.profile
def test_two():
    note("two")
"""


def write(project: Project, stop: str = "pass") -> None:
    project.write({"test_it.py": _TESTS.replace("STOP", stop)})


def run_with_input(project: Project, answers: str, *args: str) -> str:
    """Run pytest with somebody at its keyboard; return what it shows."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--goref", COUNTS, *args],
        cwd=project.path,
        input=answers,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.parametrize("stop", ["breakpoint()", "__import__('pdb').set_trace()"])
def test_a_breakpoint_is_met_once(project: Project, stop: str) -> None:
    write(project, f"{stop}\n    done = True")

    told = run_with_input(project, "p 'asked'\nc\n")

    assert told.count("PDB set_trace") == 1
    assert "\n1 test executed once (it stopped in a debugger): test_it.py::test_one\n" in told
    assert "\ngoref: 2 measured\n" in told
    log = project.log()
    assert log.count("one") == 1
    assert log.count("two") > 1


def test_trace_stops_once_in_each_test(project: Project) -> None:
    write(project)

    told = run_with_input(project, "c\nc\n", "--trace")

    assert "\n2 tests executed once (--trace): test_it.py::test_one, ...\n" in told
    assert project.log() == ["one", "two"]


def test_debugpy_may_listen(project: Project) -> None:
    write(project)
    project.run_apart("--goref-save=main", COUNTS)
    project.log()
    command = [sys.executable, "-m", "debugpy", "--listen", "127.0.0.1:0", "-m", "pytest"]

    ended = subprocess.run(
        [*command, "--goref-compare=main", COUNTS],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (
        "2 tests executed once (a debugger (pydevd) is attached): test_it.py::test_one, ..." in ended.stdout
    )
    assert "0 regressed" in ended.stdout
    assert project.log() == ["one", "two"]


_BY_HAND: Final = """
import bdb, sys
import pytest

class Debugger(bdb.Bdb):
    def user_line(self, frame):
        pass

@pytest.fixture(autouse=True, scope="session")
def debugged():
    debugger = Debugger()
    debugger.reset()
    ATTACH
    yield
    DETACH
"""
_ATTACHED: Final = {
    "bdb": ("sys.settrace(debugger.trace_dispatch)", "sys.settrace(None)"),
    "monitoring": (
        "sys.monitoring.use_tool_id(sys.monitoring.DEBUGGER_ID, 'mine')",
        "sys.monitoring.free_tool_id(sys.monitoring.DEBUGGER_ID)",
    ),
}


@pytest.mark.parametrize("way", _ATTACHED)
def test_a_debugger_that_attaches_later_is_noticed(project: Project, way: str) -> None:
    if way == "monitoring" and sys.version_info < (3, 12):
        pytest.skip("there is no sys.monitoring")
    attach, detach = _ATTACHED[way]
    write(project)
    project.write({"conftest.py": _BY_HAND.replace("ATTACH", attach).replace("DETACH", detach)})

    result = project.run_apart("--goref", COUNTS)

    # It attaches in the set-up of the first test, which nobody could know before.
    result.assert_outcomes(passed=2)
    name = "bdb" if way == "bdb" else "mine"
    result.stdout.fnmatch_lines(
        [f"1 test executed once (a debugger ({name}) is attached): test_it.py::test_two"]
    )
    assert project.log().count("two") == 1
