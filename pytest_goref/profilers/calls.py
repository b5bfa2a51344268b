"""Calls: how often each Python and C function was called, exactly, through ``cProfile``.

Project code is named by file and qualified name (never by line, so that an edit above moves nothing), C
functions by their dotted name, all other Python code by its module. Calls that the test runner makes are left
out.
"""

from __future__ import annotations

import re
import sys
import threading
import types
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pytest_goref.metrics import CALLS
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.code import fingerprint
from pytest_goref.profilers.heap import QuietHeap
from pytest_goref.tracker import __file__ as tracker_file

if TYPE_CHECKING:
    import cProfile
    from collections.abc import Iterable, Mapping

    from pytest_goref.profilers.places import Places

    class _Called(Protocol):
        """What ``cProfile`` tells of a function, or of a function called by another."""

        @property
        def code(self) -> _Code: ...

        @property
        def callcount(self) -> int: ...

    class _Entry(_Called, Protocol):
        @property
        def calls(self) -> Iterable[_Called] | None: ...


_Code = types.CodeType | str
_Callers = defaultdict[_Code, dict[_Code, int]]

_DESCRIPTOR: Final = re.compile(
    r"<(?:method|slot wrapper|class method) '(?P<name>.+?)' of '(?P<type>.+?)' objects>"
)
_BUILTIN: Final = re.compile(r"<(?:built-in )?(?:method|function) (?P<name>.+?)(?: of .+)?>")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_TRACKER_IN_C: Final = "pytest_goref.tracker._speed."
_ENGINE_FILE: Final = str(Path(tracker_file).with_name("core.py"))


class CallsProfiler:
    """Counts calls in the thread that starts it.

    Args:
        places: names files.

    """

    def __init__(self, places: Places) -> None:
        self._names = FunctionNames(places)

    def start(self) -> RunningCalls:
        """Start ``cProfile``.

        Raises:
            ProfilerUnavailableError: another profiler is active in this thread or interpreter.

        """
        import cProfile  # noqa: PLC0415 - needed only by sessions that count calls

        holder = _profiler_in_use()
        if holder:
            raise ProfilerUnavailableError(
                f"calls are not counted: another profiler is active ({holder}); run without it"
            )
        profile = cProfile.Profile() if sys.version_info >= (3, 12) else _setting_again(cProfile.Profile)
        heap = QuietHeap()
        try:
            profile.enable()
            return RunningCalls(profile, heap, self._names)
        except BaseException:
            profile.disable()
            heap.give_back()
            raise


def _setting_again(base: type[cProfile.Profile]) -> cProfile.Profile:
    """Return a profile that may be set by ``sys.setprofile``, as a test's own profiler does in the end.

    Without, each call that follows would fail, and memray could not be used in this process any more.
    """

    class Profile(base):  # type: ignore[valid-type, misc]
        was_set = False

        def __call__(self, *_event: object) -> None:
            self.was_set = True
            self.enable()

    return Profile()


def _profiler_in_use() -> str:
    """Return a name for the profiler that is on, "" when there is none."""
    # Before Python 3.12 ours would replace what only shows in the hook for new threads, such as memray's.
    function = sys.getprofile() or (threading.getprofile() if sys.version_info < (3, 12) else None)
    if function is not None:
        return getattr(function, "__qualname__", type(function).__qualname__)
    if sys.version_info >= (3, 12):
        return sys.monitoring.get_tool(sys.monitoring.PROFILER_ID) or ""
    return ""


def _callers(entries: Iterable[_Entry]) -> _Callers:
    """Return for each function how often each other function has called it."""
    callers: _Callers = defaultdict(dict)
    for entry in entries:
        for called in entry.calls or ():
            callers[called.code][entry.code] = called.callcount
    return callers


class RunningCalls:
    """``cProfile``, on."""

    def __init__(self, profile: cProfile.Profile, heap: QuietHeap, names: FunctionNames) -> None:
        self._profile = profile
        self._heap = heap
        self._names = names

    def stop(self) -> Observation:
        """Return the number of calls by function, and the fingerprint of the code of the project's own.

        Raises:
            ProfilerUnavailableError: the test replaced the profiler, so that calls were missed.

        """
        active: object = sys.getprofile()
        replaced = sys.version_info < (3, 12) and (
            active is not self._profile or bool(getattr(active, "was_set", False))
        )
        self._profile.disable()
        self._heap.give_back()
        if replaced:
            raise ProfilerUnavailableError(
                "calls are not counted: the test itself sets a profiler, so that some were missed"
            )
        return self._names.observe(self._profile.getstats())


