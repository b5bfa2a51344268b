from __future__ import annotations

from pathlib import Path

import pytest

from pytest_goref.metrics import CALLS, CPU_TIME, LEAKED_REFS, REFS, WALL_TIME
from pytest_goref.model import Group, Metric, Severity, TestKey
from pytest_goref.quantity import Unit
from pytest_goref.report.rows import Row, failure_text, row_of, rows_of
from pytest_goref.verdict import Column, Finding, Outcome, Place, Verdict, Where

KEY = TestKey("tests/test_orders.py", "test_total[a b]")
GOLDEN = Path(__file__).parent / "golden"
REGRESSED, IMPROVED, OVER = Outcome.REGRESSED, Outcome.IMPROVED, Outcome.OVER_LIMIT
FAIL, WARN, OFF = Severity.FAIL, Severity.WARN, Severity.OFF


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8").removesuffix("\n")


def more(metric: Metric, subject: str, before: int, after: int, severity: Severity = FAIL) -> Finding:
    return Finding(metric, subject, REGRESSED if after > before else IMPROVED, severity, before, after)


@pytest.mark.parametrize(
    ("finding", "cells"),
    [
        (more(REFS, "q", 12, 13), ("12", "13", "+1 (+8.3 %)", "")),
        (more(REFS, "q", 100, 200), ("100", "200", "+100 (+100 %)", "")),
        (more(REFS, "q", 3, 40), ("3", "40", "+37 (+1233 %)", "")),
        (more(REFS, "q", 8, 6), ("8", "6", "-2 (-25 %)", "")),
        (more(REFS, "q", 1000, 1001), ("1000", "1001", "+1 (+0.1 %)", "")),
        (more(REFS, "q", 100_000, 100_004), ("100000", "100004", "+4 (+0.004 %)", "")),
        (more(REFS, "q", 0, 5), ("0", "5", "new", "")),
        (more(REFS, "q", 5, 0), ("5", "0", "gone", "")),
        (more(CPU_TIME, "", 10_000_000, 12_500_000), ("10.0 ms", "12.5 ms", "+2.50 ms (+25 %)", "")),
        (more(CPU_TIME, "", 12_500_000, 10_000_000), ("12.5 ms", "10.0 ms", "-2.50 ms (-20 %)", "")),
        (Finding(REFS, "q", OVER, FAIL, None, 4, "limit 3"), ("", "4", "", "limit 3")),
        (Finding(CPU_TIME, "t", Outcome.NEW, OFF, None, 7), ("", "7 ns", "new", "")),
        (Finding(CPU_TIME, "t", Outcome.GONE, OFF, 7, None), ("7 ns", "", "gone", "")),
        (Finding(REFS, "q", Outcome.INCONCLUSIVE, FAIL, 5, 5, "varies"), ("5", "5", "", "varies")),
        (Finding(CALLS, "", Outcome.INCOMPARABLE, WARN, None, None, "a\nb"), ("", "", "", "a\\nb")),
    ],
)
def test_a_finding_is_a_row_of_text(finding: Finding, cells: tuple[str, ...]) -> None:
    assert row_of(finding) == Row(finding.metric.name, finding.subject, *cells)


def test_a_subject_is_made_safe() -> None:
    assert row_of(more(REFS, "\x1b[2J\n", 1, 2)).subject == "\\x1b[2J\\n"


def test_rows_are_limited_and_the_rest_is_counted() -> None:
    findings = tuple(more(REFS, f"k{n}", 1, 2) for n in range(10))
    verdict = Verdict(KEY, REGRESSED, findings)
    rows, hidden = rows_of(verdict)
    assert [row.subject for row in rows] == [f"k{n}" for n in range(8)]
    assert hidden == 2
    assert rows_of(verdict, 10)[1] == 0


def test_what_is_not_judged_is_a_row_only_when_everything_is_asked_for() -> None:
    findings = (
        more(REFS, "q", 1, 2),
        more(CALLS, "f", 1, 2, OFF),
        Finding(LEAKED_REFS, "", Outcome.INCOMPARABLE, FAIL, None, None, "why"),
    )
    verdict = Verdict(KEY, REGRESSED, findings)
    assert [row.metric for row in rows_of(verdict)[0]] == ["refs"]
    assert [row.metric for row in rows_of(verdict, everything=True)[0]] == ["refs", "calls", "leaked_refs"]


def functions(*places: Place, hidden: int = 0, remark: str = "") -> Where:
    return Where(Group.COUNTS, (Column("calls", Unit.COUNT),), places, hidden, remark)


def test_the_text_of_a_failure() -> None:
    findings = (
        more(REFS, "db.query", 12, 13),
        Finding(REFS, "db.save", OVER, FAIL, None, 4, "limit 3"),
        more(CALLS, "app/orders.py:part0", 10, 20, WARN),
        more(REFS, "db.load", 9, 1),
        Finding(CPU_TIME, "", REGRESSED, WARN, 100_000, 200_000, "not confirmed"),
    )
    where = functions(
        Place("sqlite3.Connection.execute", ((12, 13),), "called by app/database.py:Database.query"),
        Place("app/orders.py:part0", ((10, 20),)),
        Place("app/orders.py:new", ((0, 3),), "called by app/orders.py:part0"),
        Place("json.decoder", ((None, 900),)),
        Place("app/orders.py:old", ((40, 0),)),
        hidden=3,
    )
    text = failure_text(Verdict(KEY, OVER, findings, where=(where, SITES, SHARES)), "baseline main")
    assert any("db.query 12 -> 13 (+1)" in line for line in text.splitlines())
    assert text == golden("failure_regressed.txt")


