"""The judge: all metrics of one test, compared with what is accepted, make one verdict.

How a metric is compared follows from its exactness; nothing here asks which metric it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import aligned
from pytest_goref.compare.change import Change, compare_exact
from pytest_goref.compare.draws import without_draws
from pytest_goref.compare.durations import (
    Timing,
    at_last_look,
    confirmed,
    duration_findings,
    duration_obstacle,
    is_elsewhere,
    measured_durations,
    screened,
)
from pytest_goref.compare.obstacles import not_measured, obstacles
from pytest_goref.compare.sameness import sameness
from pytest_goref.compare.slowdown import FEWEST_VISITS
from pytest_goref.metrics import CPU_TIME
from pytest_goref.model import (
    BaselineEntry,
    Exactness,
    Group,
    Limit,
    Measurements,
    Metric,
    Mode,
    ProblemKind,
    Record,
    Rule,
    Samples,
    Severity,
)
from pytest_goref.quantity import format_quantity
from pytest_goref.verdict import Finding, Outcome, Verdict, is_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_goref.compare.rules import Rules

_BAD: Final = (Outcome.REGRESSED, Outcome.OVER_LIMIT)
_EXPLAINING: Final = (Outcome.REGRESSED, Outcome.IMPROVED, Outcome.INCONCLUSIVE)
_WITHOUT_BASELINE: Final[Mapping[Outcome, Outcome]] = {
    Outcome.REGRESSED: Outcome.OVER_LIMIT,
    Outcome.INCONCLUSIVE: Outcome.INCONCLUSIVE,
}
_WORST: Final[Mapping[Exactness, Callable[[Samples], int]]] = {
    Exactness.EXACT: max,
    Exactness.REPEATABLE: max,
    Exactness.NOISY: min,
}
"""What a limit is held against: no execution may use a key more often; the fastest round tells the time."""
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
_CONCURRENT_RELATIVE: Final = 0.05
"""The least tolerance of repeatable metrics where threads or tasks take turns as they please."""
_UNCONFIRMED: Final = "one process is not enough to tell"
_EXECUTIONS: Final[Mapping[Mode, str]] = {Mode.WARM: "repeatedly", Mode.COLD: "once"}


@dataclass(frozen=True, slots=True)
class _Whole:
    """Why nothing of a test can be compared."""

    outcome: Outcome
    reason: str


def judge(
    record: Record,
    expected: BaselineEntry | None,
    rules: Rules,
    limits: Sequence[Limit] = (),
    *,
    compare: bool = True,
) -> Verdict:
    """Return the verdict on ``record``.

    Args:
        record: what was measured.
        expected: what is accepted for the test; None when nothing is.
        rules: tolerance and severity of each metric.
        limits: absolute limits of the test; they need nothing accepted.
        compare: whether a comparison was asked for; without one, only limits and leaks are judged.

    """
    whole = _whole_obstacle(record, expected) if compare else None
    findings = list(_over_limits(record, limits))
    if whole is None and compare and expected is not None:
        compared, whole = _compare(record, expected, rules)
        findings.extend(without_draws(compared, record, expected))
        findings.extend(_unaccepted_leaks(record, expected.measurements, rules))
    else:
        findings.extend(_unaccepted_leaks(record, {}, rules))
    told = _worth_telling(findings)
    outcome = _outcome_of(told, whole)
    return Verdict(record.key, outcome, told, _reason_of(told, outcome, whole))


def revised(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Return ``verdict``, in which something was compared, with ``findings`` in the place of its own."""
    told = _worth_telling(findings)
    outcome = _outcome_of(told, None)
    return replace(verdict, outcome=outcome, findings=told, reason=_reason_of(told, outcome, None))


def _whole_obstacle(record: Record, expected: BaselineEntry | None) -> _Whole | None:
    if expected is None:
        return _Whole(Outcome.NEW, "nothing is accepted for this test yet")
    if not record.comparable:
        texts = (p.text for p in record.problems if p.kind is ProblemKind.NOT_REPEATABLE)
        return _Whole(Outcome.INCOMPARABLE, "; ".join(texts))
    if record.mode is not expected.mode:
        now, then = _EXECUTIONS[record.mode], _EXECUTIONS[expected.mode]
        reason = f"the test was executed {now} now, and {then} when its numbers were accepted"
        return _Whole(Outcome.INCOMPARABLE, reason)
    return None


def _compare(record: Record, expected: BaselineEntry, rules: Rules) -> tuple[list[Finding], _Whole | None]:
    """Return the findings about all that is accepted, and why nothing was compared if that is so."""
    before, after = expected.measurements, record.measurements
    findings: list[Finding] = []
    reasons = obstacles(record, expected, before, after)
    told: set[str] = set()
    compared = False
    for metric in sorted((m for m in before if m.judged), key=lambda m: m.name):
        rule = rule_of(metric, rules, concurrent=record.concurrent)
        reason = reasons.get(metric)
        if reason is None:
            findings.extend(_metric_findings(metric, rule, *aligned(metric, before[metric], after[metric])))
            compared = compared or rule.severity is not Severity.OFF
        elif rule.severity is not Severity.OFF and reason not in told:
            told.add(reason)
            findings.append(_incomparable(metric, rule.severity, reason))
    timings = _timings(record, expected, rules)
    why_open, same = ("", sameness(record, expected)) if record.fresh else (_UNCONFIRMED, "")
    findings.extend(duration_findings(timings, rules, why_open=why_open, same=same))
    obstacle = duration_obstacle(record, expected)
    severity = rules.rule(CPU_TIME).severity
    if obstacle and severity is not Severity.OFF:
        # Never held against the test. Whoever set no rule hears only of another machine: that can be helped.
        asked = CPU_TIME in rules.chosen or is_elsewhere(record, expected)
        findings.append(_incomparable(CPU_TIME, severity if asked else Severity.OFF, obstacle))
    compared = compared or bool(timings)
    return findings, None if compared else _nothing_compared(findings)


