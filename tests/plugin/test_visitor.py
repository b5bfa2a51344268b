from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from plugin_project import ALONE, IN_PROCESS

from pytest_goref.errors import InvalidValueError
from pytest_goref.model import TestKey
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.visitor import Visitor, take_visit
from pytest_goref.plugin.visits import JOURNAL, VISIT, VisitRequest

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import pytest

@pytest.mark.profile
def test_one(): pass

@pytest.mark.profile
def test_two(): pass

def test_three(): pass
"""
ORDERING = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.name)
    del items[:1]
"""


@pytest.fixture(autouse=True)
def _alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest from looking for other plugins."""
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)


def requested(path: Path, *names: str) -> Path:
    """Write a request for tests of ``test_it.py``; return its file."""
    keys = tuple(TestKey("test_it.py", name) for name in names)
    file = path / "request.json"
    file.write_text(VisitRequest(keys, ("counts",), "1").to_text(), encoding="utf-8")
    return file


def journal(path: Path) -> list[list[Any]]:
    lines = (path / JOURNAL).read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines]


def run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, path: Path, names: list[str], *options: str
) -> tuple[pytest.RunResult, list[list[Any]]]:
    monkeypatch.setenv(VISIT, str(requested(path, *names)))
    result = pytester.runpytest_inprocess(IN_PROCESS, "--goref", *options)
    return result, journal(path)


def test_what_is_asked_for_is_executed_in_that_order(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytester.makeconftest(ORDERING)
    pytester.makepyfile(test_it=TESTS, test_else=TESTS)
    names = ["test_two", "test_one", "test_gone"]
    result, events = run(pytester, monkeypatch, tmp_path, names, "test_else.py")
    result.assert_outcomes(passed=2, deselected=1)
    assert VISIT not in os.environ
    told = [event if event[0] not in ("record", "done") else event[:1] for event in events]
    assert told == [
        ["missing", [["test_it.py", "test_gone"]]],
        *(["begin", "test_it.py", "test_two"], ["record"], ["end", "test_it.py", "test_two"]),
        *(["begin", "test_it.py", "test_one"], ["record"], ["end", "test_it.py", "test_one"]),
        ["done"],
    ]
    assert events[-1][1] == 0
    assert str(pytester.path / "test_it.py") in events[-1][2]
    assert not (pytester.path / ".goref_cache").exists()
    assert "goref:" not in result.stdout.str()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def", "SyntaxError: invalid syntax"),
        ("import pytest\npytest.skip('not here', allow_module_level=True)", "Skipped: not here"),
        ("raise TypeError('one\\ntwo')", "TypeError: one"),
    ],
)
def test_what_cannot_be_read_is_noted(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, told: str
) -> None:
    pytester.makepyfile(test_it=content)
    _, events = run(pytester, monkeypatch, tmp_path, ["test_one"], "--continue-on-collection-errors")
    assert events[0] == ["unread", f"test_it.py: {told}"]
    assert events[1:2] == [["missing", []]]


@pytest.mark.parametrize(("text", "told"), [("", "it cannot be read"), ("one\n\ntwo\n", "two")])
def test_an_error_of_another_form_is_noted(tmp_path: Path, text: str, told: str) -> None:
    visitor = Visitor(VisitRequest((), (), "1"), tmp_path / JOURNAL)
    visitor.pytest_collectreport(pytest.CollectReport("a.py", "failed", text, []))
    visitor.pytest_collectreport(pytest.CollectReport("b.py", "passed", None, []))
    assert journal(tmp_path) == [["unread", f"a.py: {told}"]]


def test_reports_without_a_record_are_not_noted(tmp_path: Path) -> None:
    visitor = Visitor(VisitRequest((), (), "1"), tmp_path / JOURNAL)
    report = pytest.TestReport("n", ("f", 1, "t"), {}, "passed", None, "call")
    visitor.pytest_runtest_logreport(report)
    setattr(report, REPORT_ATTRIBUTE, '{"key": ["p", "n"]}')
    visitor.pytest_runtest_logreport(report)
    assert not (tmp_path / JOURNAL).exists()
    setattr(report, REPORT_ATTRIBUTE, '{"record": {"a": 1}, "profiles": [{"b": 2}]}')
    visitor.pytest_runtest_logreport(report)
    assert journal(tmp_path) == [["record", {"a": 1}, [{"b": 2}]]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_of_the_process_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor(VisitRequest((), (), "1"), tmp_path / JOURNAL)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    visitor.pytest_runtest_logstart("a.py::b")
    assert not (tmp_path / JOURNAL).exists()


def test_a_visit_does_not_outlive_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor(VisitRequest((), (), "1"), tmp_path / JOURNAL)
    visitor.pytest_runtest_logstart("a.py::b")
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(pytest.exit.Exception, match="the session that has started this visit has ended"):
        visitor.pytest_runtest_logstart("a.py::c")
    assert journal(tmp_path) == [["begin", "a.py", "b"]]


def test_a_request_is_taken_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VISIT, str(requested(tmp_path, "test_one")))
    visitor = take_visit()
    assert visitor is not None
    assert visitor.request == VisitRequest((TestKey("test_it.py", "test_one"),), ("counts",), "1")
    assert VISIT not in os.environ
    assert take_visit() is None


@pytest.mark.parametrize("content", [None, "x"])
def test_a_wrong_request_is_a_usage_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "wrong").write_text(content, encoding="utf-8")
    monkeypatch.setenv(VISIT, str(tmp_path / "wrong"))
    with pytest.raises(InvalidValueError, match=r"^environment variable GOREF_VISIT: .*; unset it$"):
        take_visit()
    monkeypatch.setenv(VISIT, str(tmp_path / "wrong"))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess(IN_PROCESS, "--goref")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: goref: environment variable GOREF_VISIT: *"])
