from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_goref.compare.rounds import Series
from pytest_goref.compare.slowdown import (
    FEWEST_VISITS,
    HEARD_SPREAD,
    LOOKS,
    Decision,
    Opinion,
    decide,
    screen,
)

CLEAR, SLOWER, FASTER, OPEN = Opinion.CLEAR, Opinion.SLOWER, Opinion.FASTER, Opinion.OPEN
FIVE, TEN = 0.05, 0.10
STEADY = (1.0,)
SWINGING = (1.0, 1.3, 1.3, 1.0, 1.15)
"""The machine takes up to 30 % longer at times."""
ROUNDS = 20


@dataclass(frozen=True)
class Code:
    """What is timed on one side.

    Attributes:
        work: how much there is to do; 1.2 takes 20 % longer.
        computes: how the time follows the speed at which the machine computes, as an exponent.
        allocates: the same for the speed at which it allocates.
        noise: by how much rounds differ; visits differ by half of it.

    """

    work: float = 1.0
    computes: float = 1.0
    allocates: float = 0.0
    noise: float = 0.02


@dataclass(frozen=True)
class Machine:
    """How much longer than at its best a machine takes, in the course of a visit."""

    computes: tuple[float, ...] = STEADY
    allocates: tuple[float, ...] | None = None
    """As ``computes`` when both are slow at the same time."""


def visits(count: int, code: Code, machine: Machine | None = None, seed: int = 0) -> Series:
    """Return visits of ``code``; each begins at another place in the course of the machine."""
    generator = random.Random(seed)  # noqa: S311 - samples, not secrets
    made = [_visit(code, machine or Machine(), generator) for _ in range(count)]
    times, compute, memory = zip(*made, strict=True)
    return Series(times, compute, memory)


def _visit(code: Code, machine: Machine, generator: random.Random) -> tuple[tuple[float, ...], ...]:
    def disturbed(factor: float, noise: float) -> float:
        return math.log(factor) + noise * abs(generator.gauss())

    course = list(zip(machine.computes, machine.allocates or machine.computes, strict=True))
    start = generator.randrange(len(course))
    process = code.noise / 2 * generator.gauss()
    rows = []
    for computes, allocates in itertools.islice(itertools.cycle(course), start, start + ROUNDS):
        took_ms = 5 * code.work * computes**code.computes * allocates**code.allocates
        rows.append(
            (
                disturbed(took_ms * 1e6, code.noise) + process,
                disturbed(computes * 2e5, 0.02),
                disturbed(allocates * 2e5, 0.02),
            )
        )
    return tuple(zip(*rows, strict=True))


def judged(before: Series, after: Series, threshold: float = FIVE, *, paired: bool = False) -> list[Opinion]:
    """Return what is said after each fresh visit until it is decided."""
    said: list[Opinion] = []
    for count in range(1, len(after.times) + 1):
        accepted = before.first(count) if paired else before
        said.append(decide(accepted, after.first(count), threshold, paired=paired).opinion)
        if said[-1] is not OPEN:
            break
    return said


SAME, SLOW, FAST = Code(), Code(work=1.2), Code(work=1 / 1.2)
MACHINES = [Machine(), Machine(SWINGING)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(10))
def test_unchanged_code_is_clear(seed: int, machine: Machine) -> None:
    before, after = visits(6, SAME, machine, seed), visits(12, SAME, machine, seed + 100)
    assert judged(before, after)[-1] is CLEAR
    assert decide(before, after, FIVE).opinion is CLEAR


@pytest.mark.parametrize("speeds", list(itertools.permutations([(1.0,), (1.3,), SWINGING], 2)))
@pytest.mark.parametrize("seed", range(5))
def test_unchanged_code_is_clear_on_a_machine_that_changed_its_speed(
    seed: int, speeds: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    before, after = (visits(6, SAME, Machine(speed), seed + place) for place, speed in enumerate(speeds))
    assert judged(before, after) == [CLEAR]
    assert screen(before, after.first(1), FIVE).opinion is CLEAR


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(10))
def test_a_slowdown_is_established_at_the_first_look(seed: int, machine: Machine) -> None:
    before, after = visits(6, SAME, machine, seed), visits(12, SLOW, machine, seed + 100)
    assert screen(before, after.first(1), FIVE).opinion is OPEN
    assert judged(before, after) == [OPEN] * 5 + [SLOWER]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(10))
def test_a_speed_up_is_established_at_the_first_look(seed: int, machine: Machine) -> None:
    before, after = visits(6, SAME, machine, seed), visits(12, FAST, machine, seed + 100)
    assert screen(before, after.first(1), FIVE).opinion is OPEN
    assert judged(before, after) == [OPEN] * 5 + [FASTER]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("work", [1.03, 1 / 1.03])
