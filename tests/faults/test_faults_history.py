"""Clocks that go backwards, sessions that save at once, and a history that is large."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from plugin_project import COUNTS, Project
from store_values import RUN, record_of

from pytest_goref.model import TestKey
from pytest_goref.profilers.clock import ClockProfiler
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, TestResult

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest
import pytest_goref

@pytest.mark.profile
@pytest.mark.parametrize("number", range(10))
def test_it(number):
    pytest_goref.ref("step").deref()
"""


class BackwardClock:
    """A clock that shows less each time it is read."""

    def __init__(self) -> None:
        self._now = 10**12

    def wall_ns(self) -> int:
        self._now -= 1_000_000
        return self._now

    cpu_ns = process_cpu_ns = preempted = wall_ns


def test_a_monotonic_clock_that_goes_backwards_stands_still() -> None:
    taken = ClockProfiler(BackwardClock()).start().stop().round
    assert taken is not None
    assert (taken.wall_ns, taken.cpu_ns, taken.process_cpu_ns, taken.preempted) == (0, 0, 0, 0)


def test_runs_are_ordered_by_id_whatever_the_clock_says(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db", keep_runs=2)
    began = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    for days in (400, 200, 0):
        history.append(replace(RUN, started_at=(began + dt.timedelta(days=days)).isoformat()), [])

    assert [run.id for run in history.runs()] == [3, 2]
    assert history.last_id() == 3


def test_files_of_the_future_are_files(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    project.run("--goref-save=main", COUNTS).assert_outcomes(passed=10)
    for path in (project.path / ".goref_cache").rglob("*"):
        os.utime(path, (2**32, 2**32))

    project.run("--goref-save=main", "--goref-compare=main", COUNTS).assert_outcomes(passed=10)
    assert len(project.history.runs()) == 2


def test_two_sessions_that_save_at_once_lose_nothing(project: Project, pytester: pytest.Pytester) -> None:
    project.write({"test_a.py": _TESTS, "test_b.py": _TESTS, "test_shared.py": _TESTS})
    shared = [f"test_shared.py::test_it[{number}]" for number in range(10)]
    command = [sys.executable, "-m", "pytest", "--goref-save=main", "--goref-passes=counts,memory"]
    for _ in range(2):
        both = [
            pytester.popen([*command, module, *tests], stdin=subprocess.DEVNULL)
            for module, tests in (("test_a.py", shared[:5]), ("test_b.py", shared[5:]))
        ]
        outputs = [session.communicate()[0] for session in both]
        assert [session.returncode for session in both] == [0, 0], outputs

    baseline = Baselines(CacheDirectory(project.path / ".goref_cache")).open("main")
    assert len([key for key in baseline.keys() if baseline.get(key)]) == 30  # noqa: SIM118 - no mapping
    runs = project.history.runs()
    assert [len(list(project.history.results(run.id or 0))) for run in runs] == [15] * 4
    artifacts = project.path / ".goref_cache" / "artifacts"
    assert {f"run-{run.id}" for run in runs} <= {path.name for path in artifacts.iterdir()}
    assert list(artifacts.rglob("*.tmp")) == []


def test_a_large_history_makes_room_and_uses_it_again(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    keys = [TestKey(f"test_{number % 10}.py", f"test_{number}") for number in range(250)]
    results = [TestResult(key, "passed", record_of(key, calls=60)) for key in keys]
    for _ in range(20):
        History(file, keep_runs=20).append(RUN, results)
    full_bytes = file.stat().st_size
    assert full_bytes > 10_000_000

    History(file, keep_runs=20).append(RUN, results)
    assert file.stat().st_size <= full_bytes * 1.1  # a run that goes makes room for the one that comes

    for _ in range(2):
        History(file, keep_runs=2).append(RUN, results)
    assert file.stat().st_size < full_bytes / 2
    assert [len(list(History(file).results(run.id or 0))) for run in History(file).runs()] == [250, 250]
