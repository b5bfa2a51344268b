"""Whether a duration changed: the rule that clears, convicts, or asks for more visits.

Rounds of one process resemble each other, so a visit is one observation. The machine changes its speed, so
times are compared at one speed: with x the logarithm of the time of a calibration kernel and y that of the
test, y - b (x - x_ref). There are two kernels, one that computes and one that allocates, and a test follows
neither exactly. Of the two and their mean, the one that leaves the visits of a side closest together follows
this test best, and decides. The others must show a change too, unless they leave the visits much further
apart: such a one says more of the machine than of the test.
"""

from __future__ import annotations

import enum
import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.statistics import Shift, moved, shift_between, shift_of_pairs, wald_exponent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_goref.compare.rounds import Series

LOOKS: Final = (6, 8, 12)
"""After how many fresh visits a change may be established; after the last one no more are made."""

FEWEST_VISITS: Final = 3
"""Fewer accepted visits decide nothing: one pair of processes clears a test that became slower too easily."""

SHORTEST_NS: Final = 20_000
"""Shorter rounds are mostly the cost of timing them: they are not judged."""

RESOLUTION_NS: Final = 10_000
"""A round may take so much longer although nothing changed: it refills caches that neighbours have emptied,
and no kernel tells that. Unchanged tests of 27 us were seen 5 us slower for an hour."""

CONFIDENCE: Final = 0.99
"""Of the interval that must leave zero; half of the rest lies on either side of it."""

CLEAR_FLOOR: Final = 0.5
"""The part of the threshold by which the floor may move at one machine speed and nothing has changed."""

CLEAR_LOCATION: Final = 0.25
"""The same for the location: it has more noise in it, so that a small move says less."""

LOCATION_QUANTILE: Final = 0.25
"""The location of a visit is this quantile of its rounds. Whatever disturbs a round adds to its time, so the
lower rounds of visits resemble each other more than the middle ones, above all where elapsed time counts."""

HEARD_SPREAD: Final = 2.0
"""What leaves the visits more than so many times as far apart as the one that decides has no say."""

UNKNOWN_EXPONENTS: Final = (0.0, 1.0)
"""How a time may follow the speed when that moved too little to learn it: not at all, or as the kernel does.
Where both sides ran at one speed the two agree; where not, the machine could have done a part of a change."""

_Logs = tuple[tuple[float, ...], ...]
_Both = tuple[_Logs, _Logs]
_Side = tuple[tuple[float, ...], float]


class Opinion(enum.Enum):
    """What the visits so far say."""

    CLEAR = "clear"
    """No change worth telling."""
    SLOWER = "slower"
    """By more than the threshold, established."""
    FASTER = "faster"
    """By more than the threshold, established."""
    OPEN = "open"
    """Not known yet: more visits may tell; after the last look, not known at all."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the visits say, and by how much; fractions, 0.12 for 12 % more.

    Attributes:
        opinion: what they say.
        before_ns: the typical time of one execution before: of the middle visit, each by its lower rounds.
        after_ns: the same after, at the machine speed of before.
        shift: the change by Hodges and Lehmann, as what decides reads it; the smaller where it reads two.
        low: the lower end of its exact 99 % interval, -inf when the visits are too few.
        high: the upper end, inf when the visits are too few.
        p_value: two-sided and exact, of no change; where there are two, the larger one.
        visits: how many there were before and after.
        detectable: the smallest slowdown that visits of this spread establish, inf when they are too few.

    """

    opinion: Opinion
    before_ns: int
    after_ns: int
    shift: float
    low: float
    high: float
    p_value: float
    visits: tuple[int, int]
    detectable: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """The change as one speed and exponent show it, and how far apart they leave the visits; logarithms."""

    before: float
    floor: float
    shift: Shift
    spread: float


@dataclass(frozen=True, slots=True)
class _Readings:
    """The visits as what follows the test best reads them, and as all that are heard do, that one too."""

    deciding: tuple[_Reading, ...]
    heard: tuple[_Reading, ...]

    @property
    def shown(self) -> _Reading:
        """Of those that decide, the one with the smallest change."""
        return min(self.deciding, key=lambda reading: abs(reading.shift.estimate))


