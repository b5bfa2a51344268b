"""Where: the places that explain why a test regressed, from what was counted beside what is judged.

Regressed keys and calls are explained by functions (in the order of ``growth``), allocations by the sites
that allocate more, durations by the functions whose share of the time grew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import aligned
from pytest_goref.compare.growth import Growth, growths, most_telling_first
from pytest_goref.compare.obstacles import elsewhere, not_measured
from pytest_goref.compare.sameness import sameness
from pytest_goref.compare.shares import FEWEST_SAMPLES, Shift, shifted
from pytest_goref.metrics import (
    ALLOCATION_COUNT,
    CALLS,
    OTHER,
    PEAK_BYTES,
    SITE_BYTES,
    SITE_COUNT,
    SITE_PEAK_BYTES,
)
from pytest_goref.model import Group, Severity
from pytest_goref.profile import TIME
from pytest_goref.quantity import Unit
from pytest_goref.verdict import CALLED_BY, Column, Finding, Outcome, Place, Verdict, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_goref.model import BaselineEntry, Metric, Record
    from pytest_goref.profile import StackProfile

MOST_PLACES: Final = 8
"""How many places of one group are named."""

_BAD: Final = (Outcome.REGRESSED, Outcome.OVER_LIMIT)
_CALLS: Final = Column("calls", Unit.COUNT)
_SHARE: Final = Column("share of time", Unit.PERMILLE)
_LARGEST: Final = 3
"""How many functions are named when none has another share of the time than before."""
_NAMES: Final = {Group.SITES: "allocation sites"}
_SIZES: Final = {SITE_BYTES: "bytes", SITE_PEAK_BYTES: "bytes at the peak"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known beside the numbers.

    Attributes:
        callers: for each function the one that called it most in the measured run; empty where unknown.
        cpu_before: the accepted CPU profile, None when there is none.
        cpu_after: the measured one, None when there is none.

    """

    callers: Mapping[str, str] = field(default_factory=dict)
    cpu_before: StackProfile | None = None
    cpu_after: StackProfile | None = None


def explain(
    verdict: Verdict, record: Record, expected: BaselineEntry | None, evidence: Evidence
) -> tuple[Where, ...]:
    """Return for each group with a judged regression where it sits; nothing when nothing was compared.

    Args:
        verdict: what was found.
        record: what was measured.
        expected: what is accepted for the test; None when nothing is.
        evidence: what is known beside the numbers.

    """
    if expected is None or not record.comparable or record.mode is not expected.mode:
        return ()
    bad: dict[Group, list[Finding]] = {}
    for finding in verdict.findings:
        if finding.outcome in _BAD and finding.severity is not Severity.OFF:
            bad.setdefault(finding.metric.group, []).append(finding)
    sides = _Sides(record, expected)
    wheres = []
    counted = bad.get(Group.COUNTS) or bad.get(Group.CALLS)
    if counted:
        wheres.append(_functions(counted, sides, evidence.callers))
    if Group.ALLOCATIONS in bad:
        wheres.append(_sites(bad[Group.ALLOCATIONS], sides))
    if any(finding.outcome is Outcome.REGRESSED for finding in bad.get(Group.DURATIONS, ())):
        wheres.append(_shares(sides, evidence))
    named = any(where.places for where in wheres)
    # More work takes longer: that its time cannot be explained is told only where nothing else is.
    return tuple(
        where
        for where in wheres
        if where.places or (where.remark and not (named and where.group is Group.DURATIONS))
    )


@dataclass(frozen=True, slots=True)
class _Sides:
    """What was measured beside what is accepted."""

    record: Record
    expected: BaselineEntry

    def obstacle(self, metric: Metric) -> str:
        """Return why ``metric`` of both sides does not compare, "" when it does."""
        name = _NAMES.get(metric.group, metric.group.value)
        if metric not in self.record.measurements:
            return not_measured([metric], name, self.record)
        if metric not in self.expected.measurements:
            return f"{name} are not in the baseline: save it again to see where"
        places = elsewhere(metric, self.record, self.expected)
        return f"{name} of {places[0]} and {places[1]} do not compare" if places else ""

    def told(self, metric: Metric) -> str:
        """Return the obstacle of ``metric``, unless neither side was to measure it."""
        sides = (self.record.measurements, self.expected.measurements)
        return self.obstacle(metric) if any(metric in side for side in sides) else ""

    def growths(self, metric: Metric) -> list[Growth]:
        return growths(metric, self.expected.measurements[metric], self.record.measurements[metric])

    def number(self, metric: Metric, subject: str) -> tuple[int | None, int | None]:
        """Return both values of ``metric``; None on a side where they are not known."""
        if self.obstacle(metric):
            return None, None
        before, after = self.expected.measurements[metric], self.record.measurements[metric]
        if subject == OTHER:
            before, after = aligned(metric, before, after)
        known = subject in before or OTHER not in before
        return max(before.get(subject, (0,))) if known else None, min(after.get(subject, (0,)))


