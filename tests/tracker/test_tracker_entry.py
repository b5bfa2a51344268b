from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pytest_goref as goref
from pytest_goref.tracker.entry import Entry, bucket_bounds

DURATIONS_NS = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 5_000), min_size=1, max_size=300)


def entry_of(durations_ns: list[int]) -> Entry:
    return Entry().after([event for duration_ns in durations_ns for event in (None, duration_ns)])


@given(DURATIONS_NS, st.floats(0, 100))
@settings(deadline=None)
def test_percentiles_are_within_ten_percent_of_the_nearest_rank(durations_ns: list[int], q: float) -> None:
    exact = sorted(durations_ns)[max(1, math.ceil(q * len(durations_ns) / 100)) - 1]
    got = entry_of(durations_ns).percentile(q)
    assert got is not None
    assert abs(got - exact) <= exact * 0.0625


@given(DURATIONS_NS)
@settings(deadline=None)
def test_the_ends_of_the_distribution_are_exact(durations_ns: list[int]) -> None:
    figures = entry_of(durations_ns)
    assert figures.percentile(0) == figures.min == min(durations_ns)
    assert figures.percentile(100) == figures.max == max(durations_ns)
    assert figures.duration == sum(durations_ns)
    assert figures.count == len(durations_ns)
    assert figures.average == sum(durations_ns) / len(durations_ns)


@given(DURATIONS_NS, DURATIONS_NS)
@settings(deadline=None)
def test_events_may_be_added_in_parts(first: list[int], second: list[int]) -> None:
    parts = Entry().after([*first, None]).after([None]).after([]).after([*second])
    assert parts == Entry().after([None, *first, *second, None])
    assert hash(parts) == hash(Entry().after([None, *first, *second, None]))


@given(st.integers(0, 500))
@settings(deadline=None)
def test_buckets_are_gapless_and_narrow(bucket: int) -> None:
    low, high = bucket_bounds(bucket)
    assert high + 1 == bucket_bounds(bucket + 1)[0]
    assert (high - low) * 8 <= low
    assert entry_of([low, high])._buckets == {bucket: 2}


def test_the_histogram_is_bounded() -> None:
    assert max(entry_of([2**63 - 1])._buckets) == 487


@pytest.mark.parametrize("q", [-0.1, 100.1, math.nan])
def test_a_percentile_outside_its_range_is_refused(q: float) -> None:
    with pytest.raises(goref.GorefError, match="between 0 and 100"):
        Entry().percentile(q)


def test_an_entry_cannot_be_changed() -> None:
    figures = entry_of([1])
    for name in ("active", "count", "duration", "min", "max", "average", "other"):
        with pytest.raises(AttributeError):
            setattr(figures, name, 0)


def test_entries_compare_by_all_figures() -> None:
    assert entry_of([1, 4, 5]) == entry_of([5, 4, 1])
    assert entry_of([1, 30, 50, 60]) != entry_of([1, 40, 40, 60])
    assert entry_of([1]) != 1
    assert repr(entry_of([1, 2])) == "Entry(active=0, count=2, duration=3)"


def test_an_entry_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(entry_of([1, 1000]))) == entry_of([1, 1000])  # noqa: S301 - our own bytes
