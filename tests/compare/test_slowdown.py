from __future__ import annotations

import itertools
import math

import pytest
from simulated import (
    CLEAR,
    FAST,
    FASTER,
    FIVE,
    MACHINES,
    OPEN,
    SAME,
    SLOW,
    SLOWER,
    SWINGING,
    TEN,
    Code,
    Machine,
    judged,
    visits,
)

from pytest_goref.compare.rounds import Series
from pytest_goref.compare.slowdown import (
    FEWEST_VISITS,
    LOOKS,
    Opinion,
    decide,
    screen,
)


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
