from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_cache import CliCache, failed, numbers, passed, record, without_record

from pytest_goref.metrics import REFS
from pytest_goref.model import Problem, ProblemKind
from pytest_goref.store.history import TestResult

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "a.py::test[\x1b[31mred\x1b[0m\n\udc80]"
ESCAPED = "a.py::test[\\x1b[31mred\\x1b[0m\\n\\udc80]"
NOT_REPEATABLE = (
    Problem(ProblemKind.NOT_REPEATABLE, "it failed when repeated"),
    Problem(ProblemKind.SKIPPED, "x"),
)


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def refs(project: CliCache, nodeid: str) -> dict[str, tuple[int, ...]]:
    entry = project.entry("main", nodeid)
    assert entry is not None
    return dict(entry.measurements[REFS])


def test_a_regression_is_accepted_and_other_tests_keep_their_entry(project: CliCache) -> None:
    project.save("main", *(record(f"a.py::test_{n}", numbers({"k": 1})) for n in (1, 2, 3)))
    project.run(
        failed(record("a.py::test_1", numbers({"k": 5}))),
        passed(record("a.py::test_2", numbers({"k": 1}))),
        passed(record("b.py::test_9", numbers({"k": 9}))),
        exit_status=1,
    )
    said = project.goref("accept", "main")
    assert said.lines == [
        "changed: a.py::test_1",
        "new: b.py::test_9",
        "goref: accepted run 1 into baseline main: 1 new, 1 changed, 1 unchanged, 0 refused",
    ]
    assert said.status == 0
    assert refs(project, "a.py::test_1") == {"k": (5,)}
    assert refs(project, "a.py::test_3") == {"k": (1,)}
    assert project.goref("compare", "main", "last").status == 0


def test_what_passed_before_and_is_within_tolerance_changes_no_file(project: CliCache) -> None:
    project.save("main", record("a.py::test_1", numbers({"k": 1}, {"f": 100})))
    (file,) = (project.cache.baselines / "main").iterdir()
    before = file.read_bytes(), file.stat().st_mtime_ns
    project.run(passed(record("a.py::test_1", numbers({"k": 1}, {"f": 101}))))
    assert project.goref("accept", "main").lines[-1].endswith("0 new, 0 changed, 1 unchanged, 0 refused")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_what_cannot_be_accepted_is_refused_with_the_reason(project: CliCache) -> None:
    project.run(
        passed(record("a.py::good")),
        passed(record("a.py::flaky", problems=NOT_REPEATABLE)),
        without_record("a.py::skipped", "skipped"),
        without_record("a.py::broken", "failed"),
        without_record("a.py::odd", "passed"),
        TestResult(record("a.py::xfailed").key, "xfailed", record("a.py::xfailed")),
        TestResult(record("a.py::xpassed").key, "xpassed", record("a.py::xpassed")),
    )
    said = project.goref("accept", "main")
    assert said.lines == [
        "new: a.py::good",
        "refused: a.py::flaky: not repeatable: it failed when repeated",
        "refused: a.py::skipped: skipped",
        "refused: a.py::broken: failed, and nothing was measured",
        "refused: a.py::odd: passed, and nothing was measured",
        "refused: a.py::xfailed: xfailed",
        "refused: a.py::xpassed: xpassed",
        "goref: accepted run 1 into the new baseline main: 1 new, 0 changed, 0 unchanged, 6 refused",
    ]
    assert project.nodeids("main") == ["a.py::good"]


