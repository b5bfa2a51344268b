"""Async tests: each coroutine is awaited once per execution, on the loop that pytest would give it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

import anyio.pytest_plugin  # noqa: F401 - or each inner run would import it again
import pytest
import trio  # noqa: F401 - as anyio
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_INI: Final = """
[pytest]
addopts = -p pytest_asyncio.plugin -p anyio -p no:cacheprovider -W error
asyncio_default_fixture_loop_scope = function
asyncio_mode = {mode}
"""
_NOTE: Final = """
import asyncio
import pathlib
import pytest
import pytest_goref as goref

def note(*texts):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as log:
        print(*texts, file=log)
"""
_LOOPS: Final = (
    _NOTE
    + """
import pytest_asyncio

LOOPS = []  # alive, so that no two have one identity

def loop():
    running = asyncio.get_running_loop()
    if running not in LOOPS:
        LOOPS.append(running)
    return LOOPS.index(running)

def fixture_of(scope):
    async def fixture():
        note(scope, "up", loop())
        number, beside = loop(), asyncio.create_task(asyncio.sleep(1000))
        yield asyncio.get_running_loop().create_future()
        assert loop() == number
        beside.cancel()
        await asyncio.wait([beside])
        note(scope, "down", loop())
    return pytest_asyncio.fixture(fixture, loop_scope=scope, scope=scope, name=f"{scope}_fixture")

session, package, module, class_, function = map(
    fixture_of, ("session", "package", "module", "class", "function")
)

class TestLoops:
    @pytest.mark.asyncio(loop_scope="session")
    async def test_session(self, session_fixture):
        await asyncio.sleep(0)
        note("session test", loop())
        assert session_fixture.get_loop() is asyncio.get_running_loop()

    @pytest.mark.asyncio(loop_scope="package")
    async def test_package(self, package_fixture):
        note("package test", loop())
        assert package_fixture.get_loop() is asyncio.get_running_loop()

    @pytest.mark.asyncio(loop_scope="module")
    async def test_module(self, module_fixture):
        note("module test", loop())
        assert module_fixture.get_loop() is asyncio.get_running_loop()

    @pytest.mark.asyncio(loop_scope="class")
    async def test_class(self, class_fixture):
        note("class test", loop())
        assert class_fixture.get_loop() is asyncio.get_running_loop()

    @pytest.mark.asyncio(loop_scope="class")
    async def test_class_again(self, class_fixture, session_fixture):
        note("class test", loop())

    @pytest.mark.asyncio
    async def test_function(self, function_fixture):
        note("function test", loop())
        assert function_fixture.get_loop() is asyncio.get_running_loop()
"""
)
_EXECUTIONS: Final = 10


def outcomes(result: pytest.RunResult) -> list[str]:
    """Return how each test ended."""
    found = (re.match(r"(PASSED|FAILED|ERROR|XFAIL|XPASS|SKIPPED)\b.*", line) for line in result.outlines)
    return sorted(match[0] for match in found if match)


def refs(project: Project) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return refs and leaked refs of the last run, by the names of tests."""
    found = {}
    for key, ended in project.last_results().items():
        by_metric = (
            {metric.name: by for metric, by in ended.record.measurements.items()} if ended.record else {}
        )
        found[key.name] = {**by_metric.get("refs", {}), **by_metric.get("leaked_refs", {})}
    return found


def test_loops_wider_than_a_test_are_kept_and_others_are_fresh(project: Project) -> None:
    project.write({"pytest.ini": _INI.format(mode="strict"), "test_it.py": _LOOPS})
    assert project.run().ret == 0
    plain = project.log()

    result = project.run("--goref", "--goref-all", COUNTS)

    result.assert_outcomes(passed=6)
    assert closing_line(result) == "goref: 6 measured"
    measured = project.log()
    kept = [line for line in measured if not line.startswith("function ")]
    assert kept.count("session test 0") == _EXECUTIONS
    assert [line for line, after in pairwise([*kept, ""]) if line != after] == [
        line for line, after in pairwise([*plain, ""]) if line != after and not line.startswith("function ")
    ]
    of_function = [line for line in measured if line.startswith("function ")]
    numbers = [int(line.rpartition(" ")[2]) for line in of_function]
    assert numbers == [number for number in sorted(set(numbers)) for _ in ("up", "test", "down")]
    assert len(numbers) == 3 * _EXECUTIONS


_OUTCOMES: Final = (
    _NOTE
    + """
import unittest
from LIBRARY import sleep
MARK

async def test_passes():
    await sleep(0)
    note("passes")

async def test_fails():
    await sleep(0)
    note("fails")
    assert 0

async def test_skips():
    note("skips")
    pytest.skip("not here")

@pytest.mark.xfail(strict=True)
async def test_xfails():
    note("xfails")
    await sleep(0)
    assert 0

@pytest.mark.xfail(strict=True)
async def test_xpasses():
    note("xpasses")

class TestIt(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.loop = asyncio.get_running_loop()
        note("set up")

    async def asyncTearDown(self):
        assert asyncio.get_running_loop() is self.loop
        note("torn down")

    async def test_isolated(self):
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is self.loop
        note("isolated")

    async def test_isolated_fails(self):
        note("isolated fails")
        self.fail("on purpose")
"""
)


