"""Accepting a record: what a baseline holds for a test after a save."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import bounded
from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.model import BaselineEntry, Exactness, Record, Severity, Visit
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_COUNTED: Final = (Exactness.EXACT, Exactness.REPEATABLE)
_MOVED: Final = (Outcome.REGRESSED, Outcome.IMPROVED, Outcome.INCONCLUSIVE)
"""Outcomes about the numbers; another interpreter or a pass that was off moves nothing."""


def accept(record: Record, entry: BaselineEntry | None) -> BaselineEntry:
    """Return the entry that accepts ``record`` after ``entry``, bounded to what a baseline stores.

    Numbers within tolerance are kept as they are, so that saving unchanged code changes no file; the rounds
    of a machine are kept until durations move or a machine is new.
    """
    measured = bounded(record.measurements)
    if entry is None or _moved(record, entry, _COUNTED):
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
    return replace(
        entry,
        python=entry.python if all(m.portable for m in added) else environment.python,
        measurements={**entry.measurements, **added},
        visits=_visits(record, entry),
        platform=environment.platform if any(m.native for m in added) else entry.platform,
    )


def _moved(record: Record, entry: BaselineEntry, exactnesses: Collection[Exactness]) -> bool:
    """Return whether a metric of such an exactness is beyond its default tolerance."""
    if record.mode is not entry.mode:
        return True
    verdict = judge(record, entry, Rules.default())
    # A finding that is not judged is within its tolerance and only explains another one.
    judged = (f for f in verdict.findings if f.severity is not Severity.OFF)
    return any(f.metric.exactness in exactnesses and f.outcome in _MOVED for f in judged)


def _visits(record: Record, entry: BaselineEntry) -> Mapping[str, tuple[Visit, ...]]:
    """Return the visits to keep: a machine's are replaced when durations moved, and added when new."""
    fingerprint = record.environment.fingerprint
    known = entry.visits.get(fingerprint)
    if record.visit is None or (known and not _moved(record, entry, (Exactness.NOISY,))):
        return entry.visits
    return {**entry.visits, fingerprint: (record.visit,)}
