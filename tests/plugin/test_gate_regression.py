"""The gate: one more use of a tracked key fails the test, in every place that looks at outcomes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_SHOP = """
import pytest_goref as goref

QUERIES = 12

def query():
    with goref.ref("db.query"):
        pass

def load():
    for _ in range(QUERIES):
        query()
"""
_TESTS = """
import pytest, shop

@pytest.fixture(scope="module")
def table():
    yield
    with open("log.txt", "a") as log:
        log.write("module torn down\\n")

@pytest.mark.profile
def test_before():
    shop.query()

@pytest.mark.profile
def test_load(table):
    shop.load()

@pytest.mark.profile
def test_after(table):
    shop.query()
"""


def _saved(project: Project, tests: str = _TESTS) -> Project:
    """Save the baseline, then let the shop make one more query."""
    project.write({"shop.py": _SHOP, "test_shop.py": tests})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    project.log()
    project.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    return project


def test_unchanged_code_passes(distributed: Project) -> None:
    distributed.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert distributed.run(COUNTS, "--goref-save=main").ret == 0
    result = distributed.run(COUNTS, "--goref-compare=main")
    result.assert_outcomes(passed=3)
    assert closing_line(result).startswith(
        "goref: 3 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 r"
    )


def test_one_more_query_fails_the_test(distributed: Project) -> None:
    project = _saved(distributed)
    before = project.baseline()
    result = project.run(COUNTS, "--goref-compare=main", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*db.query 12 -> 13 (+1)*", "FAILED test_shop.py::test_load*"])
    assert closing_line(result).endswith("; 1 regressed, 0 improved")
    failures = ET.parse(project.path / "junit.xml").findall(".//testcase[@name='test_load']/failure")
    assert len(failures) == 1
    assert "db.query 12 -> 13 (+1)" in (failures[0].get("message") or "")
    assert project.baseline() == before
