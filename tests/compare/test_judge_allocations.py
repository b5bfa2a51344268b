from __future__ import annotations

from dataclasses import replace

import pytest
from judged import DEFAULT, FAIL, KEY, WARN, accepted, measured, refs, ruled, told

from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    CALLS,
    GC_COLLECTIONS,
    LEAKED_REFS,
    LEAKED_TASKS,
    LEAKED_THREADS,
    LEFT_BYTES,
    PEAK_BYTES,
    SITE_BYTES,
)
from pytest_goref.model import (
    BaselineEntry,
    Measurements,
    Record,
    Rule,
    Severity,
    Tolerance,
)
from pytest_goref.verdict import Finding, Outcome, Verdict


def allocations(number: int, total: int, peak: int = 0, left: int = 0) -> Measurements:
    values = {ALLOCATION_COUNT: number, ALLOCATED_BYTES: total, PEAK_BYTES: peak, LEFT_BYTES: left}
    return {metric: {"": (value,)} for metric, value in values.items()}


@pytest.mark.parametrize(
    ("number", "total", "peak", "left", "regressed"),
    [
        (10_100, 1_010_000, 2_100_000, 2_100_000, {}),  # 1 %, 1 %, 5 %, 5 %
        (10_101, 1_000_000, 2_000_000, 2_000_000, {"allocation_count": FAIL}),
        (10_000, 1_010_001, 2_000_000, 2_000_000, {"allocated_bytes": FAIL}),
        (10_000, 1_000_000, 2_100_001, 2_000_000, {"peak_bytes": FAIL}),
        (10_000, 1_000_000, 2_000_000, 2_100_001, {"left_bytes": WARN}),
    ],
)
def test_allocations_regress_beyond_their_tolerance(
    number: int, total: int, peak: int, left: int, regressed: dict[str, Severity]
) -> None:
    before = accepted(allocations(10_000, 1_000_000, 2_000_000, 2_000_000))
    verdict = judge(measured(allocations(number, total, peak, left)), before, DEFAULT)
    found = {f.metric.name: f.severity for f in verdict.findings if f.outcome is Outcome.REGRESSED}
    assert found == regressed


def test_few_allocations_more_are_no_regression_however_few_there_were() -> None:
    verdict = judge(measured(allocations(26, 5096)), accepted(allocations(10, 1000)), DEFAULT)
    assert verdict == Verdict(KEY, Outcome.SAME, ())
    assert judge(measured(allocations(27, 5097)), accepted(allocations(10, 1000)), DEFAULT).failures


@pytest.mark.parametrize(
    ("number", "rules", "outcome"),
    [
        (10_500, DEFAULT, Outcome.SAME),
        (10_501, DEFAULT, Outcome.REGRESSED),
        (10_300, ruled("allocations:2%"), Outcome.REGRESSED),  # what the user chose holds
        (10_300, ruled("calls:2%"), Outcome.SAME),
        (9_500, DEFAULT, Outcome.SAME),
        (9_499, DEFAULT, Outcome.IMPROVED),
    ],
)
def test_allocations_of_a_concurrent_test_vary_by_five_percent(
    number: int, rules: Rules, outcome: Outcome
) -> None:
    record = replace(measured(allocations(number, 0)), concurrent=True)
    assert judge(record, accepted(allocations(10_000, 0)), rules).outcome is outcome


def test_counts_of_a_concurrent_test_are_exact() -> None:
    record = replace(measured(refs(query=101)), concurrent=True)
    assert judge(record, accepted(refs(query=100)), DEFAULT).outcome is Outcome.REGRESSED


def test_a_larger_tolerance_than_five_percent_stays_when_a_test_is_concurrent() -> None:
    peak = Rules({**DEFAULT.by_metric, PEAK_BYTES: Rule(Tolerance(0.2), FAIL)})
    record = replace(measured({PEAK_BYTES: {"": (115,)}}), concurrent=True)
    assert judge(record, accepted({PEAK_BYTES: {"": (100,)}}), peak).outcome is Outcome.SAME


