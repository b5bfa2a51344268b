"""Leaks: references, threads and asyncio tasks that an execution begins and leaves behind."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections import Counter
from threading import enumerate as living_threads
from time import perf_counter
from typing import TYPE_CHECKING, Final

from pytest_goref.metrics import LEAKED_REFS, LEAKED_TASKS, LEAKED_THREADS
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.tasks import TasksWindow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType, FrameType

    from pytest_goref.model import Metric
    from pytest_goref.profilers.places import Places
    from pytest_goref.profilers.refs import RefsProfiler, RunningRefs

_GRACE_S: Final = 0.05
"""How long threads that are about to end are waited for, altogether."""

_LOOP_EXECUTOR: Final = re.compile(r"asyncio_\d+")
"""Threads of the executor that an event loop keeps for itself and ends when it is closed."""

_NUMBERS: Final = re.compile(
    r"""
      [-_ #:]* [0-9a-f]{8} (?:-[0-9a-f]{4}){3} -[0-9a-f]{12}  # a UUID
    | [-_ #:]* 0x[0-9a-f]+
    | [-_ #:]* (?<![0-9a-z]) (?=[a-f]*\d) (?=\d*[a-f]) [0-9a-f]{8,} (?![0-9a-z])  # a digest
    | [-_ #:]* \d+
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What tells threads of one kind apart, with what joins it to the name."""


class LeaksProfiler:
    """Takes note of what an execution leaves behind.

    Args:
        refs: knows the active references.
        places: names files.
        code: of the test's function, when that is a coroutine.

    """

    def __init__(self, refs: RefsProfiler, places: Places, code: CodeType | None = None) -> None:
        self._refs = refs
        self._places = places
        self._code = code

    def of(self, code: CodeType | None) -> LeaksProfiler:
        """Return a profiler for tests whose function has ``code``."""
        return LeaksProfiler(self._refs, self._places, code)

    def start(self) -> RunningLeaks:
        """Begin a window, before the set-up of a test."""
        try:
            refs = self._refs.start()
        except ProfilerUnavailableError:  # whoever counts references says why
            refs = None
        return RunningLeaks(refs, ThreadsWindow(self._places), TasksWindow(self._code, self._places))


class RunningLeaks:
    """A window on references, threads and tasks."""

    def __init__(self, refs: RunningRefs | None, threads: ThreadsWindow, tasks: TasksWindow) -> None:
        self._refs = refs
        self._threads = threads
        self._tasks = tasks

    def close(self) -> None:
        """Take note that the test's function is over; what it left may still be ended by the tear-down."""
        self._tasks.close()

    def stop(self) -> Observation:
        """Return what began in the window and is still there; to be called after the tear-down."""
        self._tasks.close()
        left: dict[Metric, Mapping[str, int]] = {LEAKED_THREADS: self._threads.end()}
        tasks = self._tasks.left()
        if tasks is not None:
            left[LEAKED_TASKS] = tasks
        if self._refs is not None:
            with contextlib.suppress(ProfilerUnavailableError):  # as above
                left[LEAKED_REFS] = self._refs.leaked().counted[LEAKED_REFS]
        return Observation(left)


class ThreadsWindow:
    """A time whose new threads are asked for.

    Args:
        places: names files.

    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._before = {id(thread): thread for thread in living_threads()}

    def end(self) -> dict[str, int]:
        """Return the number of threads left behind, by name and the function that they began in."""
        if not self._new():
            return {}
        _await_end(self._new())
        frames = sys._current_frames()  # noqa: SLF001 - documented in spite of its name
        # A thread that runs no Python code is ending, or belongs to a library and only looked in.
        outermost = ((thread, frames.get(thread.ident or 0)) for thread in self._new())
        subjects = (self._subject(thread, frame) for thread, frame in outermost if frame is not None)
        return dict(Counter(filter(None, subjects)))

    def _new(self) -> list[threading.Thread]:
        return [thread for thread in living_threads() if id(thread) not in self._before]

    def _subject(self, thread: threading.Thread, frame: FrameType) -> str:
        """Return what the thread is called; "" when the test runner, or an event loop, has begun it."""
        began_in = threading.__name__
        for code in _codes_outermost_first(frame):
            began_in = self._places.function(code.co_filename, code.co_qualname)[0]
            if began_in != threading.__name__:
                break
        if not began_in or _LOOP_EXECUTOR.fullmatch(thread.name):
            return ""
        name = " ".join(_NUMBERS.sub("", thread.name).split())
        return f"{name} in {began_in}" if name else began_in


def _codes_outermost_first(frame: FrameType | None) -> Iterable[CodeType]:
    codes = []
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    return reversed(codes)


def _await_end(threads: Iterable[threading.Thread]) -> None:
    """Wait a moment for ``threads``: most of those that are still there have been told to end."""
    until_s = perf_counter() + _GRACE_S
    for thread in threads:
        # Not its own method, which may raise what the thread has raised.
        with contextlib.suppress(AssertionError):  # Python has not begun it: nobody can wait for it
            threading.Thread.join(thread, max(0.0, until_s - perf_counter()))
