from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli_cache import ELSEWHERE, HERE, CliCache, failed, key, numbers, passed, record, visit, without_record

from pytest_goref.cli.comparing import as_record
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, Mode, Visit

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "a.py::test[\x1b[31mred\x1b[0m\n]"


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def entry(**visits: tuple[Visit, ...]) -> BaselineEntry:
    return BaselineEntry(key("a.py::t"), Mode.WARM, "cpython-3.12", {REFS: {"k": (1,)}}, visits)


def test_a_regression_is_shown_as_by_pytest_and_exits_with_1(project: CliCache) -> None:
    project.save("main", record("a.py::test_1", numbers({"db.query": 1})), record("a.py::test_2"))
    project.run(failed(record("a.py::test_1", numbers({"db.query": 101}))), passed(record("a.py::test_2")))
    said = project.goref("compare", "main", "last")
    assert said.lines == [
        "a.py::test_1: regressed",
        "  refs  db.query  1 -> 101  +100 (+10000 %)",
        "goref: 2 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 1 regressed, 0 improved",
    ]
    assert said.status == 1


def test_a_failed_test_is_explained_too(project: CliCache) -> None:
    project.save("old", record("a.py::test_1", numbers({"q": 1}, {"a.py:f": 1, "a.py:g": 3})))
    project.save("new", record("a.py::test_1", numbers({"q": 5}, {"a.py:f": 5, "a.py:g": 3})))
    assert project.goref("compare", "old", "new").lines[:-1] == [
        "a.py::test_1: regressed",
        "  refs  q  1 -> 5  +4 (+400 %)",
        "  function  calls   change",
        "  a.py:f    1 -> 5  +4",
    ]


def test_nothing_changed_is_the_closing_line_alone(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1")))
    project.run(passed(record("a.py::test_1")))
    said = project.goref("compare", "run:1", "run:2")
    assert said.lines == [
        "goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved"
    ]
    assert said.status == 0


def test_a_run_is_compared_with_what_it_did_before_it_regressed(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1", numbers({"k": 1}))))
    project.run(failed(record("a.py::test_1", numbers({"k": 2}))))
    assert project.goref("compare", "last", "last").status == 1


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 1),
        (["--warn", "counts:0"], 0),
        (["--fail", "counts:300%"], 0),
        (["--fail", "refs:off"], 0),
        (["--fail", "counts:0", "--warn", "counts:0"], 1),
        (["--warn=counts:0", "--fail=calls:0", "--fail=leaks:0"], 1),
        (["--warn=counts:0", "--fail=leaks:0"], 0),
    ],
)
def test_rules_decide_what_fails(options: list[str], status: int, project: CliCache) -> None:
    project.save("main", record("a.py::test_1", numbers({"k": 1}, {"f": 10})))
    project.run(passed(record("a.py::test_1", numbers({"k": 2}, {"f": 11}))))
    assert project.goref("compare", "main", "last", *options).status == status


MS = 1_000_000


def visits(*walls_ns: int) -> tuple[Visit, ...]:
    """Return a visit of each duration, with a little noise within."""
    return tuple(visit(wall_ns, wall_ns + 7_000, wall_ns + 3_000) for wall_ns in walls_ns)


STORED = visits(*(5 * MS + number * 1_000 for number in range(6)))
UNCHANGED = visits(*(5 * MS + number * 1_500 for number in range(6)))
SLOWER = visits(*(6 * MS + number * 1_500 for number in range(6)))


@pytest.mark.parametrize(
    ("options", "status"), [([], 0), (["--fail", "durations:10%"], 1), (["--fail", "durations:50%"], 0)]
)
def test_a_slower_baseline_fails_where_a_rule_says_so(
    options: list[str], status: int, project: CliCache
) -> None:
    project.save("old", entry(here=STORED))
    project.save("slow", entry(here=SLOWER))
    said = project.goref("compare", "old", "slow", *options)
    assert said.status == status
    slower = options[1:] != ["durations:50%"]
    assert ("a.py::t: regressed" in said.lines) == slower
    assert ("5.00 ms -> 6.00 ms" in said.out) == slower
    assert said.lines[-1].endswith(f"; {int(slower)} regressed, 0 improved")


