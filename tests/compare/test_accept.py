from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timed_visits import visit, visits

from pytest_goref.compare.accept import MOST_STORED, accept, visits_needed
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
    Samples,
    TestKey,
    Visit,
)
from pytest_goref.verdict import Outcome

KEY = TestKey("tests/test_orders.py", "test_total")
HERE = Environment("cpython-3.12", "words", "here")
THERE = Environment("cpython-3.12", "words", "there")


MS = 1_000_000
STORED, SAME = visits(6, 5 * MS), visits(6, 5 * MS, first=50)
FULL = visits(MOST_STORED, 5 * MS)
SLOWER, FASTER = visits(6, 9 * MS, first=50), visits(6, 3 * MS, first=50)


def record(refs: int, calls: int = 100, *, fresh: tuple[Visit, ...] = FULL, code: str = "one") -> Record:
    measurements: Measurements = {REFS: {"query": (refs,)}, CALLS: {"a.py:f": (calls,)}}
    return Record(KEY, HERE, Mode.WARM, measurements, visit(99, 5 * MS), fresh=fresh, code=code)


def accepted(*stored: Visit) -> BaselineEntry:
    return BaselineEntry.from_record(record(1, fresh=stored))


def test_a_new_test_is_accepted_as_it_is() -> None:
    assert accept(record(1), None) == BaselineEntry.from_record(record(1))


def test_numbers_within_tolerance_are_kept() -> None:
    entry = BaselineEntry.from_record(record(1))
    # 104 calls are within 5 % and 8, 5.2 ms within 10 %
    assert accept(record(1, calls=104, fresh=visits(6, 5_200_000)), entry, 6) == entry


def test_numbers_that_moved_are_accepted() -> None:
    entry = BaselineEntry.from_record(record(2))
    for moved in (record(3), record(1), record(2, calls=109), record(2, calls=10)):
        assert accept(moved, entry) == BaselineEntry.from_record(moved)


def test_another_mode_is_accepted() -> None:
    cold = replace(record(1), mode=Mode.COLD)
    assert accept(cold, BaselineEntry.from_record(record(1))) == BaselineEntry.from_record(cold)


@pytest.mark.parametrize("moved", [SLOWER, FASTER], ids=["slower", "faster"])
def test_durations_that_moved_replace_only_the_visits_of_their_machine(moved: tuple[Visit, ...]) -> None:
    there = visits(3, 7 * MS)
    entry = replace(accepted(*STORED), visits={"here": STORED, "there": there})
    renewed = accept(record(1, calls=104, fresh=moved), entry)
    assert renewed.visits == {"here": moved, "there": there}
    assert renewed.measurements == entry.measurements


def test_counts_that_moved_drop_the_visits_of_all_machines() -> None:
    entry = replace(accepted(*STORED), visits={"here": STORED, "there": STORED})
    assert accept(record(2, fresh=SLOWER), entry).visits == {"here": SLOWER}


@pytest.mark.parametrize(
    ("known", "fresh", "most", "kept"),
    [
        (2, 4, 6, 6),
        (2, 6, 6, 6),
        (2, 1, 6, 3),
        (6, 6, 6, 6),
        (6, 6, 8, 8),
        (6, 6, 10, MOST_STORED),
        (6, 12, 20, MOST_STORED),
        (8, 6, 6, 8),
    ],
)
def test_few_visits_are_completed_to_what_is_wanted(known: int, fresh: int, most: int, kept: int) -> None:
    before, now = visits(known, 5 * MS), visits(fresh, 5 * MS, first=50)
    renewed = accept(record(1, fresh=now), accepted(*before), most)
    assert renewed.visits["here"] == (*before, *now)[:kept]
    assert len(renewed.visits["here"]) == kept


def test_unconfirmed_visits_that_look_slower_replace_nothing() -> None:
    entry = accepted(*STORED)
    assert accept(record(1, fresh=SLOWER[:2]), entry, 6) == entry


def test_a_new_machine_adds_its_visits() -> None:
    elsewhere = replace(record(1, fresh=SLOWER), environment=THERE)
    assert accept(elsewhere, accepted(*STORED)).visits == {"here": STORED, "there": SLOWER}


def test_the_rounds_of_the_session_are_not_stored() -> None:
    assert accept(record(1, fresh=()), None).visits == {}
    assert accept(record(1, fresh=()), accepted(*STORED)) == accepted(*STORED)


@pytest.mark.parametrize(
    ("known", "fresh", "most", "needed"),
    [(0, 0, 6, 6), (2, 0, 6, 4), (6, 0, 6, 0), (6, 0, 10, 4), (9, 0, 6, 0), (2, 3, 6, 1), (0, 0, 0, 0)],
)
def test_unchanged_code_needs_only_the_visits_that_are_missing(
    known: int, fresh: int, most: int, needed: int
) -> None:
    entry = accepted(*STORED[:known]) if known <= 6 else accepted(*visits(known, 5 * MS))
    assert visits_needed(record(1, fresh=SAME[:fresh]), entry, most) == needed


def test_what_is_new_or_has_moved_needs_all_visits() -> None:
    assert visits_needed(record(1, fresh=()), None, 6) == 6
    assert visits_needed(record(2, fresh=()), accepted(*STORED), 6) == 6
    elsewhere = replace(record(1, fresh=()), environment=THERE)
    assert visits_needed(elsewhere, accepted(*STORED), 6) == 6


@pytest.mark.parametrize("now_ns", [9 * MS, 3 * MS], ids=["slower", "faster"])
def test_a_suspect_of_the_session_asks_for_new_visits(now_ns: int) -> None:
    suspect = replace(record(1, fresh=()), visit=visit(99, now_ns))
    assert visits_needed(suspect, accepted(*STORED), 6) == 6


def test_without_a_time_pass_no_visits_are_needed() -> None:
    untimed = replace(record(1, fresh=()), visit=None)
    assert visits_needed(untimed, None, 6) == visits_needed(untimed, accepted(), 6) == 0


def test_the_code_is_that_of_all_that_is_kept() -> None:
    entry = accepted(*STORED)
    assert accept(record(1, fresh=SLOWER, code="two"), entry).code == "two"
    assert accept(record(1, fresh=SAME, code="two"), entry, 8).code == ""
    assert accept(record(1, fresh=SAME, code="one"), entry, 8).code == "one"
    assert accept(record(1, fresh=SAME, code="two"), entry, 6).code == "one"
    other_python = replace(entry, python="cpython-3.11")
    assert accept(record(1, fresh=SLOWER, code="two"), other_python).code == "one"


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


_FRESH = st.builds(visits, st.sampled_from([0, MOST_STORED, 12]), st.sampled_from([3 * MS, 5 * MS, 9 * MS]))
_RECORDS = st.builds(record, st.integers(0, 3), st.integers(80, 120), fresh=_FRESH)


@given(_RECORDS, _RECORDS)
def test_accepting_twice_changes_nothing_more(old: Record, new: Record) -> None:
    entry = accept(new, BaselineEntry.from_record(old))
    assert accept(new, entry) == entry
