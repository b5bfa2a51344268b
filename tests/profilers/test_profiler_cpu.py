"""Real profiles of short tests; what they see of time is left to the machine."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import threading
import timeit
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_goref.metrics import CALLS
from pytest_goref.profile import CPU_VALUES, Frame, ProfileKind, StackProfile, merged
from pytest_goref.profilers import ProfilerUnavailableError
from pytest_goref.profilers.calls import CallsProfiler
from pytest_goref.profilers.clock import SystemClock
from pytest_goref.profilers.cpu import CpuProfiler, render_html
from pytest_goref.profilers.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROJECT = """
    import asyncio
    import functools
    import threading

    def through(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    def burn(times):
        return sum(n * n for n in range(times))

    class Shop:
        class Till:
            @staticmethod
            def static(times):
                return burn(times)

            @classmethod
            def of_class(cls, times):
                return cls.static(times)

            @property
            def owned(self):
                return burn(5000)

            @through
            def wrapped(self, times):
                def nested():
                    return (lambda: burn(times))()
                return nested()

    class Mall(Shop.Till):
        def visit(self, times):
            return self.static(times) + self.of_class(times) + self.owned + self.wrapped(times)

    def shop():
        for _ in range(20):
            Mall().visit(5000)

    async def wait():
        await asyncio.sleep(0)
        shop()

    def test_async():
        asyncio.run(wait())

    def test_thread():
        thread = threading.Thread(target=shop)
        thread.start()
        thread.join()
"""


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Overlook what watches these tests themselves, such as coverage: else no profile is taken."""
    gettrace, trace = sys.gettrace, sys.gettrace()

    def other_trace() -> object:
        return None if gettrace() is trace else gettrace()

    monkeypatch.setattr(sys, "gettrace", other_trace)
    yield
    sys.settrace(trace)


@pytest.fixture
def project(tmp_path: Path) -> ModuleType:
    file = tmp_path / "app.py"
    file.write_text(textwrap.dedent(PROJECT), encoding="utf-8")
    module = ModuleType("app")
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path, [__file__])


def profile_of(places: Places, test: Callable[[], object], times: int = 1) -> StackProfile:
    """Return the profile of ``test``; this file is a runner's."""
    profiler = CpuProfiler(places)
    profiles = []
    for _ in range(times):
        running = profiler.start()
        try:
            test()
        finally:
            profile = running.stop().profile
        assert profile is not None
        profiles.append(profile)
    return merged(profiles)


def seen_in(profile: StackProfile) -> set[str]:
    """Return the places of Python functions in a profile."""
    return {frame.place for stack in profile.stacks for frame in stack if frame.file}


def test_functions_are_named_as_for_calls(places: Places, project: ModuleType) -> None:
    running = CallsProfiler(places).start()
    try:
        project.shop()
    finally:
        calls = running.stop().counted[CALLS]
    seen = seen_in(profile_of(places, project.shop, times=5))
    assert seen <= calls.keys()
    assert {"app.py:shop", "app.py:burn", "app.py:Mall.visit"} <= seen
    assert any(name.startswith("app.py:Shop.Till.") for name in seen)


def test_every_stack_begins_at_the_test(places: Places, project: ModuleType, tmp_path: Path) -> None:
    profile = profile_of(places, project.shop)
    assert {stack[0].place for stack in profile.stacks} == {"app.py:shop"}
    (line,) = {stack[0].line for stack in profile.stacks if len(stack) > 1}
    assert PROJECT.splitlines()[line - 1].strip() == "Mall().visit(5000)"
    assert {frame.file for stack in profile.stacks for frame in stack} <= {str(tmp_path / "app.py"), ""}
    assert (profile.kind, profile.values, profile.executions) == (ProfileKind.CPU, CPU_VALUES, 1)
    assert 0 < profile.total(0) <= profile.total(1) // 1_000_000
    assert profile.total(1) <= profile.covered_ns


def test_a_test_under_the_interval_is_seen_in_some_executions(places: Places, project: ModuleType) -> None:
    profile = profile_of(places, lambda: project.burn(4000), times=100)
    assert profile.total(0) > 0
    assert profile.executions == 100
    assert "app.py:burn" in seen_in(profile)


def test_an_event_loop_belongs_to_the_test(places: Places, project: ModuleType) -> None:
    profile = profile_of(places, project.test_async)
    assert {stack[0].place for stack in profile.stacks} == {"app.py:test_async"}
    assert any(
        [frame.place for frame in stack if frame.place.startswith("app.py")][:3]
        == ["app.py:test_async", "app.py:wait", "app.py:shop"]
        for stack in profile.stacks
    )


def test_threads_of_the_test_are_seen(places: Places, project: ModuleType) -> None:
    profile = profile_of(places, project.test_thread)
    assert "app.py:shop" in {stack[0].place for stack in profile.stacks}
    assert "app.py:burn" in seen_in(profile)
    assert threading.getprofile() is None