def _timings(record: Record, expected: BaselineEntry, rules: Rules) -> tuple[Timing, ...]:
    """Return what is known of the durations: what fresh processes say counts before what this one does."""
    if not record.fresh:
        return screened(record, expected, rules)
    stored = expected.visits.get(record.environment.fingerprint, ())
    if len(stored) < FEWEST_VISITS:
        return ()  # an obstacle, not something that more fresh processes could decide
    return confirmed(stored, at_last_look(record.fresh), rules)


def _nothing_compared(findings: Iterable[Finding]) -> _Whole:
    reasons = dict.fromkeys(f.reason for f in findings if f.outcome is Outcome.INCOMPARABLE)
    return _Whole(
        Outcome.INCOMPARABLE, "; ".join(reasons) or "no metric that is judged was accepted and measured"
    )


def _incomparable(metric: Metric, severity: Severity, reason: str) -> Finding:
    return Finding(metric, "", Outcome.INCOMPARABLE, severity, None, None, reason)


def rule_of(metric: Metric, rules: Rules, *, concurrent: bool) -> Rule:
    """Return the rule of ``metric``; concurrency moves what is otherwise repeatable."""
    rule = rules.rule(metric)
    if not concurrent or metric.exactness is not Exactness.REPEATABLE or metric in rules.chosen:
        return rule
    relative = max(rule.tolerance.relative, _CONCURRENT_RELATIVE)
    return replace(rule, tolerance=replace(rule.tolerance, relative=relative))


def _metric_findings(
    metric: Metric, rule: Rule, before: Mapping[str, Samples], after: Mapping[str, Samples]
) -> Iterator[Finding]:
    for subject in sorted(before.keys() | after.keys()):
        change = compare_exact(before.get(subject), after.get(subject), rule.tolerance)
        yield _finding(metric, subject, rule.severity, change)


def _finding(metric: Metric, subject: str, severity: Severity, change: Change) -> Finding:
    outcome, reason = change.outcome, change.reason
    if outcome in (Outcome.NEW, Outcome.GONE):
        severity = Severity.OFF
    elif outcome is Outcome.SAME and change.before != change.after:
        # Too little to matter alone, but it may explain another finding.
        outcome = Outcome.REGRESSED if (change.after or 0) > (change.before or 0) else Outcome.IMPROVED
        severity, reason = Severity.OFF, "within tolerance"
    return Finding(metric, subject, outcome, severity, change.before, change.after, reason)


def _over_limits(record: Record, limits: Iterable[Limit]) -> Iterator[Finding]:
    measured: Measurements = {**record.measurements, **measured_durations(record.visit)}
    for limit in limits:
        metric, subject = limit.metric, limit.subject
        most = format_quantity(limit.most, metric.unit)
        if metric not in measured:
            reason = f"{not_measured([metric], metric.name, record)}, so the limit {most} was not checked"
            yield Finding(metric, subject, Outcome.INCONCLUSIVE, Severity.FAIL, None, None, reason)
            continue
        worst = _WORST[metric.exactness](measured[metric].get(subject, (0,)))
        if worst > limit.most:
            alike = format_quantity(worst, metric.unit) == most  # as shown, with three digits
            more = f", exceeded by {format_quantity(worst - limit.most, metric.unit)}" if alike else ""
            reason = f"limit {most}{more}"
            yield Finding(metric, subject, Outcome.OVER_LIMIT, Severity.FAIL, None, worst, reason)


def _unaccepted_leaks(record: Record, accepted: Measurements, rules: Rules) -> Iterator[Finding]:
    """Yield what the test left behind where nothing says what it may: a fault even without a baseline."""
    for metric in sorted(record.measurements.keys() - accepted.keys(), key=lambda m: m.name):
        rule = rules.rule(metric)
        if metric.group is not Group.LEAKS or rule.severity is Severity.OFF:
            continue
        severity = rule.severity if metric in rules.chosen else Severity.WARN
        for subject, samples in sorted(record.measurements[metric].items()):
            change = compare_exact(None, samples, rule.tolerance)
            outcome = _WITHOUT_BASELINE.get(change.outcome)
            if outcome is not None:
                reason = change.reason or "left behind by the test"
                yield Finding(metric, subject, outcome, severity, None, change.after, reason)


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


def _outcome_of(findings: Iterable[Finding], whole: _Whole | None) -> Outcome:
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


def _reason_of(findings: Iterable[Finding], outcome: Outcome, whole: _Whole | None) -> str:
    if whole is not None:
        return whole.reason
    if outcome is not Outcome.INCONCLUSIVE:
        return ""
    first = next(f for f in findings if f.outcome is Outcome.INCONCLUSIVE and f.severity is not Severity.OFF)
    return " ".join(filter(None, (first.metric.name, first.subject, first.reason)))
