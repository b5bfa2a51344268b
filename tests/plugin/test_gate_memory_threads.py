"""Threads that ran before a test did: what they allocate is not the test's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import closing_line

from pytest_goref.metrics import ALLOCATED_BYTES, ALLOCATION_COUNT, PEAK_BYTES, SITE_BYTES

if TYPE_CHECKING:
    from plugin_project import Project

    from pytest_goref.model import Record

pytest_plugins = ("plugin_project",)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memray does not run on Windows")

MEMORY: Final = "--goref-passes=memory"
_SESSIONS: Final = 3
_SUITE: Final = """
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

def churn(size):
    return [bytearray(size) for _ in range(20)]

def churn_for_ever():
    for round in itertools.count():
        churn(1000 + 500 * (round % 97))
        time.sleep(0.0005)

def churn_in_turns(round=0):
    churn(1000 + 500 * (round % 97))
    timer = threading.Timer(0.0005, churn_in_turns, [round + 1])
    timer.daemon = True
    timer.start()

def test_leaves_a_thread_behind():
    threading.Thread(target=churn_for_ever, daemon=True).start()

def test_leaves_timers_behind():
    churn_in_turns()

@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool

def work(number):
    kept = []
    for n in range(number):
        kept.append(f"line {n} of the bill")
        if not n % 100:
            time.sleep(0.001)
    return kept

@pytest.mark.profile
def test_alone():
    assert work(2000)

@pytest.mark.profile
def test_with_a_thread_of_its_own():
    thread = threading.Thread(target=work, args=[2000])
    thread.start()
    thread.join()

@pytest.mark.profile
def test_with_a_pool(pool):
    assert pool.submit(bytearray, 2**20).result()
"""


def records(project: Project) -> dict[str, Record]:
    found = {key.name: result.record for key, result in project.last_results().items()}
    return {name: record for name, record in found.items() if record is not None}


@pytest.mark.parametrize("left", ["a_thread", "timers"])
def test_threads_that_ran_before_raise_no_alarm(project: Project, left: str) -> None:
    project.write({"test_it.py": _SUITE})
    selected = f"test_leaves_{left}_behind or test_alone"
    assert project.run_apart("--goref-save=main", MEMORY, "-k", selected).ret == 0
    for _ in range(_SESSIONS):
        unchanged = project.run_apart("--goref-compare=main", MEMORY, "-k", selected)
        assert unchanged.ret == 0, unchanged.stdout.str()
        assert "0 inconclusive; 0 regressed" in closing_line(unchanged)
        alone = records(project)["test_alone"]
        assert not [site for site in alone.measurements[SITE_BYTES] if "churn" in site]
        assert alone.measurements[PEAK_BYTES][""] < (300_000,)
    project.replace("test_it.py", "assert work(2000)", "assert work(2100)")
    regressed = project.run_apart("--goref-compare=main", MEMORY, "-k", selected)
    regressed.assert_outcomes(passed=1, failed=1)
    regressed.stdout.fnmatch_lines(["FAILED test_it.py::test_alone*"])


def test_threads_that_the_test_begins_count(project: Project) -> None:
    project.write({"test_it.py": _SUITE})
    assert project.run_apart("--goref", MEMORY, "-k", "not timers").ret == 0
    found = records(project)
    own = found["test_with_a_thread_of_its_own"]
    assert own.concurrent
    assert min(own.measurements[ALLOCATION_COUNT][""]) > 2000
    assert not [site for site in own.measurements[SITE_BYTES] if "churn" in site]
    pool = found["test_with_a_pool"]
    assert pool.concurrent  # they hand over to each other, and who is first varies
    assert max(pool.measurements[ALLOCATED_BYTES][""]) < 2**20
