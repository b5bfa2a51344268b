"""Threads and asyncio tasks that a test leaves behind: told, and failed where that is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project

from pytest_goref.metrics import LEAKED_REFS, LEAKED_TASKS, LEAKED_THREADS
from pytest_goref.model import Record, TestKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.model import Metric

pytest_plugins = ("plugin_project",)

SEES_TASKS = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")

_POOL: Final = """
import asyncio
import threading

over = threading.Event()

class Pool:
    def run(self):
        over.wait()

    def start(self):
        threading.Thread(target=self.run, daemon=True).start()

async def poll():
    await asyncio.Event().wait()
"""
_CONFTEST: Final = """
import pytest
from app import pool

@pytest.fixture(scope="session", autouse=True)
def end_of_threads():
    yield
    pool.over.set()
"""
_THREAD: Final = """
import pytest
from app import pool

LEAKS = True

@pytest.mark.profile
def test_it():
    if LEAKS:
        pool.Pool().start()
"""
_SUBJECT: Final = "Thread (run) in app/pool.py:Pool.run"


@pytest.fixture
def application(project: Project) -> Project:
    """A project with an application that begins threads; they end with the session."""
    project.write({"app/__init__.py": "", "app/pool.py": _POOL, "conftest.py": _CONFTEST})
    return project


def _left(project: Project, name: str, path: str = "test_it.py") -> Mapping[Metric, object]:
    record: Record | None = project.last_results()[TestKey(path, name)].record
    assert record is not None
    leaks = (LEAKED_REFS, LEAKED_THREADS, LEAKED_TASKS)
    return {metric: record.measurements[metric] for metric in leaks if metric in record.measurements}


def test_a_thread_left_behind_warns(application: Project) -> None:
    application.write({"test_it.py": _THREAD})
    result = application.run("--goref", COUNTS)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*leaked_threads *Thread (run) in *Pool.run* 1 *left behind by the test*"])
    assert _left(application, "test_it") == {LEAKED_REFS: {}, LEAKED_THREADS: {_SUBJECT: (1,)}}


def test_it_fails_where_leaks_are_to_fail(application: Project) -> None:
    application.write({"test_it.py": _THREAD.replace("profile", 'profile(leaks="fail")')})
    result = application.run("--goref", COUNTS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{_SUBJECT} 1 leaked_threads, left behind by the test*"])


def test_it_is_not_told_where_leaks_are_off(application: Project) -> None:
    application.write({"test_it.py": _THREAD.replace("profile", 'profile(leaks="off")')})
    result = application.run("--goref", COUNTS)
    result.assert_outcomes(passed=1)
    assert "leaked" not in result.stdout.str()


@pytest.mark.parametrize(("leaks", "passed"), [("warn", 1), ("fail", 0)])
def test_a_thread_more_than_the_baseline_has(application: Project, leaks: str, passed: int) -> None:
    thread = _THREAD.replace("profile", f'profile(leaks="{leaks}")')
    application.write({"test_it.py": thread.replace("LEAKS = True", "LEAKS = False")})
    assert application.run("--goref-save=main", COUNTS).ret == 0
    assert _left(application, "test_it")[LEAKED_THREADS] == {}
    application.write({"test_it.py": thread})
    result = application.run("--goref-compare=main", COUNTS)
    result.assert_outcomes(passed=passed, failed=1 - passed)
    result.stdout.fnmatch_lines(["*leaked_threads *Thread (run) in *Pool.run* 0 -> 1 *"])
    assert application.run("--goref-save=main", COUNTS).ret == 1 - passed
    accepted = application.run("--goref-compare=main", COUNTS)
    assert accepted.ret == 0 or leaks == "fail"


def test_the_first_execution_alone_is_enough(application: Project) -> None:
    application.write({"test_it.py": _THREAD.replace("profile", "profile(repeat=False)")})
    result = application.run("--goref", COUNTS)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*leaked_threads *Thread (run) in *Pool.run* 1 *left behind by the test*"])


def test_threads_that_belong_to_others_are_not_the_tests(application: Project) -> None:
    application.write(
        {
            "test_it.py": """
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from app import pool

@pytest.fixture(scope="module")
def wide():
    with ThreadPoolExecutor(1) as executor:
        executor.submit(int).result()
        yield executor