def written(library: str, mark: str, code: str = _OUTCOMES) -> str:
    """Return a module of async tests for ``library``, each marked; the class of unittest is on its own."""
    head, class_, rest = code.partition("class TestIt")
    head = head.replace("async def test", f"{mark}async def test").replace("LIBRARY", library)
    return head.replace("MARK", "") + (class_ + rest if library == "asyncio" else "")


@pytest.mark.parametrize(
    ("mode", "library", "mark", "passed"),
    [
        ("auto", "asyncio", "", 2),
        ("strict", "asyncio", "@pytest.mark.asyncio\n", 2),
        ("strict", "anyio", "@pytest.mark.anyio\n", 2),
        ("strict", "asyncio", "", 1),  # no plugin takes them: they fail as pytest says
    ],
    ids=["auto", "strict", "anyio", "nobody's"],
)
def test_async_tests_end_as_without_measuring(
    project: Project, mode: str, library: str, mark: str, passed: int
) -> None:
    project.write({"pytest.ini": _INI.format(mode=mode), "test_it.py": written(library, mark)})
    plain_outcomes, plain = outcomes(project.run("-rA")), project.log()
    assert sum(line.startswith("PASSED") for line in plain_outcomes) == passed

    result = project.run("-rA", "--goref", "--goref-all", COUNTS)

    assert outcomes(result) == plain_outcomes
    measured = project.log()
    assert set(measured) == set(plain)
    for name in set(plain) - {"set up", "torn down"}:
        repeated = name in {"passes", "xpasses", "isolated"}
        assert measured.count(name) == plain.count(name) * (_EXECUTIONS if repeated else 1), name
    for name in {"set up", "torn down"} & set(plain):  # of the test that passes, and of the one that fails
        assert measured.count(name) == _EXECUTIONS + 1


_CONCURRENT: Final = (
    _NOTE
    + """
import contextvars
import anyio

VALUE = contextvars.ContextVar("value", default=0)

@goref.track("tracked")
async def tracked():
    await asyncio.sleep(0)

@goref.track("generated")
async def generated():
    for number in range(3):
        await asyncio.sleep(0)
        yield number

@pytest.fixture
async def value():
    VALUE.set(VALUE.get() + 1)

async def test_gather():
    async def one(number):
        with goref.ref("shared"):
            await asyncio.sleep(0.001 * (number % 3))
            with goref.ref("inner"):
                await asyncio.sleep(0)
    await asyncio.gather(*map(one, range(20)))

async def test_decorated():
    await asyncio.gather(*(tracked() for _ in range(5)))
    assert [number async for number in generated()] == [0, 1, 2]

async def test_cancelled():
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

async def wait():
    with goref.ref("cancelled"):
        await asyncio.sleep(1000)

async def test_context(value):
    assert VALUE.get() == 1
    VALUE.set(10)

async def test_leaves_a_ref():
    goref.ref("left")

async def test_waits():
    await asyncio.sleep(0.2)
"""
)
_ANYIO: Final = """
import anyio
import pytest
import pytest_goref as goref

pytestmark = pytest.mark.anyio

async def test_group():
    async def one():
        with goref.ref("grouped"):
            await anyio.sleep(0.001)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(one)

async def test_waits_too():
    await anyio.sleep(0.2)
"""


def test_refs_across_awaits_are_counted_and_given_back(project: Project) -> None:
    project.write(
        {"pytest.ini": _INI.format(mode="auto"), "test_it.py": _CONCURRENT.replace("import anyio\n", "")}
    )

    result = project.run("--goref", "--goref-all", COUNTS, "-k", "not waits")

    result.assert_outcomes(passed=5, deselected=1)
    assert refs(project) == {
        "test_gather": {"shared": (20,), "inner": (20,)},
        "test_decorated": {"tracked": (5,), "generated": (1,)},
        "test_cancelled": {"cancelled": (1,)},
        "test_context": {},
        "test_leaves_a_ref": {"left": (1,)},
    }


def test_waiting_is_measured_as_long_as_it_takes(project: Project) -> None:
    project.write(
        {
            "pytest.ini": _INI.format(mode="strict"),
            "test_it.py": _CONCURRENT.replace(
                "async def test_waits", "@pytest.mark.asyncio\nasync def test_waits"
            ),
            "test_anyio.py": _ANYIO,
        }
    )

    result = project.run_apart(
        "--goref", "--goref-all", "--goref-passes=time,counts", "--goref-rounds=1", "-k", "waits or group"
    )

    result.assert_outcomes(passed=5, deselected=5)
    records = {key.name: ended.record for key, ended in project.last_results().items()}
    for name in ("test_waits", "test_waits_too[asyncio]", "test_waits_too[trio]"):
        record = records[name]
        assert record is not None
        assert record.visit is not None
        (timed,) = record.visit.rounds
        assert timed.wall_ns >= 200_000_000
        assert timed.cpu_ns < timed.wall_ns
    for backend in ("asyncio", "trio"):
        assert refs(project)[f"test_group[{backend}]"] == {"grouped": (10,)}
