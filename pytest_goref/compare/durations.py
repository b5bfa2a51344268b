"""Durations: which numbers of the timed rounds compare, and how.

Rounds of one process are correlated, so one run cannot convict: the fastest rounds are compared, and the
result is a hint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.compare.change import Change, exceeds
from pytest_goref.metrics import CPU_TIME, WALL_TIME
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.model import BaselineEntry, Measurements, Record, Samples, Tolerance, Visit

_WAITS_BELOW: Final = 0.9
"""A test whose CPU time is a smaller share of its elapsed time waits for something."""

_SHORTEST_NS: Final = 20_000
"""Shorter rounds are mostly the cost of timing them: they count as this long when they are compared."""


def measured_durations(visit: Visit | None) -> Measurements:
    """Return the rounds of ``visit`` by both clocks, and its timers; empty when nothing was timed."""
    if visit is None:
        return {}
    return {WALL_TIME: {"": _walls((visit,))}, CPU_TIME: {"": _cpus((visit,)), **_timers((visit,))}}


def comparable_durations(record: Record, entry: BaselineEntry) -> tuple[Measurements, Measurements]:
    """Return the accepted and the measured durations that may be compared; two empty mappings when none may.

    A round is CPU time, or elapsed time when the test waits.
    """
    accepted = entry.visits.get(record.environment.fingerprint)
    if record.visit is None or not accepted:
        return {}, {}
    chosen = _while_waiting if _waits(record.visit) else _while_computing
    return chosen(accepted), chosen((record.visit,))


def duration_obstacle(record: Record, entry: BaselineEntry) -> str:
    """Return why the durations of both sides do not compare although both were timed, else an empty text."""
    elsewhere = entry.visits and not entry.visits.get(record.environment.fingerprint)
    return "no rounds of this machine in the baseline" if record.visit and elsewhere else ""


def compare_fastest(before: Samples | None, after: Samples | None, tolerance: Tolerance) -> Change:
    """Return how the fastest of noisy samples changed; None stands for a timer that was not used."""
    if before is None:
        return Change(Outcome.NEW, None, min(after or (0,)), "not timed before")
    if after is None:
        return Change(Outcome.GONE, min(before), None, "not timed in this run")
    old_ns, new_ns = min(before), min(after)
    rounds = "1 round" if len(after) == 1 else f"{len(after)} rounds"
    reason = f"fastest of {rounds} in one process, not confirmed"
    if exceeds(new_ns - old_ns, old_ns, tolerance):
        return Change(Outcome.REGRESSED, old_ns, new_ns, reason)
    if exceeds(old_ns - new_ns, old_ns, tolerance):
        return Change(Outcome.IMPROVED, old_ns, new_ns, reason)
    return Change(Outcome.SAME, old_ns, new_ns)


def _while_computing(visits: tuple[Visit, ...]) -> Measurements:
    return {CPU_TIME: {"": _floored(_cpus(visits)), **_timers(visits)}}


def _while_waiting(visits: tuple[Visit, ...]) -> Measurements:
    return {WALL_TIME: {"": _floored(_walls(visits))}, CPU_TIME: _timers(visits)}


def _waits(visit: Visit) -> bool:
    wall_ns = sum(_walls((visit,)))
    return sum(_cpus((visit,))) < _WAITS_BELOW * wall_ns


def _walls(visits: tuple[Visit, ...]) -> Samples:
    return tuple(timed.wall_ns for visit in visits for timed in visit.rounds)


def _cpus(visits: tuple[Visit, ...]) -> Samples:
    return tuple(timed.cpu_ns for visit in visits for timed in visit.rounds)


def _timers(visits: tuple[Visit, ...]) -> Mapping[str, Samples]:
    timers: dict[str, Samples] = {}
    for visit in visits:
        for name, samples in visit.timers.items():
            timers[name] = timers.get(name, ()) + samples
    return timers


def _floored(samples: Samples) -> Samples:
    return tuple(max(_SHORTEST_NS, sample) for sample in samples)
