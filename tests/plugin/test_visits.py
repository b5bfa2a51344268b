from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, TestKey
from pytest_goref.plugin import visits as visits_module
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.settings import read_settings
from pytest_goref.plugin.visits import (
    VISIT,
    Invocation,
    VisitError,
    VisitHooks,
    Visits,
    is_seed_random,
    take_visit_file,
)
from pytest_goref.store.codec import record_from_plain, record_to_plain
from pytest_goref.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pytest_goref.profile import ProfileKind

LIMIT_NS = 60_000_000_000

SETS = """
import pytest
import pytest_goref as goref

NAMES = {f"name {number}" for number in range(40)}

@pytest.mark.profile
def test_sets():
    for name in NAMES:
        with goref.ref("look"):
            pass
        if name == "name 7":
            break
"""

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
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
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
        "whether numbers differ by hash seed is not known: executed in a fresh process, "
        "pytest ended with status 1"
    ) in output


def test_a_visit_writes_nothing_of_its_own(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    project.makepyfile(BY_SEED % {"1": 8, "2": 8, "random": 9})
    run(project, monkeypatch, "2", "--goref-save=main")
    history = project.path / ".goref_cache" / "history.db"
    history.unlink()
    (project.path / "report.xml").unlink()
    invocation = invocation_of(project)
    record = invocation.visit(TestKey("test_a_visit_writes_nothing_of_its_own.py", "test_looks"), 1, LIMIT_NS)
    assert record.measurements[REFS] == {"look": (8,)}
    assert not history.exists()
    assert not (project.path / "report.xml").exists()


def invocation_of(project: pytest.Pytester, *options: str) -> Invocation:
    config = project.parseconfig("--goref-passes=counts", *options)
    return Invocation.of(config, read_settings(config))


def test_a_visit_has_the_seed_that_it_is_given(project: pytest.Pytester) -> None:
    project.makepyfile(test_sets=SETS)
    invocation, key = invocation_of(project), TestKey("test_sets.py", "test_sets")
    looks = [invocation.visit(key, seed, LIMIT_NS).measurements[REFS]["look"] for seed in (1, 2)]
    assert looks == [(13,), (8,)]


def test_a_visit_is_found_and_executed_as_in_its_session(project: pytest.Pytester) -> None:
    project.mkdir("inner")
    project.makeconftest("def pytest_addoption(parser): parser.addini('mood', '')")
    project.path.joinpath("helping.py").write_text(
        "import pytest\n@pytest.fixture\ndef help(): return 1\n", encoding="utf-8"
    )
    project.syspathinsert()
    project.path.joinpath("inner", "test_inner.py").write_text(
        "import pytest_goref as goref\n"
        "def test_inner(help, pytestconfig, monkeypatch):\n"
        "    assert pytestconfig.getini('mood') == 'good'\n"
        "    goref.ref('look').deref()\n",
        encoding="utf-8",
    )
    invocation = invocation_of(project, "-p", "helping", "-o", "mood=good", "--goref-all")
    invocation = replace(invocation, environment={**invocation.environment, "PYTHONPATH": str(project.path)})
    record = invocation.visit(TestKey("inner/test_inner.py", "test_inner"), 1, LIMIT_NS)
    assert record.measurements[REFS] == {"look": (1,)}


def test_what_a_visited_test_starts_is_no_visit(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_outer="""
        import os, pytest
        import pytest_goref as goref
        @pytest.mark.profile
        def test_outer():
            assert "GOREF_VISIT" not in os.environ
            goref.ref("look").deref()
        """
    )
    record = invocation_of(project).visit(TestKey("test_outer.py", "test_outer"), 1, LIMIT_NS)
    assert record.measurements[REFS] == {"look": (1,)}


def test_a_visit_that_takes_too_long_is_ended(project: pytest.Pytester) -> None:
    project.makepyfile(test_sets=SETS)
    with pytest.raises(VisitError, match=r"^it took more than 0 s$"):
        invocation_of(project).visit(TestKey("test_sets.py", "test_sets"), 1, 1)


def test_a_visit_that_cannot_start_is_told(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    invocation = invocation_of(project)
    monkeypatch.setattr(sys, "executable", str(project.path / "no-python"))
    with pytest.raises(VisitError, match=r"^it could not be started"):
        invocation.visit(TestKey("test_sets.py", "test_sets"), 1, LIMIT_NS)


def test_a_visit_of_a_test_that_is_gone_is_told(project: pytest.Pytester) -> None:
    with pytest.raises(VisitError, match=r"^pytest ended with status 4$"):
        invocation_of(project).visit(TestKey("test_gone.py", "test_gone"), 1, LIMIT_NS)


def test_a_session_hands_back_the_record_of_its_test(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    hooks = VisitHooks(file)
    report = pytest.TestReport("n", ("f", 1, "t"), {}, "passed", None, "call")
    hooks.pytest_runtest_logreport(report)
    setattr(report, REPORT_ATTRIBUTE, '{"key": ["p", "n"]}')
    hooks.pytest_runtest_logreport(report)
    assert not file.exists()
    setattr(report, REPORT_ATTRIBUTE, json.dumps({"record": record_to_plain(measured(3))}))
    hooks.pytest_runtest_logreport(report)
    assert record_from_plain(json.loads(file.read_bytes())) == measured(3)


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
    monkeypatch: pytest.MonkeyPatch, looks: int, visited: dict[int, Record | VisitError], *, times: int = 1
) -> tuple[list[tuple[int, int]], Record, Verdict]:
    """Check the regression from 8 to ``looks``; return seed and limit of each visit, record and verdict."""
    asked: list[tuple[int, int]] = []

    def visit(_self: Invocation, _key: TestKey, seed: int, limit_ns: int) -> Record:
        asked.append((seed, limit_ns))
        found = visited[seed]
        if isinstance(found, VisitError):
            raise found
        return found

    monkeypatch.setattr(Invocation, "visit", visit)
    reference, rules = Accepted(8), Rules.default()
    record = measured(looks)
    verdict = judge(record, reference.get(KEY), rules)
    visits = Visits(Invocation((), Path(), Path(), {}))
    checked = [visits.checked(record, verdict, reference, rules, 2_000_000_000) for _ in range(times)]
    return asked, *checked[-1]


def test_a_regression_is_visited_with_two_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, record, verdict = check(monkeypatch, 20, {1: measured(13), 2: measured(8)})
    assert asked == [(1, 40_000_000_000), (2, 40_000_000_000)]
    assert record == measured(20)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_what_is_no_regression_is_not_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, _, verdict = check(monkeypatch, 8, {})
    assert (asked, verdict.outcome) == ([], Outcome.SAME)


def test_a_failing_visit_leaves_the_regression_and_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, record, verdict = check(monkeypatch, 20, {1: VisitError("it took more than 30 s")})
    assert len(asked) == 1
    assert verdict.outcome is Outcome.REGRESSED
    (problem,) = record.problems
    assert problem.text.endswith("is not known: executed in a fresh process, it took more than 30 s")


def test_a_visit_of_another_kind_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    visited: dict[int, Record | VisitError] = {1: measured(8), 2: measured(8, Mode.COLD)}
    assert check(monkeypatch, 20, visited)[2].outcome is Outcome.REGRESSED


def test_visits_end_when_they_have_taken_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits_module, "_MOST_NS", 1)
    asked, _, verdict = check(monkeypatch, 20, {1: measured(20), 2: measured(20)}, times=3)
    assert len(asked) == 2
    assert verdict.outcome is Outcome.REGRESSED


def test_the_file_of_a_visit_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIT, "record.json")
    assert take_visit_file() == Path("record.json")
    assert VISIT not in os.environ
    assert take_visit_file() is None


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
    code = "from pytest_goref.plugin.visits import is_seed_random; print(is_seed_random())"
    done = subprocess.run(
        [sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(expected)


def test_this_process_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert not is_seed_random()
