"""Records, baselines and rules for tests of what judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_goref.compare.rules import Rules, parse_rule
from pytest_goref.metrics import REFS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Measurements,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Samples,
    Severity,
    TestKey,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.verdict import Outcome, Verdict
KEY = TestKey("tests/test_orders.py", "test_total")
HERE = Environment("cpython-3.12", "words", "here")
DEFAULT = Rules.default()
FAIL, WARN, OFF = Severity.FAIL, Severity.WARN, Severity.OFF


def refs(**samples: int | Samples) -> Measurements:
    return {REFS: tupled(samples)}


def tupled(samples: Mapping[str, int | Samples]) -> dict[str, Samples]:
    return {subject: s if isinstance(s, tuple) else (s,) for subject, s in samples.items()}


def measured(
    measurements: Measurements,
    *,
    timed: Visit | None = None,
    fresh: tuple[Visit, ...] = (),
    problem: str = "",
) -> Record:
    problems = (Problem(ProblemKind.SKIPPED, problem),) if problem else ()
    return Record(KEY, HERE, Mode.WARM, measurements, timed, problems, fresh=fresh)


def accepted(measurements: Measurements, *, stored: tuple[Visit, ...] = ()) -> BaselineEntry:
    return BaselineEntry.from_record(measured(measurements, fresh=stored))


def ruled(*texts: str, severity: Severity = FAIL) -> Rules:
    return DEFAULT.with_changes((severity, parse_rule(text)) for text in texts)


def told(verdict: Verdict) -> list[tuple[str, str, Outcome, Severity]]:
    return [(f.metric.name, f.subject, f.outcome, f.severity) for f in verdict.findings]
