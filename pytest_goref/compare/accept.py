"""Accepting a record: what a baseline holds for a test after a save."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import bounded
from pytest_goref.compare.durations import at_last_look, confirmed, screened
from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.compare.slowdown import Opinion
from pytest_goref.metrics import CALLS
from pytest_goref.model import BaselineEntry, Group, Mode, Record, Severity
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_goref.compare.durations import Timing
    from pytest_goref.model import Visit

MOST_STORED: Final = 10
"""How many visits of one machine a baseline keeps."""

_MOVED: Final = (Outcome.REGRESSED, Outcome.IMPROVED, Outcome.INCONCLUSIVE)
"""Outcomes about the numbers; another interpreter or a pass that was off moves nothing."""
_CONVICTED: Final = (Opinion.SLOWER, Opinion.FASTER)
_OPEN: Final = (Opinion.OPEN,)


def accept(record: Record, entry: BaselineEntry | None, most_visits: int = MOST_STORED) -> BaselineEntry:
    """Return the entry that accepts ``record`` after ``entry``, bounded to what a baseline stores.

    Numbers within tolerance are kept as they are, so that saving unchanged code changes no file; the visits
    of a machine are kept until durations moved, and completed when they are few.

    Args:
        record: what was measured.
        entry: what was accepted before, None for nothing.
        most_visits: how many visits of this machine are wanted.

    """
    measured = bounded(record.measurements)
    if entry is None or _moved(record, entry):
        return replace(BaselineEntry.from_record(record), measurements=measured)
    # What was not measured before is new; what was measured elsewhere or is within tolerance stays.
    # Numbers of two Python versions, or of two platforms, are never mixed.
    environment = record.environment
    same_python = environment.python == entry.python or all(m.portable for m in entry.measurements)
    same_platform = environment.platform == entry.platform or not any(m.native for m in entry.measurements)
    added = {
        metric: by
        for metric, by in measured.items()
        if metric not in entry.measurements
        and (metric.portable or same_python)
        and (same_platform or not metric.native)
    }
    visits = _visits(record, entry, most_visits)
    return replace(
        entry,
        python=entry.python if all(m.portable for m in added) else environment.python,
        measurements={**entry.measurements, **added},
        visits=visits,
        platform=environment.platform if any(m.native for m in added) else entry.platform,
        code=entry.code if visits == entry.visits and CALLS not in added else _code(record, entry, visits),
    )


def visits_needed(
    record: Record, entry: BaselineEntry | None, most_visits: int, *, is_untimed: bool = False
) -> int:
    """Return in how many fresh processes a test is to be timed before ``record`` is accepted.

    Args:
        record: what was measured.
        entry: what is accepted, None for nothing.
        most_visits: how many visits of this machine are wanted.
        is_untimed: whether rounds were wanted that could not be taken where the test was executed.

    """
    is_wanted = record.visit is not None or is_untimed
    if not is_wanted or record.mode is Mode.COLD:  # the latter is not to be executed again
        return 0
    known: tuple[Visit, ...] = ()
    if entry is not None and not _moved(record, entry):
        known = entry.visits.get(record.environment.fingerprint, ())
        if _any_is(_OPEN, screened(record, entry, Rules.default())):
            known = ()
    return max(0, most_visits - len(known) - len(record.fresh))


def _moved(record: Record, entry: BaselineEntry) -> bool:
    """Return whether a counted metric is beyond its default tolerance."""
    if record.mode is not entry.mode:
        return True
    verdict = judge(record, entry, Rules.default())
    # A finding that is not judged is within its tolerance and only explains another one.
    judged = (f for f in verdict.findings if f.severity is not Severity.OFF)
    return any(f.metric.group is not Group.DURATIONS and f.outcome in _MOVED for f in judged)


def _visits(record: Record, entry: BaselineEntry, most_visits: int) -> Mapping[str, tuple[Visit, ...]]:
    """Return the visits to keep: those of a machine are replaced when durations moved, else completed."""
    fingerprint, fresh = record.environment.fingerprint, record.fresh
    known = entry.visits.get(fingerprint, ())
    if not fresh:
        return entry.visits
    if known and _any_is(_CONVICTED, confirmed(known, at_last_look(fresh), Rules.default())):
        known = ()
    missing = max(0, min(most_visits, MOST_STORED) - len(known))
    return {**entry.visits, fingerprint: (*known, *fresh[:missing])}


def _code(record: Record, entry: BaselineEntry, visits: Mapping[str, tuple[Visit, ...]]) -> str:
    """Return the code that all that is accepted belongs to, "" when that is of more than one."""
    if record.environment.python != entry.python:
        return entry.code
    kept = any(visit not in record.fresh for by_machine in visits.values() for visit in by_machine)
    return record.code if not kept or entry.code == record.code else ""


def _any_is(opinions: tuple[Opinion, ...], timings: Iterable[Timing]) -> bool:
    return any(timing.decision.opinion in opinions for timing in timings)
