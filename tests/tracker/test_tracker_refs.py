from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import types
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import freezegun
import pytest
from tracker_engines import engine, python_only  # noqa: F401 - every test runs with both engines

import pytest_goref as goref
from pytest_goref.tracker import aside, core, decorate, engines, entry, ledger, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def now() -> list[int]:
    """The time in nanoseconds that the tracker sees."""
    return [1_000]


@pytest.fixture
def tracker(now: list[int]) -> goref.Tracker:
    return goref.Tracker(clock_ns=lambda: now[0])


@pytest.fixture
def disabled() -> Iterator[None]:
    goref.disable()
    yield
    goref.enable()


def test_a_running_reference_counts_in_active_only(tracker: goref.Tracker) -> None:
    tracker.ref("key")
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count, figures.duration) == (1, 0, 0)
    assert (figures.min, figures.max, figures.average, figures.percentile(50)) == (None, None, None, None)


def test_deref_moves_a_reference_from_active_to_count(tracker: goref.Tracker, now: list[int]) -> None:
    first, second = tracker.ref("key"), tracker.ref("key")
    now[0] += 30
    first.deref()
    now[0] += 20
    second.deref()
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count, figures.duration) == (0, 2, 80)
    assert (figures.min, figures.max, figures.average) == (30, 50, 40.0)


def test_with_ends_the_reference_and_hands_it_out(tracker: goref.Tracker, now: list[int]) -> None:
    with tracker.ref("key") as handle:
        now[0] += 7
        assert tracker.snapshot()["key"].active == 1
    assert isinstance(handle, goref.Ref)
    assert tracker.snapshot()["key"].duration == 7


def test_an_exception_counts_and_passes(tracker: goref.Tracker) -> None:
    with pytest.raises(ZeroDivisionError), tracker.ref("key"):
        raise ZeroDivisionError
    assert tracker.snapshot()["key"].count == 1


@pytest.mark.parametrize("uses", [1, 16, 17, 100, 1000])
def test_figures_are_the_same_before_and_after_the_log_is_absorbed(uses: int) -> None:
    tracker = goref.Tracker(clock_ns=partial(next, itertools.count(0, 3)))
    for _ in range(uses):
        tracker.ref("key").deref()
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count, figures.duration) == (0, uses, 3 * uses)
    assert (figures.min, figures.max, figures.percentile(50)) == (3, 3, 3)


@python_only
def test_a_log_stays_short_however_many_references_there_are(tracker: goref.Tracker) -> None:
    for _ in range(5_000):
        tracker.ref("ended").deref()
        tracker.ref("active")
    for key in ("ended", "active"):
        assert len(tracker._ledgers[key].log) <= ledger._LAST_LIMIT + 2
    assert tracker.snapshot()["active"].active == 5_000


@python_only
def test_nobody_waits_for_a_thread_that_absorbs(tracker: goref.Tracker) -> None:
    with ledger._absorption.lock:
        for _ in range(1_000):
            tracker.ref("key").deref()
        assert tracker.snapshot()["key"].count == 1_000
    tracker.ref("key").deref()
    assert len(tracker._ledgers["key"].log) == 3
    assert tracker.snapshot()["key"].count == 1_001


def test_a_clock_that_goes_back_makes_nothing_negative(tracker: goref.Tracker, now: list[int]) -> None:
    for step_ns in (-5, 2, -1):
        with tracker.ref("key"):
            now[0] += step_ns
    figures = tracker.snapshot()["key"]
    assert (figures.count, figures.duration, figures.min, figures.max) == (3, 2, 0, 2)


def test_a_dropped_reference_stays_active(tracker: goref.Tracker) -> None:
    tracker.ref("key")
    gc.collect()
    assert tracker.snapshot()["key"].active == 1


def test_a_reference_may_end_in_another_thread(tracker: goref.Tracker, now: list[int]) -> None:
    handle = tracker.ref("key")
    now[0] += 11
    thread = threading.Thread(target=handle.deref)
    thread.start()
    thread.join()
    assert tracker.snapshot()["key"] == entry.Entry((0, 1, 11, 11, 11), {11: 1})


def test_asyncio_tasks_interleave(tracker: goref.Tracker, now: list[int]) -> None:
    async def use(steps: int) -> None:
        with tracker.ref("key"):
            for _ in range(steps):
                now[0] += 1
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(use(steps) for steps in (1, 2, 3)))

    asyncio.run(main())
    figures = tracker.snapshot()["key"]
    # they begin at 0, 1 and 2; the clock stands at 3, 5 and 6 when they end
    assert (figures.active, figures.count, figures.duration) == (0, 3, 3 + 4 + 4)
    assert (figures.min, figures.max) == (3, 4)