def test_a_test_that_sets_a_profiler_is_not_covered(places: Places, project: ModuleType) -> None:
    def test() -> None:
        sys.setprofile(lambda *_: None)
        project.shop()
        sys.setprofile(None)

    profile = profile_of(places, test)
    assert profile.covered_ns < 0.9 * profile.elapsed_ns
    assert sys.getprofile() is None


@pytest.mark.parametrize("frozen_at", [0.0, 1.6e9])
def test_a_test_that_stops_the_clock_is_not_covered(
    places: Places, project: ModuleType, monkeypatch: pytest.MonkeyPatch, frozen_at: float
) -> None:
    def test() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(timeit, "default_timer", lambda: frozen_at)
            project.shop()
        project.burn(10_000)

    profile = profile_of(places, test)
    assert profile.covered_ns < 0.9 * profile.elapsed_ns
    assert all(0 < took_ns <= 2 * profile.elapsed_ns for _, took_ns in profile.stacks.values())


def test_it_can_be_started_again_after_a_failure(places: Places) -> None:
    def test() -> None:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            profile_of(places, test)
    assert sys.getprofile() is None


def test_a_clock_that_goes_backwards_counts_as_standing_still(places: Places) -> None:
    class Clock(SystemClock):
        set_back = False

        def wall_ns(self) -> int:
            return 0 if self.set_back else SystemClock.wall_ns()

    clock = Clock()
    running = CpuProfiler(places, clock).start()
    clock.set_back = True
    profile = running.stop().profile
    assert profile is not None
    assert profile.elapsed_ns == 0


def test_it_says_nothing_of_slow_clocks(
    places: Places, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pyinstrument import stack_sampler  # noqa: PLC0415 - few tests need it

    monkeypatch.setattr(stack_sampler, "timing_overhead", lambda: {"walltime": 1.0, "walltime_coarse": 1.0})
    CpuProfiler(places).start().stop()
    assert capfd.readouterr() == ("", "")


def test_another_profiler_is_left_alone(places: Places) -> None:
    running = CpuProfiler(places).start()
    try:
        with pytest.raises(
            ProfilerUnavailableError, match=r"^no CPU profile: a profiler \(pyinstrument\) is active"
        ):
            CpuProfiler(places).start()
    finally:
        running.stop()
    CpuProfiler(places).start().stop()


def test_a_debugger_is_left_alone(places: Places) -> None:
    def trace(*_: object) -> None: ...

    sys.settrace(trace)
    try:
        with pytest.raises(ProfilerUnavailableError, match=r"a tracer \(test_profiler_cpu\) is active"):
            CpuProfiler(places).start()
        assert sys.gettrace() is trace
    finally:
        sys.settrace(None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring")
def test_a_monitoring_tool_is_left_alone(places: Places) -> None:
    if sys.version_info >= (3, 12):
        sys.monitoring.use_tool_id(3, "spy")
        try:
            with pytest.raises(ProfilerUnavailableError, match="the monitoring tool 'spy' is active"):
                CpuProfiler(places).start()
        finally:
            sys.monitoring.free_tool_id(3)


def test_the_page_shows_the_stacks(tmp_path: Path) -> None:
    test = Frame("tests/test_a.py:test_b", str(tmp_path / "tests/test_a.py"), "test_b", 5)
    loop = Frame("app.py:Shop.loop", str(tmp_path / "app.py"), "Shop.loop", 9)
    earlier = loop._replace(line=8)
    profile = StackProfile(
        ProfileKind.CPU,
        CPU_VALUES,
        {
            (test, loop): (3, 30_000_000),
            (test,): (1, 10_000_000),
            (test, earlier): (1, 5_000_000),
            (Frame("time.sleep", "", "sleep", 0),): (1, 2_000_000),
        },
        2,
        50_000_000,
        47_000_000,
    )
    page = render_html(profile, "tests/test_a.py::test_b[</script>]")
    found = re.search(r"const sessionData = (\{.*\});\n", page)
    assert found
    data = json.loads(found[1])
    assert data["session"]["target_description"] == "tests/test_a.py::test_b[< /script>]"
    assert (data["session"]["sample_count"], data["session"]["duration"]) == (6, 0.05)
    assert str(tmp_path) in data["session"]["sys_path"]
    for expected in (f"Shop.loop\\u0000{tmp_path / 'app.py'}\\u00008", "sleep\\u0000<built-in>\\u00000"):
        assert expected in found[1]
    assert "test_a.py::test_b[</script>]" not in page


def test_a_page_of_nothing_is_a_page() -> None:
    assert render_html(StackProfile(ProfileKind.CPU, CPU_VALUES, {}), "nothing").count("<html>") == 1