def screen(before: Series, after: Series, threshold: float) -> Decision:
    """Return CLEAR, or OPEN for a suspect: one visit, or few, establish nothing.

    Args:
        before: what was accepted.
        after: what was measured now.
        threshold: the relative change that is accepted, 0.10 for 10 %.

    """
    readings = _readings(before, after, paired=False)
    limit = math.log1p(threshold)
    opinion = Opinion.CLEAR if _is_clear(readings, limit) else Opinion.OPEN
    return _decision(opinion, readings, (len(before.times), len(after.times)), limit)


def decide(before: Series, after: Series, threshold: float, *, paired: bool = False) -> Decision:
    """Return what all fresh visits so far say; SLOWER and FASTER only at a look, or beyond the last.

    Args:
        before: what was accepted, or the visits of the base.
        after: the fresh visits.
        threshold: the relative change that is accepted, 0.10 for 10 %.
        paired: visits with the same place on both sides were made together; what has no partner is left out.

    """
    if paired:
        pairs = min(len(before.times), len(after.times))
        before, after = before.first(pairs), after.first(pairs)
    visits = (len(before.times), len(after.times))
    readings = _readings(before, after, paired=paired)
    limit = math.log1p(threshold)
    return _decision(_opinion(readings, visits, limit), readings, visits, limit)


def _opinion(readings: _Readings, visits: tuple[int, int], limit: float) -> Opinion:
    accepted, fresh = visits
    if accepted < FEWEST_VISITS:
        return Opinion.OPEN
    if _is_clear(readings, limit):
        return Opinion.CLEAR
    if fresh in LOOKS or fresh > LOOKS[-1]:
        if _is_slower(readings, limit):
            return Opinion.SLOWER
        if _is_faster(readings, limit):
            return Opinion.FASTER
    if fresh >= LOOKS[-1] and all(reading.shift.high < limit for reading in readings.deciding):
        return Opinion.CLEAR
    return Opinion.OPEN


def _is_clear(readings: _Readings, limit: float) -> bool:
    """Return whether a reading that decides shows no suspect: floor and location moved, both the same way."""
    moves = [(one.floor / CLEAR_FLOOR, one.shift.estimate / CLEAR_LOCATION) for one in readings.deciding]
    return any(min(move) <= limit and max(move) >= -limit for move in moves)


def _is_slower(readings: _Readings, limit: float) -> bool:
    moved_up = all(min(reading.floor, reading.shift.estimate) > limit for reading in readings.heard)
    return moved_up and all(reading.shift.low > 0 for reading in readings.deciding)


def _is_faster(readings: _Readings, limit: float) -> bool:
    moved_down = all(max(reading.floor, reading.shift.estimate) < -limit for reading in readings.heard)
    return moved_down and all(reading.shift.high < 0 for reading in readings.deciding)


def _readings(before: Series, after: Series, *, paired: bool) -> _Readings:
    times = (before.times, after.times)
    compute, memory = (before.compute, after.compute), (before.memory, after.memory)

    def read(speeds: _Both) -> tuple[_Reading, ...]:
        return tuple(_reading(times, speeds, one, paired=paired) for one in _exponents(times, speeds))

    speeds = [kernel for kernel in (compute, memory) if all(kernel)]
    if len(speeds) > 1:
        speeds.append((_mean(compute[0], memory[0]), _mean(compute[1], memory[1])))
    # A speed that is not known is taken as one that never changes: nothing is then corrected.
    ways = [read(speed) for speed in speeds or [(_steady(before.times), _steady(after.times))]]
    best = min(ways, key=_spread)
    heard = (way for way in ways if _spread(way) <= HEARD_SPREAD * _spread(best))
    return _Readings(best, tuple(itertools.chain.from_iterable(heard)))


def _spread(way: tuple[_Reading, ...]) -> float:
    return max(reading.spread for reading in way)


