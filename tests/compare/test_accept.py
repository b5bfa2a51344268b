from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.accept import accept
from pytest_goref.metrics import CALLS, REFS
from pytest_goref.model import BaselineEntry, Environment, Measurements, Mode, Record, Round, TestKey, Visit

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


_RECORDS = st.builds(record, st.integers(0, 3), st.integers(80, 120), st.integers(90, 120))


@given(_RECORDS, _RECORDS)
def test_accepting_twice_changes_nothing_more(old: Record, new: Record) -> None:
    entry = accept(new, BaselineEntry.from_record(old))
    assert accept(new, entry) == entry
