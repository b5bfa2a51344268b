"""Tests with subtests are executed once and say so; each subtest is reported once, as ever."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_HEAD: Final = """
import pathlib
import unittest
import pytest
import pytest_goref as goref

def note(text):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as log:
        print(text, file=log)
"""
_UNITTEST: Final = """
class TestIt(unittest.TestCase):
    def test_passing(self):
        for number in range(3):
            with self.subTest(number=number):
                goref.ref("key").deref()
                note("passing")

    def test_one_fails(self):
        for number in range(3):
            with self.subTest(number=number):
                note("one fails")
                self.assertNotEqual(number, 1)
"""
_FIXTURE: Final = """
def test_passing(subtests):
    for number in range(3):
        with subtests.test(number=number):
            goref.ref("key").deref()
            note("passing")

def test_one_fails(subtests):
    for number in range(3):
        with subtests.test(number=number):
            note("one fails")
            assert number != 1

def test_one_skips(subtests):
    for number in range(3):
        with subtests.test(number=number):
            note("one skips")
            if number == 1:
                pytest.skip("not this")

@pytest.mark.xfail(strict=True)
def test_xfails(subtests):
    with subtests.test():
        note("xfails")
        assert 0
"""
_OF_PYTEST_9: Final = pytest.mark.skipif(
    pytest.version_tuple < (9,), reason="the fixture subtests is new in pytest 9"
)


@pytest.mark.parametrize(
    "code", [_UNITTEST, pytest.param(_FIXTURE, marks=_OF_PYTEST_9)], ids=["unittest", "fixture"]
)
def test_subtests_are_executed_and_reported_once(project: Project, code: str) -> None:
    project.write({"test_it.py": _HEAD + code})
    plain, noted = project.run().parseoutcomes(), project.log()

    result = project.run("--goref", "--goref-all", COUNTS)

    assert result.parseoutcomes() == plain
    if pytest.version_tuple >= (9,):  # before, pytest runs the subtests of unittest without reporting them
        assert project.log() == noted
    results = {key.name.rpartition("::")[2]: ended for key, ended in project.last_results().items()}
    record = results["test_passing"].record
    assert record is not None
    assert {metric.name: by for metric, by in record.measurements.items()}["refs"] == {"key": (3,)}
    assert "measured" in closing_line(result)