@pytest.mark.parametrize("seed", range(20))
def test_a_change_below_the_threshold_is_never_established(seed: int, work: float, machine: Machine) -> None:
    before, after = visits(6, SAME, machine, seed), visits(12, Code(work), machine, seed + 100)
    said = {decide(before, after.first(count), FIVE).opinion for count in range(1, 13)}
    assert said <= {CLEAR, OPEN}


def test_the_decision_tells_how_large_the_change_is_and_how_sure() -> None:
    said = decide(visits(6, SAME), visits(6, SLOW, seed=1), TEN)
    assert said.opinion is SLOWER
    assert said.before_ns == pytest.approx(5e6, rel=0.03)
    assert said.after_ns == pytest.approx(said.before_ns * (1 + said.shift), abs=1)
    assert said.shift == pytest.approx(0.2, abs=0.03)
    assert 0.1 < said.low < said.shift < said.high < 0.3
    assert said.p_value == pytest.approx(2 / 924)
    assert said.visits == (6, 6)
    assert said.detectable == pytest.approx(0.10, abs=0.05)
    assert said.detectable < said.shift


def test_the_times_are_those_at_the_machine_speed_of_before() -> None:
    said = decide(visits(6, SAME, Machine(SWINGING)), visits(6, SLOW, Machine((1.3,) * 5), 1), FIVE)
    assert said.before_ns == pytest.approx(5e6 * 1.15, rel=0.03)
    assert said.after_ns == pytest.approx(5e6 * 1.15 * 1.2, rel=0.05)


@pytest.mark.parametrize(("fresh", "opinion"), [(5, OPEN), (6, SLOWER), (7, OPEN), (8, SLOWER), (11, OPEN)])
def test_between_the_looks_nothing_is_established(fresh: int, opinion: Opinion) -> None:
    assert decide(visits(6, SAME), visits(fresh, SLOW, seed=1), FIVE).opinion is opinion


@pytest.mark.parametrize("fresh", [12, 13, 20])
def test_beyond_the_last_look_every_visit_is_one(fresh: int) -> None:
    assert decide(visits(6, SAME), visits(fresh, SLOW, seed=1), FIVE).opinion is SLOWER


@pytest.mark.parametrize(("stored", "opinion"), [(FEWEST_VISITS - 1, OPEN), (FEWEST_VISITS, SLOWER)])
def test_too_few_accepted_visits_establish_nothing(stored: int, opinion: Opinion) -> None:
    assert decide(visits(stored, SAME), visits(20, Code(2), seed=1), FIVE).opinion is opinion


@pytest.mark.parametrize(("stored", "opinion"), [(FEWEST_VISITS - 1, OPEN), (FEWEST_VISITS, CLEAR)])
def test_too_few_accepted_visits_do_not_clear_either(stored: int, opinion: Opinion) -> None:
    before, after = visits(stored, SAME), visits(6, SAME, seed=1)
    assert decide(before, after, FIVE).opinion is opinion
    assert screen(before, after, FIVE).opinion is CLEAR


def test_an_interval_that_is_too_wide_stays_open_and_says_what_could_be_seen() -> None:
    said = decide(visits(3, SAME), visits(6, SLOW, seed=1), FIVE)
    assert (said.opinion, said.low, said.high) == (OPEN, -math.inf, math.inf)
    assert said.detectable == math.inf
    before = Series(tuple((10 + visit / 5,) for visit in range(6)))
    after = Series(tuple((10.1 + visit / 10,) for visit in range(12)))
    said = decide(before, after, FIVE)
    assert said.opinion is OPEN
    assert said.low < 0 < FIVE < said.high
    assert said.detectable > said.shift


def test_after_the_last_look_a_change_that_is_surely_smaller_is_clear() -> None:
    before, after = visits(6, Code(noise=0.005)), visits(12, Code(1.04, noise=0.005), seed=5)
    *still_open, last = (decide(before, after.first(count), FIVE) for count in range(6, 13))
    assert {said.opinion for said in still_open} == {OPEN}
    assert last.opinion is CLEAR
    assert last.high < FIVE


@pytest.mark.parametrize("wild", [0.6, 0.9, 1.1, 2.0])
@pytest.mark.parametrize("place", range(6))
def test_one_lucky_or_unlucky_visit_establishes_nothing(place: int, wild: float) -> None:
    steady, other = visits(6, SAME), visits(1, Code(wild), seed=9)
    mixed = Series(
        *(
            (*ours[:place], *theirs, *ours[place + 1 :])
            for ours, theirs in (
                (steady.times, other.times),
                (steady.compute, other.compute),
                (steady.memory, other.memory),
            )
        )
    )
    fresh = visits(12, SAME, seed=2)
    for look in LOOKS:
        assert decide(mixed, fresh.first(look), FIVE).opinion is CLEAR
    assert decide(visits(6, SAME, seed=3), mixed, FIVE).opinion is CLEAR


