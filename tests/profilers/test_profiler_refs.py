from __future__ import annotations

import pytest

import pytest_goref as goref
from pytest_goref.metrics import LEAKED_REFS, REFS
from pytest_goref.profilers import ProfilerUnavailableError
from pytest_goref.profilers.refs import RefsProfiler


def test_only_refs_that_end_in_the_window_count() -> None:
    tracker = goref.Tracker()
    with tracker.ref("before"):
        pass
    early = tracker.ref("early")
    running = RefsProfiler(tracker).start()
    early.deref()
    with tracker.child("dao", "psql").ref("query"):
        pass
    left = tracker.ref("left")
    assert running.stop().counted == {REFS: {"/dao/psql:query": 1, "early": 1}}
    left.deref()


def test_nothing_tracked_was_still_measured() -> None:
    assert RefsProfiler(goref.Tracker()).start().stop().counted == {REFS: {}}


def test_a_ref_that_began_in_the_window_and_runs_on_is_left_behind() -> None:
    tracker = goref.Tracker()
    wider = tracker.ref("wider")
    running = RefsProfiler(tracker).start()
    left = tracker.child("pool").ref("connection")
    with tracker.ref("ended"):
        pass
    assert running.leaked().counted == {LEAKED_REFS: {"/pool:connection": 1}}
    left.deref()
    wider.deref()
    assert running.leaked().counted == {LEAKED_REFS: {}}


def test_a_reset_in_the_window_counts_what_came_after() -> None:
    tracker = goref.Tracker()
    for _ in range(3):
        tracker.ref("query").deref()
    running = RefsProfiler(tracker).start()
    tracker.reset()
    tracker.ref("query").deref()
    assert running.stop().counted == {REFS: {"query": 1}}


def test_the_root_tracker_is_the_default() -> None:
    running = RefsProfiler().start()
    goref.ref("tests.profilers.default").deref()
    assert running.stop().counted[REFS]["tests.profilers.default"] == 1


def test_disabled_tracking_cannot_be_measured() -> None:
    goref.disable()
    try:
        with pytest.raises(ProfilerUnavailableError, match=r"call goref\.enable\(\)"):
            RefsProfiler(goref.Tracker()).start()
    finally:
        goref.enable()
