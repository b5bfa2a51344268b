"""Drawn examples: what a Hypothesis test counts differs between executions because its examples do.

Such a test fails for an increase only when chance cannot have made it: a count that was the same in every
one of many executions, on both sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Exactness, Group, Severity
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_goref.model import BaselineEntry, Record
    from pytest_goref.verdict import Finding

_ENOUGH: Final = 9
"""A key that half of all executions use is in none of 9 and in all of 9 others once in 260,000 times."""
_REMEDY: Final = (
    "Hypothesis draws other examples in each execution; with settings(derandomize=True) numbers are exact"
)


def without_draws(findings: Iterable[Finding], record: Record, expected: BaselineEntry) -> Iterator[Finding]:
    """Yield ``findings``, of which none is a regression that other examples may have caused.

    Args:
        findings: on ``record``.
        record: what was measured.
        expected: what is accepted for the test.

    """
    for finding in findings:
        if not record.draws or not _is_doubtful(finding) or _stands(finding, record, expected):
            yield finding
        else:
            reason = "; ".join(filter(None, (finding.reason, _REMEDY)))
            yield replace(finding, outcome=Outcome.INCONCLUSIVE, reason=reason)


def _is_doubtful(finding: Finding) -> bool:
    return (
        finding.outcome in (Outcome.REGRESSED, Outcome.INCONCLUSIVE)
        and finding.severity is not Severity.OFF
        and finding.metric.exactness is not Exactness.NOISY
    )


def _stands(finding: Finding, record: Record, expected: BaselineEntry) -> bool:
    """Return whether the count was the same in all executions, of which there were enough."""
    metric, subject = finding.metric, finding.subject
    if metric.group is not Group.COUNTS or record.draws < _ENOUGH:
        return False
    sides = (expected.measurements[metric], record.measurements[metric])
    return all(len(set(side.get(subject, (0,)))) == 1 for side in sides)
