"""Functions that count their own calls: plain, async, generators, async generators.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from pytest_goref.tracker.ledger import exact_str

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator

    from pytest_goref.tracker.core import Tracker
    from pytest_goref.tracker.ledger import Ref

    RefOf = Callable[[str], Ref]
    """Begins a reference to a key."""

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")
S = TypeVar("S")
F = TypeVar("F", bound="Callable[..., Any]")


def track(tracker: Tracker, target: F | str | None) -> F | Callable[[F], F]:
    """Return what ``Tracker.track`` of either engine returns.

    Args:
        tracker: counts the calls.
        target: what is decorated, or the key, or None where a decorator without a key is to be returned.

    Raises:
        TypeError: what is decorated is no function, or has no name and no key is given.

    """
    if target is None or isinstance(target, str):
        key = None if target is None else exact_str(target, "the key of a function")
        return lambda function: _tracked(tracker, function, key)
    return _tracked(tracker, target, None)


def _tracked(tracker: Tracker, target: F, key: str | None) -> F:
    """Return ``target`` so that each call is a use of ``key``; as it is while tracking is disabled."""
    if isinstance(target, classmethod | staticmethod):
        function = _tracked(tracker, target.__func__, key)
        return target if function is target.__func__ else cast("F", type(target)(function))
    if isinstance(target, type) or not callable(target):
        raise TypeError(
            f"track decorates functions and methods, not {type(target).__name__} objects; "
            "decorate the functions inside it"
        )
    if not tracker._is_on:  # noqa: SLF001 - this is the rest of Tracker.track
        return target
    return cast("F", functools.wraps(target)(_counted(tracker, target, key or _name_of(target))))


def _name_of(function: Callable[..., object]) -> str:
    try:
        return f"{function.__module__}.{function.__qualname__}"
    except AttributeError:
        raise TypeError(
            f"{type(function).__name__} objects have no name to use as their key; give one: track('key')"
        ) from None


def _counted(tracker: Tracker, function: Callable[..., Any], key: str) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):
        return _counted_coroutine(function, key, tracker.ref)
    if inspect.isasyncgenfunction(function):
        return _counted_async_generator(function, key, tracker.ref)
    if inspect.isgeneratorfunction(function):
        counted = _counted_generator(function, key, tracker.ref)
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        return types.coroutine(counted) if flags & inspect.CO_ITERABLE_COROUTINE else counted
    return tracker._timed(function, key)  # noqa: SLF001 - this is the rest of Tracker.track


def _counted_coroutine(
    function: Callable[P, Coroutine[Any, Any, R]], key: str, ref: RefOf
) -> Callable[P, Coroutine[Any, Any, R]]:
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with ref(key):
            return await function(*args, **kwargs)

    return call


def _counted_generator(
    function: Callable[P, Generator[Y, S, R]], key: str, ref: RefOf
) -> Callable[P, Generator[Y, S, R]]:
    def call(*args: P.args, **kwargs: P.kwargs) -> Generator[Y, S, R]:
        with ref(key):
            return (yield from function(*args, **kwargs))

    return call


def _counted_async_generator(
    function: Callable[P, AsyncGenerator[Y, S]], key: str, ref: RefOf
) -> Callable[P, AsyncGenerator[Y, S]]:
    async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Y, S]:
        with ref(key):
            inner = function(*args, **kwargs)
            step = _first_step(inner)  # from here on what ``yield from`` does for other generators
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - the inner generator decides what becomes of it
                    step = inner.athrow(error)  # awaited above: here the error would become a context
                else:
                    step = inner.asend(sent)

    return call


def _first_step(inner: AsyncGenerator[Y, S]) -> Awaitable[Y]:
    """Start ``inner`` out of sight of the event loop, which would else close it beside its driver."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return anext(inner)
    finally:
        sys.set_asyncgen_hooks(*hooks)