def _mean(compute: _Logs, memory: _Logs) -> _Logs:
    visits = zip(compute, memory, strict=True)
    return tuple(tuple(map(statistics.fmean, zip(*visit, strict=True))) for visit in visits)


def _steady(times: _Logs) -> _Logs:
    return tuple((0.0,) * len(visit) for visit in times)


def _exponents(times: _Both, speeds: _Both) -> tuple[float, ...]:
    """Return how the times follow the speed, learnt from all rounds of both sides.

    Each side is centred first, or a change of the code would count as following the machine.
    """
    x = [value for side in speeds for value in _centred(side)]
    y = [value for side in times for value in _centred(side)]
    return (wald_exponent(x, y),) if moved(x) else UNKNOWN_EXPONENTS


def _centred(side: _Logs) -> list[float]:
    middle = statistics.median(_flat(side))
    return [value - middle for value in _flat(side)]


def _reading(times: _Both, speeds: _Both, exponent: float, *, paired: bool) -> _Reading:
    reference = statistics.median(_flat(speeds[0]))
    sides = (_at_one_speed(y, x, exponent, reference) for y, x in zip(times, speeds, strict=True))
    (old, old_floor), (new, new_floor) = sides
    if paired:
        differences = [after - before for before, after in zip(old, new, strict=True)]
        shift, spread = shift_of_pairs(differences, CONFIDENCE), _deviation(differences)
    else:
        shift, spread = shift_between(old, new, CONFIDENCE), _deviation(old, new)
    return _Reading(statistics.median(old), new_floor - old_floor, shift, spread)


def _deviation(*samples: Sequence[float]) -> float:
    """Return how far values lie from the middle of their sample, on average; one or two have no middle."""
    told = [sample for sample in samples if len(sample) >= FEWEST_VISITS] or samples
    return statistics.fmean(abs(value - statistics.median(sample)) for sample in told for value in sample)


def _at_one_speed(times: _Logs, speeds: _Logs, exponent: float, reference: float) -> _Side:
    """Return the location of each visit of a side, and the floor of all, at the speed ``reference``.

    The floor pairs the fastest round with the fastest kernel of the side, not each round with its own kernel:
    whatever disturbs a reading only adds to it, so both minima are clean. A kernel that was disturbed beside
    a round would lower that round, and the lowest of many rounds would be the one beside the worst kernel.
    """
    locations = tuple(
        _location([y - exponent * (x - reference) for y, x in zip(time_logs, speed_logs, strict=True)])
        for time_logs, speed_logs in zip(times, speeds, strict=True)
    )
    return locations, min(_flat(times)) - exponent * (min(_flat(speeds)) - reference)


def _location(rounds: Sequence[float]) -> float:
    return sorted(rounds)[int(LOCATION_QUANTILE * (len(rounds) - 1))]


def _flat(side: Iterable[tuple[float, ...]]) -> list[float]:
    return list(itertools.chain.from_iterable(side))


def _decision(opinion: Opinion, readings: _Readings, visits: tuple[int, int], limit: float) -> Decision:
    shown = readings.shown
    return Decision(
        opinion=opinion,
        before_ns=round(math.exp(shown.before)),
        after_ns=round(math.exp(shown.before) * math.exp(shown.shift.estimate)),
        shift=_fraction(shown.shift.estimate),
        low=_fraction(shown.shift.low),
        high=_fraction(shown.shift.high),
        p_value=max(reading.shift.p_value for reading in readings.deciding),
        visits=visits,
        detectable=_fraction(_detectable(readings, limit)),
    )


def _detectable(readings: _Readings, limit: float) -> float:
    """Return how large the change that is shown must be to convict, if everything else stays as it is."""
    least_moved = min(min(reading.floor, reading.shift.estimate) for reading in readings.heard)
    lowest = min(reading.shift.low for reading in readings.deciding)
    return readings.shown.shift.estimate - min(least_moved - limit, lowest)


def _fraction(log_shift: float) -> float:
    return math.expm1(log_shift) if math.isfinite(log_shift) else log_shift