def test_another_run_can_be_taken(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1", numbers({"k": 1}))))
    project.run(passed(record("a.py::test_1", numbers({"k": 2}))))
    assert "accepted run 1 " in project.goref("accept", "main", "--run", "1").out
    assert refs(project, "a.py::test_1") == {"k": (1,)}
    assert "accepted run 2 " in project.goref("accept", "main").out
    assert refs(project, "a.py::test_1") == {"k": (2,)}


@pytest.mark.parametrize(
    ("tests", "accepted"),
    [
        (["tests/a.py::T::test_1[x]"], ["tests/a.py::T::test_1[x]"]),
        (["tests/a.py::T::test_1"], ["tests/a.py::T::test_1[x]", "tests/a.py::T::test_1[y]"]),
        (["tests/a.py::T"], ["tests/a.py::T::test_1[x]", "tests/a.py::T::test_1[y]"]),
        (["tests/a.py"], ["tests/a.py::T::test_1[x]", "tests/a.py::T::test_1[y]", "tests/a.py::test_1"]),
        (["tests/b.py", "tests/a.py::test_1"], ["tests/a.py::test_1", "tests/b.py::test_12"]),
        (["tests/b.py/"], []),
        (["tests/b.py::test_1"], []),
        (["test"], []),
        (["./tests"], []),
    ],
)
def test_tests_are_named_by_id_or_by_what_stands_before(
    tests: list[str], accepted: list[str], project: CliCache
) -> None:
    nodeids = [
        *("tests/a.py::T::test_1[x]", "tests/a.py::T::test_1[y]", "tests/a.py::test_1"),
        "tests/b.py::test_12",
    ]
    project.run(*(passed(record(nodeid)) for nodeid in nodeids))
    said = project.goref("accept", "main", *tests)
    if accepted:
        assert said.status == 0
        assert project.nodeids("main") == accepted
    else:
        assert said.refusal.startswith(
            f"run 1 holds no test '{tests[0]}': write a node id as goref show run:1"
        )
        assert project.baselines.names() == []


@pytest.mark.parametrize("directory", ["tests", "tests/"])
def test_a_directory_names_all_tests_in_it(directory: str, project: CliCache) -> None:
    project.run(passed(record("tests/a.py::test_1")), passed(record("tests2/b.py::test_1")))
    assert project.goref("accept", "main", directory).status == 0
    assert project.nodeids("main") == ["tests/a.py::test_1"]


def test_one_name_that_matches_nothing_accepts_nothing(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1")))
    assert "'a.py::tset_1'" in project.goref("accept", "main", "a.py::test_1", "a.py::tset_1").refusal
    assert project.baselines.names() == []


def test_tests_may_stand_after_an_option(project: CliCache) -> None:
    project.run(*(passed(record(nodeid)) for nodeid in ("a.py::test_1", "-b.py::test_2", "c.py::test_3")))
    assert project.goref("accept", "main", "--run", "1", "a.py", "--", "-b.py").status == 0
    assert project.nodeids("main") == ["-b.py::test_2", "a.py::test_1"]


@pytest.mark.parametrize("name", [HOSTILE, ESCAPED, "a.py::test"])
def test_a_hostile_id_is_accepted_by_either_spelling(name: str, project: CliCache) -> None:
    project.run(passed(record(HOSTILE)))
    said = project.goref("accept", "main", name)
    assert said.lines[0] == f"new: {ESCAPED}"
    assert said.out.isascii()
    assert project.nodeids("main") == [HOSTILE]


def test_a_hostile_reason_is_escaped(project: CliCache) -> None:
    problem = Problem(ProblemKind.NOT_REPEATABLE, "E\x1b[31m\nassert")
    project.run(passed(record("a.py::good")), passed(record(HOSTILE, problems=(problem,))))
    said = project.goref("accept", "main")
    assert f"refused: {ESCAPED}: not repeatable: E\\x1b[31m\\nassert" in said.lines


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "run 1 holds no tests: nothing is accepted"),
        (
            [without_record("a.py::t", "skipped")],
            "nothing of run 1 can be accepted: a.py::t: skipped: run pytest --goref again",
        ),
        (
            [without_record(f"a.py::t{n}", "failed") for n in range(3)],
            (
                "nothing of run 1 can be accepted: a.py::t0: failed, and nothing was measured "
                "(and 2 other tests): run pytest --goref again"
            ),
        ),
    ],
)
def test_nothing_to_accept_is_refused(results: list[TestResult], message: str, project: CliCache) -> None:
    project.run(*results)
    assert project.goref("accept", "main").refusal == message
    assert project.baselines.names() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["main"], "no run is stored yet: make one with pytest --goref"),
        (["main", "--run", "3"], "no run 3 in the history"),
        (["last"], "a baseline cannot be named 'last'"),
        (["../x"], "a baseline cannot be named '../x'"),
    ],
)
def test_what_is_not_there_or_illegal_is_named(arguments: list[str], message: str, project: CliCache) -> None:
    assert message in project.goref("accept", *arguments).refusal


def test_a_damaged_baseline_is_never_overwritten(project: CliCache) -> None:
    project.save("main", record("a.py::test_1"))
    (file,) = (project.cache.baselines / "main").iterdir()
    file.write_text("{}")
    project.run(passed(record("a.py::test_1")))
    assert f"{file}: damaged baseline" in project.goref("accept", "main").refusal
    assert file.read_text() == "{}"
