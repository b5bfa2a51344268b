from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import (
    CLEAR,
    FASTER,
    FIVE,
    OPEN,
    SLOWER,
    TEN,
)

from pytest_goref.compare.rounds import Series
from pytest_goref.compare.slowdown import (
    LOOKS,
    Decision,
    Opinion,
    decide,
    screen,
)


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
