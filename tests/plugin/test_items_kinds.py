"""Items of every other kind, marked and collected in every way: they end as ever, and are measured right."""

from __future__ import annotations

import re
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_YAML: Final = """
import pytest

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".yaml":
        return YamlFile.from_parent(parent, path=file_path)

class YamlFile(pytest.File):
    def collect(self):
        for name in self.path.read_text().split():
            yield YamlItem.from_parent(self, name=name)

class YamlItem(pytest.Item):
    def runtest(self):
        assert self.name != "bad"
"""
_NOT_PYTHON: Final = '"""Adds.\n\n>>> 1 + 1\n2\n"""\n\ndef test_it(): pass\n'


@pytest.mark.parametrize("args", [("--doctest-modules",), ("-p", "no:doctest")], ids=" ".join)
def test_items_of_others_are_ignored_without_noise(project: Project, args: tuple[str, ...]) -> None:
    project.write({"conftest.py": _YAML, "test_it.py": _NOT_PYTHON, "test_a.yaml": "good bad"})
    plain = project.run(*args)

    # What fails is not shown: of items of others, pytest shows the frames of all hooks.
    result = project.run("--goref", "--goref-all", COUNTS, "--tb=no", *args)

    assert result.parseoutcomes() == plain.parseoutcomes()
    about_us = [
        line for line in result.outlines if "goref" in line and not line.startswith(("rootdir", "plug"))
    ]
    assert about_us == ["goref: 1 measured"]


_UNITTEST: Final = """
import pathlib
import unittest
import pytest
import pytest_goref as goref

def note(text):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as log:
        print(text, file=log)

class TestIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note("class up")
        cls.addClassCleanup(note, "class cleaned")

    def setUp(self):
        self.assertFalse(hasattr(self, "fresh"))
        self.fresh = True
        note("up")
        self.addCleanup(note, "cleaned")

    def tearDown(self):
        note("down")

    def test_passes(self):
        goref.ref("key").deref()

    def test_skips(self):
        self.skipTest("not here")

    def test_fails(self):
        self.fail("on purpose")

    @unittest.expectedFailure
    def test_expected_failure(self):
        self.fail("known")

    @unittest.expectedFailure
    def test_unexpected_success(self):
        pass
"""


def test_unittest_classes_live_as_ever(project: Project) -> None:
    project.write({"test_it.py": _UNITTEST})
    plain, lived = project.run().parseoutcomes(), project.log()

    result = project.run("--goref", "--goref-all", COUNTS)

    assert result.parseoutcomes() == plain
    measured = project.log()
    assert measured[0] == "class up"
    assert measured[-1] == "class cleaned"
    assert measured.count("class up") == 1
    repeated = 9  # the test that passes
    for name in ("up", "down", "cleaned"):
        assert measured.count(name) == lived.count(name) + repeated
    (record,) = (
        ended.record for key, ended in project.last_results().items() if key.name == "TestIt::test_passes"
    )
    assert record is not None
    assert {m.name: by for m, by in record.measurements.items()}["refs"] == {"key": (1,)}


_MARKED: Final = """
import itertools
import pytest
import pytest_goref as goref

NUMBERS = itertools.count()

def pytest_generate_tests(metafunc):
    if "generated" in metafunc.fixturenames:
        metafunc.parametrize("generated", [1, 2], ids=["same", "same"])

@pytest.fixture
def fresh(request):
    return [request.param]

@pytest.fixture
def marks_too_late(request):
    request.node.add_marker(pytest.mark.profile)

@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.profile, id="marked")])
def test_param(number):
    goref.ref("param").deref()

@pytest.mark.profile
@pytest.mark.parametrize("fresh", [1, 2], indirect=True)
@pytest.mark.parametrize("letter", ["a"])
class TestClass:
    def test_indirect(self, fresh, letter):
        fresh.append(letter)
        assert len(fresh) == 2

@pytest.mark.profile
def test_generated(generated):
    for _ in range(generated):
        goref.ref("generated").deref()

def test_marked_by_hook():
    goref.ref("hook").deref()

def test_marked_too_late(marks_too_late):
    goref.ref("late").deref()
"""
_MARKING: Final = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_marked_by_hook":
            item.add_marker(pytest.mark.profile)
"""


def test_marks_count_when_they_are_there_before_the_test_begins(project: Project) -> None:
    project.write({"test_it.py": _MARKED, "conftest.py": _MARKING})

    result = project.run("--goref", COUNTS)

    result.assert_outcomes(passed=8)
    counted = {}
    for key, ended in project.last_results().items():
        if ended.record:
            (by,) = (by for metric, by in ended.record.measurements.items() if metric.name == "refs")
            counted[key.name] = by
    assert counted == {
        "test_param[marked]": {"param": (1,)},
        "TestClass::test_indirect[a-1]": {},
        "TestClass::test_indirect[a-2]": {},
        "test_generated[same0]": {"generated": (1,)},
        "test_generated[same1]": {"generated": (2,)},
        "test_marked_by_hook": {"hook": (1,)},
    }


_HOOKED: Final = """
import pytest

class Own(pytest.Function):
    def runtest(self):
        self.obj()

def pytest_pycollect_makeitem(collector, name, obj):
    if name.startswith("own_"):
        return Own.from_parent(collector, name=name)

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if pyfuncitem.name == "test_called_by_hook":
        pyfuncitem.obj(number=2)
        return True
"""
_CALLED: Final = """
import pytest_goref as goref

def own_item():
    goref.ref("own").deref()

def own_failing():
    assert 0

def test_called_by_hook(number=1):
    for _ in range(number):
        goref.ref("hook").deref()
"""


def test_functions_that_others_call_are_measured_where_that_can_be(project: Project) -> None:
    project.write({"test_it.py": _CALLED, "conftest.py": _HOOKED})
    plain = project.run().parseoutcomes()

    result = project.run("--goref", "--goref-all", COUNTS)

    assert result.parseoutcomes() == plain == {"passed": 2, "failed": 1}
    assert "INTERNALERROR" not in result.stdout.str()
    records = {key.name: ended.record for key, ended in project.last_results().items() if ended.record}
    assert set(records) == {"own_item", "test_called_by_hook"}


@pytest.mark.parametrize(
    "args", [("test_it.py", "test_it.py", "--keep-duplicates"), ("test_it.py::test_it",) * 2]
)
def test_a_test_collected_twice_has_one_entry(project: Project, args: tuple[str, ...]) -> None:
    project.write({"test_it.py": "import pytest_goref\n\ndef test_it(): pytest_goref.ref('key').deref()\n"})
    plain = project.run(*args).parseoutcomes()

    saved = project.run("--goref-save=main", "--goref-all", COUNTS, *args)
    compared = project.run("--goref-compare=main", "--goref-all", "--goref-strict", COUNTS, *args)

    assert saved.parseoutcomes() == compared.parseoutcomes() == plain
    assert re.search(r"saved to main: 1 entry written", closing_line(saved))
    assert "0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed" in closing_line(compared)


def test_ids_that_differ_between_runs_are_told_as_new_and_missing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        {
            "test_it.py": """
import os
import pytest

@pytest.mark.profile
@pytest.mark.parametrize("moment", [os.environ["MOMENT"]])
def test_it(moment):
    pass
"""
        }
    )
    monkeypatch.setenv("MOMENT", "first")
    project.run("--goref-save=main", COUNTS)
    monkeypatch.setenv("MOMENT", "second")

    result = project.run("--goref-compare=main", COUNTS)

    assert closing_line(result).startswith("goref: 0 compared, 1 new, 1 missing")
    result.stdout.fnmatch_lines(["*test_it?first?*"])
