from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli_cache import ELSEWHERE, HERE, CliCache, key, numbers, passed, record, visit, without_record

from pytest_goref.metrics import CALLS, REFS
from pytest_goref.model import BaselineEntry, Mode, Problem, ProblemKind

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "a.py::test[\x1b[31mred\x1b[0m\n\u202e\udc80]"
ESCAPED = "a.py::test[\\x1b[31mred\\x1b[0m\\n\\u202e\\udc80]"


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def test_the_main_numbers_of_each_test_of_a_run(project: CliCache) -> None:
    long = "tests/" + "deep/" * 30 + "test_a.py::test_1"
    project.run(
        passed(record(long, numbers({"a": 2, "b": 3}, {"f": 40}), visit(1_500_000, 1_230_000))),
        passed(record("tests/test_a.py::test_zero", {REFS: {}, CALLS: {"f": (7, 9), "g": (1,)}})),
        without_record("tests/test_a.py::test_skipped", "skipped"),
    )
    width = len(long)
    assert project.goref("show", "last").lines == [
        f"{'test':{width}}  outcome  refs  calls  fastest round",
        f"{'-' * width}  -------  ----  -----  -------------",
        f"{long}  passed   5     40     1.23 ms",
        f"{'tests/test_a.py::test_zero':{width}}  passed   0     10     -",
        f"{'tests/test_a.py::test_skipped':{width}}  skipped  -     -      -",
        "run 1: 3 tests, 2 with numbers",
    ]


