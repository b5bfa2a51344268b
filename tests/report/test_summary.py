from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_goref.metrics import CALLS, CPU_TIME, LEAKED_REFS, REFS
from pytest_goref.model import Group, Severity, TestKey
from pytest_goref.quantity import Unit
from pytest_goref.report.summary import NotCompared, Saved, Summary
from pytest_goref.report.terminal import render_summary
from pytest_goref.verdict import Column, Finding, Outcome, Place, Verdict, Where

GOLDEN = Path(__file__).parent / "golden"
FAIL, WARN, OFF = Severity.FAIL, Severity.WARN, Severity.OFF
MAIN = "baseline main"
NOT_NEW = "nothing is accepted for this test yet"


def golden(name: str) -> list[str]:
    return (GOLDEN / name).read_text(encoding="utf-8").splitlines()


def key(name: str) -> TestKey:
    return TestKey("tests/test_orders.py", f"test_{name}")


def verdict(name: str, outcome: Outcome, *findings: Finding, reason: str = "") -> Verdict:
    return Verdict(key(name), outcome, findings, reason)


def verdicts(outcome: Outcome, number: int, reason: str = "") -> list[Verdict]:
    return [verdict(f"{outcome.value}_{n}", outcome, reason=reason) for n in range(number)]


OVER = Finding(REFS, "db.query", Outcome.OVER_LIMIT, FAIL, None, 4, "limit 3")
LEAK = Finding(LEAKED_REFS, "pool", Outcome.OVER_LIMIT, WARN, None, 1, "left behind by the test")
OTHER_PYTHON = "calls of cpython-3.11 and cpython-3.12 do not compare"
TIMING = "slower by 22 % to 27 % (99 % sure; 6 fresh processes against 6 see 10 % and more)"

CALLED = Where(
    Group.CALLS,
    (Column("calls", Unit.COUNT),),
    (
        Place("app/orders.py:total", ((100, 200),), "called by app/orders.py:report"),
        Place("app/orders.py:price", ((10, 12),), "called by app/orders.py:total"),
        Place("json", ((0, 4),)),
        Place("app/orders.py:old", ((3, 0),)),
    ),
    hidden=1,
)
ALLOCATED = Where(
    Group.ALLOCATIONS,
    (Column("bytes", Unit.BYTE), Column("number", Unit.COUNT)),
    (),
    remark="allocation sites are not in the baseline: save it again to see where",
)

MIXED = Summary(
    verdicts=(
        *verdicts(Outcome.SAME, 2),
        verdict("better", Outcome.IMPROVED, Finding(REFS, "db.query", Outcome.IMPROVED, FAIL, 9, 5)),
        replace(
            verdict(
                "warned",
                Outcome.REGRESSED,
                Finding(CALLS, "app/orders.py:total", Outcome.REGRESSED, WARN, 100, 200),
                Finding(CPU_TIME, "", Outcome.REGRESSED, WARN, 10_000_000, 12_500_000, TIMING),
                Finding(CALLS, "app/orders.py:price", Outcome.REGRESSED, OFF, 10, 12, "within tolerance"),
            ),
            where=(CALLED, ALLOCATED),
        ),
        replace(
            verdict("failed", Outcome.REGRESSED, Finding(REFS, "db.query", Outcome.REGRESSED, FAIL, 12, 13)),
            where=(CALLED,),
        ),
        verdict(
            "varies",
            Outcome.INCONCLUSIVE,
            Finding(
                REFS, "db.query", Outcome.INCONCLUSIVE, FAIL, 12, 13, "varies between executions (12..13)"
            ),
            reason="refs db.query varies between executions (12..13)",
        ),
        verdict(
            "partly", Outcome.SAME, Finding(CALLS, "", Outcome.INCOMPARABLE, WARN, None, None, OTHER_PYTHON)
        ),
        *verdicts(Outcome.INCOMPARABLE, 1, "the test failed when repeated:\nKeyError"),
        *verdicts(Outcome.NEW, 5, NOT_NEW),
    ),
    reference=MAIN,
    missing=(key("deleted"), key("renamed")),
    not_compared=NotCompared(skipped=2, failed=1, not_selected=5),
    notes=("test_orders.py::test_slow was executed once: it takes 61 s",),
)


@pytest.mark.parametrize(("verbosity", "name"), [(-1, "quiet"), (0, "normal"), (1, "verbose")])
def test_the_summary_of_a_mixed_run(verbosity: int, name: str) -> None:
    assert render_summary(MIXED, verbosity, 90) == golden(f"summary_{name}.txt")