def test_an_unchanged_baseline_is_the_same(project: CliCache) -> None:
    project.save("old", entry(here=STORED))
    project.save("new", entry(here=UNCHANGED))
    said = project.goref("compare", "old", "new", "--fail", "durations:10%")
    assert said.lines == [
        "goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved"
    ]
    assert said.status == 0


def test_a_run_of_one_process_convicts_nobody(project: CliCache) -> None:
    here = ELSEWHERE.fingerprint
    project.save("old", entry(**{here: STORED}))
    project.run(passed(record("a.py::t", numbers({"k": 1}), timed=visit(9 * MS))))
    said = project.goref("compare", "old", "last", "--fail", "durations:10%")
    assert said.lines[0] == "a.py::t: inconclusive"
    assert "perhaps 80 % slower" in said.out
    assert said.status == 0


def test_a_wrong_rule_is_named_with_its_option(project: CliCache) -> None:
    project.save("main", record("a.py::test_1"))
    refusal = project.goref("compare", "main", "main", "--warn", "cals:5%").refusal
    assert refusal.startswith("--warn: rule 'cals:5%': 'cals' is no group or metric (did you mean calls?)")


def test_new_missing_and_unmeasured_tests_are_counted(project: CliCache) -> None:
    names = ("same", "gone", "skipped", "failed", "xfailed")
    project.save("main", *(record(f"tests/a.py::{name}") for name in names), record("other/b.py::t"))
    project.run(
        passed(record("tests/a.py::same")),
        passed(record("tests/a.py::fresh")),
        *(without_record(f"tests/a.py::{name}", name) for name in ("skipped", "failed", "xfailed")),
        scope=("tests",),
    )
    said = project.goref("compare", "main", "last")
    assert said.lines == [
        "missing:",
        "  tests/a.py::gone",
        "new:",
        "  tests/a.py::fresh",
        (
            "goref: 1 compared, 1 new, 1 missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved "
            "(not compared: 1 skipped, 2 failed, 1 not selected)"
        ),
    ]
    assert said.status == 0


@pytest.mark.parametrize(
    ("scope", "complete", "missing"),
    [
        (("",), 1, 1),
        (("",), 0, 0),
        (("tests/a.py",), 1, 1),
        (("tests/a",), 1, 0),
        ((), 1, 0),
    ],
)
def test_a_test_is_missing_only_where_the_run_looked(
    scope: tuple[str, ...], complete: int, missing: int, project: CliCache
) -> None:
    project.save("main", record("tests/a.py::gone"), record("x.py::t"))
    project.run(passed(record("x.py::t")), scope=scope, complete=bool(complete))
    assert f" {missing} missing," in project.goref("compare", "main", "last").out


def test_verbosity_is_that_of_pytest(project: CliCache) -> None:
    project.save("main", record("a.py::test_1", numbers({"k": 1})), record("a.py::test_2", numbers({"k": 9})))
    project.run(
        passed(record("a.py::test_1", numbers({"k": 1}))), passed(record("a.py::test_2", numbers({"k": 5})))
    )
    assert "a.py::test_1: same" in project.goref("compare", "main", "last", "-v").lines
    assert project.goref("compare", "main", "last").lines[0] == "a.py::test_2: improved"
    assert len(project.goref("compare", "main", "last", "-q").lines) == 1


def test_two_baselines_compare(project: CliCache) -> None:
    project.save("old", record("a.py::test_1", numbers({"k": 1})), record("a.py::test_2"))
    project.save("new", record("a.py::test_1", numbers({"k": 3})), record("a.py::test_3"))
    said = project.goref("compare", "old", "new")
    assert said.status == 1
    assert said.lines == [
        "a.py::test_1: regressed",
        "  refs  k  1 -> 3  +2 (+200 %)",
        "missing:",
        "  a.py::test_2",
        "new:",
        "  a.py::test_3",
        "goref: 1 compared, 1 new, 1 missing, 0 incomparable, 0 inconclusive; 1 regressed, 0 improved",
    ]