def test_a_terminal_shortens_node_ids_and_not_numbers(
    project: CliCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run(passed(record(f"tests/{'x' * 100}.py::test_1", None, visit(1_000_000))))
    monkeypatch.setenv("COLUMNS", "60")
    lines = project.goref("show", "run:1").lines
    assert {len(line) for line in lines[:2]} == {60}
    assert lines[2].startswith("tests/xx")
    assert "..." in lines[2]
    assert lines[2].split()[1:] == ["passed", "1", "-", "1.00", "ms"]


def test_a_run_without_tests_has_only_its_line(project: CliCache) -> None:
    project.run()
    assert project.goref("show", "last").lines == ["run 1: 0 tests, 0 with numbers"]


@pytest.mark.parametrize(
    ("visits", "fastest"),
    [
        ({HERE.fingerprint: (visit(3_000),), "elsewhere": (visit(2_000),)}, "3.00 us"),
        ({"a": (visit(3_000), visit(2_500)), "b": (visit(2_600),)}, "2.50 us"),
        ({}, "-"),
    ],
)
def test_the_fastest_round_is_one_of_this_machine_if_any(
    visits: dict[str, tuple[object, ...]], fastest: str, project: CliCache
) -> None:
    project.save("main", BaselineEntry(key("a.py::t"), Mode.WARM, "cpython-3.12", {REFS: {}}, visits))  # type: ignore[arg-type]
    lines = project.goref("show", "main").lines
    assert lines[2].split(maxsplit=4) == ["a.py::t", "accepted", "0", "-", fastest]
    assert lines[3] == "baseline main: 1 test, 1 with numbers"


def test_all_measurements_of_a_test_largest_first(project: CliCache) -> None:
    problems = (
        Problem(ProblemKind.ONCE, "it uses the benchmark\nfixture"),
        Problem(ProblemKind.SKIPPED, "calls were not\x1b measured"),
    )
    measured = {
        **numbers({"a": 2, "b": 30}),
        CALLS: {"shop.py:f": (4, 6, 5), "shop.py:e": (6,), "json": (60,)},
    }
    timed = visit(4_000_000, 1_000_000, 2_000_000, 3_000_000, cpu_ns=900_000, timers={"p\n": (20, 10, 40)})
    project.run(passed(record("tests/test_a.py::test_1", measured, timed, problems)))
    assert project.goref("show", "last", "tests/test_a.py::test_1").lines == [
        "tests/test_a.py::test_1",
        "run 1, passed, executed repeatedly, cpython-3.12",
        "",
        "metric       subject    value",
        "-----------  ---------  -----",
        "refs         b          30",
        "refs         a          2",
        "calls        json       60",
        "calls        shop.py:e  6",
        "calls        shop.py:f  4..6",
        "leaked_refs             0",
        "",
        "Example CPU, 2 CPUs (1 visit):",
        "  elapsed: fastest 1.00 ms, median 2.50 ms, 4 rounds",
        "  CPU:     fastest 900 us, median 900 us, 4 rounds",
        "  cpu_time of p\\n: fastest 10 ns, median 20 ns, 3 rounds",
        "",
        "once: it uses the benchmark\\nfixture",
        "skipped: calls were not\\x1b measured",
    ]


def test_the_rounds_of_each_machine_of_a_baseline(project: CliCache) -> None:
    visits = {"ffff": (visit(2_000),), HERE.fingerprint: (visit(1_000), visit(3_000))}
    project.save("main", BaselineEntry(key("a.py::t"), Mode.COLD, "cpython-3.12", {}, visits))
    lines = project.goref("show", "main", "a.py::t").lines
    assert lines[:4] == ["a.py::t", "baseline main, accepted, executed once, cpython-3.12", "", "no counts"]
    assert "ffff (1 visit):" in lines
    here = lines.index(f"{HERE.fingerprint} (2 visits):")
    assert lines[here + 1] == "  elapsed: fastest 1.00 us, median 2.00 us, 2 rounds"


def test_the_conditions_of_a_run_are_told(project: CliCache) -> None:
    project.run(passed(record("a.py::t")), conditions="turbo is on\n")
    project.run(passed(record("a.py::t")))
    assert project.goref("show", "run:1").lines[-2:] == [
        "run 1: 1 test, 1 with numbers",
        "conditions: turbo is on\\n",
    ]
    assert project.goref("show", "run:2").lines[-1] == "run 2: 1 test, 1 with numbers"


def test_the_rounds_of_fresh_processes_are_shown_too(project: CliCache) -> None:
    made = replace(record("a.py::t", timed=visit(3_000)), fresh=(visit(2_000), visit(1_000)))
    project.run(passed(made), passed(record("a.py::u")))
    lines = project.goref("show", "last", "a.py::t").lines
    assert lines[-3:] == [
        "Example CPU, 2 CPUs (3 visits):",
        "  elapsed: fastest 1.00 us, median 2.00 us, 3 rounds",
        "  CPU:     fastest 1.00 us, median 2.00 us, 3 rounds",
    ]
    assert project.goref("show", "last").lines[2].split(maxsplit=4)[-1] == "1.00 us"
    assert not any("visit" in line for line in project.goref("show", "last", "a.py::u").lines)


def test_a_test_without_numbers(project: CliCache) -> None:
    project.run(without_record("a.py::test_1", "skipped"))
    assert project.goref("show", "last", "test_1").lines == [
        "a.py::test_1",
        "run 1: skipped, nothing was measured",
    ]


def test_a_file_of_a_baseline_can_be_shown(project: CliCache) -> None:
    project.save("main", record("a.py::test_1"), record("b.py::test_1"))
    file = min((project.cache.baselines / "main").iterdir())
    lines = project.goref("show", str(file)).lines
    assert lines[-1] == f"file {file}: 1 test, 1 with numbers"


def test_a_part_of_a_node_id_names_a_test(project: CliCache) -> None:
    project.run(
        passed(record("a.py::test_1")), passed(record("a.py::test_12")), passed(record("b.py::test_3"))
    )
    assert project.goref("show", "last", "b.py").lines[0] == "b.py::test_3"
    assert (
        project.goref("show", "last", "a.py::test_1").lines[0] == "a.py::test_1"
    )  # exact, though in another


def test_several_tests_can_be_named_also_after_an_option(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1")), passed(record("-b.py::test_2")))
    cache = str(project.cache.root)
    lines = project.goref("show", "last", "--cache", cache, "test_1", "--", "-b").lines
    assert [line for line in lines if "::" in line] == ["a.py::test_1", "-b.py::test_2"]


@pytest.mark.parametrize("wanted", [HOSTILE, ESCAPED, "[31mred\x1b", "[31mred\\x1b"])
def test_a_hostile_id_is_printed_escaped_and_found_both_ways(wanted: str, project: CliCache) -> None:
    project.run(passed(record(HOSTILE)), passed(record("a.py::test_other")))
    assert ESCAPED in project.goref("show", "last").out
    said = project.goref("show", "last", wanted)
    assert said.lines[0] == ESCAPED
    assert said.out.isascii()


def test_unicode_is_shown_as_it_is(project: CliCache) -> None:
    project.run(passed(record("a.py::test_café[日本]", numbers({"ключ": 3}))))
    said = project.goref("show", "last", "café")
    assert said.lines[0] == "a.py::test_café[日本]"
    assert "ключ" in said.out


def test_an_ambiguous_test_lists_at_most_five(project: CliCache) -> None:
    project.run(*(passed(record(f"a.py::test_{number}")) for number in range(7)))
    assert project.goref("show", "last", "test_").refusal == (
        "'test_' names 7 tests of run 1: a.py::test_0, a.py::test_1, a.py::test_2, a.py::test_3, "
        "a.py::test_4 and 2 more: write more of the node id"
    )


def test_two_ambiguous_tests_are_both_listed(project: CliCache) -> None:
    project.save("main", record("a.py::test_1"), record("a.py::test_2"))
    assert project.goref("show", "main", "py").refusal == (
        "'py' names 2 tests of baseline main: a.py::test_1, a.py::test_2: write more of the node id"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["last"], "no run is stored yet: make one with pytest --goref"),
        (["run:7"], "no run 7 in the history"),
        (["run:x"], "'run:x' is neither a baseline, nor last, nor run:N, nor a file"),
        (["nope"], "no baseline 'nope'"),
        (["no/such"], "there is no file of that name"),
    ],
)
def test_what_is_not_there_is_named(arguments: list[str], message: str, project: CliCache) -> None:
    assert message in project.goref("show", *arguments).refusal


def test_an_unknown_test_is_refused(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1", environment=ELSEWHERE)))
    assert project.goref("show", "last", "no\nsuch").refusal == (
        "run 1 holds no test 'no\\nsuch': goref show without TEST lists them"
    )
