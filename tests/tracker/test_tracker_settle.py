"""Settling: events are summed up now, and what follows takes the same steps whatever came before."""

from __future__ import annotations

import pytest
from tracker_engines import engine, python_only  # noqa: F401 - every test runs with both engines

import pytest_goref as goref


@pytest.mark.parametrize("times", [0, 1, 31, 500])
def test_settling_changes_no_figure(times: int) -> None:
    tracker = goref.Tracker(clock_ns=iter(range(10**6)).__next__)
    for _ in range(times):
        with tracker.child("below").ref("key"):
            tracker.ref("open")
    before = tracker.snapshot()

    tracker.settle()

    after = tracker.snapshot()
    assert [*after.walk()] == [*before.walk()]
    assert [entry.count for path, _, entry in after.walk() if path] == [times] * bool(times)


@python_only
def test_a_settled_tracker_takes_the_same_steps_as_another() -> None:
    busy, idle = goref.Tracker(), goref.Tracker()
    for _ in range(300):
        busy.ref("key").deref()
    idle.ref("key").deref()

    logs = []
    for tracker in (busy, idle):
        tracker.settle()
        lengths = []
        for _ in range(300):
            tracker.ref("key").deref()
            (ledger,) = tracker._ledgers.values()
            lengths.append(len(ledger.log))
        logs.append(lengths)

    assert logs[0] == logs[1]
