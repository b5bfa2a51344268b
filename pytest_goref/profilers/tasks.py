"""Tasks: asyncio tasks that a test's coroutine begins and does not see to their end.

They can be listed only while their loop runs, so the listing happens when the test's function begins and when
it returns, on the events of ``sys.monitoring`` for that one function. Python 3.11 has no such events: there,
and for a test that runs no loop around its own function, tasks are not measured.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from pytest_goref.profilers.places import Places

_TOOL: Final = "pytest-goref tasks"
_FREE_TOOLS: Final = (4, 3)
"""The identifiers of monitoring tools that are nobody's."""


def code_of_coroutine(function: object) -> types.CodeType | None:
    """Return the code of ``function``, below its decorators, when that is a coroutine."""
    try:
        innermost = inspect.unwrap(function) if callable(function) else function
    except ValueError:  # decorated in a circle
        return None
    return innermost.__code__ if inspect.iscoroutinefunction(innermost) else None


class TasksWindow:
    """A time in which one coroutine function is watched.

    Args:
        code: of the function; None watches nothing.
        places: names files.

    """

    def __init__(self, code: types.CodeType | None, places: Places) -> None:
        self._places = places
        self._before: Iterable[asyncio.Task[Any]] = ()
        self._left: list[_LeftTask] = []
        self._seen = False
        self._stop = _listen(code, self._began, self._returned) if code is not None else _nothing

    def _began(self, *_event: object) -> None:
        """Note the tasks that are not the test's."""
        with _harmless():
            self._before = weakref.WeakSet(_other_tasks() or ())

    def _returned(self, *_event: object) -> None:
        """Note the tasks that the test leaves pending."""
        self._seen = False
        with _harmless():
            tasks = _other_tasks()
            for task in (tasks or set()) - set(self._before):
                subject = self._subject(task)
                if subject:
                    self._left.append(_LeftTask(task, subject))
            self._seen = tasks is not None

    def _subject(self, task: asyncio.Task[Any]) -> str:
        """Return the name of the task's coroutine; "" for what asyncio itself or the test runner began."""
        coroutine: object = task.get_coro()
        if isinstance(coroutine, types.CoroutineType):
            code = coroutine.cr_code
            return self._places.function(code.co_filename, code.co_qualname)[0]
        # Of compiled code, or a generator; what closes an asynchronous generator has no name.
        return getattr(coroutine, "__qualname__", "")

    def close(self) -> None:
        """Stop watching: the test's function is over."""
        self._stop()
        self._stop = _nothing

    def left(self) -> dict[str, int] | None:
        """Return the number of tasks left behind by coroutine; None when none could be seen."""
        if not self._seen:
            return None
        return dict(Counter(task.subject for task in self._left if not task.finished))


class _LeftTask:
    """A task that was pending when the test's function returned.

    The fixtures may still see it to its end. Only its last word is kept, not the task: that would keep alive
    what it holds.
    """

    def __init__(self, task: asyncio.Task[Any], subject: str) -> None:
        self.subject = subject
        self.finished = False
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.finished = not task.cancelled()


def _other_tasks() -> set[asyncio.Task[Any]] | None:
    """Return the pending tasks but the one that runs here; None when no loop of asyncio does."""
    import asyncio  # noqa: PLC0415 - only for tests that are coroutines

    try:
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    except RuntimeError:
        return None


def _harmless() -> contextlib.suppress:
    """Let no error out into the test that is running; what was not noted is not measured."""
    return contextlib.suppress(Exception)


def _nothing() -> None:
    """Stop nothing."""


if sys.version_info >= (3, 12):

    def _listen(
        code: types.CodeType, began: Callable[..., None], returned: Callable[..., None]
    ) -> Callable[[], None]:
        """Call ``began`` and ``returned`` when ``code`` does that; return what stops it."""
        monitoring = sys.monitoring
        tool = next((tool for tool in _FREE_TOOLS if monitoring.get_tool(tool) is None), None)
        if tool is None:
            return _nothing
        monitoring.use_tool_id(tool, _TOOL)
        events = {monitoring.events.PY_START: began, monitoring.events.PY_RETURN: returned}
        for event, callback in events.items():
            monitoring.register_callback(tool, event, callback)
        monitoring.set_local_events(tool, code, sum(events))

        def stop() -> None:
            if monitoring.get_tool(tool) != _TOOL:  # the test freed it, perhaps for itself
                return
            monitoring.set_local_events(tool, code, 0)
            for event in events:
                monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

        return stop

else:

    def _listen(*_unused: object) -> Callable[[], None]:
        return _nothing
