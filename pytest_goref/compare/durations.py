"""Durations: what timed rounds say of a test, as findings.

Rounds of one process are correlated, so one run never convicts: it clears a test or makes it a suspect.
Suspects are timed again in fresh processes, and what those say together is decided by ``slowdown``.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.obstacles import fingerprint_change
from pytest_goref.compare.rounds import Series, paired_series, too_short
from pytest_goref.compare.slowdown import (
    FEWEST_VISITS,
    LOOKS,
    RESOLUTION_NS,
    SHORTEST_NS,
    Decision,
    Opinion,
    decide,
    screen,
)
from pytest_goref.metrics import CPU_TIME, WALL_TIME
from pytest_goref.model import Group, Severity
from pytest_goref.quantity import Unit, format_quantity
from pytest_goref.verdict import Finding, Outcome

if TYPE_CHECKING:
    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import (
        BaselineEntry,
        Measurements,
        Metric,
        Record,
        Tolerance,
        Visit,
    )

_Judge = Callable[[Series, Series, float], Decision]
_OUTCOMES: Final[Mapping[Opinion, Outcome]] = {
    Opinion.CLEAR: Outcome.SAME,
    Opinion.SLOWER: Outcome.REGRESSED,
    Opinion.FASTER: Outcome.IMPROVED,
    Opinion.OPEN: Outcome.INCONCLUSIVE,
}
_WHOLE_PERCENT: Final = 10
"""From here on a percentage is shown without decimals."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What is known of one duration.

    Attributes:
        metric: the clock that tells it.
        subject: empty for the whole test, else the name of a timer.
        decision: what both sides say.

    """

    metric: Metric
    subject: str
    decision: Decision


def measured_durations(visit: Visit | None) -> Measurements:
    """Return the rounds of ``visit`` by both clocks, and its timers; empty when nothing was timed."""
    if visit is None:
        return {}
    timers = {
        name: tuple(one.cpu_ns // one.iterations for one in rounds) for name, rounds in visit.timers.items()
    }
    cpus = tuple(one.cpu_ns for one in visit.rounds)
    return {WALL_TIME: {"": tuple(one.wall_ns for one in visit.rounds)}, CPU_TIME: {"": cpus, **timers}}


def screened(record: Record, expected: BaselineEntry, rules: Rules) -> tuple[Timing, ...]:
    """Return what the rounds of this process say: each duration is clear, or a suspect (``Opinion.OPEN``).

    Nothing when no rounds were taken, or none that compare are stored.
    """
    stored = expected.visits.get(record.environment.fingerprint, ())
    alike = record.comparable and record.mode is expected.mode
    if record.visit is None or len(stored) < FEWEST_VISITS or not alike:
        return ()
    return tuple(_timings(stored, (record.visit,), rules, screen, FEWEST_VISITS))


def confirmed(
    stored: Sequence[Visit], fresh: Sequence[Visit], rules: Rules, *, paired: bool = False
) -> tuple[Timing, ...]:
    """Return what fresh processes say.

    Args:
        stored: visits of the accepted code.
        fresh: visits of the present code.
        rules: tolerance and severity of each metric.
        paired: whether visits of equal index were taken one right after the other.

    """
    if not stored or not fresh:
        return ()
    fewest = 1 if paired else FEWEST_VISITS  # the base of pairs grows with them
    return tuple(_timings(stored, fresh, rules, partial(decide, paired=paired), fewest))


def at_last_look(visits: tuple[Visit, ...]) -> tuple[Visit, ...]:
    """Return as many of ``visits`` as the last look that they suffice for has; all when they are fewer."""
    return visits[: max((look for look in LOOKS if look <= len(visits)), default=len(visits))]


def _timings(
    before: Sequence[Visit], after: Sequence[Visit], rules: Rules, judge: _Judge, fewest: int
) -> Iterator[Timing]:
    """Yield what ``judge`` says of each duration that at least ``fewest`` visits have taken before."""
    for (metric, subject), (old, new) in paired_series(before, after).items():
        rule = rules.rule(metric)
        if rule.severity is not Severity.OFF and len(old.times) >= fewest:
            yield Timing(metric, subject, judge(old, new, _threshold(rule.tolerance, old)))


def _threshold(tolerance: Tolerance, before: Series) -> float:
    """Return the fraction that a change must exceed: both parts of ``tolerance``, what a round resolves."""
    typical_ns = math.exp(statistics.median(itertools.chain.from_iterable(before.times)))
    resolution = RESOLUTION_NS / (typical_ns * max(1, before.iterations))
    return max(tolerance.relative, tolerance.absolute / typical_ns, resolution)


def duration_findings(
    timings: Iterable[Timing], rules: Rules, *, why_open: str, same: str
) -> Iterator[Finding]:
    """Yield a finding for each of ``timings``.

    Args:
        timings: what is known.
        rules: tolerance and severity of each metric.
        why_open: why suspects were not confirmed, "" when they were timed as often as is allowed.
        same: what of the work of the test is the same as before, "" when nothing is known to be.

    """
    for timing in timings:
        decision = timing.decision
        outcome = _OUTCOMES[decision.opinion]
        if outcome is Outcome.INCONCLUSIVE and why_open and decision.shift <= 0:
            outcome = Outcome.SAME  # perhaps faster: it asks nothing of anyone
        yield Finding(
            metric=timing.metric,
            subject=timing.subject,
            outcome=outcome,
            severity=rules.rule(timing.metric).severity,
            before=decision.before_ns,
            after=decision.after_ns,
            reason=_reason(decision, why_open, same),
        )


def duration_obstacle(record: Record, expected: BaselineEntry) -> str:
    """Return why the durations of both sides do not compare although both were timed, else an empty text."""
    measured = record.fresh or ((record.visit,) if record.visit else ())
    if not measured:
        return ""
    here = record.environment.fingerprint
    if not expected.visits:
        return "no durations of fresh processes are stored: save with --goref-save"
    stored = expected.visits.get(here)
    if stored is None:
        change = fingerprint_change(expected.visits, here)
        return f"durations of another machine do not compare ({change}); use --goref-compare=git:REV"
    if len(stored) < FEWEST_VISITS:
        processes = "1 process" if len(stored) == 1 else f"{len(stored)} processes"
        return f"durations of {processes} are too few to compare with: save with --goref-visits=6"
    if too_short(stored, measured):
        return (
            f"rounds below {format_quantity(SHORTEST_NS, Unit.NANOSECOND)} cannot be compared: "
            f"time the function with goref.measure"
        )
    return ""


def is_elsewhere(record: Record, expected: BaselineEntry) -> bool:
    """Return whether all stored durations come from other machines than those of ``record``."""
    return bool(expected.visits) and record.environment.fingerprint not in expected.visits


def is_suspect(finding: Finding) -> bool:
    """Return whether ``finding`` is about a duration that only more fresh processes could decide."""
    compared = finding.before is not None  # a limit that was not checked is inconclusive too
    return compared and finding.metric.group is Group.DURATIONS and finding.outcome is Outcome.INCONCLUSIVE


def _reason(decision: Decision, why_open: str, same: str) -> str:
    after, before = decision.visits[1], decision.visits[0]
    if decision.opinion is Opinion.OPEN and why_open:
        return f"perhaps {_percent(decision.shift)} slower, not confirmed: {why_open}"
    processes = f"in {after} fresh process{'es' if after > 1 else ''} against {before}"
    if decision.opinion is Opinion.OPEN and math.isinf(decision.detectable):
        return f"{_span(decision)} {processes}: too few to tell"
    if decision.opinion is Opinion.OPEN:
        return (
            f"{_span(decision)} {processes}: "
            f"only a change of {_percent(decision.detectable)} or more could be seen"
        )
    word = "slower" if decision.opinion is Opinion.SLOWER else "faster"
    low, high = sorted((abs(decision.low), abs(decision.high)))
    detectable = _percent(decision.detectable)
    seen = f"{after} fresh process{'es' if after > 1 else ''} against {before} see {detectable}"
    sure = f"{word} by {_bound(low)} to {_bound(high)} (99 % sure; {seen} and more)"
    return f"{sure}; {same}" if same else sure


def _span(decision: Decision) -> str:
    """Return the interval of ``decision`` in words."""
    low, high = decision.low, decision.high
    if math.isinf(low) or math.isinf(high):
        return f"about {_percent(decision.shift)} {'slower' if decision.shift > 0 else 'faster'}"
    if low >= 0:
        return f"between {_percent(low)} and {_percent(high)} slower"
    if high <= 0:
        return f"between {_percent(-high)} and {_percent(-low)} faster"
    return f"between {_percent(-low)} faster and {_percent(high)} slower"


def _bound(fraction: float) -> str:
    return "any number" if math.isinf(fraction) else _percent(fraction)


def _percent(fraction: float) -> str:
    percent = 100 * abs(fraction)
    return f"{percent:.0f} %" if percent >= _WHOLE_PERCENT else f"{percent:.1f} %"
