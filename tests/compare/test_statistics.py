from __future__ import annotations

import itertools
import math
import random
import statistics
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from pytest_goref.compare.statistics import (
    LARGEST_EXPONENT,
    Alternative,
    Shift,
    benjamini_hochberg,
    hodges_lehmann,
    hodges_lehmann_paired,
    moved,
    rank_sum_interval,
    rank_sum_p,
    shift_between,
    shift_of_pairs,
    signed_rank_interval,
    signed_rank_p,
    wald_exponent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)
MIRRORED: dict[Alternative, Alternative] = {"two-sided": "two-sided", "less": "greater", "greater": "less"}
EVERYTHING = (-math.inf, math.inf)
SAMPLE = st.lists(st.integers(-1000, 1000), min_size=1, max_size=8)
FEW_VALUES = st.lists(st.integers(-2, 2), min_size=1, max_size=5)
"""Ties and zeros are the rule here, not the exception."""
CONFIDENCE = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def continuous(seed: int, size: int) -> list[float]:
    generator = random.Random(seed)  # noqa: S311 - samples, not secrets
    return [generator.gauss(0.3, 1) for _ in range(size)]


SIZES = [(1, 1), (1, 12), (2, 3), (3, 6), (6, 6), (6, 12), (10, 12), (12, 12)]


@pytest.mark.parametrize(
    ("size", "expected"), [(1, 1.0), (2, 1 / 3), (3, 0.1), (4, 2 / 70), (6, 2 / 924), (12, 2 / 2_704_156)]
)
def test_the_p_value_of_sides_that_do_not_overlap(size: int, expected: float) -> None:
    below, above = list(range(size)), list(range(100, 100 + size))
    assert rank_sum_p(below, above, "two-sided") == pytest.approx(expected, abs=1e-9)
    assert rank_sum_p(below, above, "greater") == pytest.approx(expected / 2, abs=1e-9)
    assert rank_sum_p(below, above, "less") == 1


@pytest.mark.parametrize(("size", "expected"), [(1, 0.5), (6, 0.015625), (8, 1 / 256), (12, 1 / 4096)])
def test_the_p_value_of_differences_of_one_sign(size: int, expected: float) -> None:
    differences = list(range(1, size + 1))
    assert signed_rank_p(differences, "greater") == expected
    assert signed_rank_p(differences, "two-sided") == 2 * expected
    assert signed_rank_p(differences, "less") == 1


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(("before_size", "after_size"), SIZES)
@pytest.mark.parametrize("seed", range(5))
def test_the_rank_sum_test_is_that_of_scipy(
    seed: int, before_size: int, after_size: int, alternative: Alternative
) -> None:
    before, after = continuous(seed, before_size), continuous(seed + 1000, after_size)
    expected = stats.mannwhitneyu(after, before, alternative=alternative, method="exact").pvalue
    assert rank_sum_p(before, after, alternative) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("size", [1, 2, 5, 6, 8, 12, 20])
@pytest.mark.parametrize("seed", range(5))
def test_the_signed_rank_test_is_that_of_scipy(seed: int, size: int, alternative: Alternative) -> None:
    differences = continuous(seed, size)
    expected = stats.wilcoxon(differences, alternative=alternative, method="exact").pvalue
    assert signed_rank_p(differences, alternative) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@given(before=FEW_VALUES, after=FEW_VALUES)
