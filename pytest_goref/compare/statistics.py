"""Exact statistics of small samples: how far two sides differ, and how sure that is.

Ranks and medians only, so that one wild value changes little. The distributions are counted with integers,
not approximated: visits are few, and an approximation is worst where a decision is made. The effort grows
with the fourth power of the number of values: made for tens of them.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Alternative = Literal["two-sided", "less", "greater"]
"""What is tested against no difference; "greater": the after side, or the differences, tend to be greater."""

LARGEST_EXPONENT: Final = 1.25
"""No work slows down much more than the kernel does; more than this is noise."""

LEAST_MOVEMENT: Final = math.log(1.1)
"""A speed that moved by less says nothing about how a time follows it."""

_ROUNDING: Final = 1e-9
"""How far a probability computed in floating point may lie from the exact one."""


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much one side lies above the other.

    Attributes:
        estimate: by Hodges and Lehmann.
        low: the lower end of the exact interval; -inf when there are too few values for the confidence.
        high: the upper end, as ``low``.
        p_value: of no difference, two-sided and exact.

    """

    estimate: float
    low: float
    high: float
    p_value: float


def shift_between(before: Sequence[float], after: Sequence[float], confidence: float) -> Shift:
    """Return by how much the values of ``after`` lie above those of ``before``, two independent samples."""
    low, high = rank_sum_interval(before, after, confidence)
    return Shift(hodges_lehmann(before, after), low, high, rank_sum_p(before, after, "two-sided"))


def shift_of_pairs(differences: Sequence[float], confidence: float) -> Shift:
    """Return by how much ``differences``, after minus before of each pair, lie above zero."""
    low, high = signed_rank_interval(differences, confidence)
    return Shift(hodges_lehmann_paired(differences), low, high, signed_rank_p(differences, "two-sided"))


def moved(x: Sequence[float]) -> bool:
    """Return whether the logarithms ``x`` moved enough to learn an exponent from them.

    The means of the lower and of the upper half are compared, not the extremes: one reading that was
    disturbed is no movement.
    """
    return _gap(*_halves(sorted(x))) >= LEAST_MOVEMENT


def wald_exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Return b of y = a + b x, both logarithms; 0 when x has not ``moved``, never outside 0..1.25.

    Wald's grouping estimator (The fitting of straight lines if both variables are subject to error, 1940):
    the slope between the means of the lower and the upper half by x. The one in the middle is left out when
    the number is odd. Equal x share the mean of their y, so that the order of the points does not matter.
    """
    if not moved(x):
        return 0.0
    points: dict[float, list[float]] = {}
    for x_value, y_value in zip(x, y, strict=True):
        points.setdefault(x_value, []).append(y_value)
    level = {x_value: statistics.fmean(y_values) for x_value, y_values in points.items()}
    lower, upper = _halves(sorted(x))
    rise = _gap([level[value] for value in lower], [level[value] for value in upper])
    return min(max(0.0, rise / _gap(lower, upper)), LARGEST_EXPONENT)


def hodges_lehmann(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the median of all differences after minus before (Hodges and Lehmann, 1963).

    Raises:
        statistics.StatisticsError: a side is empty.

    """
    return statistics.median(_pairwise(before, after))


def hodges_lehmann_paired(differences: Sequence[float]) -> float:
    """Return the median of the means of all pairs of ``differences``, each with itself as well.

    Raises:
        statistics.StatisticsError: there are no differences.

    """
    return statistics.median(_walsh(differences))


def rank_sum_p(before: Sequence[float], after: Sequence[float], alternative: Alternative) -> float:
    """Return the exact p-value of Mann and Whitney's test (1947); 1 when a side is empty.

    Equal values share the mean of their ranks, and the distribution is that of all ways to choose the after
    side among the ranks that are there, so that it is exact with ties too.
    """
    ranks = _doubled_ranks((*before, *after))
    counts = _rank_sum_counts(tuple(sorted(ranks)), len(after))
    return _p_value(counts, sum(ranks[len(before) :]), alternative)


def rank_sum_interval(
    before: Sequence[float], after: Sequence[float], confidence: float
) -> tuple[float, float]:
    """Return the interval of the shift that the two-sided rank-sum test does not reject.

    Its ends are differences after minus before. With ties it covers at least as often as ``confidence`` says.
    """
    ranks = tuple(range(1, len(before) + len(after) + 1))
    return _interval(_pairwise(before, after), _rank_sum_counts(ranks, len(after)), confidence)


