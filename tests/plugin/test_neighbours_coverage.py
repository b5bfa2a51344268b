"""Coverage is the same with and without measuring: what is executed again does not count, nothing is lost."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_FILES: Final = {
    ".coveragerc": "[run]\nsource = .\npatch = subprocess\nparallel = true\n",
    "app.py": """
import os, subprocess, sys, threading

CACHE = {}

def lookup(key):
    if key in CACHE:
        return CACHE[key]  # never the first time
    CACHE[key] = 1
    return 1

def in_thread(key):
    thread = threading.Thread(target=lookup, args=(key,))
    thread.start()
    thread.join()

def in_child():
    subprocess.run([sys.executable, "-c", "import child; child.run()"], check=True)
""",
    "child.py": """
import os

def run():
    if os.path.exists("ran.txt"):
        return 2  # never the first time
    open("ran.txt", "w").close()
    return 1
""",
    "conftest.py": """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    before = item.name
    result = yield
    if before != item.name:
        result = None  # never
    return result

@pytest.fixture
def opened():
    opened = [1]
    yield opened
    opened.clear()
""",
    "test_it.py": """
import pytest
import app

pytestmark = pytest.mark.profile

def test_cache(opened):
    app.lookup("k")

def test_thread():
    app.in_thread("t")

def test_child():
    app.in_child()

def test_last():
    if app.CACHE:
        assert app.CACHE
    else:
        app.CACHE["k"] = 1
""",
}


@pytest.fixture
def covered(project: Project) -> Project:
    project.write(_FILES)
    return project


def run(project: Project, *args: str) -> tuple[pytest.RunResult, list[str], list[tuple[object, ...]]]:
    """Run with pytest-cov; return also the lines of its table, and what its file says of contexts."""
    for file in (*project.path.glob("ran.txt"), *project.path.glob(".coverage")):
        file.unlink()
    result = project.run_apart("-p", "pytest_cov", "--cov", "--cov-report=term-missing", *args)
    table = [line for line in result.outlines if re.match(r"(\w+\.py|TOTAL) +\d", line)]
    assert [file.name for file in project.path.glob(".coverage*") if file.name != ".coveragerc"] == [
        ".coverage"
    ]
    with closing(sqlite3.connect(project.path / ".coverage")) as database:
        data = [
            *database.execute(
                "select path, context, numbits from line_bits join file on file.id = file_id"
                " join context on context.id = context_id order by 1, 2"
            ),
            *database.execute(
                "select path, context, fromno, tono from arc join file on file.id = file_id"
                " join context on context.id = context_id order by 1, 2, 3, 4"
            ),
        ]
    return result, table, data


@pytest.mark.parametrize(
    ("core", "args"),
    [
        ("ctrace", ("--cov-branch", "--cov-context=test")),
        ("ctrace", ("-n2",)),
        ("pytrace", ("--cov-branch",)),
        ("sysmon", ("--cov-context=test",)),
    ],
)
def test_the_figure_is_the_same(
    covered: Project, core: str, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("there is no sys.monitoring")
    monkeypatch.setenv("COVERAGE_CORE", core)

    plain, table, data = run(covered, *args)
    measured, table_measured, data_measured = run(covered, "--goref", *args)

    assert measured.parseoutcomes() == plain.parseoutcomes()
    assert table_measured == table
    assert data_measured == data
    assert len(table) == 5
    assert closing_line(measured) == "goref: 4 measured"
    line = (
        "durations are not * under xdist*" if "-n2" in args else "durations are not measured: coverage is *"
    )
    measured.stdout.fnmatch_lines([line, "goref: *"])


def test_numbers_with_and_without_it_compare_where_they_can(covered: Project) -> None:
    passes = ("--goref-passes=counts,memory", "--goref-fail=calls:0", "--goref-fail=allocations:0")
    run(covered, "--goref-save=with", *passes)
    covered.run_apart("--goref-save=without", *passes)

    under, *_ = run(covered, "--goref-compare=without", *passes)
    free = covered.run_apart("--goref-compare=with", *passes)

    assert (under.ret, free.ret) == (0, 0)
    why = "allocations are not measured: coverage is active; run without it"
    under.stdout.fnmatch_lines([f"*allocations were not measured in this run: {why} (4 tests)"])
    assert closing_line(under).startswith("goref: 4 compared")
    assert closing_line(free).startswith("goref: 4 compared")


def test_fresh_processes_leave_no_data(covered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED")  # so that what regresses is executed in fresh processes
    covered.replace("test_it.py", "import app\n", "import app\nimport pytest_goref\n")
    covered.run_apart("--goref-save=main", COUNTS)
    covered.replace(
        "test_it.py", '    app.lookup("k")', '    app.lookup("k")\n    pytest_goref.ref("k").deref()'
    )

    _, table, data = run(covered, "--no-goref")
    measured, table_measured, data_measured = run(covered, "--goref-compare=main", COUNTS)

    measured.assert_outcomes(passed=3, failed=1)
    assert (table_measured, data_measured) == (table, data)


def test_a_test_that_is_left_out_is_executed_once(covered: Project) -> None:
    covered.replace("test_it.py", "def test_cache", "@pytest.mark.no_cover\ndef test_cache")

    _, table, data = run(covered)
    measured, table_measured, data_measured = run(covered, "--goref")

    assert (table_measured, data_measured) == (table, data)
    measured.stdout.fnmatch_lines(
        ["1 test executed once (no_cover: pytest-cov stops and starts around it): test_it.py::test_cache"]
    )
