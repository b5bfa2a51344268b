from __future__ import annotations

import itertools
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest
from tracker_engines import engine, python_only  # noqa: F401 - every test runs with both engines

import pytest_goref as goref
from pytest_goref.tracker import core, ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from _typeshed import TraceFunction

THREADS = 8


@pytest.fixture(autouse=True)
def _frequent_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def run_together(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run ``work(number)`` in so many threads at once; an exception in one of them is an exception here."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(threads)

    def target(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    started = [threading.Thread(target=target, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]


class ThreadClock:
    """A clock with a time of its own for each thread, so that every duration is known."""

    def __init__(self) -> None:
        self._own = threading.local()

    def advance(self, duration_ns: int) -> None:
        self._own.now_ns = self() + duration_ns

    def __call__(self) -> int:
        return getattr(self._own, "now_ns", 0)


def test_eight_threads_lose_nothing() -> None:
    tracker = goref.Tracker()

    def work(_: int) -> None:
        ref = tracker.ref
        for _ in range(100_000):
            ref("key").deref()

    run_together(work)
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count) == (0, 800_000)
    assert sum(figures._buckets.values()) == 800_000


def test_eight_threads_lose_no_time() -> None:
    clock = ThreadClock()
    tracker = goref.Tracker(clock_ns=clock)
    call = tracker.track("key")(clock.advance)
    uses = 3_000

    def work(number: int) -> None:
        for use in range(uses):
            duration_ns = 1 + (number * uses + use) % 997
            if use % 3 == 0:
                call(duration_ns)
            elif use % 3 == 1:
                with tracker.ref("key"):
                    clock.advance(duration_ns)
            else:
                handle = tracker.ref("key")
                clock.advance(duration_ns)
                handle.deref()

    run_together(work)
    expected = [1 + n % 997 for n in range(THREADS * uses)]
    figures = tracker.snapshot()["key"]
    single = goref.Entry().after([event for duration_ns in expected for event in (None, duration_ns)])
    assert figures == single


def test_a_snapshot_sees_each_reference_once_and_whole() -> None:
    clock = ThreadClock()
    tracker = goref.Tracker(clock_ns=clock)
    seen: list[goref.Entry] = []

    def work(number: int) -> None:
        if number:
            for _ in range(3_000):
                with tracker.ref("key"):
                    clock.advance(7)
        else:
            for _ in range(300):
                seen.extend(tracker.snapshot().data.values())

    run_together(work, threads=4)
    for figures in seen:
        assert 0 <= figures.active <= 3
        assert figures.duration == 7 * figures.count
        assert figures._buckets == ({7: figures.count} if figures.count else {})
    assert all(a.count <= b.count for a, b in itertools.pairwise(seen))
    assert tracker.snapshot()["key"].count == 9_000


def test_a_snapshot_contains_what_its_thread_did_before() -> None:
    tracker = goref.Tracker()

    def work(number: int) -> None:
        for use in range(300):
            with tracker.ref(str(number)):
                tracker.ref("all").deref()
                own = tracker.snapshot()[str(number)]
                assert (own.active, own.count) == (1, use)

    run_together(work, threads=4)
    assert tracker.snapshot()["all"].count == 1_200


def test_the_first_use_of_keys_and_scopes_by_all_threads_at_once() -> None:
    for _ in range(50):
        tracker = goref.Tracker()

        def work(_: int, tracker: goref.Tracker = tracker) -> None:
            for key in "abcde":
                tracker.ref(key).deref()
                tracker.child("scope", key).ref(key).deref()

        run_together(work)
        assert {figures.count for _, _, figures in tracker.snapshot().walk()} == {THREADS}
        assert len(list(tracker.snapshot().walk())) == 10


def test_two_threads_that_end_one_reference_count_once() -> None:
    tracker = goref.Tracker()
    handles = [tracker.ref("key") for _ in range(2_000)]

    def work(_: int) -> None:
        for handle in handles:
            handle.deref()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", goref.DoubleDerefWarning)
        run_together(work, threads=4)
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count) == (0, 2_000)


def test_resets_in_between_make_nothing_negative() -> None:
    clock = ThreadClock()
    tracker = goref.Tracker(clock_ns=clock)

    def work(number: int) -> None:
        for _ in range(500):
            if number:
                with tracker.ref("key"):
                    clock.advance(3)
            else:
                tracker.reset()
                for figures in tracker.snapshot().data.values():
                    assert figures.active >= 0
                    assert figures.duration == 3 * figures.count

    run_together(work, threads=4)
    tracker.reset()
    assert tracker.snapshot().keys() == []


def switch_everywhere(work: Callable[[int], None]) -> Callable[[int], None]:
    """Return ``work`` with a switch of threads before every instruction of the engine."""
    files = {core.__file__, ledger.__file__}

    def trace(frame: FrameType, _event: str, _arg: object) -> TraceFunction | None:
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        time.sleep(0)
        return trace

    def traced(number: int) -> None:
        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            work(number)
        finally:
            sys.settrace(previous)

    return traced


@python_only
def test_a_switch_between_any_two_instructions_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_FIRST_LIMIT", 4)
    monkeypatch.setattr(ledger, "_LAST_LIMIT", 8)
    clock = ThreadClock()
    tracker = goref.Tracker(clock_ns=clock)

    def work(_: int) -> None:
        for _ in range(60):
            with tracker.ref("key"):
                clock.advance(5)
            tracker.snapshot()

    run_together(switch_everywhere(work), threads=4)
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count, figures.duration) == (0, 240, 1_200)


@python_only
def test_a_switch_between_any_two_instructions_ends_nothing_twice() -> None:
    tracker = goref.Tracker()
    handles = [tracker.ref("key") for _ in range(100)]

    def work(number: int) -> None:
        for handle in handles:
            if number % 2:
                handle.deref()
            else:
                with handle:
                    pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", goref.DoubleDerefWarning)
        run_together(switch_everywhere(work), threads=4)
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count) == (0, 100)


@python_only
def test_a_switch_between_any_two_instructions_lets_keys_and_scopes_appear_during_a_snapshot() -> None:
    tracker = goref.Tracker()

    def work(number: int) -> None:
        for use in range(8):
            if number % 2:
                tracker.ref(f"{number}.{use}")
                tracker.child(f"{number}.{use}")
            else:
                tracker.snapshot()

    run_together(switch_everywhere(work), threads=4)
    assert len(tracker.snapshot().keys()) == len(tracker.snapshot().children) == 16
