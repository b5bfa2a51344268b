"""The judge: all metrics of one test, compared with what is accepted, make one verdict.

How a metric is compared follows from its exactness; nothing here asks which metric it is.
"""

from __future__ import annotations

from dataclasses import replace
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
    screened,
)
from pytest_goref.compare.findings import Whole, verdict_of
from pytest_goref.compare.limits import over_limits, unaccepted_leaks
from pytest_goref.compare.obstacles import obstacles
from pytest_goref.compare.sameness import sameness
from pytest_goref.compare.slowdown import FEWEST_VISITS
from pytest_goref.metrics import CPU_TIME
from pytest_goref.model import (
    BaselineEntry,
    Exactness,
    Limit,
    Metric,
    Mode,
    ProblemKind,
    Record,
    Rule,
    Samples,
    Severity,
)
from pytest_goref.verdict import Finding, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_goref.compare.rules import Rules

_CONCURRENT_RELATIVE: Final = 0.05
"""The least tolerance of repeatable metrics where threads or tasks take turns as they please."""
_UNCONFIRMED: Final = "one process is not enough to tell"
_EXECUTIONS: Final[Mapping[Mode, str]] = {Mode.WARM: "repeatedly", Mode.COLD: "once"}


def judge(
    record: Record,
    expected: BaselineEntry | None,
    rules: Rules,
    limits: Sequence[Limit] = (),
) -> Verdict:
    """Return the verdict on ``record``, of which a comparison was asked for; else see ``judge_alone``.

    Args:
        record: what was measured.
        expected: what is accepted for the test; None when nothing is.
        rules: tolerance and severity of each metric.
        limits: absolute limits of the test; they need nothing accepted.

    """
    whole = _whole_obstacle(record, expected)
    findings = list(over_limits(record, limits))
    if whole is None and expected is not None:
        compared, whole = _compare(record, expected, rules)
        findings.extend(without_draws(compared, record, expected))
        findings.extend(unaccepted_leaks(record, expected.measurements, rules))
    else:
        findings.extend(unaccepted_leaks(record, {}, rules))
    return verdict_of(record.key, findings, whole)


def revised(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Return ``verdict``, in which something was compared, with ``findings`` in the place of its own."""
    return replace(verdict_of(verdict.key, findings), where=verdict.where)


def _whole_obstacle(record: Record, expected: BaselineEntry | None) -> Whole | None:
    if expected is None:
        return Whole(Outcome.NEW, "nothing is accepted for this test yet")
    if not record.comparable:
        texts = (p.text for p in record.problems if p.kind is ProblemKind.NOT_REPEATABLE)
        return Whole(Outcome.INCOMPARABLE, "; ".join(texts))
    if record.mode is not expected.mode:
        now, then = _EXECUTIONS[record.mode], _EXECUTIONS[expected.mode]
        reason = f"the test was executed {now} now, and {then} when its numbers were accepted"
        return Whole(Outcome.INCOMPARABLE, reason)
    return None


def _compare(record: Record, expected: BaselineEntry, rules: Rules) -> tuple[list[Finding], Whole | None]:
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


def _nothing_compared(findings: Iterable[Finding]) -> Whole:
    reasons = dict.fromkeys(f.reason for f in findings if f.outcome is Outcome.INCOMPARABLE)
    return Whole(
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