def test_the_closing_line_counts_what_was_compared() -> None:
    summary = Summary(
        (
            *verdicts(Outcome.SAME, 36),
            *verdicts(Outcome.REGRESSED, 1),
            *verdicts(Outcome.IMPROVED, 4),
            *verdicts(Outcome.NEW, 2, NOT_NEW),
            *verdicts(Outcome.INCOMPARABLE, 1, "why"),
            *verdicts(Outcome.INCONCLUSIVE, 3, "why"),
        ),
        MAIN,
    )
    assert summary.closing_line() == (
        "goref: 41 compared, 2 new, 0 missing, 1 incomparable, 3 inconclusive; 1 regressed, 4 improved"
    )


@pytest.mark.parametrize(
    ("not_compared", "rest"),
    [
        (NotCompared(), ""),
        (NotCompared(2, 1, 5), " (not compared: 2 skipped, 1 failed, 5 not selected)"),
        (NotCompared(failed=1), " (not compared: 1 failed)"),
        (NotCompared(not_selected=3), " (not compared: 3 not selected)"),
    ],
)
def test_the_closing_line_says_what_was_not_compared(not_compared: NotCompared, rest: str) -> None:
    summary = Summary(tuple(verdicts(Outcome.SAME, 1)), MAIN, not_compared=not_compared)
    assert summary.closing_line() == (
        f"goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved{rest}"
    )


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        (Summary(tuple(verdicts(Outcome.SAME, 5))), "goref: 5 measured"),
        (Summary(()), "goref: 0 measured"),
        (Summary((), not_compared=NotCompared(1)), "goref: 0 measured (not measured: 1 skipped)"),
        (
            Summary(tuple(verdicts(Outcome.SAME, 5)), saved=Saved("main", 3, 2)),
            "goref: 5 measured, saved to main: 3 entries written, 2 unchanged",
        ),
        (
            Summary(tuple(verdicts(Outcome.SAME, 1)), saved=Saved("a\nb", 1, 0)),
            "goref: 1 measured, saved to a\\nb: 1 entry written, 0 unchanged",
        ),
        (
            Summary((verdict("a", Outcome.OVER_LIMIT, OVER), verdict("b", Outcome.OVER_LIMIT, LEAK))),
            "goref: 2 measured, 1 over limit",
        ),
        (
            Summary((verdict("a", Outcome.OVER_LIMIT, OVER),), MAIN, saved=Saved("main", 0, 1)),
            (
                "goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, "
                "0 improved, 1 over limit, saved to main: 0 entries written, 1 unchanged"
            ),
        ),
    ],
)
def test_the_closing_line_of_other_runs(summary: Summary, line: str) -> None:
    assert summary.closing_line() == line
    assert render_summary(summary)[-1] == line


def test_nothing_is_compared_without_a_reference() -> None:
    assert Summary(tuple(verdicts(Outcome.SAME, 2))).compared == 0
    assert Summary(tuple(verdicts(Outcome.SAME, 2)), MAIN).compared == 2


def test_a_run_in_which_all_is_the_same_is_one_line() -> None:
    summary = Summary(tuple(verdicts(Outcome.SAME, 3)), MAIN)
    assert render_summary(summary) == [summary.closing_line()]


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_a_comparison_that_compared_nothing_says_so(verbosity: int) -> None:
    summary = Summary(tuple(verdicts(Outcome.NEW, 2, NOT_NEW)), MAIN)
    lines = render_summary(summary, verbosity)
    assert lines[-2:] == [
        "goref: nothing was compared: 2 tests are not in baseline main",
        "goref: 0 compared, 2 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved",
    ]


@pytest.mark.parametrize(
    ("summary", "why"),
    [
        (Summary((), MAIN), "no marked test was measured"),
        (
            Summary((), MAIN, not_compared=NotCompared(2, 1)),
            "no marked test was measured (2 skipped, 1 failed)",
        ),
        (
            Summary((*verdicts(Outcome.NEW, 1, NOT_NEW), *verdicts(Outcome.INCOMPARABLE, 2, "a\nb")), MAIN),
            "1 test is not in baseline main; 2 tests are incomparable (a\\nb)",
        ),
        (
            Summary((verdict("a", Outcome.OVER_LIMIT, OVER, reason=NOT_NEW),), MAIN),
            "1 test is over a limit and not comparable",
        ),
    ],
)
def test_nothing_compared_says_why(summary: Summary, why: str) -> None:
    assert summary.nothing_compared() == f"goref: nothing was compared: {why}"


@pytest.mark.parametrize(
    "summary",
    [
        Summary(tuple(verdicts(Outcome.SAME, 1)), MAIN),
        Summary(tuple(verdicts(Outcome.INCONCLUSIVE, 1, "why")), MAIN),
        Summary(tuple(verdicts(Outcome.SAME, 1))),
        Summary(()),
    ],
)
def test_what_compared_or_was_not_to_compare_is_not_nothing(summary: Summary) -> None:
    assert summary.nothing_compared() == ""


