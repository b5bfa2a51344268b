from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from pytest_goref.errors import GorefError
from pytest_goref.metrics import REFS
from pytest_goref.model import Environment, Mode, Record, Round, TestKey, Visit
from pytest_goref.plugin.base import Base, Measured, Wanted
from pytest_goref.plugin.import_roots import ForeignCodeError
from pytest_goref.plugin.invocation import Invocation
from pytest_goref.plugin.visits import VisitRequest, VisitResult
from pytest_goref.store.worktree import Revision, Worktree

if TYPE_CHECKING:
    from pathlib import Path

A, B, C, D = (TestKey("test_a.py", f"test_{letter}") for letter in "abcd")


def record_of(key: TestKey) -> Record:
    visit = Visit((Round(1_000_000, 900_000, 0),))
    return Record(key, Environment("cpython-3.12", "x86_64 Linux", "abc"), Mode.WARM, {REFS: {}}, visit)


def result_of(
    *keys: TestKey,
    failure: str = "",
    culprit: TestKey | None = None,
    missing: tuple[TestKey, ...] = (),
    modules: tuple[str, ...] = (),
) -> VisitResult:
    return VisitResult(
        records={key: record_of(key) for key in keys},
        failure=failure,
        culprit=culprit,
        modules=modules,
        missing=frozenset(missing),
    )


class Started(Invocation):
    """Stands for an invocation: remembers what is asked of it, and answers as it is told."""

    requests: ClassVar[list[tuple[VisitRequest, int]]]
    answers: ClassVar[list[VisitResult]]

    def visit(self, request: VisitRequest, limit_ns: int) -> VisitResult:
        self.requests.append((request, limit_ns))
        return self.answers.pop(0)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path.resolve() / "project"
    (top / "src" / "shop").mkdir(parents=True)
    (top / "src" / "shop" / "__init__.py").touch()
    return top


@pytest.fixture
def worktree(top: Path) -> Worktree:
    worktree = Worktree(Revision("main", "1a2b3c4d5e6f" + "0" * 28, top), top / ".goref_cache/worktrees/0-1")
    (worktree.top / "src" / "shop").mkdir(parents=True)
    return worktree


@pytest.fixture
def started(top: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    monkeypatch.setattr(Started, "requests", [], raising=False)
    monkeypatch.setattr(Started, "answers", [], raising=False)
    monkeypatch.setattr(sys, "path", [str(top / "src"), str(top / "tests"), *sys.path])
    return Started((), ("-x",), ("-q",), top, top, None, {})


def test_the_base_starts_as_the_session_did_but_in_the_worktree(
    top: Path, worktree: Worktree, started: Started, tmp_path: Path
) -> None:
    (top / "back").mkdir()
    (worktree.top / "back").mkdir()
    (top / "back" / "tox.ini").write_text("[pytest]\n")
    (worktree.top / "back" / "tox.ini").write_text("[pytest]\n")
    python_path = os.pathsep.join([str(top / "src"), str(tmp_path / "other"), "", str(top / "lib")])
    session = replace(
        started,
        rootdir=top / "back",
        directory=top / "src",
        inifile=top / "back" / "tox.ini",
        environment={"PYTHONPATH": python_path, "HOME": "/"},
    )
    there = Base(worktree, session)._invocation
    assert there.rootdir == worktree.top / "back"
    assert there.directory == worktree.top / "src"
    assert there.inifile == worktree.top / "back" / "tox.ini"
    found = there.environment["PYTHONPATH"].split(os.pathsep)
    assert found == [str(worktree.top / "src"), str(tmp_path / "other")]
    assert there.environment["HOME"] == "/"
    assert there.options == ("-q", "--goref-all")
    assert there.arguments == ("-x",)


def test_what_the_revision_has_not_is_replaced(
    top: Path, worktree: Worktree, started: Started, tmp_path: Path
) -> None:
    for directory, there in (
        (top / "new", worktree.top),
        (tmp_path.parent, worktree.top),
        (top.parent, worktree.top.parent),  # what is typed there begins with the name of the project
    ):
        assert Base(worktree, replace(started, directory=directory))._invocation.directory == there
    with pytest.raises(GorefError, match=r"^git:main \(1a2b3c4d5e6f\) has no directory new/er$"):
        Base(worktree, replace(started, rootdir=top / "new" / "er"))


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "pyproject.toml"),
        ({"pyproject.toml": "[tool.pytest]\n"}, "pyproject.toml"),
        ({"pyproject.toml": "[project]\n", "setup.cfg": "[tool:pytest]\n"}, "setup.cfg"),
        ({"tox.ini": "[testenv]\n[pytest]\n"}, "tox.ini"),
        ({"pytest.ini": "", "tox.ini": "[pytest]\n"}, "pytest.ini"),
        ({".pytest.ini": ""}, ".pytest.ini"),
        ({"ci.ini": ""}, "ci.ini"),
        ({"pyproject.toml": "[project]\n"}, "pytest.ini"),
        ({}, "pytest.ini"),
    ],
)
def test_the_revision_has_its_own_settings_or_none(
    there: dict[str, str], found: str, top: Path, worktree: Worktree, started: Started
) -> None:
    for name, text in there.items():
        (worktree.top / name).write_text(text)
    base = Base(
        worktree, replace(started, inifile=top / ("ci.ini" if "ci.ini" in there else "pyproject.toml"))
    )
    assert base._invocation.inifile == worktree.top / found
    assert (worktree.top / found).is_file()