@example(before=[1, 1, 1], after=[1, 1])
@example(before=[0, 0, 1], after=[1, 2, 2])
def test_ties_are_tested_against_all_regroupings(
    alternative: Alternative, before: list[int], after: list[int]
) -> None:
    assume(len(before) + len(after) > 2)  # scipy wants two values on a side

    def rank_sum(new: Sequence[int], old: Sequence[int]) -> float:
        return float(stats.rankdata([*new, *old])[: len(new)].sum())

    values = [*after, *before]
    observed = rank_sum(after, before)
    sums = [
        rank_sum([values[i] for i in chosen], [v for i, v in enumerate(values) if i not in chosen])
        for chosen in itertools.combinations(range(len(values)), len(after))
    ]
    assert rank_sum_p(before, after, alternative) == pytest.approx(
        share(sums, observed, alternative), abs=1e-9
    )


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@given(differences=FEW_VALUES)
@example(differences=[0, 0, 1, 1, -1])
def test_tied_differences_are_tested_against_all_signs(
    alternative: Alternative, differences: list[int]
) -> None:
    nonzero = [difference for difference in differences if difference]
    assume(nonzero)
    ranks = [float(rank) for rank in stats.rankdata([abs(difference) for difference in nonzero])]

    def positive(signs: Sequence[float]) -> float:
        return sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign > 0)

    sums = [positive(signs) for signs in itertools.product([-1, 1], repeat=len(ranks))]
    expected = share(sums, positive(nonzero), alternative)
    assert signed_rank_p(differences, alternative) == pytest.approx(expected, abs=1e-9)


def share(sums: Sequence[float], observed: float, alternative: Alternative) -> float:
    """Return the p-value of ``observed`` when each of ``sums`` is as likely."""
    less = sum(value <= observed for value in sums) / len(sums)
    greater = sum(value >= observed for value in sums) / len(sums)
    return {"less": less, "greater": greater, "two-sided": min(1.0, 2 * min(less, greater))}[alternative]


def test_a_test_without_observations_rejects_nothing() -> None:
    for alternative in ALTERNATIVES:
        assert rank_sum_p([], [], alternative) == 1
        assert rank_sum_p([1, 2], [], alternative) == 1
        assert rank_sum_p([], [1, 2], alternative) == 1
        assert signed_rank_p([], alternative) == 1
        assert signed_rank_p([0, 0, 0], alternative) == 1
    assert rank_sum_interval([], [1, 2], 0.5) == EVERYTHING
    assert signed_rank_interval([], 0.5) == EVERYTHING


@given(SAMPLE, SAMPLE)
def test_swapping_the_sides_mirrors_everything(before: list[int], after: list[int]) -> None:
    for alternative in ALTERNATIVES:
        mirrored = rank_sum_p(after, before, MIRRORED[alternative])
        assert rank_sum_p(before, after, alternative) == pytest.approx(mirrored, abs=1e-12)
    low, high = rank_sum_interval(before, after, 0.9)
    assert rank_sum_interval(after, before, 0.9) == (-high, -low)
    assert hodges_lehmann(after, before) == -hodges_lehmann(before, after)


@given(SAMPLE)
def test_turning_the_signs_mirrors_everything(differences: list[int]) -> None:
    turned = [-difference for difference in differences]
    for alternative in ALTERNATIVES:
        mirrored = signed_rank_p(turned, MIRRORED[alternative])
        assert signed_rank_p(differences, alternative) == pytest.approx(mirrored, abs=1e-12)
    low, high = signed_rank_interval(differences, 0.9)
    assert signed_rank_interval(turned, 0.9) == (-high, -low)
    assert hodges_lehmann_paired(turned) == -hodges_lehmann_paired(differences)


@given(SAMPLE, SAMPLE, st.integers(-500, 500), CONFIDENCE)
def test_a_shift_shifts_estimate_and_interval(
    before: list[int], after: list[int], shift: int, confidence: float
) -> None:
    low, high = rank_sum_interval(before, after, confidence)
    shifted = [value + shift for value in after]
    assert rank_sum_interval(before, shifted, confidence) == (low + shift, high + shift)
    assert hodges_lehmann(before, shifted) == hodges_lehmann(before, after) + shift
    low, high = signed_rank_interval(after, confidence)
    assert signed_rank_interval(shifted, confidence) == (low + shift, high + shift)
    assert hodges_lehmann_paired(shifted) == hodges_lehmann_paired(after) + shift


