from __future__ import annotations

import asyncio
import functools
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_goref.profilers.places import Places
from pytest_goref.profilers.tasks import TasksWindow, code_of_coroutine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

HERE = "test_profiler_tasks.py"
PLACES = Places(Path(__file__).parent)
SEES_TASKS = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")


async def idle() -> None:
    await asyncio.Event().wait()


def watched(function: Callable[[], Coroutine[Any, Any, object]], run: Callable[..., object]) -> TasksWindow:
    """Return the window on ``function`` after ``run`` has run what it returns, and ended its loop."""
    window = TasksWindow(code_of_coroutine(function), PLACES)
    try:
        run(function())
    finally:
        window.close()
    return window


@SEES_TASKS
def test_a_task_that_is_pending_when_the_function_returns_is_left_behind() -> None:
    kept = set()

    async def test() -> None:
        kept.add(asyncio.create_task(idle()))
        kept.add(asyncio.create_task(idle()))
        await asyncio.sleep(0)

    assert watched(test, asyncio.run).left() == {f"{HERE}:idle": 2}


@SEES_TASKS
def test_tasks_that_have_ended_are_not_left_behind() -> None:
    async def test() -> None:
        cancelled = asyncio.create_task(idle())
        await asyncio.gather(asyncio.create_task(asyncio.sleep(0)), asyncio.sleep(0))
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    assert watched(test, asyncio.run).left() == {}


@SEES_TASKS
def test_tasks_from_before_the_function_are_not_its_own() -> None:
    async def test() -> None:
        await asyncio.sleep(0)

    async def around() -> None:
        before = asyncio.create_task(idle())
        await test()
        before.cancel()

    assert watched(test, lambda coroutine: (coroutine.close(), asyncio.run(around()))).left() == {}


@SEES_TASKS
def test_a_task_that_ends_by_itself_in_the_tear_down_is_seen_to() -> None:
    over = asyncio.Event()

    async def served() -> None:
        await over.wait()

    async def test() -> None:
        tasks.append(asyncio.create_task(served()))
        await asyncio.sleep(0)

    async def tear_down() -> None:
        over.set()
        await tasks[0]

    tasks: list[asyncio.Task[None]] = []
    with asyncio.Runner() as runner:
        window = watched(test, runner.run)
        assert list((window.left() or {}).values()) == [1]
        runner.run(tear_down())
    assert window.left() == {}


@SEES_TASKS
def test_what_closes_an_asynchronous_generator_is_not_the_tests_task() -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)

    async def test() -> None:
        async for _ in numbers():
            break

    assert watched(test, asyncio.run).left() == {}


@SEES_TASKS
def test_a_function_that_fails_is_not_asked() -> None:
    async def test() -> None:
        raise LookupError

    window = TasksWindow(code_of_coroutine(test), PLACES)
    with pytest.raises(LookupError):
        asyncio.run(test())
    window.close()
    assert window.left() is None


def test_a_function_that_no_loop_of_asyncio_runs_cannot_be_asked() -> None:
    async def test() -> None: ...

    def step(coroutine: Coroutine[Any, Any, object]) -> None:
        with pytest.raises(StopIteration):
            coroutine.send(None)

    assert watched(test, step).left() is None
    assert TasksWindow(None, PLACES).left() is None


@SEES_TASKS
def test_a_defect_of_ours_does_not_reach_the_test() -> None:
    class NoPlaces(Places):
        def function(self, file: str, qualified_name: str) -> tuple[str, bool]:
            raise LookupError("a defect")

    async def test() -> None:
        tasks.append(asyncio.create_task(idle()))

    tasks: list[asyncio.Task[None]] = []
    window = TasksWindow(code_of_coroutine(test), NoPlaces(Path.cwd()))
    asyncio.run(test())
    window.close()
    assert window.left() is None


def test_only_coroutines_have_a_code_to_watch() -> None:
    async def test() -> None: ...

    def decorated(function: Callable[[], object]) -> Callable[[], object]:
        @functools.wraps(function)
        def wrapper() -> object:
            return function()

        return wrapper

    def round_and_round() -> None: ...

    round_and_round.__wrapped__ = round_and_round  # type: ignore[attr-defined]
    assert code_of_coroutine(test) is test.__code__
    assert code_of_coroutine(decorated(decorated(test))) is test.__code__
    for other in (round_and_round, print, None, test.__code__, decorated(lambda: None)):
        assert code_of_coroutine(other) is None


if sys.version_info >= (3, 12):

    def tools() -> list[str | None]:
        return [sys.monitoring.get_tool(number) for number in range(6)]

    def test_the_monitoring_tool_is_given_back() -> None:
        async def test() -> None: ...

        before = tools()
        window = TasksWindow(code_of_coroutine(test), PLACES)
        assert tools() != before
        window.close()
        window.close()
        assert tools() == before

    def test_without_a_free_monitoring_tool_tasks_are_not_seen() -> None:
        async def test() -> None: ...

        with ExitStack() as stack:
            for number in (3, 4):
                sys.monitoring.use_tool_id(number, "another")
                stack.callback(sys.monitoring.free_tool_id, number)
            assert watched(test, asyncio.run).left() is None
            assert tools()[3:5] == ["another", "another"]

    def test_a_tool_that_the_test_took_for_itself_stays() -> None:
        async def test() -> None: ...

        window = TasksWindow(code_of_coroutine(test), PLACES)
        number = tools().index("pytest-goref tasks")
        sys.monitoring.free_tool_id(number)
        sys.monitoring.use_tool_id(number, "another")
        window.close()
        assert sys.monitoring.get_tool(number) == "another"
        sys.monitoring.free_tool_id(number)


class Compiled:
    """A coroutine as compilers of Python make them."""

    def __init__(self) -> None:
        self.__qualname__ = "compiled.work"
        self._inner = idle()

    def send(self, value: object) -> object:
        return self._inner.send(None)

    def throw(self, *error: Any) -> object:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Iterator[object]:
        return self._inner.__await__()


def test_which_tasks_are_noted() -> None:
    """Without ``sys.monitoring``, which hides from coverage what it calls."""

    async def nothing_to_wait_for() -> None:
        await over.wait()

    async def around() -> TasksWindow:
        window = TasksWindow(None, PLACES)
        kept.append(asyncio.create_task(idle()))
        window._began()
        kept.append(asyncio.create_task(idle()))
        kept.append(asyncio.create_task(Compiled()))  # type: ignore[arg-type]
        kept.append(asyncio.create_task(nothing_to_wait_for()))
        await asyncio.sleep(0)
        window._returned()
        over.set()
        await kept.pop()
        return window

    over = asyncio.Event()
    kept: list[asyncio.Task[Any]] = []
    assert asyncio.run(around()).left() == {f"{HERE}:idle": 1, "compiled.work": 1}


def test_where_no_loop_runs_nothing_is_noted() -> None:
    window = TasksWindow(None, PLACES)
    window._began()
    window._returned()
    assert window.left() is None
