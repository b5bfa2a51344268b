from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from tracker_engines import engine, python_only, state  # noqa: F401 - every test runs with both engines

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tracker() -> goref.Tracker:
    return goref.Tracker()


@pytest.fixture
def disabled() -> Iterator[None]:
    goref.disable()
    yield
    goref.enable()


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


def test_a_key_of_a_string_subclass_becomes_a_string(tracker: goref.Tracker) -> None:
    class Key(str):
        __slots__ = ()

    tracker.track(Key("key"))(len)("")
    assert [type(key) for key in tracker.snapshot()] == [str]
