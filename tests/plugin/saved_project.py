"""A project with a baseline, and what pytest says when it cannot be used.

Test modules that need the fixtures name this module in ``pytest_plugins``.

PYTEST_DONT_REWRITE: they import it as well, before pytest does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project

from pytest_goref.store.files import safe_file_name

if TYPE_CHECKING:
    from pathlib import Path


TESTS: Final = """
import pytest
import pytest_goref

@pytest.mark.profile
def test_one():
    pytest_goref.ref("one").deref()

@pytest.mark.profile
def test_two():
    pytest_goref.ref("two").deref()
"""


ENTRY: Final = {"mode": "warm", "python": "cpython-3.12", "measurements": {}}
"""What the file of a baseline holds of a test, at the least."""


NEWER: Final = "written by a newer pytest-goref ("


@pytest.fixture
def saved(project: Project) -> Project:
    """A project with two tests and the baseline ``main``."""
    project.write({"test_it.py": TESTS})
    project.run("--goref-save=main", COUNTS).assert_outcomes(passed=2)
    return project


@pytest.fixture
def known(project: Project) -> Project:
    """A project with two tests and the baseline ``main``, in which nothing has run yet."""
    directory = cache_of(project) / "baselines" / "main"
    directory.mkdir(parents=True)
    tests = {
        name: {**ENTRY, "measurements": {"refs": {name.removeprefix("test_"): 1}}}
        for name in ("test_one", "test_two")
    }
    plain = {"format": 1, "path": "test_it.py", "tests": tests}
    (directory / safe_file_name("test_it.py", ".json")).write_text(json.dumps(plain), encoding="utf-8")
    project.write({"test_it.py": TESTS})
    return project


def cache_of(project: Project) -> Path:
    return project.path / ".goref_cache"


def baseline_file(project: Project) -> Path:
    """Return the one file of the baseline ``main``."""
    (file,) = (cache_of(project) / "baselines" / "main").iterdir()
    return file


def refusal(result: pytest.RunResult) -> str:
    """Return the one line with which pytest refused to start."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    (line,) = (line for line in result.errlines if line)
    assert line.startswith("ERROR: goref: ")
    return line.removeprefix("ERROR: goref: ")


def note(result: pytest.RunResult, text: str) -> str:
    """Return the one line of the output that holds ``text``."""
    (line,) = (line for line in result.outlines if text in line)
    return line
