"""The difference between what was accepted and what was measured, for one metric of one subject."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from pytest_goref.model import Samples, Tolerance

_HIGHEST_BELIEVABLE_DROP: Final = 0.9


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a value.

    Attributes:
        outcome: the result; SAME also for a difference within the tolerance.
        before: the accepted value that the result rests on, None when there is none.
        after: the measured value that the result rests on, None when there is none.
        reason: one sentence, where the numbers alone do not say it.

    """

    outcome: Outcome
    before: int | None
    after: int | None
    reason: str = ""


def exceeds(increase: int, before: int, tolerance: Tolerance) -> bool:
    """Return whether ``increase`` over ``before`` is more than both parts of ``tolerance``."""
    allowed = tolerance.relative * before
    # 0.29 * 100 is 28.999999999999996: an increase of exactly 29 % must not exceed 29 %.
    return increase > max(0, tolerance.absolute, allowed) and not math.isclose(
        increase, allowed, rel_tol=1e-9
    )


def compare_exact(before: Samples | None, after: Samples | None, tolerance: Tolerance) -> Change:
    """Return how exact samples changed; None stands for a subject that was not seen, which is zero.

    Regressed when even the smallest measured value is too far above the largest accepted one; inconclusive
    when only some executions are.
    """
    before, after = before or (0,), after or (0,)
    if exceeds(min(after) - max(before), max(before), tolerance):
        return Change(Outcome.REGRESSED, max(before), min(after), variation(after))
    if exceeds(max(after) - max(before), max(before), tolerance):
        return Change(Outcome.INCONCLUSIVE, max(before), max(after), variation(after))
    drop = min(before) - max(after)
    if exceeds(drop, min(before), tolerance):
        doubtful = drop >= _HIGHEST_BELIEVABLE_DROP * min(before)
        return Change(
            Outcome.IMPROVED,
            min(before),
            max(after),
            "improved or not measured" if doubtful else variation(after),
        )
    return Change(Outcome.SAME, max(before), max(after), variation(after))


def variation(samples: Samples) -> str:
    """Return the sentence that says how ``samples`` vary, empty when they do not."""
    low, high = min(samples), max(samples)
    return f"varies between executions ({low}..{high})" if low != high else ""
