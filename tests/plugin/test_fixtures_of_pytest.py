"""Pytest's own fixtures see one execution, and leave what they leave without measuring."""

from __future__ import annotations

from typing import Final

import pytest
from measured_fixtures import MEASURED, NOTE, ends_as_ever
from plugin_project import Project, junit

pytest_plugins = ("plugin_project",)


_PYTESTS_OWN: Final = (
    NOTE
    + """
import logging, os, random, sys, warnings

@pytest.fixture
def logs(caplog):
    logging.getLogger("shop").warning("in set-up")
    assert caplog.messages == ["in set-up"]

def test_caplog(logs, caplog):
    assert caplog.messages == []
    logging.getLogger("shop").warning("in the call")
    assert caplog.messages == ["in the call"]
    assert [record.getMessage() for record in caplog.get_records("setup")] == ["in set-up"]
    caplog.set_level(logging.CRITICAL, "shop")

def test_level_is_given_back(caplog):
    assert logging.getLogger("shop").level == logging.NOTSET

@pytest.mark.parametrize("name", ["capsys", "capfd", "capsysbinary", "capfdbinary"])
def test_captures(name, request):
    capture = request.getfixturevalue(name)
    print("printed")
    assert str(capture.readouterr().out).count("printed") == 1

def test_monkeypatch(monkeypatch):
    assert "GOREF_PATCHED" not in os.environ
    assert os.getcwd() == START and not hasattr(os, "goref") and "goref" not in sys.path
    monkeypatch.setenv("GOREF_PATCHED", "1")
    monkeypatch.setattr(os, "goref", 1, raising=False)
    monkeypatch.syspath_prepend("goref")
    monkeypatch.chdir("/")

START = os.getcwd()

def test_recwarn(recwarn):
    assert len(recwarn) == 0
    warnings.warn("one", UserWarning)
    assert len(recwarn) == 1

def test_warns():
    with pytest.warns(UserWarning, match="one"):
        warnings.warn("one", UserWarning)

def test_directories(tmp_path, tmpdir):
    assert list(tmp_path.iterdir()) == []
    assert os.path.samefile(tmp_path, tmpdir)
    (tmp_path / "file").write_text("text")

KEY = pytest.StashKey()

def test_node(request, record_property, pytestconfig, cache):
    assert KEY not in request.node.stash
    request.node.stash[KEY] = 1
    assert request.node.user_properties == []
    record_property("name", "value")
    assert request.config is pytestconfig
    assert request.node.get_closest_marker("own") is None
    request.node.add_marker("own")
    cache.set("goref/test", 1)

def test_names(doctest_namespace):
    doctest_namespace["it"] = 1
"""
)


def test_fixtures_of_pytest_see_one_execution(project: Project) -> None:
    project.write({"test_it.py": _PYTESTS_OWN})
    ends_as_ever(project, "-o", "markers=own")


_RECORDED: Final = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_it(record_property, record_testsuite_property, record_xml_attribute, number):
    record_property("of test", number)
    record_testsuite_property("of suite", number)
    record_xml_attribute("attribute", number)
"""


def test_properties_are_recorded_once(project: Project) -> None:
    project.write({"test_it.py": _RECORDED})
    args = ("--junitxml=junit.xml", "-ojunit_family=xunit1", "-Wignore")
    texts = []
    for more in ((), MEASURED):
        assert project.run(*args, *more).ret == 0
        text = (project.path / "junit.xml").read_text(encoding="utf-8")
        texts.append((text.count("of suite"), text.count("of test"), text.count("attribute=")))
    assert texts == [(2, 2, 2), (2, 2, 2)]
    assert junit(project).keys() == {"test_it[1]", "test_it[2]"}


_DIRECTORIES: Final = """
import pytest

RUNS = []

def test_it1(tmp_path):
    RUNS.append(1)
    (tmp_path / "number").write_text(str(len(RUNS)))

def test_dynamic(request):
    RUNS.append(1)
    (request.getfixturevalue("tmpdir") / "number").write_text(str(len(RUNS)), "utf-8")

def test_fails(tmp_path):
    (tmp_path / "number").write_text("failed")
    assert 0
"""


@pytest.mark.parametrize("policy", ["none", "failed", "all"])
def test_the_directory_of_the_first_execution_is_what_is_found(project: Project, policy: str) -> None:
    project.write({"test_it.py": _DIRECTORIES})
    found = []
    for args in ((), MEASURED):
        project.run(*args, "--basetemp=base", "-o", f"tmp_path_retention_policy={policy}")
        base = project.path / "base"
        entries = {path.name: path.is_symlink() and path.readlink().name for path in base.iterdir()}
        found.append((entries, [path.read_text() for path in base.glob("test_it1*/number")]))
    plain, measured = found
    assert measured == plain
    assert ("test_it10" in measured[0]) == (policy != "failed")
    if policy == "all":
        assert measured[0]["test_it1current"] == "test_it10"
        assert measured[1] == ["1", "1"]  # the link leads there as well


def test_a_directory_that_is_not_pytests_own_is_kept(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import pathlib
import pytest

@pytest.fixture
def tmp_path():
    directory = pathlib.Path("precious")
    directory.mkdir(exist_ok=True)
    return directory

def test_it(tmp_path):
    (tmp_path / "file").touch()
"""
        }
    )
    ends_as_ever(project)
    assert (project.path / "precious" / "file").exists()
