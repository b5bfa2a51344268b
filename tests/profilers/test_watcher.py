"""What watches the program is named, looks away when it shall, and then goes on with its stack of calls."""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from pytest_goref.profilers.watcher import debugger, unwatched, watcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@pytest.fixture(autouse=True)
def hooks() -> Iterator[None]:
    """Begin without hooks, and leave them as they were."""
    trace, threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    yield
    sys.setprofile(None)
    threading.setprofile(None)
    sys.settrace(trace)
    threading.settrace(threads)


def inner() -> int:
    return sum([1, 2])


def again() -> int:
    return inner() + inner()


def outer() -> int:
    return inner() + unwatched(again) + inner()


def test_nobody_watches() -> None:
    assert outer() == 12
    assert sys.getprofile() is None


def test_a_tracer_goes_on_where_it_was() -> None:
    seen: list[tuple[str, str]] = []

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        if frame.f_code.co_name in ("inner", "again", "outer") and event != "line":
            seen.append((event, frame.f_code.co_name))
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    named = watcher()
    outer()
    sys.settrace(None)

    assert named == "a tracer (test_watcher)"
    assert threading.gettrace() is trace
    once = [("call", "inner"), ("return", "inner")]
    assert seen == [("call", "outer"), *once, *once, ("return", "outer")]


def test_a_profile_function_goes_on_where_it_was() -> None:
    seen: list[tuple[str, str]] = []

    def profile(frame: FrameType, event: str, _arg: Any) -> None:
        if frame.f_code.co_name in ("inner", "again", "outer"):
            seen.append((event, frame.f_code.co_name))

    sys.setprofile(profile)
    named = watcher()
    outer()
    sys.setprofile(None)

    assert named == "a profiler (test_watcher)"
    calls = [pair for pair in seen if not pair[0].startswith("c_")]
    once = [("call", "inner"), ("return", "inner")]
    assert calls == [("call", "outer"), *once, *once, ("return", "outer")]


def test_cprofile_counts_what_is_not_repeated() -> None:
    profile = cProfile.Profile()
    profile.enable()
    named = watcher()
    outer()
    outer()
    profile.disable()

    stats = pstats.Stats(profile)
    calls = {name: numbers[1] for (_, _, name), numbers in stats.stats.items()}  # type: ignore[attr-defined]
    assert named in ("a profiler (cProfile)", "a profiler (Profile)")
    assert (calls["outer"], calls["inner"], "again" in calls) == (2, 4, False)
    callers = stats.stats  # type: ignore[attr-defined]
    (of_inner,) = (numbers[4] for (_, _, name), numbers in callers.items() if name == "inner")
    assert {name for _, _, name in of_inner} == {"outer"}


def test_what_profiles_threads_is_named() -> None:
    threading.setprofile(lambda *_: None)

    assert watcher() == "a profiler (test_watcher)"


def test_tracemalloc_is_named() -> None:
    tracemalloc.start()
    try:
        assert watcher() == "tracemalloc"
    finally:
        tracemalloc.stop()


if sys.version_info >= (3, 12):

    @pytest.mark.parametrize(
        ("tool", "name", "named"),
        [
            (0, "pydevd", "a debugger (pydevd)"),
            (1, "coverage.py", "coverage"),
            (2, "mine", "a profiler (mine)"),
            (5, "mine", "the monitoring tool 'mine'"),
        ],
    )
    def test_a_monitoring_tool_goes_on_where_it_was(tool: int, name: str, named: str) -> None:
        monitoring = sys.monitoring
        if monitoring.get_tool(tool) is not None:
            pytest.skip("somebody else uses it")
        seen: list[str] = []
        monitoring.use_tool_id(tool, name)
        try:
            monitoring.register_callback(
                tool, monitoring.events.PY_START, lambda code, _offset: seen.append(code.co_name)
            )
            monitoring.set_events(tool, monitoring.events.PY_START)
            found = watcher(), debugger()
            outer()
            monitoring.set_events(tool, 0)
        finally:
            monitoring.register_callback(tool, monitoring.events.PY_START, None)
            monitoring.free_tool_id(tool)

        assert found == (named, named if tool == 0 else "")
        assert seen.count("inner") == 2
        assert "again" not in seen
