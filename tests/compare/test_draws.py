from __future__ import annotations

from typing import Final

import pytest

from pytest_goref.compare.draws import without_draws
from pytest_goref.environment import current_environment
from pytest_goref.metrics import ALLOCATION_COUNT, CPU_TIME, LEAKED_REFS, REFS
from pytest_goref.model import BaselineEntry, Metric, Mode, Record, Samples, Severity, TestKey
from pytest_goref.verdict import Finding, Outcome

_KEY: Final = TestKey("test_it.py", "test_it")


def outcome(
    metric: Metric,
    samples: tuple[Samples, Samples],
    draws: int,
    severity: Severity = Severity.FAIL,
    found: Outcome = Outcome.REGRESSED,
) -> tuple[Outcome, str]:
    before, after = samples
    record = Record(_KEY, current_environment(), Mode.WARM, {metric: {"k": after}}, draws=draws)
    expected = BaselineEntry(_KEY, Mode.WARM, "", {metric: {"k": before}}, {})
    finding = Finding(metric, "k", found, severity, max(before), min(after), "varies")
    (told,) = without_draws([finding], record, expected)
    return told.outcome, told.reason


@pytest.mark.parametrize("draws", [0, 9, 100])
def test_a_count_that_never_varies_is_judged(draws: int) -> None:
    assert outcome(REFS, ((1,), (2,)), draws) == (Outcome.REGRESSED, "varies")


@pytest.mark.parametrize(
    ("metric", "samples", "draws"),
    [
        (REFS, ((1, 2), (3,)), 9),
        (REFS, ((1,), (3, 4)), 9),
        (REFS, ((1,), (2,)), 8),
        (ALLOCATION_COUNT, ((1,), (200,)), 9),
        (LEAKED_REFS, ((0,), (1,)), 9),
    ],
)
def test_what_other_examples_may_have_caused_is_inconclusive(
    metric: Metric, samples: tuple[Samples, Samples], draws: int
) -> None:
    found, reason = outcome(metric, samples, draws)
    assert found is Outcome.INCONCLUSIVE
    assert reason.startswith("varies; Hypothesis draws other examples")


def test_durations_and_what_is_not_judged_are_left_alone() -> None:
    assert outcome(CPU_TIME, ((1,), (2,)), 1)[0] is Outcome.REGRESSED
    assert outcome(REFS, ((1, 2), (3,)), 1, Severity.OFF)[0] is Outcome.REGRESSED
    assert outcome(REFS, ((3, 4), (1,)), 1, found=Outcome.IMPROVED)[0] is Outcome.IMPROVED
