"""Tracked coroutines and generators: a use lasts from the first step to the last."""

from __future__ import annotations

import asyncio
import gc
import inspect
import types
from typing import TYPE_CHECKING, Any

import pytest
from tracker_engines import engine, state  # noqa: F401 - every test runs with both engines

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator


@pytest.fixture
def tracker() -> goref.Tracker:
    return goref.Tracker()


def test_a_coroutine_is_active_until_it_ends(tracker: goref.Tracker) -> None:
    @tracker.track("key")
    async def work(value: int) -> int:
        await asyncio.sleep(0)
        assert state(tracker)[0] >= 1
        if value < 0:
            raise ValueError(value)
        return value

    async def main() -> tuple[int | BaseException, ...]:
        return await asyncio.gather(work(1), work(-1), work(2), return_exceptions=True)

    assert inspect.iscoroutinefunction(work)
    first, failed, last = asyncio.run(main())
    assert (first, last) == (1, 2)
    assert isinstance(failed, ValueError)
    assert state(tracker) == (0, 3)


def test_a_cancelled_coroutine_counts_and_one_never_awaited_does_not(tracker: goref.Tracker) -> None:
    @tracker.track("key")
    async def wait() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert state(tracker) == (1, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    wait().close()
    assert state(tracker) == (0, 1)


def test_a_generator_based_coroutine_can_still_be_awaited(tracker: goref.Tracker) -> None:
    @tracker.track("key")
    @types.coroutine
    def pause() -> Generator[None, None, int]:
        yield
        return 5

    async def main() -> int:
        return await pause()

    assert asyncio.run(main()) == 5
    assert state(tracker) == (0, 1)


@pytest.fixture
def echo(tracker: goref.Tracker) -> Any:
    @tracker.track("key")
    def echo(first: str) -> Generator[str, str, str]:
        """Answer what is sent; raise what is thrown; return on "stop"; survive a KeyError."""
        item = first
        while item != "stop":
            try:
                item = yield item
            except KeyError as error:
                item = f"caught {error.args[0]}"
        return "done"

    return echo


def test_a_generator_that_never_starts_counts_nothing(tracker: goref.Tracker, echo: Any) -> None:
    generator = echo("a")
    assert inspect.isgeneratorfunction(echo)
    assert state(tracker) == (0, 0)
    generator.close()
    with pytest.raises(ValueError, match="early"):
        echo("a").throw(ValueError("early"))
    assert state(tracker) == (0, 0)


def test_a_generator_is_active_until_it_is_exhausted(tracker: goref.Tracker, echo: Any) -> None:
    generator = echo("a")
    assert next(generator) == "a"
    assert state(tracker) == (1, 0)
    assert generator.send("b") == "b"
    assert generator.throw(KeyError("c")) == "caught c"
    with pytest.raises(StopIteration) as stop:
        generator.send("stop")
    assert stop.value.value == "done"
    assert state(tracker) == (0, 1)


def test_a_generator_ends_by_an_exception(tracker: goref.Tracker, echo: Any) -> None:
    generator = echo("a")
    next(generator)
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        generator.throw(error)
    assert caught.value is error
    assert state(tracker) == (0, 1)


def test_a_generator_ends_by_close(tracker: goref.Tracker, echo: Any) -> None:
    generator = echo("a")
    next(generator)
    generator.close()
    assert state(tracker) == (0, 1)


def test_an_abandoned_generator_ends_when_it_is_collected(tracker: goref.Tracker, echo: Any) -> None:
    generator = echo("a")
    next(generator)
    del generator
    gc.collect()
    assert state(tracker) == (0, 1)


async def echo_async(first: str, log: list[str]) -> AsyncGenerator[str, str]:
    """Answer what is sent; raise what is thrown; end on "stop"; survive a KeyError; clean up."""
    item = first
    try:
        while item != "stop":
            await asyncio.sleep(0)
            try:
                item = yield item
            except KeyError as error:
                item = f"caught {error.args[0]}"
    finally:
        await asyncio.sleep(0)
        log.append("cleaned")


async def outcome(step: Awaitable[object]) -> tuple[str, str]:
    """What an awaited step does, in a form that can be compared."""
    try:
        return "value", repr(await step)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return type(error).__name__, repr((error.args, error.__cause__, error.__context__))


SCRIPTS: dict[str, list[tuple[str, Any]]] = {
    "exhausted": [("send", None), ("send", "b"), ("send", "stop"), ("send", "late")],
    "thrown and caught": [("send", None), ("throw", KeyError("c")), ("send", "stop")],
    "thrown": [("send", None), ("throw", ValueError("x")), ("send", None)],
    "thrown type": [("send", None), ("throw", OSError), ("send", None)],
    "stop thrown": [("send", None), ("throw", StopAsyncIteration("y")), ("send", None)],
    "exit thrown": [("send", None), ("throw", GeneratorExit()), ("send", None)],
    "cancelled": [("send", None), ("throw", asyncio.CancelledError("z")), ("send", None)],
    "closed": [("send", None), ("close", None), ("close", None), ("send", None)],
    "closed before the start": [("close", None), ("send", None)],
    "thrown before the start": [("throw", ValueError("x")), ("send", None)],
    "sent before the start": [("send", "too early")],  # Python 3.11 thinks that it runs from then on
}


async def play(generator: AsyncGenerator[str, str], script: list[tuple[str, Any]]) -> list[tuple[str, str]]:
    methods: dict[str, Callable[[Any], Awaitable[object]]] = {
        "send": generator.asend,
        "throw": generator.athrow,
        "close": lambda _: generator.aclose(),
    }
    return [await outcome(methods[method](value)) for method, value in script]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_an_async_generator_behaves_as_before(tracker: goref.Tracker, script: list[tuple[str, Any]]) -> None:
    plain: list[str] = []
    counted: list[str] = []
    tracked = tracker.track("key")(echo_async)
    assert inspect.isasyncgenfunction(tracked)
    expected = asyncio.run(play(echo_async("a", plain), script))
    assert asyncio.run(play(tracked("a", counted), script)) == expected
    assert counted == plain
    assert state(tracker) == (0, 1 if counted else 0)


def test_an_async_generator_is_active_until_it_ends(tracker: goref.Tracker) -> None:
    async def main() -> list[tuple[int, int]]:
        generator = tracker.track("key")(echo_async)("a", [])
        seen = [state(tracker)]
        await anext(generator)
        seen.append(state(tracker))
        await generator.aclose()
        return [*seen, state(tracker)]

    assert asyncio.run(main()) == [(0, 0), (1, 0), (0, 1)]


def test_an_abandoned_async_generator_ends_when_it_is_collected(tracker: goref.Tracker) -> None:
    log: list[str] = []

    async def main() -> None:
        async for _ in tracker.track("key")(echo_async)("a", log):
            break
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)
        assert log == ["cleaned"]
        assert state(tracker) == (0, 1)

    asyncio.run(main())


def test_an_unfinished_async_generator_is_closed_with_its_loop(
    tracker: goref.Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    generator = tracker.track("key")(echo_async)("a", log)

    async def main() -> str:
        return await anext(generator)

    assert asyncio.run(main()) == "a"
    assert log == ["cleaned"]
    assert state(tracker) == (0, 1)
    assert not caplog.records
