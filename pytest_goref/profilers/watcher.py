"""Who else watches the program: two that do disturb each other, and both are wrong.

What watches shall see each test once. While one is executed again it looks away, and then goes on as if
nothing had happened in between.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")

_DEBUGGERS: Final = frozenset({"bdb", "pdb", "pydevd", "_pydevd_bundle", "_pydevd_frame_eval"})
_TOOLS: Final = range(6)
"""The identifiers that tools of ``sys.monitoring`` may have."""
_PROFILER: Final = 2
"""The one of them that is for profilers."""


def watcher() -> str:
    """Return what watches the program, such as coverage, a debugger or a profiler, "" when nothing does."""
    if held_by := debugger():
        return held_by
    tracing = sys.gettrace()
    if tracing is not None:
        name = _maker(tracing)
        return name if name == "coverage" else f"a tracer ({name})"
    profiling = sys.getprofile() or threading.getprofile()
    if profiling is not None:
        return f"a profiler ({_maker(profiling)})"
    for tool, name in _monitoring_tools():
        if name == "coverage.py":
            return "coverage"
        return f"a profiler ({name})" if tool == _PROFILER else f"the monitoring tool {name!r}"
    import tracemalloc  # noqa: PLC0415 - pytest itself loads it no sooner than it has to

    return "tracemalloc" if tracemalloc.is_tracing() else ""


def debugger() -> str:
    """Return the debugger that is attached, "" when there is none."""
    tracing = sys.gettrace()
    if tracing is not None and _maker(tracing) in _DEBUGGERS:
        return f"a debugger ({_maker(tracing).strip('_').partition('_')[0]})"
    if sys.version_info >= (3, 12):
        name = sys.monitoring.get_tool(sys.monitoring.DEBUGGER_ID)
        return f"a debugger ({name})" if name else ""
    return ""


def _maker(function: object) -> str:
    """Return the package that ``function``, or its type, comes from."""
    module = getattr(function, "__module__", None) or type(function).__module__
    package = str(module).partition(".")[0]
    return package if package != "__main__" else type(function).__name__


def _monitoring_tools() -> list[tuple[int, str]]:
    """Return the identifiers and names of the tools of ``sys.monitoring``."""
    if sys.version_info >= (3, 12):
        return [(tool, name) for tool in _TOOLS if (name := sys.monitoring.get_tool(tool))]
    return []


def unwatched(act: Callable[[], _T]) -> _T:
    """Return what ``act`` returns; what watches this thread looks away meanwhile.

    Tools keep a stack of calls. So that it stays right, they are turned off and on in this one frame, and by
    calls that they do not see: a ``partial`` is none of the functions whose calls are events.
    """
    threads, pauses = threading.gettrace(), list(_pauses())
    threading.settrace(None)
    for turn_off, _ in pauses:
        turn_off()
    try:  # pragma: no cover - whoever measures coverage looks away
        return act()
    finally:
        for _, turn_on in pauses:  # pragma: no cover - as above
            turn_on()
        _called()
        threading.settrace(threads)


def _called() -> None:
    """Do nothing: a tracer in C that is set by ``sys.settrace`` goes on when it sees the next call."""


def _pauses() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Yield for what watches this thread how to turn it off and on again.

    A profile function in C cannot be set again by anybody but its owner, so it stays.
    """
    tracing, profiling = sys.gettrace(), sys.getprofile()
    if tracing is not None:
        yield partial(sys.settrace, None), partial(sys.settrace, tracing)
    if isinstance(profiling, FunctionType | MethodType):
        yield partial(sys.setprofile, None), partial(sys.setprofile, profiling)
    elif enable := getattr(profiling, "enable", None):  # cProfile before Python 3.12
        yield partial(sys.setprofile, None), partial(enable)
    if sys.version_info >= (3, 12):
        bits = {event for event in vars(sys.monitoring.events).values() if isinstance(event, int)}
        for tool, _ in _monitoring_tools():
            for event in bits:
                if event.bit_count() != 1:
                    continue
                # The only way to learn of a callback is to take it away.
                silence = partial(sys.monitoring.register_callback, tool, event, None)
                callback = silence()
                speak = partial(sys.monitoring.register_callback, tool, event, callback)
                speak()
                if callback is not None:
                    yield silence, speak
