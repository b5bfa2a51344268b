from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.judge import judge
from pytest_goref.compare.limits import judge_alone
from pytest_goref.compare.rules import Rules, parse_limits
from pytest_goref.compare.seeds import is_suspect, without_seed_effects
from pytest_goref.metrics import ALLOCATION_COUNT, CALLS, LEAKED_REFS, OTHER, REFS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Measurements,
    Metric,
    Mode,
    Record,
    Round,
    Severity,
    TestKey,
    Visit,
)
from pytest_goref.verdict import Outcome, Verdict

KEY = TestKey("tests/test_orders.py", "test_total")
HERE = Environment("cpython-3.12", "words", "here")
DEFAULT = Rules.default()
REGRESSED, INCONCLUSIVE = Outcome.REGRESSED, Outcome.INCONCLUSIVE


def measured(measurements: Measurements, *, cpu_us: int = 0) -> Record:
    visit = Visit((Round(cpu_us * 1000, cpu_us * 1000, 0),)) if cpu_us else None
    return Record(KEY, HERE, Mode.WARM, measurements, visit)


def checked(before: int, after: int, seeds: tuple[int, int], metric: Metric = REFS) -> Verdict:
    """Return the verdict on ``after`` when fresh processes measure ``seeds``."""
    subject = "q" if metric is REFS else ""
    entry = BaselineEntry.from_record(measured({metric: {subject: (before,)}}))
    by_seed = {seed: measured({metric: {subject: (n,)}}) for seed, n in zip((1, 2), seeds, strict=True)}
    verdict = judge(measured({metric: {subject: (after,)}}), entry, DEFAULT)
    assert verdict.outcome is REGRESSED
    return without_seed_effects(verdict, entry, DEFAULT, by_seed)


@pytest.mark.parametrize(
    ("before", "after", "one", "two", "outcome"),
    [
        (12, 14, 12, 14, INCONCLUSIVE),  # one seed does what was accepted
        (12, 14, 13, 14, INCONCLUSIVE),  # the seeds differ by as much as it grew
        (12, 14, 13, 13, REGRESSED),  # the seeds agree, and on more
        (12, 14, 14, 14, REGRESSED),
        (12, 112, 113, 114, REGRESSED),  # it grew by more than seeds make a difference
        (12, 14, 12, 12, INCONCLUSIVE),
        (12, 14, 11, 11, INCONCLUSIVE),
        (0, 1, 0, 1, INCONCLUSIVE),
        (0, 1, 1, 1, REGRESSED),
    ],
)
def test_a_regression_stands_when_seeds_do_not_explain_it(
    before: int, after: int, one: int, two: int, outcome: Outcome
) -> None:
    assert checked(before, after, (one, two)).outcome is outcome


def test_the_reason_names_the_numbers_and_the_remedy() -> None:
    verdict = checked(12, 15, (12, 14))
    (finding,) = verdict.findings
    reason = (
        "differs by hash seed (12 with PYTHONHASHSEED=1, 14 with 2): "
        "the test iterates a set; set PYTHONHASHSEED=0"
    )
    assert (finding.outcome, finding.reason, finding.before, finding.after) == (INCONCLUSIVE, reason, 12, 15)
    assert verdict.reason == f"refs q {reason}"
    assert not verdict.failures


def test_a_number_that_only_this_session_shows_may_come_from_other_tests() -> None:
    (finding,) = checked(12, 15, (12, 12)).findings
    assert finding.reason == (
        "12 alone in a fresh process with PYTHONHASHSEED=1 and 2: "
        "differs by hash seed, or by the tests before it"
    )


def test_allocations_differ_by_more_than_their_tolerance_or_not_at_all() -> None:
    assert checked(10_000, 10_200, (10_201, 10_199), ALLOCATION_COUNT).outcome is REGRESSED
    assert checked(10_000, 10_200, (10_099, 10_199), ALLOCATION_COUNT).outcome is INCONCLUSIVE


def test_what_the_baseline_does_not_name_is_summed_up_in_visits_too() -> None:
    entry = BaselineEntry.from_record(measured({CALLS: {"a.py:f": (1,), OTHER: (50,)}}))
    now = measured({CALLS: {"a.py:f": (1,), "g": (40,), "h": (30,)}})
    verdict = judge(now, entry, DEFAULT)
    alike = {1: now, 2: now}
    assert without_seed_effects(verdict, entry, DEFAULT, alike) == verdict
    other = measured({CALLS: {"a.py:f": (1,), "g": (20,), "h": (30,)}})
    assert without_seed_effects(verdict, entry, DEFAULT, {1: now, 2: other}).outcome is INCONCLUSIVE


def test_only_the_findings_that_seeds_explain_change() -> None:
    entry = BaselineEntry.from_record(measured({REFS: {"q": (12,), "save": (1,)}, LEAKED_REFS: {}}))
    now = measured({REFS: {"q": (14,), "save": (2,)}, LEAKED_REFS: {"c": (1,)}})
    other = measured({REFS: {"q": (12,), "save": (2,)}, LEAKED_REFS: {}})
    verdict = without_seed_effects(judge(now, entry, DEFAULT), entry, DEFAULT, {1: now, 2: other})
    assert [(f.subject, f.outcome) for f in verdict.findings] == [
        ("save", REGRESSED),
        ("c", REGRESSED),
        ("q", INCONCLUSIVE),
    ]
    assert verdict.outcome is REGRESSED


def test_a_visit_that_did_not_measure_the_metric_tells_nothing_about_it() -> None:
    entry = BaselineEntry.from_record(measured({REFS: {"q": (12,)}}))
    verdict = judge(measured({REFS: {"q": (14,)}}), entry, DEFAULT)
    by_seed = {1: measured({REFS: {"q": (12,)}}), 2: measured({})}
    assert without_seed_effects(verdict, entry, DEFAULT, by_seed) == verdict


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (checked(12, 14, (14, 14)), True),
        (judge(measured({REFS: {"q": (1,)}}), None, DEFAULT), False),
        (judge_alone(measured({REFS: {"q": (4,)}}), DEFAULT, parse_limits({"q": 3})), False),
        (
            judge(
                measured({LEAKED_REFS: {"q": (1,)}}),
                BaselineEntry.from_record(measured({LEAKED_REFS: {}})),
                DEFAULT,
            ),
            False,
        ),
        (
            judge(measured({}, cpu_us=900), BaselineEntry.from_record(measured({}, cpu_us=100)), DEFAULT),
            False,
        ),
    ],
)
def test_only_work_can_depend_on_the_seed(verdict: Verdict, expected: bool) -> None:  # noqa: FBT001 - a column
    assert is_suspect(verdict) is expected


def test_what_only_explains_is_no_suspect() -> None:
    off = Rules({**DEFAULT.by_metric, REFS: replace(DEFAULT.rule(REFS), severity=Severity.OFF)})
    entry = BaselineEntry.from_record(measured({REFS: {"q": (1,)}, CALLS: {"f": (1,)}}))
    assert not is_suspect(judge(measured({REFS: {"q": (9,)}, CALLS: {"f": (2,)}}), entry, off))


_NUMBERS = st.integers(0, 30)


@given(_NUMBERS, st.integers(1, 30), _NUMBERS, _NUMBERS)
def test_a_regression_that_every_seed_confirms_alike_stands(
    before: int, increase: int, one: int, two: int
) -> None:
    outcome = checked(before, before + increase, (one, two)).outcome
    if one == two > before:
        assert outcome is REGRESSED
    if min(one, two) <= before:
        assert outcome is INCONCLUSIVE
