"""Calls: how often each Python and C function was called, exactly, through ``cProfile``.

Project code is named by file and qualified name (never by line, so that an edit above moves nothing), C
functions by their dotted name, all other Python code by its module. Calls that the test runner makes are left
out.
"""

from __future__ import annotations

import os
import re
import sys
import types
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pytest_goref.metrics import CALLS
from pytest_goref.profilers import Observation, ProfilerUnavailableError

if TYPE_CHECKING:
    import cProfile
    from collections.abc import Iterable

    class _Called(Protocol):
        """What ``cProfile`` tells of a function, or of a function called by another."""

        @property
        def code(self) -> _Code: ...

        @property
        def callcount(self) -> int: ...

    class _Entry(_Called, Protocol):
        @property
        def calls(self) -> Iterable[_Called] | None: ...


_RUNNER_PACKAGES: Final = ("_pytest", "pluggy", "pytest", "pytest_goref")
"""Whoever runs the test: what only they call is not the test's work."""

_Code = types.CodeType | str
_Callers = defaultdict[_Code, dict[_Code, int]]

_DESCRIPTOR: Final = re.compile(
    r"<(?:method|slot wrapper|class method) '(?P<name>.+?)' of '(?P<type>.+?)' objects>"
)
_BUILTIN: Final = re.compile(r"<(?:built-in )?(?:method|function) (?P<name>.+?)(?: of .+)?>")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")


class CallsProfiler:
    """Counts calls in the thread that starts it.

    Args:
        rootdir: code below it is project code, unless it is installed there (a virtual environment).
        runner_files: source files that help to run tests, such as those of other plugins.

    """

    def __init__(self, rootdir: Path, runner_files: Iterable[str] = ()) -> None:
        self._names = FunctionNames(rootdir, runner_files)

    def start(self) -> RunningCalls:
        """Start ``cProfile``.

        Raises:
            ProfilerUnavailableError: another profiler is active in this thread or interpreter.

        """
        import cProfile  # noqa: PLC0415 - needed only by sessions that count calls

        holder = _profiler_in_use()
        if holder:
            raise ProfilerUnavailableError(f"another profiler is active ({holder}): stop it before the test")
        profile = cProfile.Profile()
        profile.enable()
        return RunningCalls(profile, self._names)


def _profiler_in_use() -> str:
    """Return a name for the profiler that is on, "" when there is none."""
    function = sys.getprofile()
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

    def __init__(self, profile: cProfile.Profile, names: FunctionNames) -> None:
        self._profile = profile
        self._names = names

    def stop(self) -> Observation:
        """Return the number of calls by function.

        Raises:
            ProfilerUnavailableError: the test replaced the profiler, so that calls were missed.

        """
        active: object = sys.getprofile()
        replaced = sys.version_info < (3, 12) and active is not self._profile
        self._profile.disable()
        if replaced:
            raise ProfilerUnavailableError("the test itself sets a profiler, so that calls were missed")
        return Observation({CALLS: self._names.count(self._profile.getstats())})


class FunctionNames:
    """Turns what ``cProfile`` saw into subjects.

    Args:
        rootdir: where project code lives.
        runner_files: source files whose functions are part of the test runner.

    """

    def __init__(self, rootdir: Path, runner_files: Iterable[str] = ()) -> None:
        self._root = os.path.join(os.path.realpath(rootdir), "")  # noqa: PTH118 - compared as text, per function
        self._runner_files = frozenset(map(os.path.realpath, runner_files))
        self._files: dict[str, tuple[str, bool]] = {}

    def count(self, stats: Iterable[_Entry]) -> dict[str, int]:
        """Return calls by subject, without those that only serve to run the test.

        Project code counts however it was called. Other code counts as often as the test's own code, or what
        that called, has called it: calls made by the runner, and by what only the runner uses, are left out.
        """
        entries = list(stats)
        callers = _callers(entries)
        runner = self._runner_functions(entries, callers)
        calls: Counter[str] = Counter()
        for entry in entries:
            subject, is_project = self._subject(entry.code)
            if is_project:
                calls[subject] += entry.callcount
            elif entry.code not in runner:
                by_test = sum(
                    number for caller, number in callers[entry.code].items() if caller not in runner
                )
                calls[subject] += by_test
        return {subject: number for subject, number in calls.items() if number}

    def _runner_functions(self, entries: Iterable[_Entry], callers: _Callers) -> set[_Code]:
        """Return the functions of the runner, and those that were called from nowhere else."""
        runner: set[_Code] = set()
        others: set[_Code] = set()
        for entry in entries:
            subject, is_project = self._subject(entry.code)
            if not is_project:
                (others if subject else runner).add(entry.code)
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
            return c_function_name(code), False
        place, is_project = self._place(code.co_filename)
        if not place or not (is_project or place.startswith("<")):
            return place, False
        return f"{place}:{code.co_qualname}", is_project

    def _place(self, file: str) -> tuple[str, bool]:
        """Return how ``file`` is shown ("" for the runner) and whether it is project code; remembered."""
        known = self._files.get(file)
        if known is None:
            known = self._files[file] = self._find_place(file)
        return known

    def _find_place(self, file: str) -> tuple[str, bool]:
        if file.startswith("<"):
            frozen = file.removeprefix("<frozen ").removesuffix(">")
            return (frozen, False) if file.startswith("<frozen ") else (_ADDRESS.sub("0x", file), False)
        real = os.path.realpath(file)
        if real.startswith(self._root) and not _is_installed(real, self._root):
            return real[len(self._root) :].replace(os.sep, "/"), True
        module = _module_of(real)
        runs_tests = real in self._runner_files or module.partition(".")[0] in _RUNNER_PACKAGES
        return ("", False) if runs_tests else (module, False)


def _is_installed(file: str, root: str) -> bool:
    """Return whether ``file``, below ``root``, belongs to an environment kept in the project."""
    if "site-packages" in Path(file).parts:
        return True
    prefixes = {os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix)}
    return any(prefix.startswith(root) and file.startswith(prefix + os.sep) for prefix in prefixes)


def _module_of(file: str) -> str:
    """Return the dotted module of ``file``: its path below the longest entry of ``sys.path``."""
    entries = {os.path.realpath(entry) for entry in sys.path if entry}
    holders = [entry for entry in entries if file.startswith(entry + os.sep)]
    relative = file[len(max(holders, key=len)) + 1 :] if holders else Path(file).name
    parts = list(Path(relative).with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def c_function_name(text: str) -> str:
    """Return the dotted name of a C function that ``cProfile`` writes as ``text``."""
    match = _DESCRIPTOR.fullmatch(text)
    if match:
        return f"{match['type']}.{match['name']}"
    match = _BUILTIN.fullmatch(text)
    return _ADDRESS.sub("0x", match["name"] if match else text)