@pytest.mark.parametrize("place", [0, 5])
def test_one_unlucky_visit_does_not_hide_a_slowdown(place: int) -> None:
    before, slow = visits(6, SAME), visits(5, SLOW, seed=1)
    unlucky = visits(1, Code(2), seed=2)
    order = (slow, unlucky) if place else (unlucky, slow)
    after = Series(
        *(sum((getattr(part, name) for part in order), ()) for name in ("times", "compute", "memory"))
    )
    assert decide(before, after, FIVE).opinion is SLOWER


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


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(5))
def test_pairs_tell_slower_faster_and_same(seed: int, machine: Machine) -> None:
    before, same, slow, fast = (
        visits(12, code, machine, seed + 10 * side) for side, code in enumerate((SAME, SAME, SLOW, FAST))
    )
    assert judged(before, same, paired=True)[-1] is CLEAR
    assert judged(before, slow, paired=True) == [OPEN] * 7 + [SLOWER]  # six signs cannot be 99 % sure
    assert judged(before, fast, paired=True) == [OPEN] * 7 + [FASTER]


def test_pairs_are_compared_with_each_other() -> None:
    # Each pair had another machine; within a pair both sides had the same, and no kernel tells.
    def on_other_machines(work: float) -> Series:
        sides = [visits(1, Code(work), seed=pair) for pair in range(8)]
        return Series(tuple(tuple(y + pair for y in side.times[0]) for pair, side in enumerate(sides)))

    before, after = on_other_machines(1.0), on_other_machines(1.2)
    said = decide(before, after, FIVE, paired=True)
    assert (said.opinion, said.visits) == (SLOWER, (8, 8))
    assert said.shift == pytest.approx(0.2)
    assert said.p_value == 2 / 2**8
    assert decide(before, after, FIVE).opinion is not SLOWER


def test_a_visit_without_a_partner_is_left_out() -> None:
    before, after = visits(12, SAME), visits(8, SLOW, seed=1)
    assert decide(before, after, FIVE, paired=True) == decide(before.first(8), after, FIVE, paired=True)
    assert decide(after, before, FIVE, paired=True).visits == (8, 8)


@pytest.mark.parametrize("threshold", [0.0, FIVE, TEN, 1.0])
def test_a_change_must_exceed_the_threshold(threshold: float) -> None:
    def exactly(work: float) -> Series:
        return Series(tuple((math.log(5e6 * work) + visit / 1e6,) for visit in range(6)))

    assert decide(exactly(1), exactly((1 + threshold) * 1.01), threshold).opinion is SLOWER
    assert decide(exactly(1), exactly((1 + threshold) * 0.999), threshold).opinion is not SLOWER
    assert decide(exactly(1), exactly(1 / (1 + threshold) * 0.99), threshold).opinion is FASTER


@pytest.mark.parametrize(
    ("floor", "location", "opinion"),
    [
        (0.101, 0.101, SLOWER),
        (0.099, 0.101, OPEN),
        (0.101, 0.099, OPEN),
        (-0.101, -0.101, FASTER),
        (-0.099, -0.101, OPEN),
        (-0.101, -0.099, OPEN),
    ],
)
def test_floor_and_location_must_exceed_the_threshold(
    floor: float, location: float, opinion: Opinion
) -> None:
    before = Series(((1.0, 2.0, 3.0, 4.0, 5.0),) * 6)
    after = Series(((1 + floor, 2 + location, 3.0, 4.0, 5.0),) * 6)
    assert decide(before, after, math.expm1(0.1)).opinion is opinion


@pytest.mark.parametrize(
    ("floor", "location", "opinion"),
    [
        (0.051, 0.026, OPEN),
        (0.051, 0.024, CLEAR),
        (0.049, 0.5, CLEAR),
        (-0.5, 0.5, CLEAR),
        (0.5, -0.5, CLEAR),
        (-0.051, -0.026, OPEN),
        (-0.049, -0.5, CLEAR),
        (-0.5, -0.024, CLEAR),
    ],
)
def test_suspect_is_what_moved_in_floor_and_location(floor: float, location: float, opinion: Opinion) -> None:
    limit = math.expm1(0.1)
    before = Series(((1.0, 2.0, 3.0, 4.0, 5.0),) * 3)
    after = Series(((1 + floor, 2 + location, 3.0, 4.0, 5.0),))
    assert screen(before, after, limit).opinion is opinion
    assert decide(before, after, limit).opinion is opinion