def test_several_samples_of_a_concurrent_test_compare_like_exact_ones() -> None:
    def record(*samples: int) -> Record:
        return replace(measured({ALLOCATION_COUNT: {"": samples}}), concurrent=True)

    before = BaselineEntry.from_record(record(900, 1000))
    assert judge(record(1040, 1050), before, DEFAULT).outcome is Outcome.SAME
    assert judge(record(1040, 1060), before, DEFAULT).outcome is Outcome.INCONCLUSIVE
    assert judge(record(1051, 1060), before, DEFAULT).outcome is Outcome.REGRESSED


def test_what_fails_most_surely_comes_first_and_bytes_are_not_held_against_counts() -> None:
    before: Measurements = {**refs(query=1), **allocations(1000, 100_000), CALLS: {"execute": (1,)}}
    after: Measurements = {**refs(query=31), **allocations(3000, 250_000), CALLS: {"execute": (31,)}}
    verdict = judge(measured(after), accepted(before), DEFAULT)
    assert [f.metric.name for f in verdict.findings] == [
        "refs",
        "allocation_count",  # three times as many
        "allocated_bytes",  # two and a half times as much
        "calls",
    ]


def test_a_pass_that_was_not_taken_is_told_in_one_line() -> None:
    before: Measurements = {**refs(query=1), **allocations(9, 900), SITE_BYTES: {"a.py:f": (900,)}}
    reason = "allocations were not measured in this run"
    verdict = judge(measured(refs(query=1)), accepted(before), DEFAULT)
    finding = Finding(ALLOCATED_BYTES, "", Outcome.INCOMPARABLE, FAIL, None, None, reason)
    assert verdict == Verdict(KEY, Outcome.SAME, (finding,))
    explained = judge(
        measured(refs(query=1), problem="allocations: no memray here"), accepted(before), DEFAULT
    )
    assert explained.findings[0].reason == f"{reason}: allocations: no memray here"


def test_metrics_of_a_group_that_were_not_measured_are_named_when_others_were() -> None:
    before: Measurements = {LEAKED_REFS: {}, LEAKED_THREADS: {}, LEAKED_TASKS: {}}
    verdict = judge(measured({LEAKED_REFS: {}}), accepted(before), DEFAULT)
    assert [f.reason for f in verdict.findings] == [
        "leaked_tasks, leaked_threads were not measured in this run"
    ]


def test_allocations_of_another_python_do_not_compare() -> None:
    before = replace(
        accepted({**refs(query=1), **allocations(9, 900), CALLS: {"f": (1,)}}), python="cpython-3.11"
    )
    after: Measurements = {**refs(query=1), **allocations(9000, 900_000), CALLS: {"f": (1,)}}
    verdict = judge(measured(after), before, DEFAULT)
    assert verdict.outcome is Outcome.SAME
    assert [f.reason for f in verdict.findings] == [
        "allocations of cpython-3.11 and cpython-3.12 do not compare",
        "calls of cpython-3.11 and cpython-3.12 do not compare",
    ]


def test_allocations_that_were_never_accepted_are_new_and_say_nothing() -> None:
    after: Measurements = {**refs(query=1), **allocations(9000, 900_000), SITE_BYTES: {"a.py:f": (900,)}}
    assert judge(measured(after), accepted(refs(query=1)), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


def test_what_is_not_judged_makes_no_findings() -> None:
    before: Measurements = {**refs(query=1), SITE_BYTES: {"a.py:f": (1,)}, GC_COLLECTIONS: {"0": (1,)}}
    after: Measurements = {**refs(query=2), SITE_BYTES: {"a.py:g": (900,)}, GC_COLLECTIONS: {}}
    verdict = judge(measured(after), accepted(before), DEFAULT)
    assert told(verdict) == [("refs", "query", Outcome.REGRESSED, FAIL)]
    assert judge(measured({**after, **refs(query=1)}), accepted(before), DEFAULT).findings == ()
    alone = judge(measured({SITE_BYTES: {}}), accepted({SITE_BYTES: {}}), DEFAULT)
    assert (alone.outcome, alone.reason) == (
        Outcome.INCOMPARABLE,
        "no metric that is judged was accepted and measured",
    )


def test_allocations_that_all_but_vanished_may_not_have_been_measured() -> None:
    verdict = judge(measured(allocations(1000, 0)), accepted(allocations(10_000, 0)), DEFAULT)
    assert [f.reason for f in verdict.findings] == ["improved or not measured"]
