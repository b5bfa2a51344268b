"""What findings amount to: those worth telling, the outcome of the test, and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Exactness, Group, Severity
from pytest_goref.verdict import Finding, Outcome, Verdict, is_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_goref.model import TestKey

_BAD: Final = (Outcome.REGRESSED, Outcome.OVER_LIMIT)
_EXPLAINING: Final = (Outcome.REGRESSED, Outcome.IMPROVED, Outcome.INCONCLUSIVE)
_TRUST: Final = (
    Group.COUNTS,
    Group.ALLOCATIONS,
    Group.CALLS,
    Group.DURATIONS,
    Group.LEAKS,
    Group.SITES,
    Group.RUNTIME,
)
"""The groups, that first which says most about a test."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Why nothing of a test can be compared."""

    outcome: Outcome
    reason: str


def verdict_of(key: TestKey, findings: Sequence[Finding], whole: Whole | None = None) -> Verdict:
    """Return what ``findings`` amount to.

    Args:
        key: the test.
        findings: about each of its metrics.
        whole: why nothing of it could be compared, None when something was, or nothing was to be.

    """
    if not findings and whole is None:
        return Verdict(key, Outcome.SAME, ())
    told = _worth_telling(findings)
    outcome = _outcome_of(told, whole)
    return Verdict(key, outcome, told, _reason_of(told, outcome, whole))


def _worth_telling(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return what is to be told, most important first; what is not judged, only where it may explain."""
    bad = any(f.severity is not Severity.OFF and f.outcome in _BAD for f in findings)
    told = (
        f
        for f in findings
        if f.outcome is not Outcome.SAME
        and (
            f.severity is not Severity.OFF
            or f.outcome not in _EXPLAINING
            or (bad and f.metric.exactness is Exactness.EXACT)
        )
    )
    return tuple(sorted(told, key=_importance))


def _importance(finding: Finding) -> tuple[int, bool, int, float, int, str, str]:
    judged = finding.severity is not Severity.OFF
    if is_failure(finding):
        rank = 0
    elif judged and finding.outcome in _BAD:
        rank = 1
    elif judged and finding.outcome is Outcome.IMPROVED:
        rank = 2
    else:
        rank = 3
    metric, before = finding.metric, finding.before or 0
    size = abs((finding.after or 0) - before)
    # Numbers of whole tests have different units, so only their shares compare.
    share = 0.0 if finding.subject else size / max(before, 1)
    noisy = metric.exactness is Exactness.NOISY
    return rank, noisy, _TRUST.index(metric.group), -share, -size, metric.name, finding.subject


def _outcome_of(findings: Iterable[Finding], whole: Whole | None) -> Outcome:
    judged = [f for f in findings if f.severity is not Severity.OFF]
    if any(f.outcome is Outcome.OVER_LIMIT and is_failure(f) for f in judged):
        return Outcome.OVER_LIMIT
    found = {f.outcome for f in judged}
    if Outcome.REGRESSED in found:
        return Outcome.REGRESSED
    if whole is not None:
        return whole.outcome
    ranked = (Outcome.INCONCLUSIVE, Outcome.OVER_LIMIT, Outcome.IMPROVED)
    return next((outcome for outcome in ranked if outcome in found), Outcome.SAME)


def _reason_of(findings: Iterable[Finding], outcome: Outcome, whole: Whole | None) -> str:
    if whole is not None:
        return whole.reason
    if outcome is not Outcome.INCONCLUSIVE:
        return ""
    first = next(f for f in findings if f.outcome is Outcome.INCONCLUSIVE and f.severity is not Severity.OFF)
    return " ".join(filter(None, (first.metric.name, first.subject, first.reason)))
