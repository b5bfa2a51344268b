"""Tests that another plugin executes in child processes, as pytest-forked does, stay in theirs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, closing_line

if TYPE_CHECKING:
    from plugin_project import Project

pytest_plugins = ("plugin_project",)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork on POSIX alone")

_FORKS: Final = """
import json
import os
import pytest
from _pytest.runner import runtestprotocol

def pytest_addoption(parser):
    parser.addoption("--forked", action="store_true", dest="forked", default=False)

def pytest_configure(config):
    config.addinivalue_line("markers", "forked: executed in a child process")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if not item.config.getoption("forked") and not item.get_closest_marker("forked"):
        return None
    config, hook = item.config, item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        reports = runtestprotocol(item, log=False)
        plain = [hook.pytest_report_to_serializable(config=config, report=report) for report in reports]
        with open(writing, "w") as told:
            json.dump(plain, told)
        os._exit(0)
    os.close(writing)
    with open(reading) as told:
        plain = json.load(told)
    os.waitpid(child, 0)
    for report in plain:
        report = hook.pytest_report_from_serializable(config=config, data=report)
        hook.pytest_runtest_logreport(report=report)
    item.session._setupstate.teardown_exact(nextitem)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
_TEST: Final = """
import os
import pytest
import pytest_goref as goref

session = os.getpid()

MARKED
def test_it():
    goref.ref("query").deref()
    assert os.getpid() != session

def test_other():
    assert (os.getpid() != session) == FORKED
"""


@pytest.mark.parametrize(("option", "why"), [("--forked", "--forked"), ("", "marked forked")])
def test_what_a_child_measures_is_judged(project: Project, option: str, why: str) -> None:
    test = _TEST.replace("FORKED", str(bool(option)))
    test = test.replace("MARKED", "" if option else "@pytest.mark.forked")
    project.write({"conftest.py": _FORKS, "test_it.py": test})
    args = ["--goref-all", COUNTS, *([option] if option else [])]

    saved = project.run_apart("--goref-save=main", *args)

    saved.assert_outcomes(passed=2)
    saved.stdout.fnmatch_lines([f"* executed once ({why})*"])
    assert project.run_apart("--goref-compare=main", *args).ret == 0
    project.replace("test_it.py", ").deref()", ").deref(); goref.ref('query').deref()")

    changed = project.run_apart("--goref-compare=main", *args)

    changed.assert_outcomes(passed=1, failed=1)
    assert "; 1 regressed" in closing_line(changed)
    changed.stdout.fnmatch_lines(["*query*1 -> 2*"])