def signed_rank_p(differences: Sequence[float], alternative: Alternative) -> float:
    """Return the exact p-value of Wilcoxon's signed-rank test (1945); 1 when all differences are zero.

    Zeros are left out, as Wilcoxon did: they speak for neither side. Equal sizes share the mean of their
    ranks, and the distribution is that of all signs of the ranks that are there.
    """
    nonzero = [difference for difference in differences if difference]
    ranks = _doubled_ranks([abs(difference) for difference in nonzero])
    positive = sum(rank for rank, difference in zip(ranks, nonzero, strict=True) if difference > 0)
    return _p_value(_signed_rank_counts(tuple(sorted(ranks))), positive, alternative)


def signed_rank_interval(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the interval of the shift that the two-sided signed-rank test does not reject.

    Its ends are means of two differences. With ties or zeros it covers at least as often as ``confidence``
    says.
    """
    counts = _signed_rank_counts(tuple(range(1, len(differences) + 1)))
    return _interval(_walsh(differences), counts, confidence)


def benjamini_hochberg(p_values: Sequence[float], rate: float) -> list[bool]:
    """Return for each p-value whether it stands when at most ``rate`` of those that stand may be false.

    The step-up procedure of Benjamini and Hochberg (1995).
    """
    ordered = sorted(p_values)
    standing = (p for place, p in enumerate(ordered, 1) if p <= rate * place / len(ordered))
    bound = max(standing, default=-1.0)
    return [p <= bound for p in p_values]


def _halves(ordered: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    size = len(ordered) // 2
    return ordered[:size], ordered[len(ordered) - size :]


def _gap(lower: Sequence[float], upper: Sequence[float]) -> float:
    return statistics.fmean(upper) - statistics.fmean(lower) if lower else 0.0


def _pairwise(before: Sequence[float], after: Sequence[float]) -> list[float]:
    return sorted(new - old for old, new in itertools.product(before, after))


def _walsh(differences: Sequence[float]) -> list[float]:
    pairs = itertools.combinations_with_replacement(differences, 2)
    return sorted((one + other) / 2 for one, other in pairs)


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Return twice the rank of each value: the mean of two ranks is then still an integer."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ordered, 1)))}
    last = {value: place for place, value in enumerate(ordered, 1)}
    return [first[value] + last[value] for value in values]


@functools.lru_cache(maxsize=256)
def _rank_sum_counts(ranks: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return for each sum, from 0 on, how many choices of ``size`` of ``ranks`` have it."""
    total = sum(ranks)
    chosen = [[1] + [0] * total] + [[0] * (total + 1) for _ in range(size)]
    for rank in ranks:
        for fewer, more in reversed(list(itertools.pairwise(chosen))):
            _add_shifted(fewer, more, rank)
    return tuple(chosen[size])


@functools.lru_cache(maxsize=256)
def _signed_rank_counts(ranks: tuple[int, ...]) -> tuple[int, ...]:
    """Return for each sum, from 0 on, how many choices of any size of ``ranks`` have it."""
    counts = [1] + [0] * sum(ranks)
    for rank in ranks:
        _add_shifted(list(counts), counts, rank)
    return tuple(counts)


def _add_shifted(source: list[int], target: list[int], by: int) -> None:
    for place, count in enumerate(source[: len(source) - by]):
        if count:
            target[place + by] += count


def _p_value(counts: Sequence[int], observed: int, alternative: Alternative) -> float:
    total = sum(counts)
    less = sum(counts[: observed + 1]) / total
    greater = sum(counts[observed:]) / total
    return {"less": less, "greater": greater, "two-sided": min(1.0, 2 * min(less, greater))}[alternative]


def _interval(ordered: Sequence[float], counts: Iterable[int], confidence: float) -> tuple[float, float]:
    """Return the two values of ``ordered`` between which the statistic with these ``counts`` keeps the shift.

    The statistic counts how many of ``ordered`` lie above a shift, so each value of it that is too rare to be
    believed takes one value off either end.
    """
    reached = [count for count in itertools.accumulate(counts) if count]
    tail = (1 - confidence) / 2 * (1 + _ROUNDING)
    outside = sum(count <= tail * reached[-1] for count in reached)
    return (ordered[outside - 1], ordered[-outside]) if outside else (-math.inf, math.inf)
