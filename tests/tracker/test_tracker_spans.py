"""Recording: the stamps of what begins and ends while a recorder is there."""

from __future__ import annotations

import gc
import itertools
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tracker_engines import engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tracker() -> goref.Tracker:
    return goref.Tracker(clock_ns=partial(next, itertools.count(100, 10)))


@pytest.fixture
def recorder(tracker: goref.Tracker) -> goref.Recorder:
    recorder = goref.Recorder()
    tracker.record(recorder)
    return recorder


def stamps(recorder: goref.Recorder) -> list[tuple[str, int, int]]:
    return [(span.key, span.begin_ns, span.end_ns) for span in recorder.spans()]


def test_a_span_has_path_key_stamps_and_thread(tracker: goref.Tracker, recorder: goref.Recorder) -> None:
    with tracker.child("a", "b").ref("outer"):
        tracker.ref("inner").deref()
    inner, outer = recorder.spans()
    assert inner == ((), "inner", 110, 120, threading.get_ident())
    assert (outer.path, outer.key, outer.begin_ns, outer.end_ns) == (("a", "b"), "outer", 100, 130)


def test_calls_are_spans_however_they_end(tracker: goref.Tracker, recorder: goref.Recorder) -> None:
    call = tracker.track("call")(len)
    call("1")
    with pytest.raises(TypeError, match="len"):
        call(5)  # type: ignore[arg-type]
    assert stamps(recorder) == [("call", 100, 110), ("call", 120, 130)]


def test_the_figures_are_those_without_a_recorder(tracker: goref.Tracker, recorder: goref.Recorder) -> None:
    for _ in range(600):
        with tracker.ref("key"):
            pass
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count, figures.duration) == (0, 600, 6_000)
    assert len(recorder.spans()) == 600
    tracker.settle()
    assert tracker.snapshot()["key"] == figures


def test_a_full_recorder_drops_the_oldest() -> None:
    tracker = goref.Tracker(clock_ns=partial(next, itertools.count()))
    recorder = goref.Recorder(capacity=3)
    tracker.record(recorder)
    for number in range(5):
        tracker.ref(str(number)).deref()
    assert recorder.capacity == 3
    assert stamps(recorder) == [("2", 4, 5), ("3", 6, 7), ("4", 8, 9)]
    recorder.clear()
    assert recorder.spans() == []
    tracker.ref("5").deref()
    assert stamps(recorder) == [("5", 10, 11)]


def test_only_what_begins_and_ends_while_it_is_there_is_recorded(
    tracker: goref.Tracker, recorder: goref.Recorder
) -> None:
    across = tracker.ref("begun while recording")
    tracker.record(None)
    across.deref()
    before = tracker.ref("begun before")
    tracker.record(recorder)
    before.deref()
    tracker.ref("inside").deref()
    tracker.reset()
    tracker.ref("after a reset").deref()
    assert [key for key, _, _ in stamps(recorder)] == ["inside", "after a reset"]


def test_children_that_are_made_later_record_too(tracker: goref.Tracker, recorder: goref.Recorder) -> None:
    tracker.child("a").ref("key").deref()
    tracker.record(None)
    tracker.child("a").ref("key").deref()
    assert [span.path for span in recorder.spans()] == [("a",)]


@pytest.mark.parametrize("how", ["deref", "with"])
def test_a_second_end_is_no_span(tracker: goref.Tracker, recorder: goref.Recorder, how: str) -> None:
    handle = tracker.ref("key")
    handle.deref()
    ends: dict[str, Callable[[], None]] = {
        "deref": handle.deref,
        "with": partial(handle.__exit__, None, None, None),
    }
    with pytest.warns(goref.DoubleDerefWarning) as caught:
        ends[how]()
    assert caught[0].filename == __file__
    with pytest.raises(KeyError), handle:
        raise KeyError
    assert len(recorder.spans()) == 1


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_recorder_holds_something(capacity: int) -> None:
    with pytest.raises(goref.GorefError, match=rf"capacity of a recorder must be 1 or more, got {capacity}"):
        goref.Recorder(capacity)


@pytest.mark.parametrize("recorder", [5, [], goref.Tracker])
def test_what_is_no_recorder_is_refused(tracker: goref.Tracker, recorder: Any) -> None:
    with pytest.raises(TypeError, match="a tracker records in a Recorder or in None, got"):
        tracker.record(recorder)


def test_a_recorder_outlives_its_tracker() -> None:
    recorder = goref.Recorder(2)
    tracker = goref.Tracker()
    tracker.record(recorder)
    handle = tracker.ref("late")
    tracker.ref("key" * 2).deref()
    del tracker
    gc.collect()
    handle.deref()
    assert recorder.spans()[0].key == "keykey"


def test_spans_of_many_threads() -> None:
    tracker = goref.Tracker()
    recorder = goref.Recorder(4_000)
    tracker.record(recorder)

    def work() -> None:
        for number in range(500):
            with tracker.ref("key"):
                if number % 50 == 0:
                    recorder.spans()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorder.spans()) == 2_000
    assert len({span.thread for span in recorder.spans()}) >= 1
    assert all(span.begin_ns <= span.end_ns for span in recorder.spans())


def test_names_of_the_package_are_found_the_fast_way() -> None:
    assert "__getattr__" not in vars(goref)  # the interpreter's own cache of names would be off
