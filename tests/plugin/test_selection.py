"""Tests that are new, missing, not selected or not run: each is told, and no entry is lost."""

from __future__ import annotations

import json
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest

@pytest.mark.profile
def test_one():
    pass

@pytest.mark.profile
def test_two():
    pass

def test_unmarked():
    pass
"""
_COMPARED: Final = "{} compared, {} new, {} missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved"


def _save(project: Project) -> Project:
    """Save a baseline of four tests in two files."""
    project.write({"unit/test_a.py": _TESTS, "whole/test_b.py": _TESTS})
    result = project.run(COUNTS, "--goref-save=main")
    assert closing_line(result) == "goref: 4 measured, saved to main: 4 entries written, 0 unchanged"
    return project


@pytest.fixture
def saved(project: Project) -> Project:
    """A project with a baseline of four tests in two files."""
    return _save(project)


def _compare(project: Project, *args: str) -> tuple[object, str]:
    """Compare, make sure that the baseline stays as it is, and return exit status and closing line."""
    before = project.baseline()
    result = project.run(COUNTS, "--goref-compare=main", *args)
    assert project.baseline() == before
    return result.ret, closing_line(result)


@pytest.mark.parametrize(
    "args",
    [
        ("-k", "one"),
        ("unit/test_a.py::test_one", "whole/test_b.py::test_one"),
        ("--deselect=unit/test_a.py::test_two", "--deselect=whole/test_b.py::test_two"),
        ("unit",),
        ("unit/test_a.py",),
        ("--ignore=whole",),
    ],
    ids=" ".join,
)
def test_what_is_not_selected_is_not_missing(saved: Project, args: tuple[str, ...]) -> None:
    status, line = _compare(saved, *args, "--goref-strict")
    assert (status, line) == (0, f"goref: {_COMPARED.format(2, 0, 0)} (not compared: 2 not selected)")


def test_new_and_missing_tests_are_told_and_fail_a_strict_run(distributed: Project) -> None:
    saved = _save(distributed)
    saved.replace("unit/test_a.py", "def test_unmarked", "@pytest.mark.profile\ndef test_unmarked")
    line = f"goref: {_COMPARED.format(4, 1, 0)}"
    assert _compare(saved) == (0, line)
    assert _compare(saved, "--goref-strict") == (1, line)
    (saved.path / "whole" / "test_b.py").unlink()
    line = f"goref: {_COMPARED.format(2, 1, 2)}"
    assert _compare(saved) == (0, line)
    assert _compare(saved, "--goref-strict") == (1, line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@pytest.mark.profile\ndef test_two():\n    pass\n", ""),
        ("@pytest.mark.profile\ndef test_two", "def test_two"),
    ],
    ids=["deleted", "unmarked"],
)
def test_a_test_that_is_gone_is_missing(saved: Project, old: str, new: str) -> None:
    saved.replace("unit/test_a.py", old, new)
    status, line = _compare(saved)
    assert (status, line) == (0, f"goref: {_COMPARED.format(3, 0, 1)}")
    assert _compare(saved, "--goref-strict") == (1, line)


def test_a_renamed_test_is_missing_and_new(project: Project) -> None:
    project.write({"test_a.py": _TESTS})
    project.run(COUNTS, "--goref-save=main")
    project.replace("test_a.py", "test_two", "test_three")
    result = project.run(COUNTS, "--goref-compare=main")
    result.stdout.fnmatch_lines(
        ["missing:", "  test_a.py::test_two", "new:", "  test_a.py::test_three", "goref: *"], consecutive=True
    )
    assert closing_line(result) == f"goref: {_COMPARED.format(1, 1, 1)}"
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    (file,) = project.baseline().values()
    assert set(json.loads(file)["tests"]) == {"test_one", "test_two", "test_three"}


def test_the_tests_of_a_deleted_file_are_missing(saved: Project) -> None:
    (saved.path / "whole" / "test_b.py").unlink()
    assert _compare(saved) == (0, f"goref: {_COMPARED.format(2, 0, 2)}")


def test_the_tests_of_a_file_that_cannot_be_imported_are_not_missing(saved: Project) -> None:
    saved.write({"whole/test_b.py": "import nothing_of_that_name\n"})
    status, line = _compare(saved, "--continue-on-collection-errors")
    assert status == 1
    assert line == f"goref: {_COMPARED.format(2, 0, 0)} (not compared: 2 not selected)"


@pytest.mark.parametrize(
    ("body", "rest"),
    [("pytest.skip()", "1 skipped"), ("pytest.fail()", "1 failed"), ("pytest.xfail()", "1 failed")],
)
def test_a_test_that_did_not_pass_is_neither_compared_nor_missing(
    project: Project, body: str, rest: str
) -> None:
    project.write({"test_a.py": _TESTS})
    project.run(COUNTS, "--goref-save=main")
    project.replace("test_a.py", "def test_two():\n    pass", f"def test_two():\n    {body}")
    before = project.baseline()
    for args in (("--goref-compare=main",), ("--goref-compare=main", "--goref-save=main")):
        line = closing_line(project.run(COUNTS, *args))
        assert line.startswith(f"goref: {_COMPARED.format(1, 0, 0)} (not compared: {rest})")
    assert project.baseline() == before


def test_all_tests_are_measured_when_asked_for(distributed: Project) -> None:
    distributed.write({"test_a.py": _TESTS})
    assert closing_line(distributed.run(COUNTS, "--goref")) == "goref: 2 measured"
    assert closing_line(distributed.run(COUNTS, "--goref", "--goref-all")) == "goref: 3 measured"


def test_collecting_alone_writes_nothing(project: Project) -> None:
    project.write({"test_a.py": _TESTS})
    result = project.run("--goref-save=main", "--collect-only")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("goref: *")
    assert not (project.path / ".goref_cache" / "baselines").exists()
    assert not (project.path / ".goref_cache" / "history.db").exists()
