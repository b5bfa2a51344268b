"""Threads of others: what they do while a test is measured is neither counted nor changes what is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.metrics import ALLOCATION_COUNT, CALLS

if TYPE_CHECKING:
    from plugin_project import Project

    from pytest_goref.model import Measurements

pytest_plugins = ("plugin_project",)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether a thread ran")

_CONFTEST: Final = """
import _thread, threading

BEGIN, DONE = threading.Semaphore(0), threading.Semaphore(0)

def helped():
    return [(number, number, number, number) for number in range(100)]

def serve():
    while True:
        BEGIN.acquire()
        helped()
        DONE.release()

_thread.start_new_thread(serve, ())  # as xdist does; threading does not know it
"""
_TEST: Final = """
import sys, threading
import pytest
from conftest import BEGIN, DONE

LOG = open("log.txt", "a", buffering=1)

def is_profiled():
    monitored = sys.version_info >= (3, 12) and sys.monitoring.get_tool(sys.monitoring.PROFILER_ID)
    return monitored or sys.getprofile() or threading.getprofile()

@pytest.mark.profile
def test_it():
    if is_profiled():
        LOG.write("x\\n")
        if test_it.disturbed:
            test_it.disturbed -= 1
            BEGIN.release()
            DONE.acquire()

test_it.disturbed = {disturbed}
"""


def measured(project: Project, passes: str, disturbed: int) -> Measurements:
    """Return what is measured of a test that another thread disturbs so often."""
    project.write({"conftest.py": _CONFTEST, "test_it.py": _TEST.replace("{disturbed}", str(disturbed))})
    project.run_apart("--goref", f"--goref-passes={passes}").assert_outcomes(passed=1)
    (ended,) = project.last_results().values()
    assert ended.record is not None
    return ended.record.measurements


@pytest.mark.parametrize(("disturbed", "executions"), [(0, 1), (1, 2), (9, 3)])
def test_an_execution_that_others_disturb_is_taken_again(
    project: Project, disturbed: int, executions: int
) -> None:
    pytest.importorskip("memray", reason="it does not run on this system")

    allocations = measured(project, "memory", disturbed)[ALLOCATION_COUNT]

    assert len(project.log()) == executions
    assert len(allocations[""]) == 1


def test_calls_of_other_threads_do_not_count(project: Project) -> None:
    calls = measured(project, "counts", 1)[CALLS]

    assert len(project.log()) == 3
    assert "conftest.py:helped" not in calls
    assert {len(samples) for samples in calls.values()} == {1}
