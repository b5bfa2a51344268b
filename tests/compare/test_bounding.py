from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.bounding import aligned, bounded
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    CALLS,
    GC_PAUSE,
    OTHER,
    REFS,
    RSS_PEAK,
    SITE_BYTES,
    SITE_COUNT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.model import Measurements, Samples

MANY = 200
SITES = 50


def test_few_subjects_are_stored_as_they_are() -> None:
    measurements: Measurements = {
        REFS: {f"key_{number}": (1,) for number in range(1000)},
        CALLS: {f"a.py:f{number}": (number,) for number in range(MANY)},
        SITE_BYTES: {f"a.py:f{number}": (number,) for number in range(SITES)},
        ALLOCATED_BYTES: {"": (7,)},
    }
    assert bounded(measurements) == measurements


def test_the_functions_that_matter_most_keep_their_names() -> None:
    project = {f"shop/orders.py:f{number:03}": (number,) for number in range(1, MANY)}
    others = {"len": (900,), "json.decoder": (5,), "json": (5,), "str.join": (1,)}
    calls = bounded({CALLS: {**others, **project}})[CALLS]
    assert calls == {**project, "len": (900,), OTHER: (11,)}


def test_project_functions_that_are_too_many_are_kept_by_their_calls_then_by_their_names() -> None:
    calls = {f"a.py:f{number:03}": (5,) for number in range(MANY + 2)}
    kept = bounded({CALLS: {**calls, "a.py:rare": (1,), "a.py:varies": (1, 6), "len": (1000,)}})[CALLS]
    assert len(kept) == MANY + 1
    assert kept["a.py:varies"] == (1, 6)
    assert kept[OTHER] == (3 * 5 + 1 + 1000,)
    assert "a.py:f198" in kept
    assert "a.py:f199" not in kept


def test_the_largest_sites_keep_their_names_in_each_metric() -> None:
    sites = {f"a.py:f{number:02}": (number,) for number in range(SITES + 2)}
    fewest = {name: (SITES + 2 - samples[0],) for name, samples in sites.items()}
    kept = bounded({SITE_BYTES: sites, SITE_COUNT: fewest})
    assert kept[SITE_BYTES].keys() == {*list(sites)[2:], OTHER}
    assert kept[SITE_BYTES][OTHER] == (1,)
    assert kept[SITE_COUNT].keys() == {*list(sites)[:-2], OTHER}
    assert kept[SITE_COUNT][OTHER] == (3,)


def test_what_no_baseline_accepts_is_not_stored() -> None:
    assert bounded({REFS: {}, GC_PAUSE: {"0": (1,)}, RSS_PEAK: {"": (1,)}}) == {REFS: {}}


def test_a_sum_is_taken_in_each_execution() -> None:
    before = {OTHER: (1,)}
    assert aligned(CALLS, before, {"f": (1, 2), "g": (10,)}) == (before, {OTHER: (11, 12)})
    assert aligned(CALLS, before, {"f": (1, 2), "g": (2, 1)}) == (before, {OTHER: (3,)})
    # not of the same executions: from the least that it can be to the most
    assert aligned(CALLS, before, {"f": (1, 2), "g": (10, 20, 30)}) == (before, {OTHER: (11, 32)})


def test_the_side_that_is_not_bounded_is_folded() -> None:
    few, many = {"f": (1,), OTHER: (5,)}, {"f": (2,), "g": (3,), "h": (2,)}
    assert aligned(CALLS, few, many) == (few, {"f": (2,), OTHER: (5,)})
    assert aligned(CALLS, many, few) == ({"f": (2,), OTHER: (5,)}, few)
    assert aligned(CALLS, {"f": (1,), "gone": (1,), OTHER: (5,)}, {"f": (1,)}) == (
        {"f": (1,), "gone": (1,), OTHER: (5,)},
        {"f": (1,)},
    )


def test_two_bounded_sides_are_compared_by_what_both_name() -> None:
    one, two = {"f": (1,), "g": (2,), OTHER: (5,)}, {"f": (1,), "h": (3,), OTHER: (4,)}
    assert aligned(CALLS, one, two) == ({"f": (1,), OTHER: (7,)}, {"f": (1,), OTHER: (7,)})


def test_a_key_of_the_tracker_may_have_any_name() -> None:
    before, after = {OTHER: (1,), "query": (1,)}, {"query": (1,), "new": (1,)}
    assert aligned(REFS, before, after) == (before, after)


def _calls_of(numbers: bytes) -> dict[str, Samples]:
    """Return a function for each of ``numbers``; some vary between two executions."""
    names = ("a.py:f{}", "len{}", "json{}")
    return {
        names[number % 3].format(place): (number, number // 2) if number % 7 == 0 else (number,)
        for place, number in enumerate(numbers)
    }


_CALLS = st.binary(max_size=300).map(_calls_of)


@given(_CALLS)
def test_bounding_loses_no_number_and_is_done_once(calls: dict[str, Samples]) -> None:
    once = bounded({CALLS: calls, SITE_BYTES: calls})
    assert bounded(once) == once
    for subjects, most in ((once[CALLS], MANY), (once[SITE_BYTES], SITES)):
        assert len(subjects.keys() - {OTHER}) == min(len(calls), most)
        assert [total(subjects, column) for column in (0, -1)] == [total(calls, c) for c in (0, -1)]


@given(_CALLS)
def test_what_was_bounded_aligns_with_what_it_was_made_of(calls: dict[str, Samples]) -> None:
    stored = bounded({CALLS: calls})[CALLS]
    before, after = aligned(CALLS, stored, calls)
    assert before == after
    assert aligned(CALLS, calls, stored) == (after, before)


def total(subjects: Mapping[str, Samples], column: int) -> int:
    return sum(samples[column] for samples in subjects.values())
