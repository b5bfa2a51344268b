"""Fixtures that fail, at once or in a later execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from measured_fixtures import MEASURED, modes

from pytest_goref.model import Mode

if TYPE_CHECKING:
    from plugin_project import Project

pytest_plugins = ("plugin_project",)


_FAILING: Final = """
import pytest

RUNS = []

@pytest.fixture
def failing():
    RUNS.append(1)
    if WHEN == "set-up" and len(RUNS) > FIRST:
        HOW
    yield
    if WHEN == "tear-down" and len(RUNS) > FIRST:
        HOW

def test_it(failing):
    pass
"""


@pytest.mark.parametrize("when", ["set-up", "tear-down"])
@pytest.mark.parametrize("how", ["raise OSError('no')", "pytest.skip('no')", "pytest.xfail('no')"])
def test_a_fixture_that_fails_ends_the_test_as_ever(project: Project, when: str, how: str) -> None:
    text = _FAILING.replace("WHEN", repr(when)).replace("HOW", how).replace("FIRST", "0")
    project.write({"test_it.py": text})
    plain, measured = project.run("-ra"), project.run("-ra", *MEASURED)
    assert measured.parseoutcomes() == plain.parseoutcomes()
    assert measured.ret == plain.ret
    assert "not repeatable" not in measured.stdout.str()


@pytest.mark.parametrize("when", ["set-up", "tear-down"])
@pytest.mark.parametrize("how", ["raise OSError('no')", "pytest.skip('no')"])
def test_a_fixture_that_fails_later_is_told_and_changes_nothing(
    project: Project, when: str, how: str
) -> None:
    text = _FAILING.replace("WHEN", repr(when)).replace("HOW", how).replace("FIRST", "1")
    project.write({"test_it.py": text})
    measured = project.run(*MEASURED)
    measured.assert_outcomes(passed=1)
    assert measured.ret == 0
    assert modes(project) == {"test_it": Mode.COLD}
    (told,) = (line for line in measured.outlines if "it passed once and failed when repeated" in line)
    assert "no" in told
    assert "test_it.py::test_it" in told


def test_a_second_insert_of_the_same_row_is_told(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import sqlite3
import pytest, pytest_goref

@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    connection.execute("create table users (name text primary key)")
    yield connection
    number = connection.execute("select count(*) from users").fetchone()
    connection.close()
    assert number == (1,)

def test_it(database):
    pytest_goref.ref("db.insert").deref()
    database.execute("insert into users values ('ann')")
"""
        }
    )
    measured = project.run(*MEASURED)
    measured.assert_outcomes(passed=1)
    assert modes(project) == {"test_it": Mode.COLD}
    measured.stdout.fnmatch_lines(["*test_it: it passed once and failed when repeated (*UNIQUE*)"])