def test_settings_outside_of_the_project_are_for_both(
    worktree: Worktree, started: Started, tmp_path: Path
) -> None:
    shared = tmp_path / "shared.ini"
    shared.touch()
    assert Base(worktree, replace(started, inifile=shared))._invocation.inifile == shared


WANTED = Wanted((A, B, C, D), ("counts", "time"))


def measured(worktree: Worktree, started: Started, *answers: VisitResult) -> Measured:
    Started.answers.extend(answers)
    result = Base(worktree, started).measure(WANTED)
    assert not Started.answers
    return result


def test_one_process_measures_all_tests(
    worktree: Worktree, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    result = measured(worktree, started, result_of(A, B, missing=(C,)))
    assert set(result.records) == {A, B}
    assert result.missing == {C}
    assert set(result.obstacles) == {D}
    ((request, limit_ns),) = Started.requests
    assert request == VisitRequest((A, B, C, D), ("counts", "time"), "7")
    assert limit_ns == (600 + 4 * 60) * 1_000_000_000


def test_a_test_that_ends_its_process_is_left_out_of_the_next(worktree: Worktree, started: Started) -> None:
    died = result_of(A, failure="pytest ended with status 3", culprit=B)
    again = result_of(C, failure="it took more than 720 s", culprit=D)
    result = measured(worktree, started, died, again)
    assert set(result.records) == {A, C}
    assert result.obstacles == {B: "pytest ended with status 3", D: "it took more than 720 s"}
    assert [request.keys for request, _ in Started.requests] == [(A, B, C, D), (C, D)]


def test_a_test_that_ends_its_process_after_it_was_measured_is_measured(
    worktree: Worktree, started: Started
) -> None:
    died = result_of(A, B, failure="pytest ended with status 3", culprit=B)
    result = measured(worktree, started, died)
    assert set(result.records) == {A, B}
    assert result.obstacles == dict.fromkeys((C, D), "pytest ended with status 3")


def test_a_process_that_brings_nothing_back_is_an_error(worktree: Worktree, started: Started) -> None:
    with pytest.raises(GorefError) as caught:
        measured(worktree, started, VisitResult(failure="pytest ended with status 4"))
    assert str(caught.value) == (
        "nothing could be measured in git:main (1a2b3c4d5e6f): pytest ended with status 4"
    )


def test_tests_that_all_fail_there_are_no_error(worktree: Worktree, started: Started) -> None:
    result = measured(worktree, started, VisitResult())
    assert set(result.obstacles) == {A, B, C, D}


def test_other_code_is_an_error_at_first_and_a_failure_later(
    top: Path, worktree: Worktree, started: Started
) -> None:
    wrong = result_of(A, modules=(str(top / "src" / "shop" / "__init__.py"),))
    with pytest.raises(ForeignCodeError, match=r"src/shop/__init__\.py of the working tree"):
        measured(worktree, started, wrong)
    Started.answers.append(wrong)
    later = Base(worktree, started).visit(VisitRequest((A,), ("time",), "1"), 1)
    assert not later.records
    assert "src/shop/__init__.py of the working tree" in later.failure
