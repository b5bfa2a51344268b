"""Marked tests for runs beside other tools, and what such a run has measured.

Test modules that need the fixture name this module in ``pytest_plugins``.

PYTEST_DONT_REWRITE: they import it as well, before pytest does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from plugin_project import Project

_TESTS: Final = """
import pytest
import pytest_goref

@pytest.fixture
def connection():
    yield pytest_goref.ref

@pytest.mark.profile
def test_one(connection):
    connection("db.query").deref()

@pytest.mark.profile
class TestMore:
    def test_two(self, connection):
        connection("db.query").deref()
"""


@pytest.fixture
def marked(project: Project) -> Project:
    """A project with two marked tests that use one key once."""
    project.write({"test_it.py": _TESTS})
    return project


def write_test(project: Project, body: str, head: str = "import pytest_goref") -> None:
    """Write one marked test that does ``body``, line by line."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = f"{head}\nimport pytest"
    project.write({"test_it.py": f"{head}\n\n@pytest.mark.profile\ndef test_it(goref):\n{lines}"})


def refs(project: Project) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the refs that the last run has counted, by the names of tests."""
    return {key.name: counted(project, key.name, "refs") for key in project.last_results()}


def counted(project: Project, test: str, metric: str) -> dict[str, tuple[int, ...]]:
    """Return what the last run has measured of a metric of a test; nothing when it has not."""
    (record,) = (result.record for key, result in project.last_results().items() if key.name == test)
    assert record is not None
    found = [by_subject for measured, by_subject in record.measurements.items() if measured.name == metric]
    return dict(found[0]) if found else {}


def timed(project: Project) -> bool:
    """Return whether the last run has taken times of any test."""
    return any(result.record and result.record.visit for result in project.last_results().values())