@pytest.fixture
def narrow():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield thread
    over.set()

@pytest.mark.profile
def test_wide(wide):
    wide.submit(int).result()

@pytest.mark.profile
def test_narrow(narrow):
    assert narrow.is_alive()

@pytest.mark.profile
def test_joined():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()

@pytest.mark.profile
def test_loop():
    asyncio.run(asyncio.to_thread(int))
"""
        }
    )
    assert application.run("--goref", COUNTS).ret == 0
    for name in ("test_wide", "test_narrow", "test_joined", "test_loop"):
        assert _left(application, name) == {LEAKED_REFS: {}, LEAKED_THREADS: {}}


_TASKS: Final = """
import asyncio
import unittest

import pytest
from app import pool

KEPT = set()

async def leave():
    KEPT.add(asyncio.create_task(pool.poll()))
    await asyncio.sleep(0)

class TestUnit(unittest.IsolatedAsyncioTestCase):
    @pytest.mark.profile
    async def test_it(self):
        await leave()

@pytest.mark.profile
@pytest.mark.{marker}
async def test_leaves():
    await leave()

@pytest.mark.profile
@pytest.mark.{marker}
async def test_sees_to_it():
    task = asyncio.create_task(pool.poll())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

@pytest.mark.profile(repeat=False)
@pytest.mark.{marker}
async def test_once():
    await leave()

@pytest.mark.profile
def test_runs_a_loop():
    asyncio.run(leave())
"""
_ASYNCIO: Final = """
[pytest]
addopts = -p pytest_asyncio.plugin
asyncio_default_fixture_loop_scope = function
"""
_ANYIO: Final = "[pytest]\naddopts = -p anyio\n"


@SEES_TASKS
@pytest.mark.parametrize(
    ("marker", "ini"), [("asyncio", _ASYNCIO), ("anyio", _ANYIO)], ids=["asyncio", "anyio"]
)
def test_tasks_left_behind_are_told(application: Project, marker: str, ini: str) -> None:
    backend = "\n@pytest.fixture(params=['asyncio'])\ndef anyio_backend(request):\n    return request.param\n"
    application.write(
        {"pytest.ini": ini, "test_it.py": _TASKS.format(marker=marker), "conftest.py": _CONFTEST + backend}
    )
    result = application.run_apart("--goref", COUNTS)
    result.assert_outcomes(passed=5)
    leaking = {"test_leaves", "test_once", "TestUnit::test_it"}
    parameter = "[asyncio]" if marker == "anyio" else ""
    names = {name if "Unit" in name else f"{name}{parameter}" for name in leaking}
    for name in names:
        assert _left(application, name)[LEAKED_TASKS] == {"app/pool.py:poll": (1,)}
    assert _left(application, f"test_sees_to_it{parameter}")[LEAKED_TASKS] == {}
    assert LEAKED_TASKS not in _left(application, "test_runs_a_loop")  # asyncio.run has cancelled it
    result.stdout.fnmatch_lines(["*leaked_tasks *app/pool.py:poll *1 *left behind by the test*"])


if sys.version_info >= (3, 12):

    def test_no_monitoring_tool_is_left_behind(application: Project) -> None:
        """Neither by a test that fails or is only looked at, nor by one that asks for tools itself."""
        application.write(
            {
                "pytest.ini": _ASYNCIO,
                "conftest.py": """
import sys
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    result = yield
    assert [sys.monitoring.get_tool(number) for number in (3, 4)] == [None, None]
    return result
""",
                "test_it.py": """
import sys
import pytest

@pytest.mark.profile
@pytest.mark.asyncio
async def test_fails():
    assert "pytest-goref tasks" in [sys.monitoring.get_tool(number) for number in (3, 4)]
    raise LookupError

@pytest.mark.profile
@pytest.mark.asyncio
@pytest.mark.flaky
async def test_looked_at():
    pass

@pytest.mark.profile
@pytest.mark.asyncio
async def test_passes():
    pass
""",
            }
        )
        result = application.run_apart("--goref", COUNTS, "-W", "ignore::pytest.PytestUnknownMarkWarning")
        result.assert_outcomes(passed=2, failed=1)
        assert "LookupError" in result.stdout.str()