def _functions(findings: Sequence[Finding], sides: _Sides, callers: Mapping[str, str]) -> Where:
    group = findings[0].metric.group
    if sides.obstacle(CALLS):
        return Where(group, (_CALLS,), (), remark=sides.told(CALLS))
    differences = {
        f.after - f.before
        for f in findings
        if f.metric is not CALLS and f.before is not None and f.after is not None
    }
    ordered = most_telling_first(sides.growths(CALLS), callers, differences)
    places = [
        Place(
            growth.subject,
            ((growth.before, growth.after),),
            f"{CALLED_BY}{callers[growth.subject]}" if growth.delta > 0 and growth.subject in callers else "",
        )
        for growth in ordered
    ]
    regressed = any(finding.outcome is Outcome.REGRESSED for finding in findings)
    unchanged = "the thread of the test calls the same functions as often as before"
    return _where(group, (_CALLS,), places, "" if places or not regressed else unchanged)


def _sites(findings: Sequence[Finding], sides: _Sides) -> Where:
    """Return the sites, ordered by the metric that regressed most."""
    size = SITE_PEAK_BYTES if findings[0].metric is PEAK_BYTES else SITE_BYTES
    first = SITE_COUNT if findings[0].metric is ALLOCATION_COUNT else size
    columns = (Column(_SIZES[size], Unit.BYTE), Column("number", Unit.COUNT))
    if any(sides.obstacle(metric) for metric in (first, size)):
        return Where(Group.ALLOCATIONS, columns, (), remark=sides.told(first) or sides.told(size))
    ordered = sorted(
        sides.growths(first), key=lambda growth: (growth.delta < 0, -abs(growth.delta), growth.subject)
    )
    places = [
        Place(growth.subject, (sides.number(size, growth.subject), sides.number(SITE_COUNT, growth.subject)))
        for growth in ordered
    ]
    return _where(Group.ALLOCATIONS, columns, places, "")


def _shares(sides: _Sides, evidence: Evidence) -> Where:
    columns = (_CALLS, _SHARE)
    if evidence.cpu_after is None:
        remark = "no CPU profile in this run: take the pass cpu to see where the time goes"
        return Where(Group.DURATIONS, columns, (), remark=remark)
    if evidence.cpu_before is None:
        remark = "no CPU profile in the baseline: save it again to get one"
        return Where(Group.DURATIONS, columns, (), remark=remark)
    shifts = shifted(evidence.cpu_before, evidence.cpu_after)
    if shifts is None:
        remark = f"too few samples to say where the time goes: each profile needs {FEWEST_SAMPLES}"
        return Where(Group.DURATIONS, columns, (), remark=remark)
    moved = bool(shifts)
    shifts = shifts or _largest(evidence.cpu_before, evidence.cpu_after)
    shifts.sort(key=lambda shift: shift.after_permille < shift.before_permille and moved)
    places = [
        Place(
            shift.place,
            (sides.number(CALLS, shift.place), (shift.before_permille, shift.after_permille)),
        )
        for shift in shifts
    ]
    told = [] if moved else ["all functions have kept their share of the time"]
    same = sameness(sides.record, sides.expected)
    told += [f"{same}: the time is in the functions below"] if same else []
    return _where(Group.DURATIONS, columns, places, "; ".join([*told, "shares are under the profiler"]))


def _largest(before: StackProfile, after: StackProfile) -> list[Shift]:
    """Return the places that most of the time is spent in now."""
    old_ns, new_ns = before.flat(TIME), after.flat(TIME)
    places = sorted(new_ns, key=lambda place: (-new_ns[place], place))[:_LARGEST]
    return [
        Shift(
            place,
            round(1000 * old_ns.get(place, 0) / before.total(TIME)),
            round(1000 * new_ns[place] / after.total(TIME)),
        )
        for place in places
    ]


def _where(group: Group, columns: tuple[Column, ...], places: Iterable[Place], remark: str) -> Where:
    shown = tuple(places)
    return Where(group, columns, shown[:MOST_PLACES], len(shown[MOST_PLACES:]), remark)