@given(SAMPLE, SAMPLE, st.integers(0, 500))
def test_a_larger_after_side_is_never_less_convincing(before: list[int], after: list[int], more: int) -> None:
    larger = [value + more for value in after]
    assert rank_sum_p(before, larger, "greater") <= rank_sum_p(before, after, "greater") + 1e-12
    assert rank_sum_p(before, larger, "less") >= rank_sum_p(before, after, "less") - 1e-12


@given(SAMPLE, st.permutations(range(8)))
def test_the_order_of_the_values_does_not_matter(values: list[int], order: list[int]) -> None:
    shuffled = [values[place] for place in order if place < len(values)]
    assert shift_of_pairs(values, 0.9) == shift_of_pairs(shuffled, 0.9)
    assert shift_between([1, 5, 9], values, 0.9) == shift_between([1, 5, 9], shuffled, 0.9)


@given(SAMPLE, SAMPLE, CONFIDENCE)
def test_the_rank_sum_interval_holds_the_shifts_that_are_not_rejected(
    before: list[int], after: list[int], confidence: float
) -> None:
    # Distinct values, and shifts between them, so that the test has no ties.
    before, after = sorted({3 * value for value in before}), sorted({3 * value for value in after})
    low, high = rank_sum_interval(before, after, confidence)
    for shift in {new - old + 1 for old in before for new in after}:
        p_value = rank_sum_p([value + shift for value in before], after, "two-sided")
        assert (low < shift < high) == (p_value > 1 - confidence + 1e-9)


@given(SAMPLE, CONFIDENCE)
def test_the_signed_rank_interval_holds_the_shifts_that_are_not_rejected(
    values: list[int], confidence: float
) -> None:
    differences = [4.0 * value + place / 64 for place, value in enumerate(values)]
    low, high = signed_rank_interval(differences, confidence)
    means = {(one + other) / 2 for one in differences for other in differences}
    for shift in {mean + 1 / 512 for mean in means}:
        p_value = signed_rank_p([difference - shift for difference in differences], "two-sided")
        assert (low < shift < high) == (p_value > 1 - confidence + 1e-9)


@given(SAMPLE, SAMPLE)
def test_more_confidence_is_never_a_narrower_interval(before: list[int], after: list[int]) -> None:
    for interval in (
        [rank_sum_interval(before, after, confidence) for confidence in (0.5, 0.9, 0.99)],
        [signed_rank_interval(after, confidence) for confidence in (0.5, 0.9, 0.99)],
    ):
        lows, highs = zip(*interval, strict=True)
        assert lows == tuple(sorted(lows, reverse=True))
        assert highs == tuple(sorted(highs))


@pytest.mark.parametrize(
    ("before_size", "after_size", "confidence", "is_bounded"),
    [
        (3, 3, 0.90, True),  # 2 of 20 regroupings: exactly the rest
        (3, 3, 0.91, False),
        (4, 6, 0.99, True),  # 2 of 210
        (3, 8, 0.99, False),  # 2 of 165
        (3, 12, 0.99, True),
        (6, 6, 0.99, True),
        (1, 12, 0.99, False),
    ],
)
def test_too_few_values_bound_nothing(
    before_size: int, after_size: int, confidence: float, *, is_bounded: bool
) -> None:
    low, high = rank_sum_interval(range(before_size), range(50, 50 + after_size), confidence)
    assert is_bounded == math.isfinite(low) == math.isfinite(high)


@pytest.mark.parametrize(("size", "is_bounded"), [(6, False), (7, False), (8, True), (12, True)])
def test_too_few_pairs_bound_nothing(size: int, *, is_bounded: bool) -> None:
    low, high = signed_rank_interval(range(1, size + 1), 0.99)
    assert is_bounded == math.isfinite(low) == math.isfinite(high)


