"""A key for each thing instead of each kind of thing: more keys than anybody reads."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pytest_goref.metrics import LEAKED_REFS, LEAKED_THREADS, REFS
from pytest_goref.profilers import ProfilerUnavailableError
from pytest_goref.profilers.leaks import LeaksProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.refs import RefsProfiler
from pytest_goref.tracker import Tracker

_MOST: Final = 100


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """A tracker with as many keys as are kept, here few, in two scopes."""
    monkeypatch.setattr("pytest_goref.profilers.refs._MOST_KEYS", _MOST)
    tracker = Tracker()
    for number in range(_MOST - 1):
        tracker.ref(f"key {number}").deref()
    tracker.child("scope").ref("key").deref()
    return tracker


def test_more_keys_than_anybody_reads_are_not_counted(tracker: Tracker) -> None:
    running = RefsProfiler(tracker).start()
    for number in range(_MOST - 1):
        tracker.ref(f"key {number}").deref()
    tracker.child("scope").ref("key").deref()

    assert len(running.stop().counted[REFS]) == _MOST
    tracker.ref("one more").deref()
    with pytest.raises(ProfilerUnavailableError, match="refs are not counted: there are more than 100 keys"):
        running.stop()


def test_what_else_is_left_behind_is_told(tracker: Tracker) -> None:
    running = LeaksProfiler(RefsProfiler(tracker), Places(Path.cwd())).start()
    references = [tracker.ref(f"key {number}") for number in range(_MOST + 1)]

    left = running.stop().counted
    for reference in references:
        reference.deref()

    assert LEAKED_REFS not in left
    assert LEAKED_THREADS in left


def test_keys_that_were_there_before_do_not_count(tracker: Tracker) -> None:
    running = RefsProfiler(tracker).start()
    tracker.ref("one more").deref()

    assert running.stop().counted == {REFS: {"one more": 1}}