@pytest.mark.parametrize(("rounds", "place"), [(1, 0), (2, 0), (4, 0), (5, 1), (8, 1), (9, 2), (20, 4)])
def test_the_location_of_a_visit_is_the_lower_quartile_of_its_rounds(rounds: int, place: int) -> None:
    steady = tuple(float(number) for number in range(rounds))
    for moved in range(rounds):
        one_moved = tuple(time + 0.3 * (number == moved) for number, time in enumerate(steady))
        said = decide(Series((steady,) * 6), Series((one_moved[::-1],) * 6), FIVE)
        assert said.shift == pytest.approx(math.expm1(0.3) if moved == place else 0.0)


@given(
    st.lists(st.integers(0, 64), min_size=5, max_size=20),
    st.lists(st.integers(0, 64), min_size=20, max_size=20),
    st.booleans(),
)
def test_what_disturbs_the_upper_rounds_changes_nothing(
    rounds: list[int],
    disturbances: list[int],
    paired: bool,  # noqa: FBT001 - hypothesis fills it
) -> None:
    clean = sorted(rounds)
    kept = (len(clean) - 1) // 4 + 1
    disturbed = clean[:kept] + [time + more for time, more in zip(clean[kept:], disturbances, strict=False)]
    before, after = (Series((tuple(time / 16 for time in side),) * 8) for side in (clean, disturbed))
    assert decide(before, after, FIVE, paired=paired) == decide(before, before, FIVE, paired=paired)


def test_one_round_in_one_visit_can_be_screened() -> None:
    said = screen(Series(((9.0,),), ((5.0,),), ((5.0,),)), Series(((9.3,),), ((5.0,),), ((5.0,),)), TEN)
    assert said == Decision(
        OPEN, round(math.exp(9)), round(math.exp(9.3)), said.shift, -math.inf, math.inf, 1.0, (1, 1), math.inf
    )
    assert said.shift == pytest.approx(math.expm1(0.3))


# Sixteenths add without error, so that kernels that are equally good stay so when the sides are swapped.
LOGS = st.integers(0, 64).map(lambda sixteenths: sixteenths / 16)
VISIT = st.lists(st.tuples(LOGS, LOGS, LOGS), min_size=1, max_size=3)


def as_series(drawn: list[list[tuple[float, float, float]]]) -> Series:
    parts = [[tuple(part) for part in zip(*visit, strict=True)] for visit in drawn]
    return Series(*(tuple(visit[kind] for visit in parts) for kind in range(3)))


@settings(max_examples=60)
@given(st.lists(VISIT, min_size=8, max_size=8), st.lists(VISIT, min_size=8, max_size=8), st.booleans())
def test_swapping_the_sides_mirrors_slower_and_faster(
    before: list[list[tuple[float, float, float]]],
    after: list[list[tuple[float, float, float]]],
    paired: bool,  # noqa: FBT001 - hypothesis fills it
) -> None:
    after = [[(y + 3, compute, memory) for y, compute, memory in visit] for visit in after]
    said = decide(as_series(before), as_series(after), FIVE, paired=paired)
    turned = decide(as_series(after), as_series(before), FIVE, paired=paired)
    mirrored = {SLOWER: FASTER, FASTER: SLOWER}
    assert turned.opinion is mirrored.get(said.opinion, said.opinion)
    assert turned.p_value == pytest.approx(said.p_value)
    assert math.log1p(turned.shift) == pytest.approx(-math.log1p(said.shift), abs=1e-9)


@settings(max_examples=60)
@given(
    st.lists(VISIT, min_size=1, max_size=4),
    st.lists(VISIT, min_size=1, max_size=13),
    st.sampled_from([0.0, FIVE, TEN]),
    st.booleans(),
)
def test_any_visits_get_a_decision_that_agrees_with_itself(
    before: list[list[tuple[float, float, float]]],
    after: list[list[tuple[float, float, float]]],
    threshold: float,
    paired: bool,  # noqa: FBT001 - hypothesis fills it
) -> None:
    said = decide(as_series(before), as_series(after), threshold, paired=paired)
    assert said.low <= said.shift <= said.high
    assert 0 < said.p_value <= 1
    assert said.detectable >= threshold - 1e-9
    if said.opinion is SLOWER:
        assert said.shift > threshold
        assert said.low > 0
        assert said.visits[1] in (*LOOKS, 13)
    if said.opinion is FASTER:
        assert said.shift < 0
        assert said.high < 0
