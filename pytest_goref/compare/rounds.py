"""From timed rounds to the numbers that durations are judged by: which clock, which rounds, which scale."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.slowdown import SHORTEST_NS
from pytest_goref.metrics import CPU_TIME, WALL_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_goref.model import Metric, Round, Visit

WAITS_BELOW: Final = 0.9
"""A test whose CPU time is a smaller share of its elapsed time waits for something."""

WAITS_BELOW_DISTURBED: Final = 0.25
"""The same when every round was preempted. Such a round waits for the processor too: beside one or two busy
neighbours work that never waits still gets a half or a third of it."""

OTHERS_ABOVE: Final = 0.02
"""Other threads count when they used more than this share of the CPU time of the process; reading two clocks
one after the other makes a difference too."""

_Rounds = tuple["Round", ...]
_Logs = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """What one side says about one subject, as natural logarithms: for each visit a value for each round.

    Attributes:
        times: nanoseconds of one execution.
        compute: nanoseconds of the kernel that computes, the mean of right before and right after the round;
            empty when it did not run around every round: the speed of the machine is then not known.
        memory: the same of the kernel that allocates.
        iterations: how many executions a round typically has.

    """

    times: _Logs
    compute: _Logs = ()
    memory: _Logs = ()
    iterations: int = field(default=1, kw_only=True)

    @property
    def typical_ns(self) -> int:
        """The time of one execution: the median of the medians of the visits, as measured."""
        return round(math.exp(statistics.median(statistics.median(visit) for visit in self.times)))

    def first(self, visits: int) -> Series:
        """Return what the first ``visits`` say."""
        times, compute, memory = (one[:visits] for one in (self.times, self.compute, self.memory))
        return replace(self, times=times, compute=compute, memory=memory)


def paired_series(
    before: Sequence[Visit], after: Sequence[Visit]
) -> Mapping[tuple[Metric, str], tuple[Series, Series]]:
    """Return by metric and subject what both sides say; "" is the whole test, else the name of a timer.

    Both sides are read by one clock. Subjects that only one side has, and those that are ``too_short``, are
    left out; a visit that did not use a timer says nothing about it.
    """
    series: dict[tuple[Metric, str], tuple[Series, Series]] = {}
    for subject, (old, new) in _subjects(before, after).items():
        metric, clock = _clock(old, new)
        if not _is_too_short(old, new, clock):
            series[metric, subject] = (_series(old, metric, clock), _series(new, metric, clock))
    return series


def too_short(before: Sequence[Visit], after: Sequence[Visit]) -> tuple[str, ...]:
    """Return the subjects of both sides whose rounds are, on either side, too short to be judged."""
    subjects = _subjects(before, after).items()
    return tuple(subject for subject, (old, new) in subjects if _is_too_short(old, new, _clock(old, new)[1]))


def _subjects(
    before: Sequence[Visit], after: Sequence[Visit]
) -> dict[str, tuple[tuple[_Rounds, ...], tuple[_Rounds, ...]]]:
    old, new = _by_subject(before), _by_subject(after)
    return {subject: (tuple(old[subject]), tuple(new[subject])) for subject in old if subject in new}


def _by_subject(visits: Iterable[Visit]) -> dict[str, list[_Rounds]]:
    found: dict[str, list[_Rounds]] = {}
    for visit in visits:
        for subject, rounds in {"": visit.rounds, **visit.timers}.items():
            if rounds:
                found.setdefault(subject, []).append(rounds)
    return found


def _clock(before: tuple[_Rounds, ...], after: tuple[_Rounds, ...]) -> tuple[Metric, Callable[[Round], int]]:
    """Return what both sides are read by: elapsed time when either waits, else CPU time.

    That of the process when other threads worked too, if both sides know it.
    """
    old, new = _flat(before), _flat(after)
    if _waits(old) or _waits(new):
        return WALL_TIME, lambda timed: timed.wall_ns
    known = all(timed.process_cpu_ns for timed in (*old, *new))
    if known and (_has_other_threads(old) or _has_other_threads(new)):
        return CPU_TIME, lambda timed: timed.process_cpu_ns
    return CPU_TIME, lambda timed: timed.cpu_ns


def _flat(visits: tuple[_Rounds, ...]) -> list[Round]:
    return [timed for rounds in visits for timed in rounds]


def _waits(rounds: Sequence[Round]) -> bool:
    undisturbed = [timed for timed in rounds if not timed.preempted]
    limit = WAITS_BELOW if undisturbed else WAITS_BELOW_DISTURBED
    return statistics.median(_busy_share(timed) for timed in undisturbed or rounds) < limit


def _busy_share(timed: Round) -> float:
    return max(timed.cpu_ns, timed.process_cpu_ns) / max(1, timed.wall_ns)


def _has_other_threads(rounds: Sequence[Round]) -> bool:
    process_ns = sum(timed.process_cpu_ns for timed in rounds)
    return process_ns - sum(timed.cpu_ns for timed in rounds) > OTHERS_ABOVE * process_ns


def _is_too_short(
    before: tuple[_Rounds, ...], after: tuple[_Rounds, ...], clock: Callable[[Round], int]
) -> bool:
    return any(statistics.median(map(clock, _flat(side))) < SHORTEST_NS for side in (before, after))


def _series(visits: tuple[_Rounds, ...], metric: Metric, clock: Callable[[Round], int]) -> Series:
    if metric is WALL_TIME:
        visits = tuple(_undisturbed(rounds) for rounds in visits)
    return Series(
        times=tuple(tuple(_log(clock(timed), timed.iterations) for timed in rounds) for rounds in visits),
        compute=_speeds(visits, lambda timed: (timed.compute_before_ns, timed.compute_after_ns)),
        memory=_speeds(visits, lambda timed: (timed.memory_before_ns, timed.memory_after_ns)),
        iterations=round(statistics.median(timed.iterations for timed in _flat(visits))),
    )


def _undisturbed(rounds: _Rounds) -> _Rounds:
    """Return the rounds that were not preempted, all of them when all were."""
    return tuple(timed for timed in rounds if not timed.preempted) or rounds


def _speeds(visits: tuple[_Rounds, ...], kernel: Callable[[Round], tuple[int, int]]) -> _Logs:
    if not all(min(kernel(timed)) > 0 for timed in _flat(visits)):
        return ()
    return tuple(tuple(_log(sum(kernel(timed)), 2) for timed in rounds) for rounds in visits)


def _log(total_ns: int, parts: int) -> float:
    """Return the logarithm of one part; a clock that did not advance counts as one nanosecond."""
    return math.log(max(1, total_ns) / max(1, parts))