SITES = Where(
    Group.ALLOCATIONS,
    (Column("bytes", Unit.BYTE), Column("number", Unit.COUNT)),
    (Place("copy", ((0, 2_500_000), (0, 1200))), Place("app/orders.py:load", ((4096, 1024), (7, 7)))),
)
SHARES = Where(
    Group.DURATIONS,
    (Column("calls", Unit.COUNT), Column("share of time", Unit.PERMILLE)),
    (Place("app/orders.py:search", ((2, 2), (105, 960))),),
    remark="same calls, same allocations: the time is in the functions below; shares are under the profiler",
)


def test_the_text_of_a_limit_needs_no_comparison() -> None:
    finding = Finding(WALL_TIME, "", OVER, FAIL, None, 62_100_000, "limit 50.0 ms")
    verdict = Verdict(KEY, OVER, (finding,))
    assert failure_text(verdict, "") == golden("failure_limit.txt")
    assert "compared with" not in failure_text(verdict, "baseline main")
    assert "accept with" not in failure_text(verdict, "baseline main")


def test_the_text_of_a_limit_on_a_key() -> None:
    text = failure_text(Verdict(KEY, OVER, (Finding(REFS, "q", OVER, FAIL, None, 4, "limit 3"),)), "")
    assert text.splitlines()[0] == "goref: q 4 refs, limit 3"


def test_the_text_says_why_calls_cannot_explain() -> None:
    reason = "calls of cpython-3.11 and cpython-3.12 do not compare"
    verdict = Verdict(KEY, REGRESSED, (more(REFS, "q", 1, 2),), where=(functions(remark=reason),))
    text = failure_text(verdict, "run 7")
    assert text.splitlines()[-2:] == ["", reason]
    assert text.startswith("goref: q 1 -> 2 (+1) refs, compared with run 7\n")


def test_calls_that_fail_stand_in_both_tables() -> None:
    where = functions(Place("f", ((10, 30),)))
    text = failure_text(Verdict(KEY, REGRESSED, (more(CALLS, "f", 10, 30),), where=(where,)), "run 7")
    assert "goref: f 10 -> 30 (+20) calls" in text
    assert sum(line.split()[-2:] == ["30", "+20"] for line in text.splitlines()) == 1
    assert any(line.startswith("calls ") for line in text.splitlines())


def test_calls_that_only_warn_are_no_rows_beside_the_table_that_explains_them() -> None:
    findings = (more(CALLS, "f", 10, 30, WARN), more(REFS, "q", 1, 2, WARN))
    explained = Verdict(KEY, REGRESSED, findings, where=(functions(Place("f", ((10, 30),))),))
    assert [row.metric for row in rows_of(explained)[0]] == ["refs"]
    assert [row.metric for row in rows_of(explained, everything=True)[0]] == ["calls", "refs"]
    unexplained = Verdict(KEY, REGRESSED, findings, where=(functions(remark="why"),))
    assert [row.metric for row in rows_of(unexplained)[0]] == ["calls", "refs"]


@pytest.mark.parametrize(
    ("against", "command"),
    [
        ("baseline main", "pytest --goref-save=main "),
        ("baseline my branch", "pytest --goref-save='my branch' "),
        ("last run", ""),
        ("baselines.json", ""),
        ("", ""),
    ],
)
def test_only_a_saved_baseline_can_accept(against: str, command: str) -> None:
    text = failure_text(Verdict(KEY, REGRESSED, (more(REFS, "q", 1, 2),)), against)
    accept = [line for line in text.splitlines() if line.startswith("accept with: ")]
    assert accept == ([f"accept with: {command}'{KEY.nodeid}'"] if command else [])


def test_the_command_names_the_test_as_it_is_typed_where_pytest_was_started() -> None:
    text = failure_text(Verdict(KEY, REGRESSED, (more(REFS, "q", 1, 2),)), "baseline b", "../t.py::test")
    assert text.endswith("accept with: pytest --goref-save=b '../t.py::test'")


def test_a_quote_in_a_node_id_is_quoted_for_the_shell() -> None:
    verdict = Verdict(TestKey("t.py", "test['x']"), REGRESSED, (more(REFS, "q", 1, 2),))
    assert failure_text(verdict, "baseline b").endswith("""'t.py::test['"'"'x'"'"']'""")


def test_many_failures_are_cut_and_counted() -> None:
    verdict = Verdict(KEY, REGRESSED, tuple(more(REFS, f"k{n:02}", 1, 2) for n in range(23)))
    lines = failure_text(verdict, "run 7").splitlines()
    assert lines[0] == "goref: k00 1 -> 2 (+1) refs, and 22 more, compared with run 7"
    assert lines[-1] == "  and 3 more"
    assert sum(line.startswith("refs ") for line in lines) == 20


def test_a_long_subject_is_shortened_in_the_first_line() -> None:
    verdict = Verdict(KEY, REGRESSED, (more(REFS, "k" * 500, 1, 2),))
    lines = failure_text(verdict, "run 7").splitlines()
    assert len(lines[0]) < 160
    assert max(map(len, lines)) <= 160


@pytest.mark.parametrize(
    ("outcome", "reason", "text"),
    [
        (
            Outcome.NEW,
            "nothing is accepted for this test yet",
            """\
goref: new: nothing is accepted for this test yet, compared with baseline main

accept with: pytest --goref-save=main 'tests/test_orders.py::test_total[a b]'""",
        ),
        (Outcome.INCOMPARABLE, "a\nb", "goref: incomparable: a\\nb, compared with baseline main"),
        (Outcome.INCONCLUSIVE, "", "goref: inconclusive, compared with baseline main"),
    ],
)
def test_a_strict_run_fails_tests_without_failing_findings(outcome: Outcome, reason: str, text: str) -> None:
    assert failure_text(Verdict(KEY, outcome, (), reason), "baseline main") == text
