from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from plugin_project import ALONE

from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, TestKey
from pytest_goref.plugin import seeds as seeds_module
from pytest_goref.plugin.seeds import SeedCheck, is_seed_random
from pytest_goref.plugin.visits import VisitRequest, VisitResult
from pytest_goref.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pytest_goref.profile import ProfileKind


BY_SEED = """
import os
import pytest
import pytest_goref as goref

SEED = os.environ.get("PYTHONHASHSEED", "random")

@pytest.mark.profile
def test_looks():
    for _ in range(%s[SEED]):
        with goref.ref("look"):
            pass
"""
"""Does what a test does that iterates a set, without the luck."""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makeini("[pytest]\naddopts = -ra --junitxml=report.xml\n")
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    return pytester


def run(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, seed: str, *options: str) -> str:
    """Return what a session with that hash seed prints, in one line."""
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    options = ("-p", "no:cacheprovider", "--goref-passes=counts", "-v", *options)
    return " ".join(project.runpytest_subprocess(*options).stdout.str().split())


def test_what_differs_by_hash_seed_is_inconclusive(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile(BY_SEED % {"1": 13, "2": 8, "random": 20})
    run(project, monkeypatch, "2", "--goref-save=main")
    output = run(project, monkeypatch, "random", "--goref-compare=main")
    assert "1 passed" in output
    assert (
        "look 8 -> 20 +12 (+150 %) differs by hash seed (13 with PYTHONHASHSEED=1, 8 with 2): "
        "the test iterates a set; set PYTHONHASHSEED=0"
    ) in output
    assert "1 inconclusive; 0 regressed" in output
    assert "1 failed" in run(project, monkeypatch, "random", "--goref-compare=main", "--goref-strict")


def test_what_every_seed_shows_is_a_regression(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.makepyfile(BY_SEED % {"1": 8, "2": 8, "random": 8})
    run(project, monkeypatch, "random", "--goref-save=main")
    file.write_text(BY_SEED % {"1": 9, "2": 9, "random": 9}, encoding="utf-8")
    output = run(project, monkeypatch, "random", "--goref-compare=main")
    assert "1 failed" in output
    assert "look 8 -> 9" in output
    assert "hash seed" not in output


def test_nothing_is_visited_where_the_seed_is_fixed(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile(BY_SEED % {"2": 8, "0": 9, "1": 8})
    run(project, monkeypatch, "2", "--goref-save=main")
    output = run(project, monkeypatch, "0", "--goref-compare=main")
    assert "1 failed" in output


def test_a_visit_that_dies_changes_nothing_and_is_told(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile(BY_SEED % {"2": 8, "random": 9})
    run(project, monkeypatch, "2", "--goref-save=main")
    output = run(project, monkeypatch, "random", "--goref-compare=main")
    assert "1 failed" in output
    assert (
        "whether numbers differ by hash seed is not known: executed in a fresh process, it does not pass"
    ) in output


KEY = TestKey("test_a.py", "test_a")


def measured(looks: int, mode: Mode = Mode.WARM) -> Record:
    return Record(KEY, Environment("cpython-3.12", "words", "here"), mode, {REFS: {"look": (looks,)}})


class Accepted:
    """A reference that accepts ``looks`` uses of a key."""

    words = spelling = "main"

    def __init__(self, looks: int) -> None:
        self._entry = BaselineEntry.from_record(measured(looks))

    def get(self, key: TestKey) -> BaselineEntry | None:
        return self._entry

    def profile(self, key: TestKey, kind: ProfileKind) -> None:
        return None

    def tests(self) -> list[TestKey]:
        return [KEY]


def check(
    looks: int, visited: dict[str, VisitResult], *, times: int = 1
) -> tuple[list[tuple[VisitRequest, int]], Record, Verdict]:
    """Check the regression from 8 to ``looks``; return each visit with its limit, record and verdict."""
    asked: list[tuple[VisitRequest, int]] = []

    def visit(request: VisitRequest, limit_ns: int) -> VisitResult:
        asked.append((request, limit_ns))
        return visited[request.seed]

    reference, rules = Accepted(8), Rules.default()
    record = measured(looks)
    verdict = judge(record, reference.get(KEY), rules)
    seeds = SeedCheck(visit)
    checked = [seeds.checked(record, verdict, reference, rules, 2_000_000_000) for _ in range(times)]
    return asked, *checked[-1]


def found(record: Record) -> VisitResult:
    return VisitResult({record.key: record})


def test_a_regression_is_visited_with_two_seeds() -> None:
    asked, record, verdict = check(20, {"1": found(measured(13)), "2": found(measured(8))})
    assert asked == [
        (VisitRequest((KEY,), ("counts", "memory"), seed), 40_000_000_000) for seed in ("1", "2")
    ]
    assert record == measured(20)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_what_is_no_regression_is_not_visited() -> None:
    asked, _, verdict = check(8, {})
    assert (asked, verdict.outcome) == ([], Outcome.SAME)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (VisitResult(failure="it took more than 30 s", culprit=KEY), "it took more than 30 s"),
        (
            VisitResult(failure="pytest ended with status 4", missing=frozenset([KEY])),
            "pytest ended with status 4",
        ),
        (VisitResult(missing=frozenset([KEY])), "it is not found"),
        (VisitResult(), "it does not pass"),
    ],
)
def test_a_visit_without_a_record_leaves_the_regression_and_a_problem(result: VisitResult, why: str) -> None:
    asked, record, verdict = check(20, {"1": result})
    assert len(asked) == 1
    assert verdict.outcome is Outcome.REGRESSED
    (problem,) = record.problems
    assert problem.text == (
        f"whether numbers differ by hash seed is not known: executed in a fresh process, {why}"
    )


def test_a_visit_that_dies_later_has_told() -> None:
    died = VisitResult({KEY: measured(13)}, failure="pytest ended with signal SIGSEGV")
    assert check(20, {"1": died, "2": found(measured(8))})[2].outcome is Outcome.INCONCLUSIVE


def test_a_visit_of_another_kind_tells_nothing() -> None:
    visited = {"1": found(measured(8)), "2": found(measured(8, Mode.COLD))}
    assert check(20, visited)[2].outcome is Outcome.REGRESSED


def test_visits_end_when_they_have_taken_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds_module, "_MOST_NS", 1)
    asked, _, verdict = check(20, {"1": found(measured(20)), "2": found(measured(20))}, times=3)
    assert len(asked) == 2
    assert verdict.outcome is Outcome.REGRESSED


@pytest.mark.parametrize(
    ("seed", "options", "expected"),
    [
        (None, [], True),
        ("random", [], True),
        ("0", [], False),
        ("7", [], False),
        ("7", ["-E"], True),
        ("7", ["-I"], True),
    ],
)
def test_the_seed_is_random_unless_it_is_set(
    seed: str | None,
    options: list[str],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    if seed is not None:
        environment["PYTHONHASHSEED"] = seed
    code = "from pytest_goref.plugin.seeds import is_seed_random; print(is_seed_random())"
    done = subprocess.run(
        [sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(expected)


def test_this_process_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert not is_seed_random()
