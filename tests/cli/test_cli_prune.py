from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_cache import CliCache, passed, record, without_record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    cli = CliCache(tmp_path, capsys)
    nodeids = ("tests/a.py::stays", "tests/a.py::skipped", "tests/a.py::gone", "tests/b.py::gone", "x.py::t")
    cli.save("main", *map(record, nodeids))
    cli.save("other", record("tests/a.py::gone"))
    return cli


def run_all(project: CliCache, *scope: str) -> None:
    stays, skipped = passed(record("tests/a.py::stays")), without_record("tests/a.py::skipped", "skipped")
    project.run(stays, skipped, passed(record("x.py::t")), scope=scope or ("",))


def test_tests_that_are_gone_are_removed_and_named(project: CliCache) -> None:
    run_all(project)
    said = project.goref("prune", "main")
    assert said.lines == [
        "tests/a.py::gone",
        "tests/b.py::gone",
        "goref: pruned 2 tests from baseline main, by run 1",
    ]
    assert said.status == 0
    assert project.nodeids("main") == ["tests/a.py::skipped", "tests/a.py::stays", "x.py::t"]
    assert project.nodeids("other") == ["tests/a.py::gone"]


def test_a_dry_run_removes_nothing(project: CliCache) -> None:
    run_all(project)
    said = project.goref("prune", "main", "--dry-run")
    assert said.lines == [
        "tests/a.py::gone",
        "tests/b.py::gone",
        "goref: would prune 2 tests from baseline main, by run 1",
    ]
    assert len(project.nodeids("main")) == 5


@pytest.mark.parametrize(
    ("scope", "gone"),
    [
        (("tests/a.py",), ["tests/a.py::gone"]),
        (("tests",), ["tests/a.py::gone", "tests/b.py::gone"]),
        (("tests/a.p",), []),
    ],
)
def test_only_files_that_the_run_looked_at_are_touched(
    scope: tuple[str, ...], gone: list[str], project: CliCache
) -> None:
    run_all(project, *scope)
    assert project.goref("prune", "main").lines[:-1] == gone
    assert not set(gone) & set(project.nodeids("main"))
    assert len(project.nodeids("main")) == 5 - len(gone)


def test_nothing_to_prune(project: CliCache) -> None:
    project.run(passed(record("tests/a.py::gone")))
    assert project.goref("prune", "other").lines == ["goref: nothing to prune in baseline other, by run 1"]


def test_a_baseline_of_which_nothing_is_left_ends(project: CliCache) -> None:
    run_all(project)
    assert project.goref("prune", "other").lines[-1] == "goref: pruned 1 test from baseline other, by run 1"
    assert project.baselines.names() == ["main"]


@pytest.mark.parametrize(
    ("ran", "exit_status", "message"),
    [
        (
            "partial",
            0,
            "nothing is pruned: run 2 was partial (narrowed by options, or stopped early): run all tests",
        ),
        (
            "complete",
            1,
            "nothing is pruned: run 2 did not succeed (exit status 1): repair what failed, then run all",
        ),
        (
            "complete",
            2,
            "nothing is pruned: run 2 did not succeed (exit status 2): repair what failed, then run all",
        ),
    ],
)
def test_a_run_that_cannot_tell_prunes_nothing(
    ran: str, exit_status: int, message: str, project: CliCache
) -> None:
    run_all(project)  # an earlier run that could tell is not the last one
    project.run(passed(record("x.py::t")), complete=ran == "complete", exit_status=exit_status)
    refusal = project.goref("prune", "main").refusal
    assert refusal.startswith(message)
    assert refusal.endswith(" tests with pytest --goref, then prune again")
    assert len(project.nodeids("main")) == 5


def test_without_a_run_nothing_is_pruned(project: CliCache) -> None:
    assert "no run is stored yet" in project.goref("prune", "main").refusal


@pytest.mark.parametrize("name", ["nope", "last", "run:1"])
def test_only_a_baseline_can_be_pruned(name: str, project: CliCache) -> None:
    run_all(project)
    assert "baseline" in project.goref("prune", name).refusal


def test_hostile_ids_are_named_escaped_and_removed(project: CliCache) -> None:
    project.save("main", record("tests/ü.py::t[\x1b[31m\n\udc80]"))
    run_all(project)
    said = project.goref("prune", "main")
    assert "tests/ü.py::t[\\x1b[31m\\n\\udc80]" in said.lines
    assert "tests/ü.py" not in {nodeid.partition("::")[0] for nodeid in project.nodeids("main")}
