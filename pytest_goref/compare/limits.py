"""What is judged without a baseline: absolute limits, and what a test leaves behind.

It loads none of what compares, so a session that only measures begins sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.compare.change import compare_exact
from pytest_goref.compare.findings import verdict_of
from pytest_goref.compare.obstacles import not_measured
from pytest_goref.model import Exactness, Group, Measurements, Record, Samples, Severity
from pytest_goref.quantity import format_quantity
from pytest_goref.verdict import Finding, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import Limit

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


def judge_alone(record: Record, rules: Rules, limits: Sequence[Limit] = ()) -> Verdict:
    """Return the verdict on ``record`` where no comparison was asked for.

    Args:
        record: what was measured.
        rules: tolerance and severity of each metric.
        limits: absolute limits of the test.

    """
    return verdict_of(record.key, [*over_limits(record, limits), *unaccepted_leaks(record, {}, rules)])


def over_limits(record: Record, limits: Sequence[Limit]) -> Iterator[Finding]:
    """Yield what exceeds a limit, and each limit that could not be checked."""
    if not limits:
        return
    from pytest_goref.compare.durations import measured_durations  # noqa: PLC0415 - few tests have limits

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


def unaccepted_leaks(record: Record, accepted: Measurements, rules: Rules) -> Iterator[Finding]:
    """Yield what the test left behind where nothing says what it may: a fault even without a baseline."""
    left = (
        metric
        for metric, by_subject in record.measurements.items()
        if by_subject and metric.group is Group.LEAKS and metric not in accepted
    )
    for metric in sorted(left, key=lambda m: m.name):
        rule = rules.rule(metric)
        if rule.severity is Severity.OFF:
            continue
        severity = rule.severity if metric in rules.chosen else Severity.WARN
        for subject, samples in sorted(record.measurements[metric].items()):
            change = compare_exact(None, samples, rule.tolerance)
            outcome = _WITHOUT_BASELINE.get(change.outcome)
            if outcome is not None:
                reason = change.reason or "left behind by the test"
                yield Finding(metric, subject, outcome, severity, None, change.after, reason)
