from __future__ import annotations

import pytest

from pytest_goref.metrics import CALLS, CPU_TIME, REFS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Round,
    Severity,
    TestKey,
    Visit,
)
from pytest_goref.verdict import Finding, Outcome, Verdict, is_failure

KEY = TestKey("tests/test_orders.py", "test_total[1]")
ENVIRONMENT = Environment("cpython-3.12", "x86_64 Linux (2 CPUs)", "abc")


def test_a_key_is_written_as_pytest_writes_it() -> None:
    assert KEY.nodeid == "tests/test_orders.py::test_total[1]"
    assert TestKey("docs/guide.md", "").nodeid == "docs/guide.md"


@pytest.mark.parametrize(
    ("kinds", "comparable"),
    [
        ((), True),
        ((ProblemKind.SKIPPED, ProblemKind.ONCE), True),
        ((ProblemKind.ONCE, ProblemKind.NOT_REPEATABLE), False),
    ],
)
def test_only_a_test_that_cannot_repeat_is_not_comparable(
    kinds: tuple[ProblemKind, ...],
    comparable: bool,  # noqa: FBT001 - a column of the table
) -> None:
    problems = tuple(Problem(kind, "why") for kind in kinds)
    assert Record(KEY, ENVIRONMENT, Mode.WARM, {}, problems=problems).comparable is comparable


def test_an_entry_accepts_a_record_as_it_is() -> None:
    here, fresh = Visit((Round(5, 4, 0),)), Visit((Round(4, 3, 0),))
    counts = {REFS: {"db.query": (1,)}}
    record = Record(KEY, ENVIRONMENT, Mode.COLD, counts, here, fresh=(fresh,), code="c0de")
    entry = BaselineEntry.from_record(record)
    assert entry == BaselineEntry(
        KEY, Mode.COLD, "cpython-3.12", counts, {"abc": (fresh,)}, code="c0de"
    )  # what the process of the session timed is not accepted


def test_an_entry_of_a_record_without_rounds_has_no_visits() -> None:
    assert BaselineEntry.from_record(Record(KEY, ENVIRONMENT, Mode.WARM, {})).visits == {}


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("severity", Severity)
def test_a_test_fails_by_more_work_where_the_rule_says_so(outcome: Outcome, severity: Severity) -> None:
    expected = severity is Severity.FAIL and outcome in {Outcome.REGRESSED, Outcome.OVER_LIMIT}
    assert is_failure(Finding(REFS, "", outcome, severity, 1, 2)) is expected


def test_the_failures_of_a_verdict_keep_their_order() -> None:
    first = Finding(REFS, "b", Outcome.OVER_LIMIT, Severity.FAIL, None, 9)
    second = Finding(REFS, "a", Outcome.REGRESSED, Severity.FAIL, 1, 2)
    warned = Finding(CALLS, "f", Outcome.REGRESSED, Severity.WARN, 1, 20)
    better = Finding(CPU_TIME, "", Outcome.IMPROVED, Severity.WARN, 9, 2)
    verdict = Verdict(KEY, Outcome.OVER_LIMIT, (first, warned, second, better))
    assert verdict.failures == (first, second)
