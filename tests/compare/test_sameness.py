from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_goref.compare.sameness import sameness
from pytest_goref.metrics import ALLOCATED_BYTES, ALLOCATION_COUNT, CALLS, OTHER, PEAK_BYTES, REFS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Measurements,
    Metric,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Samples,
    TestKey,
)

PYTHON = Environment("cpython-3.12", "x86_64 Linux, CPU", "fingerprint")
WORK: Measurements = {
    REFS: {"q": (2,)},
    CALLS: {"a.py:f": (3,), "a.py:g": (400,)},
    ALLOCATION_COUNT: {"": (1000,)},
    ALLOCATED_BYTES: {"": (1_000_000,)},
    PEAK_BYTES: {"": (1_000_000,)},
}
BEFORE = Record(TestKey("test_a.py", "test_b"), PYTHON, Mode.WARM, WORK, code="c0de")
ALL = "same calls, same allocations, same code"
WORK_ONLY = "same calls, same allocations"


def same(after: Record, before: Record = BEFORE) -> str:
    return sameness(after, BaselineEntry.from_record(before))


def counting(metric: Metric, subjects: dict[str, Samples], record: Record = BEFORE) -> Record:
    return replace(record, measurements={**record.measurements, metric: subjects})


def without(metric: Metric) -> Record:
    return replace(BEFORE, measurements={m: by for m, by in WORK.items() if m is not metric})


def test_what_is_all_the_same_says_so() -> None:
    assert same(BEFORE) == ALL


@pytest.mark.parametrize("code", ["", "c0ffee"])
def test_other_or_unknown_code_is_not_the_same(code: str) -> None:
    assert same(replace(BEFORE, code=code)) == WORK_ONLY
    assert same(BEFORE, replace(BEFORE, code=code)) == WORK_ONLY
    assert same(replace(BEFORE, code=""), replace(BEFORE, code="")) == WORK_ONLY


def test_of_code_in_other_threads_nothing_is_known() -> None:
    assert same(replace(BEFORE, concurrent=True)) == WORK_ONLY


@pytest.mark.parametrize("metric", [ALLOCATION_COUNT, ALLOCATED_BYTES])
def test_allocations_are_the_same_within_their_default_tolerance(metric: Metric) -> None:
    (number,) = WORK[metric][""]
    assert same(counting(metric, {"": (number + number // 100,)})) == ALL
    assert same(counting(metric, {"": (number - number // 100,)})) == ALL
    assert same(counting(metric, {"": (number + number // 10,)})) == "same calls"
    assert same(counting(metric, {"": (number - number // 10,)})) == "same calls"


@pytest.mark.parametrize("metric", [ALLOCATION_COUNT, ALLOCATED_BYTES])
def test_allocations_that_one_side_lacks_are_not_the_same(metric: Metric) -> None:
    assert same(without(metric)) == "same calls"
    assert same(BEFORE, without(metric)) == "same calls"


def test_allocations_of_another_platform_do_not_compare() -> None:
    arm = replace(PYTHON, machine="aarch64 Linux, CPU")
    assert same(replace(BEFORE, environment=arm)) == "same calls"


@pytest.mark.parametrize("metric", [REFS, CALLS])
def test_counts_that_one_side_lacks_are_not_the_same(metric: Metric) -> None:
    assert same(without(metric)) == ""
    assert same(BEFORE, without(metric)) == ""


@pytest.mark.parametrize(
    ("metric", "subjects"),
    [
        (REFS, {"q": (3,)}),
        (REFS, {"q": (2, 3)}),
        (REFS, {"q": (2,), "new": (1,)}),
        (REFS, {}),
        (CALLS, {"a.py:f": (3,), "a.py:g": (401,)}),
        (CALLS, {"a.py:f": (3,), "a.py:g": (399,)}),
        (CALLS, {"a.py:f": (3,)}),
    ],
)
def test_counts_are_the_same_only_when_they_are_equal(metric: Metric, subjects: dict[str, Samples]) -> None:
    assert same(counting(metric, subjects)) == ""


def test_counts_that_vary_alike_are_the_same() -> None:
    assert same(counting(REFS, {"q": (2, 3, 2)}), counting(REFS, {"q": (3, 2)})) == ALL


def test_a_subject_that_is_not_seen_counts_zero() -> None:
    assert same(counting(REFS, {"q": (2,), "r": (0,)})) == ALL


def test_what_a_baseline_sums_up_is_compared_as_a_sum() -> None:
    summed = counting(CALLS, {"a.py:f": (3,), OTHER: (400,)})
    assert same(BEFORE, summed) == ALL
    assert same(counting(CALLS, {"a.py:f": (3,), "a.py:g": (401,)}), summed) == ""


def test_calls_of_another_python_do_not_compare() -> None:
    assert same(replace(BEFORE, environment=replace(PYTHON, python="cpython-3.13"))) == ""


def test_what_was_executed_otherwise_does_not_compare() -> None:
    assert same(replace(BEFORE, mode=Mode.COLD)) == ""
    problem = Problem(ProblemKind.NOT_REPEATABLE, "it failed")
    assert same(replace(BEFORE, problems=(problem,))) == ""
