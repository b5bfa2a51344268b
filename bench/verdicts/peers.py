"""What other tools would say of the same rounds: the rules of ``pytest-benchmark compare``, and two more."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_goref.model import Visit

STATISTICS: Final[Mapping[str, Callable[[Sequence[int]], float]]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
}
SIGNIFICANT: Final = 1.96
"""Of the normal distribution; 5 % of it lie beyond, two-sided."""
MANY: Final = 6
"""How many visits of each side the best is taken of."""


def elapsed_ns(visit: Visit) -> list[int]:
    """Return the elapsed times of the rounds: what these tools read."""
    return [taken.wall_ns for taken in visit.rounds]


def is_beyond(before: Visit, after: Visit, statistic: str, percent: float) -> bool:
    """Return whether ``--benchmark-compare-fail=STATISTIC:PERCENT%`` fails the test."""
    summary = STATISTICS[statistic]
    old, new = summary(elapsed_ns(before)), summary(elapsed_ns(after))
    return new > old * (1 + percent / 100)


def is_significant(before: Visit, after: Visit) -> bool:
    """Return whether Mann and Whitney's test on rounds finds the after side slower, at 5 %, two-sided.

    By the normal approximation, which is good for 20 rounds against 20.
    """
    old, new = elapsed_ns(before), elapsed_ns(after)
    wins = sum((b < a) + (b == a) / 2 for a in new for b in old)
    expected = len(old) * len(new) / 2
    spread = math.sqrt(len(old) * len(new) * (len(old) + len(new) + 1) / 12)
    return (wins - expected) / spread > SIGNIFICANT


def is_best_beyond(before: Sequence[Visit], after: Sequence[Visit], percent: float) -> bool:
    """Return whether the fastest round of some visits is slower than that of as many before."""
    old = min(min(elapsed_ns(visit)) for visit in before[:MANY])
    new = min(min(elapsed_ns(visit)) for visit in after[:MANY])
    return new > old * (1 + percent / 100)
