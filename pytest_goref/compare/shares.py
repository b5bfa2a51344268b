"""Shares: which functions take a larger or smaller part of a test's time than they did.

Samples taken under a profiler distort what they measure, so a share is compared only with a share that was
taken in the same way, and only a difference that chance does not explain is told.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.profile import OTHER, SAMPLES, TIME, sample_count

if TYPE_CHECKING:
    from pytest_goref.profile import Stack, StackProfile

FEWEST_SAMPLES: Final = 200
"""With fewer, only a function that takes more than a fifth of the time could ever be told from chance."""

_STANDARD_ERRORS: Final = 3


@dataclass(frozen=True, slots=True)
class Shift:
    """A place whose share of the time has changed.

    Attributes:
        place: a function of the project, with all that it calls outside of it; or what it calls there.
        before_permille: its share of the sampled time before, 0 to 1000.
        after_permille: its share of the sampled time after.

    """

    place: str
    before_permille: int
    after_permille: int


def shifted(before: StackProfile, after: StackProfile) -> list[Shift] | None:
    """Return the places whose share differs by more than 3 standard errors; None with under 200 samples.

    The place that adds most time to an execution comes first, the one that saves most comes last. An empty
    list says that all places have kept their shares: what became slower did so everywhere.

    Args:
        before: the accepted CPU profile of a test.
        after: its CPU profile now.

    """
    if min(sample_count(before), sample_count(after)) < FEWEST_SAMPLES:
        return None
    old, new = _Shares(before), _Shares(after)
    places = [
        place for place in {*old.time_ns, *new.time_ns} - {OTHER.place} if _beyond_chance(old, new, place)
    ]
    places.sort(key=lambda place: (old.of_execution(place) - new.of_execution(place), place))
    return [Shift(place, round(1000 * old.of(place)), round(1000 * new.of(place))) for place in places]


class _Shares:
    """The time of each place in a profile, and how sure it is."""

    def __init__(self, profile: StackProfile) -> None:
        self._executions = profile.executions
        self._charged = [(_answerable(stack), numbers) for stack, numbers in profile.stacks.items()]
        self._total_ns = profile.total(TIME)
        self.samples = profile.total(SAMPLES)
        self.time_ns: Counter[str] = Counter()
        for places, numbers in self._charged:
            for place in places:
                self.time_ns[place] += numbers[TIME]

    def of(self, place: str) -> float:
        """Return the share of a place, 0 to 1."""
        return self.time_ns[place] / self._total_ns

    def of_execution(self, place: str) -> float:
        """Return the time of a place in one execution, in nanoseconds."""
        return self.time_ns[place] / self._executions

    def variance(self, place: str) -> float:
        """Return the variance of the share of a place.

        Samples weigh what has passed since the one before, and a heavy one may only mean that the system took
        the CPU away: it is one observation and not as many as it is milliseconds long.
        """
        share = self.of(place)
        squares = sum(
            numbers[TIME] ** 2 / numbers[SAMPLES] * ((place in places) - share) ** 2
            for places, numbers in self._charged
        )
        return squares / self._total_ns**2


def _answerable(stack: Stack) -> set[str]:
    """Return who answers for the time of a stack: the innermost project function and what it has called.

    A library's inner functions say little to the one who called it, and time in C code that has no frame is
    the caller's anyway. A place of the project holds a colon; a module does not.
    """
    innermost = max((at for at, frame in enumerate(stack) if ":" in frame.place), default=0)
    return {frame.place for frame in stack[innermost : innermost + 2]}


def _beyond_chance(old: _Shares, new: _Shares, place: str) -> bool:
    """Return whether the share of a place differs by more than 3 standard errors.

    The error is at least that of the difference of two equal proportions: it stays sound near 0 and 1.
    """
    before, after = old.of(place), new.of(place)
    pooled = (old.samples * before + new.samples * after) / (old.samples + new.samples)
    of_proportions = pooled * (1 - pooled) * (1 / old.samples + 1 / new.samples)
    error = math.sqrt(max(of_proportions, old.variance(place) + new.variance(place)))
    return abs(after - before) > _STANDARD_ERRORS * error