def test_without_a_reference_tests_are_measured() -> None:
    summary = Summary((verdict("a", Outcome.SAME), verdict("b", Outcome.OVER_LIMIT, LEAK)))
    assert render_summary(summary, 1) == [
        "tests/test_orders.py::test_b: over-limit",
        "  leaked_refs  pool  1  left behind by the test",
        "tests/test_orders.py::test_a: measured",
        "goref: 2 measured",
    ]


def test_many_rows_and_tests_are_cut_and_counted() -> None:
    rows = [Finding(REFS, f"k{n}", Outcome.IMPROVED, FAIL, 9, 5) for n in range(10)]
    summary = Summary(tuple(verdict(f"{n}", Outcome.IMPROVED, *rows) for n in range(23)), MAIN)
    lines = render_summary(summary)
    assert lines[9] == "  and 2 more (-v shows all)"
    assert lines[-2] == "and 3 more tests (-v shows all)"
    assert len(lines) == 20 * (1 + 8 + 1) + 2
    assert len(render_summary(summary, 1)) == 23 * (1 + 10) + 1


def test_many_missing_tests_are_cut_and_counted() -> None:
    summary = Summary(tuple(verdicts(Outcome.SAME, 1)), MAIN, tuple(key(f"{n}") for n in range(22)))
    assert render_summary(summary)[20:-1] == [
        "  tests/test_orders.py::test_19",
        "  and 2 more (-v names all)",
    ]
    assert render_summary(summary, 1)[-2] == "  tests/test_orders.py::test_21"


def test_odd_names_are_made_safe() -> None:
    odd = Verdict(TestKey("t.py", "test[\x1b]"), Outcome.NEW, (), NOT_NEW)
    lines = render_summary(Summary((odd,), "baseline \x1b", (TestKey("t.py", "\n"),), notes=("\u202e",)), 1)
    assert all(line.isprintable() for line in lines)


def test_a_confirmed_slower_test_is_a_regression_that_says_how_sure_it_is() -> None:
    slower = Finding(CPU_TIME, "", Outcome.REGRESSED, WARN, 10_000_000, 12_500_000, TIMING)
    lines = render_summary(Summary((verdict("slow", Outcome.REGRESSED, slower),), MAIN), 0, 120)
    assert lines[0] == "tests/test_orders.py::test_slow: regressed"
    assert "10.0 ms -> 12.5 ms  +2.50 ms (+25 %)" in lines[1]
    assert TIMING in "\n".join(lines)
    assert lines[-1].endswith("; 1 regressed, 0 improved")


def test_a_confirmed_faster_test_is_an_improvement() -> None:
    faster = Finding(CPU_TIME, "", Outcome.IMPROVED, WARN, 12_500_000, 10_000_000)
    lines = render_summary(Summary((verdict("fast", Outcome.IMPROVED, faster),), MAIN), 0, 90)
    assert lines[0] == "tests/test_orders.py::test_fast: improved"
    assert any("12.5 ms -> 10.0 ms" in line for line in lines)
    assert lines[-1].endswith("; 0 regressed, 1 improved")


def test_a_suspect_is_inconclusive_and_told() -> None:
    reason = "perhaps 25 % slower, not confirmed: one process is not enough to tell"
    suspect = Finding(CPU_TIME, "", Outcome.INCONCLUSIVE, WARN, 10_000_000, 12_500_000, reason)
    unsure = verdict("slow", Outcome.INCONCLUSIVE, suspect, reason=f"cpu_time {reason}")
    lines = render_summary(Summary((unsure,), MAIN), 0, 120)
    assert lines[0] == "tests/test_orders.py::test_slow: inconclusive"
    assert reason in "\n".join(lines)
    assert " 1 inconclusive; 0 regressed" in lines[-1]


def test_where_failed_tests_regressed_is_told_once() -> None:
    failed = replace(
        verdict("failed", Outcome.REGRESSED, Finding(REFS, "q", Outcome.REGRESSED, FAIL, 1, 2)),
        where=(CALLED,),
    )
    told = Summary((failed,), MAIN)
    assert not any("function" in line for line in render_summary(told, 1))
    untold = replace(told, failures_told=False)
    assert render_summary(untold, 0, 90)[2:-1] == [
        "  function             calls       change  called by",
        "  app/orders.py:total  100 -> 200  +100    app/orders.py:report",
        "  app/orders.py:price  10 -> 12    +2      app/orders.py:total",
        "  json                 0 -> 4      new",
        "  and 2 more",
    ]
    assert not any("function" in line for line in render_summary(untold, -1))


def test_a_test_that_is_told_by_places_alone_is_shown() -> None:
    calls = Finding(CALLS, "app/orders.py:total", Outcome.REGRESSED, WARN, 100, 200)
    warned = replace(verdict("warned", Outcome.REGRESSED, calls), where=(CALLED,))
    lines = render_summary(Summary((warned,), MAIN), 0, 40)
    assert lines[0] == "tests/test_orders.py::test_warned: regressed"
    assert "function" in lines[1]
    assert all(len(line) <= 40 for line in lines[1:-1])
