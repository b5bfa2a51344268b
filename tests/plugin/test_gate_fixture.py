"""The ``goref`` fixture: it does the same for the test whether anything is measured or not."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project

from pytest_goref.metrics import CALLS, REFS
from pytest_goref.model import Record, TestKey

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import time
import pytest
import pytest_goref

CALLED = []

def note(text):
    with open("log.txt", "a") as log:
        print(text, file=log)

@pytest.mark.profile
def test_tracks(goref):
    with goref.ref("query"):
        pass
    running = goref.ref("still")
    seen = goref.snapshot()
    assert (seen["query"].count, seen["query"].active) == (1, 0)
    assert (seen["still"].count, seen["still"].active) == (0, 1)
    running.deref()
    assert goref.snapshot()["still"].count == 1

@pytest.mark.profile
def test_sees_only_itself(goref):
    assert "query" not in goref.snapshot()
    with pytest_goref.get_tracker("dao").ref("get"):
        pass
    assert goref.snapshot().children["dao"]["get"].count == 1

@pytest.mark.profile
def test_measures(goref):
    CALLED.clear()
    def answer(*args, **kwargs):
        CALLED.append(1)
        return args, kwargs, len(CALLED)
    *given, number = goref.measure(answer, 1, two=2)
    assert given == [(1,), {"two": 2}]
    assert number == len(CALLED)
    note(number)

class Failing:
    def __call__(self):
        raise LookupError("passed through")

@pytest.mark.profile
def test_raises(goref):
    with pytest.raises(LookupError, match="passed through"):
        goref.measure(Failing())
"""


def _record(project: Project, name: str) -> Record:
    record = project.last_results()[TestKey("test_it.py", name)].record
    assert record is not None
    return record


@pytest.mark.parametrize("args", [(), ("--no-goref",)], ids=" ".join)
def test_it_works_when_nothing_is_measured(project: Project, args: tuple[str, ...]) -> None:
    project.write({"test_it.py": _TESTS})
    project.run(*args).assert_outcomes(passed=4)
    assert project.log() == ["1"]


def test_it_works_when_counts_are_measured(distributed: Project) -> None:
    distributed.write({"test_it.py": _TESTS})
    distributed.run("--goref", COUNTS).assert_outcomes(passed=4)
    assert distributed.log() == ["1"] * 10  # only rounds call what is measured more than once


def test_what_it_tracks_is_counted(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    project.run(COUNTS, "--goref")
    assert _record(project, "test_tracks").measurements[REFS] == {"query": (1,), "still": (1,)}
    assert _record(project, "test_sees_only_itself").measurements[REFS] == {"/dao:get": (1,)}
    calls = _record(project, "test_measures").measurements[CALLS]
    assert calls["test_it.py:test_measures.<locals>.answer"] == (1,)
    assert not any("goref" in subject for subject in calls)


def test_what_it_measures_is_timed(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    assert project.run_untraced("--goref", "--goref-passes=time", "--goref-rounds=3").ret == 0
    visit = _record(project, "test_measures").visit
    assert visit is not None
    (timer,) = visit.timers
    assert timer == "test_measures.<locals>.answer"
    assert len(visit.timers[timer]) == len(visit.rounds) == 3
    first, first_warm_up, *later = map(int, project.log())
    assert (first, first_warm_up) == (1, 1)  # only then is it known how many calls are needed
    assert max(later) > 10


def test_a_timer_has_its_own_row(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import time
import pytest

def work():
    until = time.thread_time_ns() + NS
    while time.thread_time_ns() < until:
        pass

NS = 2_000_000

@pytest.mark.profile
def test_it(goref):
    goref.measure(work)
"""
        }
    )
    assert project.run_untraced("--goref-save=main", "--goref-rounds=2", "--goref-passes=time").ret == 0
    project.replace("test_it.py", "NS = 2_000_000", "NS = 20_000_000")  # whatever the machine does
    result = project.run_untraced("--goref-compare=main", "--goref-rounds=2", "--goref-passes=time")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*_time *work * ms -> * ms *+*%*"])