def test_a_second_deref_changes_nothing_and_warns_once(tracker: goref.Tracker, now: list[int]) -> None:
    for key in ("one", "two"):
        handle = tracker.ref(key)
        handle.deref()
        before = tracker.snapshot()
        now[0] += 100
        with pytest.warns(goref.DoubleDerefWarning, match=f"'{key}' was ended twice") as caught:
            handle.deref()
        assert caught[0].filename == __file__
        handle.deref()  # a second warning would be an error here
        assert tracker.snapshot() == before


def test_a_second_deref_raises_each_time_when_warnings_are_errors(tracker: goref.Tracker) -> None:
    handle = tracker.ref("key")
    handle.deref()
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(goref.DoubleDerefWarning, match="key"):
                handle.deref()
    assert tracker.snapshot()["key"].count == 1


def test_the_warning_is_not_repeated_after_a_reset(tracker: goref.Tracker) -> None:
    for expectation in (pytest.warns(goref.DoubleDerefWarning), warnings.catch_warnings()):
        handle = tracker.ref("key")
        handle.deref()
        with expectation:
            handle.deref()
        tracker.reset()


def test_a_block_whose_reference_was_ended_inside_it_counts_once(tracker: goref.Tracker) -> None:
    with pytest.warns(goref.DoubleDerefWarning) as caught:  # noqa: SIM117 - the line of the inner with is tested
        with tracker.ref("key") as handle:
            handle.deref()
    assert caught[0].filename == __file__
    assert tracker.snapshot()["key"].count == 1


def test_entering_a_reference_twice_counts_once(tracker: goref.Tracker, now: list[int]) -> None:
    handle = tracker.ref("key")
    with handle:
        now[0] += 5
    with pytest.warns(goref.DoubleDerefWarning), handle:
        now[0] += 5
    assert tracker.snapshot()["key"].duration == 5


def test_the_error_of_a_block_is_not_hidden_by_the_warning(tracker: goref.Tracker) -> None:
    handle = tracker.ref("key")
    handle.deref()
    with pytest.raises(KeyError), handle:  # warnings are errors here
        raise KeyError


def test_keys_become_exact_strings(tracker: goref.Tracker) -> None:
    class Loud(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash("other")

    tracker.ref("other").deref()
    tracker.ref(Loud("key")).deref()
    tracker.ref("key").deref()
    figures = tracker.snapshot()
    assert {key: figures[key].count for key in figures} == {"other": 1, "key": 2}
    assert {type(key) for key in figures} == {str}


@pytest.mark.parametrize("key", [None, 5, b"key", ("a",), ["a"]])
def test_other_keys_are_refused_in_one_line(tracker: goref.Tracker, key: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"^the key of a reference must be a str, got {type(key).__name__}; .*$"
    ):
        tracker.ref(key)
    assert not tracker.snapshot().keys()


def test_a_key_that_is_refused_does_not_count_for_one_that_it_equals(tracker: goref.Tracker) -> None:
    class Chameleon:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash("key")

    key: Any = Chameleon()
    tracker.ref("key").deref()
    with pytest.raises(TypeError, match="got Chameleon"):
        tracker.ref(key)
    assert tracker.snapshot()["key"] == entry.Entry((0, 1, 0, 0, 0), {0: 1})


@pytest.mark.usefixtures("disabled")
def test_while_disabled_one_object_does_nothing(tracker: goref.Tracker) -> None:
    assert not goref.is_enabled()
    handle = tracker.ref("key")
    assert handle is tracker.ref(key="other")
    assert isinstance(handle, goref.Ref)
    with handle, handle as same:
        same.deref()
    handle.deref()
    assert not tracker.snapshot().keys()


@pytest.mark.usefixtures("disabled")
def test_a_reference_begun_before_disable_still_ends(tracker: goref.Tracker) -> None:
    goref.enable()
    assert goref.is_enabled()
    handle = tracker.ref("key")
    goref.disable()
    handle.deref()
    assert tracker.snapshot()["key"].count == 1


def test_the_module_functions_are_those_of_the_root() -> None:
    before = goref.snapshot()
    with goref.ref("test_tracker_refs"):
        pass
    goref.track("test_tracker_refs")(len)("")
    assert goref.get_tracker().snapshot()["test_tracker_refs"].count == 2
    assert (goref.snapshot() - before)["test_tracker_refs"].count == 2


def test_the_default_clock_is_out_of_reach_of_tools_that_freeze_time() -> None:
    clocks = {vars(time)[name] for name in vars(time) if callable(vars(time)[name])}
    for module in (goref, aside, core, decorate, engines, entry, ledger, snapshot):
        assert isinstance(module, types.ModuleType)
        assert not [name for name, value in vars(module).items() if any(value is clock for clock in clocks)]


def test_a_frozen_time_freezes_no_duration() -> None:
    tracker = goref.Tracker()
    with freezegun.freeze_time("2020-01-01"), tracker.ref("key"):
        frozen = time.perf_counter_ns()
        sum(range(10_000))
        assert time.perf_counter_ns() == frozen
    assert tracker.snapshot()["key"].duration > 10_000