def test_one_wild_value_moves_estimate_and_interval_little() -> None:
    before, after = [0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]
    wild = [*after[:-1], 10_000]
    assert hodges_lehmann(before, after) == 10
    assert hodges_lehmann(before, wild) == 10
    assert rank_sum_interval(before, wild, 0.99)[0] == rank_sum_interval(before, after, 0.99)[0]
    assert hodges_lehmann_paired(wild) == pytest.approx(12.5)


def test_estimates_of_nothing_are_refused() -> None:
    with pytest.raises(statistics.StatisticsError):
        hodges_lehmann([], [1])
    with pytest.raises(statistics.StatisticsError):
        hodges_lehmann_paired([])


def test_a_shift_is_an_estimate_with_its_interval_and_p_value() -> None:
    before, after = [0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]
    shift = shift_between(before, after, 0.99)
    assert (shift.estimate, shift.low, shift.high) == (10, 6, 14)
    assert shift.p_value == pytest.approx(2 / 924)
    assert shift_of_pairs([1, 2, 3], 0.99) == Shift(2, *EVERYTHING, 0.25)


@given(st.lists(st.floats(0, 1), max_size=12), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_false_discovery_rate_is_controlled_as_in_scipy(p_values: list[float], rate: float) -> None:
    adjusted = stats.false_discovery_control(p_values, method="bh") if p_values else []
    assume(all(abs(float(p) - rate) > 1e-9 for p in adjusted))
    assert benjamini_hochberg(p_values, rate) == [bool(p <= rate) for p in adjusted]


def test_the_procedure_of_benjamini_and_hochberg_steps_up() -> None:
    # 0.03 > 0.05 * 2 / 4, but 0.035 <= 0.05 * 3 / 4 takes it along.
    assert benjamini_hochberg([0.035, 0.9, 0.03, 0.001], 0.05) == [True, False, True, True]
    assert benjamini_hochberg([0.05], 0.05) == [True]
    assert benjamini_hochberg([0.051, 0.2], 0.05) == [False, False]
    assert benjamini_hochberg([], 0.05) == []


@pytest.mark.parametrize("slope", [0.0, 0.4, 1.0, 1.25])
def test_an_exponent_is_the_slope_of_the_logarithms(slope: float) -> None:
    x = [0.05 * place for place in range(9)]
    assert wald_exponent(x, [3 + slope * value for value in x]) == pytest.approx(slope)


@pytest.mark.parametrize(("slope", "clipped"), [(-0.5, 0.0), (2.0, LARGEST_EXPONENT)])
def test_an_exponent_no_work_has_is_clipped(slope: float, clipped: float) -> None:
    x = [0.05 * place for place in range(9)]
    assert wald_exponent(x, [slope * value for value in x]) == clipped


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, False), (1.09, False), (1.11, True), (2.0, True)])
def test_a_speed_that_hardly_moved_teaches_nothing(ratio: float, *, expected: bool) -> None:
    x = [0.0, 0.0, math.log(ratio), math.log(ratio)]
    assert moved(x) is expected
    assert wald_exponent(x, x) == pytest.approx(float(expected))


@pytest.mark.parametrize("x", [[], [1.0], [1.0] * 20])
def test_a_speed_without_a_spread_has_not_moved(x: list[float]) -> None:
    assert not moved(x)
    assert wald_exponent(x, x) == 0


def test_one_disturbed_reading_of_the_speed_is_no_movement() -> None:
    assert not moved([0.0] * 19 + [math.log(2)])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9)), min_size=2, max_size=9), st.randoms())
def test_the_order_of_points_with_equal_speed_does_not_matter(
    points: list[tuple[int, int]], generator: random.Random
) -> None:
    shuffled = generator.sample(points, len(points))
    exponents = [wald_exponent([x for x, _ in some], [y for _, y in some]) for some in (points, shuffled)]
    assert exponents[0] == pytest.approx(exponents[1])
    assert 0 <= exponents[0] <= LARGEST_EXPONENT
