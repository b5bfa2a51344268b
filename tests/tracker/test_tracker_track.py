from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import types
from typing import TYPE_CHECKING, Any

import pytest
from tracker_engines import engine, python_only  # noqa: F401 - every test runs with both engines

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator


@pytest.fixture
def tracker() -> goref.Tracker:
    return goref.Tracker()


@pytest.fixture
def disabled() -> Iterator[None]:
    goref.disable()
    yield
    goref.enable()


def state(tracker: goref.Tracker, key: str = "key") -> tuple[int, int]:
    """Active and ended uses of ``key``."""
    snapshot = tracker.snapshot()
    return (snapshot[key].active, snapshot[key].count) if key in snapshot else (0, 0)


def test_a_call_counts_under_module_and_qualified_name(tracker: goref.Tracker) -> None:
    class Database:
        @tracker.track
        def query(self, sql: str, *, limit: int = 1) -> tuple[Database, str, int]:
            """Ask."""
            assert state(tracker, key) == (1, 0)
            return self, sql, limit

    key = f"{__name__}.test_a_call_counts_under_module_and_qualified_name.<locals>.Database.query"
    database = Database()
    assert database.query("a", limit=2) == (database, "a", 2)
    assert tracker.snapshot().keys() == [key]
    assert state(tracker, key) == (0, 1)


@pytest.mark.parametrize("form", ["@track", "@track()", "@track('key')"])
def test_all_forms_of_the_decorator(tracker: goref.Tracker, form: str) -> None:
    def function() -> int:
        return 3

    decorated = {
        "@track": lambda: tracker.track(function),
        "@track()": lambda: tracker.track()(function),
        "@track('key')": lambda: tracker.track("key")(function),
    }[form]()
    assert decorated() == 3
    key = "key" if "key" in form else f"{function.__module__}.{function.__qualname__}"
    assert tracker.snapshot().keys() == [key]


def test_metadata_is_kept(tracker: goref.Tracker) -> None:
    def function(a: int, b: str = "x") -> float:
        """Do something."""
        return a + len(b)

    function.mark = 1  # type: ignore[attr-defined]
    decorated: Any = tracker.track(function)
    assert (decorated.__name__, decorated.__doc__, decorated.mark) == ("function", "Do something.", 1)
    assert decorated.__wrapped__ is function
    assert inspect.signature(decorated) == inspect.signature(function)


def test_an_exception_counts_and_passes(tracker: goref.Tracker) -> None:
    @tracker.track("key")
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        fail()
    assert state(tracker) == (0, 1)


def test_recursion_counts_each_level(tracker: goref.Tracker) -> None:
    @tracker.track("key")
    def descend(depth: int) -> int:
        return descend(depth - 1) if depth else state(tracker)[0]

    assert descend(4) == 5
    assert state(tracker) == (0, 5)


def test_running_out_of_stack_leaves_nothing_active(tracker: goref.Tracker) -> None:
    @tracker.track("function")
    def descend() -> None:
        descend()

    def descend_in_blocks() -> None:
        with tracker.ref("block"):
            descend_in_blocks()

    for endless, key in ((descend, "function"), (descend_in_blocks, "block")):
        with pytest.raises(RecursionError):
            endless()
        active, count = state(tracker, key)
        assert active == 0
        assert count > 10


def test_class_and_static_methods_in_both_orders(tracker: goref.Tracker) -> None:
    class Owner:
        @tracker.track("key")
        @classmethod
        def outer_class(cls) -> type[Owner]:
            return cls

        @classmethod
        @tracker.track("key")
        def inner_class(cls) -> type[Owner]:
            return cls

        @tracker.track("key")
        @staticmethod
        def outer_static(x: int) -> int:
            return x

        @staticmethod
        @tracker.track("key")
        def inner_static(x: int) -> int:
            return x

    assert Owner.outer_class() is Owner().inner_class() is Owner
    assert Owner.outer_static(1) == Owner().inner_static(1) == 1
    assert state(tracker) == (0, 4)


def test_any_callable_with_a_key(tracker: goref.Tracker) -> None:
    double = tracker.track("key")(functools.partial(int.__mul__, 2))
    assert double(4) == 8
    assert tracker.track(len)("abc") == 3
    assert tracker.snapshot().keys() == ["key", "builtins.len"]


def test_a_callable_without_a_name_needs_a_key(tracker: goref.Tracker) -> None:
    with pytest.raises(TypeError, match=r"^partial objects have no name to use as their key; give one"):
        tracker.track(functools.partial(len))


@pytest.mark.parametrize("target", [int, property(len), 5])
@pytest.mark.parametrize("on", [True, False])
def test_what_is_no_function_is_refused(tracker: goref.Tracker, target: Any, *, on: bool) -> None:
    if not on:
        goref.disable()
    try:
        with pytest.raises(
            TypeError, match=f"not {type(target).__name__} objects; decorate the functions inside"
        ):
            tracker.track(target)
    finally:
        goref.enable()


@pytest.mark.usefixtures("disabled")
def test_what_is_decorated_while_disabled_is_returned_as_it_is(tracker: goref.Tracker) -> None:
    method: Any = classmethod(len)  # type: ignore[arg-type]
    assert tracker.track(len) is len
    assert tracker.track("key")(len) is len
    assert tracker.track(method) is method


def test_what_is_decorated_while_enabled_stops_counting_while_disabled(tracker: goref.Tracker) -> None:
    async def step() -> int:
        return 1

    decorated = tracker.track("key")(len)
    stepped = tracker.track("key")(step)
    goref.disable()
    try:
        assert decorated("ab") == 2
        assert asyncio.run(stepped()) == 1
    finally:
        goref.enable()
    assert state(tracker) == (0, 0)
    decorated("")
    assert state(tracker) == (0, 1)


def test_a_decorated_function_counts_after_a_reset(tracker: goref.Tracker) -> None:
    decorated = tracker.track("key")(len)
    for _ in range(2):
        decorated("")
        tracker.reset()
    decorated("")
    assert state(tracker) == (0, 1)


@python_only
def test_a_decorated_function_absorbs_its_log(tracker: goref.Tracker) -> None:
    decorated = tracker.track("key")(len)
    for _ in range(1_000):
        decorated("")
    assert len(tracker._ledgers["key"].log) < 300
    assert state(tracker) == (0, 1_000)


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


def test_a_key_of_a_string_subclass_becomes_a_string(tracker: goref.Tracker) -> None:
    class Key(str):
        __slots__ = ()

    tracker.track(Key("key"))(len)("")
    assert [type(key) for key in tracker.snapshot()] == [str]
