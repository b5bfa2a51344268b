from __future__ import annotations

import math
from dataclasses import replace

import pytest
from simulated import (
    CLEAR,
    FASTER,
    FIVE,
    OPEN,
    SAME,
    SLOW,
    SLOWER,
    STEADY,
    SWINGING,
    Code,
    Machine,
    judged,
    visits,
)

from pytest_goref.compare.rounds import Series
from pytest_goref.compare.slowdown import (
    HEARD_SPREAD,
    LOOKS,
    Opinion,
    decide,
)


@pytest.mark.parametrize(("computes", "allocates"), [(1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("seed", range(10))
def test_what_follows_only_one_kernel_is_not_established(
    seed: int, computes: float, allocates: float
) -> None:
    code = Code(computes=computes, allocates=allocates)
    slow_part = (1.0, 1.2, 1.4, 1.2, 1.0)
    crowded = Machine(slow_part, STEADY * 5) if computes else Machine(STEADY * 5, slow_part)
    before, after = visits(6, code, Machine(STEADY * 5), seed), visits(12, code, crowded, seed + 100)
    assert judged(before, after)[-1] is CLEAR


@pytest.mark.parametrize("seed", range(10))
def test_a_slowdown_that_one_kernel_explains_is_not_established(seed: int) -> None:
    # All of it could be memory that became slow for everyone; the kernel that computes knows nothing of it.
    code, slow = Code(allocates=1), tuple(1.5 * speed for speed in SWINGING)
    before = visits(6, code, Machine(STEADY * 5, SWINGING), seed)
    after = visits(12, code, Machine(STEADY * 5, slow), seed + 100)
    assert decide(replace(before, memory=()), replace(after, memory=()), FIVE).opinion is SLOWER
    assert {decide(before, after.first(look), FIVE).opinion for look in LOOKS} <= {OPEN, CLEAR}
    assert {decide(after.first(look), before, FIVE).opinion for look in LOOKS} <= {OPEN, CLEAR}


# One number for each visit: by how much it differs. The two do not resemble each other.
SLOW_TURNS = (0.25, 0.25, -0.25, -0.25) * 2
OTHER_TURNS = (0.25, -0.25, 0.25, -0.25) * 2


def in_turns(turns: tuple[float, ...], middle: float = 0.0) -> tuple[tuple[float, ...], ...]:
    """Return visits of one round that differ from ``middle`` by ``turns``."""
    return tuple((middle + turn,) for turn in turns)


def rescaled(turns: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(factor * turn for turn in turns)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("compute_follows", [False, True])
@pytest.mark.parametrize(("change", "opinion"), [(0.2, SLOWER), (0.0, CLEAR), (-0.2, FASTER)])
def test_the_kernel_that_follows_the_test_decides_against_one_that_does_not(
    change: float, opinion: Opinion, *, compute_follows: bool, paired: bool
) -> None:
    # What the other kernel measures became as much slower, or faster, as would hide the change, or make one.
    other_change = change or 0.5
    steady, shifted = in_turns((0.0,) * 8), in_turns((0.0,) * 8, other_change)
    turns, turned = in_turns(SLOW_TURNS), in_turns(OTHER_TURNS)
    before, after = Series(turns, turns, steady), Series(in_turns(OTHER_TURNS, change), turned, shifted)
    if not compute_follows:
        before = replace(before, compute=before.memory, memory=before.compute)
        after = replace(after, compute=after.memory, memory=after.compute)
    said = decide(before, after, FIVE, paired=paired)
    assert said.opinion is opinion
    assert said.shift == pytest.approx(math.expm1(change))


def test_the_mean_of_both_kernels_decides_for_code_that_does_both() -> None:
    # Its time follows each of them half; memory became slower, which each kernel alone misjudges.
    both = tuple((one + other) / 2 for one, other in zip(SLOW_TURNS, OTHER_TURNS, strict=True))
    compute, memory = in_turns(SLOW_TURNS), in_turns(OTHER_TURNS)
    before = Series(in_turns(both), compute, memory)
    for change, opinion in ((0.2, SLOWER), (0.0, CLEAR), (-0.2, FASTER)):
        after = Series(in_turns(both, change + 0.2), compute, in_turns(OTHER_TURNS, 0.4))
        said = decide(before, after, FIVE)
        assert said.opinion is opinion
        assert said.shift == pytest.approx(math.expm1(change))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("compute_is_best", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("apart", "heard"),
    [(1.5, True), (HEARD_SPREAD, True), (HEARD_SPREAD + 1 / 64, False), (HEARD_SPREAD * 2, False)],
)
def test_a_kernel_has_a_veto_unless_it_leaves_the_visits_much_further_apart(
    apart: float, sign: int, *, heard: bool, compute_is_best: bool, paired: bool
) -> None:
    # By the worse kernel the visits lie ``apart`` times as far from each other, and nothing changed.
    turns, change = rescaled(OTHER_TURNS, 1 / 16), sign / 4
    steady, worse = in_turns((0.0,) * 8), in_turns(rescaled(turns, 1 - apart), change)
    before, after = Series(steady, steady, steady), Series(in_turns(turns, change), steady, worse)
    if not compute_is_best:
        after = replace(after, compute=after.memory, memory=after.compute)
    said = decide(before, after, FIVE, paired=paired)
    established = SLOWER if sign > 0 else FASTER
    assert said.opinion is (OPEN if heard else established)
    assert said.shift == pytest.approx(math.expm1(change))  # the best one is shown, also when it is alone
    assert said.low > FIVE or said.high < -FIVE  # and is convinced
    if sign > 0:
        assert (said.detectable > said.shift) is heard


def test_of_pairs_the_differences_tell_how_well_a_kernel_follows() -> None:
    # Both sides share large turns that no kernel explains: between visits every kernel is about as bad.
    turns, change = rescaled(OTHER_TURNS, 1 / 16), 0.25
    steady, worse = in_turns((0.0,) * 8), in_turns(rescaled(turns, 1 - 2 * HEARD_SPREAD), change)
    times = tuple(shared + own for shared, own in zip(SLOW_TURNS, turns, strict=True))
    before, after = (
        Series(in_turns(SLOW_TURNS), steady, steady),
        Series(in_turns(times, change), steady, worse),
    )
    assert decide(before, after, FIVE, paired=True).opinion is SLOWER
    assert decide(before, after, FIVE).opinion is not SLOWER


def test_a_side_of_two_visits_does_not_tell_which_kernel_follows() -> None:
    # Memory leaves the two visits closer together, and those of the other side more than twice as far apart.
    turns = rescaled(OTHER_TURNS[:6], 1 / 16)
    before = Series(in_turns(turns), in_turns((0.0,) * 6), in_turns(rescaled(turns, -1.1)))
    two = (1 / 16, -1 / 16)
    after = Series(in_turns(two, 0.25), in_turns(rescaled(two, -1)), in_turns(two, 0.25))
    assert decide(before, after, FIVE).opinion is OPEN
    assert decide(replace(before, compute=()), replace(after, compute=()), FIVE).opinion is CLEAR


def test_of_two_readings_the_smaller_change_is_shown() -> None:
    said = decide(visits(6, SAME), visits(6, Code(1.3), Machine((1.08,)), 1), FIVE)
    assert said.opinion is SLOWER
    assert said.shift == pytest.approx(0.3, abs=0.03)
    said = decide(visits(6, SAME), visits(6, Code(1.3, computes=0), Machine((1.08,)), 1), FIVE)
    assert said.opinion is SLOWER
    assert said.shift == pytest.approx(1.3 / 1.08 - 1, abs=0.03)


@pytest.mark.parametrize(("compute", "memory"), [(True, False), (False, True)])
def test_one_kernel_alone_corrects(*, compute: bool, memory: bool) -> None:
    def known(side: Series) -> Series:
        return replace(side, compute=side.compute if compute else (), memory=side.memory if memory else ())

    before, after = known(visits(6, SAME, Machine((1.0,)))), known(visits(12, SAME, Machine((1.3,)), 1))
    assert decide(before, after, FIVE).opinion is CLEAR


def test_without_kernels_nothing_is_corrected() -> None:
    before, after = visits(6, SAME), visits(6, SAME, Machine((1.3,)), 1)
    for sides in (
        (Series(before.times), Series(after.times)),
        (before, Series(after.times)),
        (Series(before.times), after),
    ):
        said = decide(*sides, FIVE)
        assert said.opinion is SLOWER
        assert said.shift == pytest.approx(0.3, abs=0.03)


def test_a_speed_that_hardly_moved_may_explain_as_much_as_it_moved() -> None:
    # 8 % is too little to learn from, and more than the threshold.
    before, after = visits(6, SAME), visits(12, Code(computes=0), Machine((1.08,)), 1)
    assert decide(before, after, FIVE).opinion is CLEAR
    follows = visits(12, SAME, Machine((1.08,)), 1)
    said = decide(before, follows, FIVE)
    assert said.opinion is CLEAR
    assert said.p_value > FIVE  # of the reading in which nothing moved


def test_a_slowdown_on_a_machine_that_became_faster_is_not_cleared() -> None:
    # Both sides ran at one speed each, so nothing shows how the code follows it.
    before, after = visits(6, SAME, Machine((1.3,))), visits(12, SLOW, Machine((1.0,)), 1)
    assert judged(before, after) == [OPEN] * 12


@pytest.mark.parametrize("seed", range(5))
def test_a_test_that_waits_does_not_follow_the_machine(seed: int) -> None:
    sleeps = Code(computes=0)
    before, after = (visits(12, sleeps, Machine(SWINGING), seed + side) for side in (0, 100))
    assert judged(before.first(6), after)[-1] is CLEAR
    slower = visits(12, replace(sleeps, work=1.2), Machine(SWINGING), seed + 100)
    assert judged(before.first(6), slower)[-1] is SLOWER
