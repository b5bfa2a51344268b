from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.accept import accept
from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    CALLS,
    GC_PAUSE,
    OTHER,
    REFS,
    SITE_BYTES,
    SITE_COUNT,
    SITE_PEAK_BYTES,
)
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Measurements,
    Mode,
    Record,
    Round,
    Samples,
    TestKey,
    Visit,
)
from pytest_goref.verdict import Outcome

KEY = TestKey("tests/test_orders.py", "test_total")
HERE = Environment("cpython-3.12", "words", "here")
THERE = Environment("cpython-3.12", "words", "there")


def timed(cpu_us: int) -> Visit:
    return Visit((Round(cpu_us * 1000, cpu_us * 1000, 0),))


def record(refs: int, calls: int = 100, cpu_us: int = 100) -> Record:
    measurements: Measurements = {REFS: {"query": (refs,)}, CALLS: {"a.py:f": (calls,)}}
    return Record(KEY, HERE, Mode.WARM, measurements, timed(cpu_us))


def test_a_new_test_is_accepted_as_it_is() -> None:
    assert accept(record(1), None) == BaselineEntry.from_record(record(1))


def test_numbers_within_tolerance_are_kept() -> None:
    entry = BaselineEntry.from_record(record(1))
    # 104 calls are within 5 % and 8, 109 us within 10 %
    assert accept(record(1, calls=104, cpu_us=109), entry) == entry


def test_numbers_that_moved_are_accepted() -> None:
    entry = BaselineEntry.from_record(record(2))
    for moved in (record(3), record(1), record(2, calls=109), record(2, calls=10)):
        assert accept(moved, entry) == BaselineEntry.from_record(moved)


def test_another_mode_is_accepted() -> None:
    cold = replace(record(1), mode=Mode.COLD)
    assert accept(cold, BaselineEntry.from_record(record(1))) == BaselineEntry.from_record(cold)


def test_durations_that_moved_replace_only_the_rounds_of_their_machine() -> None:
    entry = replace(
        BaselineEntry.from_record(record(1)), visits={"here": (timed(100),), "there": (timed(7),)}
    )
    slower = record(1, calls=104, cpu_us=300)
    assert accept(slower, entry) == replace(entry, visits={"here": (timed(300),), "there": (timed(7),)})


def test_a_new_machine_adds_its_rounds() -> None:
    entry = BaselineEntry.from_record(record(1))
    elsewhere = replace(record(1, cpu_us=300), environment=THERE)
    assert accept(elsewhere, entry).visits == {"here": (timed(100),), "there": (timed(300),)}


def test_a_record_without_rounds_keeps_those_of_the_entry() -> None:
    entry = BaselineEntry.from_record(record(1))
    assert accept(replace(record(1), visit=None), entry) == entry


def test_a_metric_that_is_measured_for_the_first_time_is_added() -> None:
    only_refs = replace(record(1), measurements={REFS: {"query": (1,)}})
    entry = BaselineEntry.from_record(only_refs)
    assert accept(record(1), entry).measurements == record(1).measurements


def test_a_metric_that_is_not_measured_keeps_its_numbers() -> None:
    entry = BaselineEntry.from_record(record(1))
    assert accept(replace(record(1), measurements={REFS: {"query": (1,)}}), entry) == entry


def allocating(number: int, total: int = 100_000) -> Record:
    measurements: Measurements = {
        **record(1).measurements,
        ALLOCATION_COUNT: {"": (number,)},
        ALLOCATED_BYTES: {"": (total,)},
        SITE_COUNT: {"a.py:f": (number,)},
        SITE_BYTES: {"a.py:f": (total,)},
    }
    return replace(record(1), measurements=measurements)


def test_allocations_within_tolerance_are_kept_with_their_sites() -> None:
    entry = accept(allocating(10_000), None)
    assert accept(allocating(10_100, 104_000), entry) == entry


@pytest.mark.parametrize("moved", [allocating(10_101), allocating(9_899), allocating(10_000, 105_000)])
def test_allocations_that_moved_are_accepted(moved: Record) -> None:
    assert accept(moved, accept(allocating(10_000), None)) == BaselineEntry.from_record(moved)


def test_sites_alone_move_nothing() -> None:
    entry = accept(allocating(10_000), None)
    elsewhere = replace(
        allocating(10_000), measurements={**allocating(10_000).measurements, SITE_BYTES: {"b.py:g": (1,)}}
    )
    assert accept(elsewhere, entry) == entry


def test_an_older_entry_gets_the_allocations_that_it_lacks() -> None:
    older = BaselineEntry.from_record(record(1))
    assert accept(allocating(10_000), older).measurements == allocating(10_000).measurements


def test_numbers_of_two_python_versions_are_not_mixed() -> None:
    entry = replace(BaselineEntry.from_record(record(1)), python="cpython-3.11")
    assert accept(allocating(10_000), entry) == entry
    only_refs = replace(entry, measurements={REFS: {"query": (1,)}})
    accepted = accept(allocating(10_000), only_refs)
    assert (accepted.python, accepted.measurements) == (HERE.python, allocating(10_000).measurements)
    without = replace(record(1), measurements={REFS: {"query": (1,)}})
    assert accept(without, only_refs) == only_refs


def test_what_is_not_accepted_is_not_stored() -> None:
    measured = replace(record(1), measurements={**record(1).measurements, GC_PAUSE: {"0": (1,)}})
    assert accept(measured, None) == BaselineEntry.from_record(record(1))
    assert accept(measured, accept(record(1), None)) == accept(record(1), None)


def test_a_test_that_calls_thousands_of_functions_is_stored_in_part() -> None:
    calls = {f"shop/orders.py:f{number}": (number,) for number in range(3000)}
    large = replace(record(1), measurements={CALLS: calls})
    entry = accept(large, None)
    assert len(entry.measurements[CALLS]) == 201
    assert entry.measurements[CALLS][OTHER] == (sum(range(2800)),)


def _calls_of(numbers: bytes) -> dict[str, Samples]:
    """Return a function for each of ``numbers``; some vary between two executions."""
    names = ("a.py:f{}", "len{}", "json{}")
    return {
        names[number % 3].format(place): (number, number // 2) if number % 7 == 0 else (number,)
        for place, number in enumerate(numbers)
    }


_CALLS = st.binary(min_size=150, max_size=300).map(_calls_of)


def _calling(calls: dict[str, Samples]) -> Record:
    sites = dict.fromkeys([SITE_COUNT, SITE_BYTES, SITE_PEAK_BYTES], calls)
    return replace(record(1), measurements={REFS: {"query": (1,)}, CALLS: calls, **sites})


@given(_CALLS)
def test_unchanged_code_that_is_saved_compares_and_is_saved_again_unchanged(
    calls: dict[str, Samples],
) -> None:
    entry = accept(_calling(calls), None)
    assert judge(_calling(calls), entry, Rules.default()).outcome is Outcome.SAME
    assert accept(_calling(calls), entry) == entry


@given(_CALLS, _CALLS)
def test_accepting_many_functions_twice_changes_nothing_more(
    old: dict[str, Samples], new: dict[str, Samples]
) -> None:
    entry = accept(_calling(new), accept(_calling(old), None))
    assert accept(_calling(new), entry) == entry


_RECORDS = st.builds(record, st.integers(0, 3), st.integers(80, 120), st.integers(90, 120))


@given(_RECORDS, _RECORDS)
def test_accepting_twice_changes_nothing_more(old: Record, new: Record) -> None:
    entry = accept(new, BaselineEntry.from_record(old))
    assert accept(new, entry) == entry