class FunctionNames:
    """Turns what ``cProfile`` saw into subjects.

    Args:
        places: names files.

    """

    def __init__(self, places: Places) -> None:
        self._places = places

    def observe(self, stats: Iterable[_Entry]) -> Observation:
        """Return calls by subject, for each subject the other one that called it most, and what code ran.

        Calls that only serve to run the test are left out.
        Project code counts however it was called. Other code counts as often as the test's own code, or what
        that called, has called it: calls made by the runner, and by what only the runner uses, are left out.
        Code without a file is often made from the project's, such as the methods of a dataclass: it is
        counted as other code, and is part of the fingerprint.
        """
        entries = list(stats)
        callers = _callers(entries)
        runner = self._runner_functions(entries, callers)
        calls: Counter[str] = Counter()
        called_by: defaultdict[str, Counter[str]] = defaultdict(Counter)
        ran: list[tuple[str, types.CodeType]] = []
        for entry in entries:
            subject, is_project = self._subject(entry.code)
            if is_project:
                calls[subject] += entry.callcount
            elif subject and entry.code not in runner:
                by_test = sum(
                    number
                    for caller, number in callers[entry.code].items()
                    if caller not in runner and not (_is_wrapper(caller) and isinstance(entry.code, str))
                )
                calls[subject] += by_test
            is_generated = subject.startswith("<") and entry.code not in runner
            if isinstance(entry.code, types.CodeType) and (is_project or is_generated):
                ran.append((subject, entry.code))
            for caller, number in callers[entry.code].items():
                name = "" if caller in runner else self._subject(caller)[0]
                if name not in ("", subject):
                    called_by[subject][name] += number
        seen = {subject: number for subject, number in calls.items() if number}
        return Observation({CALLS: seen}, callers=_most_frequent(called_by, seen), code=fingerprint(ran))

    def _runner_functions(self, entries: Iterable[_Entry], callers: _Callers) -> set[_Code]:
        """Return the functions of the runner, and those that were called from nowhere else."""
        runner: set[_Code] = set()
        others: set[_Code] = set()
        for entry in entries:
            subject, is_project = self._subject(entry.code)
            if not is_project:
                (others if subject or _is_wrapper(entry.code) else runner).add(entry.code)
        while True:
            # Code that was called only from frames entered before profiling began has no caller here.
            found = {code for code in others if all(caller in runner for caller in callers[code])}
            if not found:
                return runner
            runner |= found
            others -= found

    def _subject(self, code: types.CodeType | str) -> tuple[str, bool]:
        """Return the subject of ``code`` ("" for the test runner) and whether it is project code."""
        if isinstance(code, str):
            name = c_function_name(code)
            return "" if name.startswith(_TRACKER_IN_C) else name, False
        return self._places.function(code.co_filename, code.co_qualname)


def _is_wrapper(code: _Code) -> bool:
    """Return whether ``code`` is what a tracked function becomes with the tracker's engine in Python.

    That of the engine in C is not seen, so that Python code that it calls is called by the test: so here.
    """
    return (
        isinstance(code, types.CodeType)
        and code.co_qualname == "Tracker._timed.<locals>.call"
        and code.co_filename == _ENGINE_FILE
    )


def _most_frequent(called_by: Mapping[str, Counter[str]], calls: Mapping[str, int]) -> dict[str, str]:
    """Return for each subject that was called its most frequent caller, of equals the first by name."""
    return {
        subject: min(numbers, key=lambda name: (-numbers[name], name))
        for subject, numbers in called_by.items()
        if subject in calls
    }


def c_function_name(text: str) -> str:
    """Return the dotted name of a C function that ``cProfile`` writes as ``text``."""
    match = _DESCRIPTOR.fullmatch(text)
    if match:
        return f"{match['type']}.{match['name']}"
    match = _BUILTIN.fullmatch(text)
    return _ADDRESS.sub("0x", match["name"] if match else text)