def test_baselines_compare_durations_of_the_machine_that_both_know(project: CliCache) -> None:
    project.save("old", entry(aaaa=visits(MS), bbbb=STORED))
    project.save("new", entry(bbbb=SLOWER, cccc=visits(MS)))
    assert "5.00 ms -> 6.00 ms" in project.goref("compare", "old", "new").out


def test_an_entry_becomes_a_record_of_a_shared_machine() -> None:
    here = HERE.fingerprint
    both = entry(**{here: (visit(1),), "aaaa": (visit(2),), "bbbb": (visit(3),)})
    assert as_record(both, entry(bbbb=(visit(9),))).environment.fingerprint == "bbbb"
    assert as_record(both, entry(**{"aaaa": (visit(9),), here: (visit(9),)})).environment.fingerprint == here
    assert as_record(entry(dddd=(visit(2),), cccc=(visit(3),)), None).environment.fingerprint == "cccc"
    assert as_record(both, entry(eeee=(visit(9),))).environment.fingerprint == here


def test_an_entry_becomes_a_record_with_its_visits_and_code() -> None:
    timed = (visit(1, 2, timers={"x": (5,), "y": (7,)}), visit(3, timers={"x": (6,)}))
    accepted = replace(entry(aaaa=timed), code="c0de")
    made = as_record(accepted, None)
    assert (made.visit, made.fresh, made.code) == (None, timed, "c0de")
    assert (made.key, made.mode, made.measurements) == (accepted.key, accepted.mode, accepted.measurements)
    assert made.environment.python == "cpython-3.12"
    assert as_record(entry(), None).fresh == ()


def test_what_cannot_be_compared_says_why(project: CliCache) -> None:
    project.save("main", record("a.py::test_1"))
    project.run(passed(record("b.py::test_1", environment=ELSEWHERE)), scope=("b.py",))
    said = project.goref("compare", "main", "last")
    assert "goref: nothing was compared: 1 test is not in baseline main" in said.lines
    assert said.status == 0


def test_hostile_ids_are_escaped(project: CliCache) -> None:
    project.save("main", record(HOSTILE, numbers({"k\x1b": 1})), record("a.py::gone\n"))
    project.run(passed(record(HOSTILE, numbers({"k\x1b": 2}))))
    said = project.goref("compare", "main", "last")
    assert said.lines[0] == "a.py::test[\\x1b[31mred\\x1b[0m\\n]: regressed"
    assert "\x1b" not in said.out
    assert "  a.py::gone\\n" in said.lines


def test_a_terminal_is_filled_and_a_pipe_has_80_characters(
    project: CliCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = "s" * 200
    project.save("main", record("a.py::t", numbers({subject: 1})))
    project.run(passed(record("a.py::t", numbers({subject: 2}))))
    assert len(project.goref("compare", "main", "last").lines[1]) == 80
    monkeypatch.setenv("COLUMNS", "120")
    assert len(project.goref("compare", "main", "last").lines[1]) == 120


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (("nope", "main"), "no baseline 'nope'"),
        (("main", "nope"), "no baseline 'nope'"),
        (("main", "last"), "no run is stored yet"),
        (("last", "main"), "no run to compare with yet"),
        (("main", "run:3"), "no run 3 in the history"),
        (("main", "git:HEAD"), "'git:HEAD' has to be measured: pytest --goref-compare=git:HEAD"),
    ],
)
def test_a_side_that_is_not_there_is_named(sides: tuple[str, str], message: str, project: CliCache) -> None:
    project.save("main", record("a.py::test_1"))
    assert message in project.goref("compare", *sides).refusal
