"""The ``cpu`` pass on tests whose time is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_goref.metrics import CALLS
from pytest_goref.model import Problem, ProblemKind
from pytest_goref.plugin.cpu_pass import cpu_pass
from pytest_goref.plugin.pass_context import Collected, PassContext
from pytest_goref.plugin.region import Execution, Region
from pytest_goref.profile import CPU_VALUES, Frame, ProfileKind, Stack, StackProfile, sample_count
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_goref.plugin.pass_context import Tools

MS = 1_000_000
STACK: Stack = (Frame("test_it.py:test", "/test_it.py", "test", 1), Frame("sleep", "", "sleep", 0))


class FakeClock(SystemClock):
    now_ns = 0

    def wall_ns(self) -> int:
        return self.now_ns


@dataclass
class FakeTest:
    """A test that takes its time under a profiler that sees a part of it.

    Args:
        takes_ns: how long each execution takes.
        overhead_ns: how long set-up and tear-down take.
        sees: the part that the profiler sees.
        fails_at: the number of the execution that fails.
        busy: why the profiler cannot run.

    """

    takes_ns: int
    overhead_ns: int = MS
    sees: float = 1.0
    fails_at: int = 0
    busy: str = ""
    clock: FakeClock = field(default_factory=FakeClock)
    collected: Collected = field(default_factory=Collected)
    executions: int = 0

    def start(self) -> FakeTest:
        if self.busy:
            raise ProfilerUnavailableError(self.busy)
        return self

    def stop(self) -> Observation:
        seen_ns = int(self.takes_ns * self.sees)
        # what is shorter than the interval is seen now and then
        sampled_ns = self.executions * seen_ns // MS * MS - (self.executions - 1) * seen_ns // MS * MS
        stacks = {STACK: (1, sampled_ns)} if sampled_ns else {}
        profile = StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, 1, self.takes_ns, sampled_ns)
        return Observation(profile=profile)

    def execute(self, region: Region) -> Execution:
        self.executions += 1
        with region:
            self.clock.now_ns += self.takes_ns
        self.clock.now_ns += self.overhead_ns
        return region.execution("call failed: on purpose" if self.executions == self.fails_at else "")

    def take(self, *, on_demand: bool = False) -> StackProfile | None:
        """Take the pass; return the profile that is stored."""
        tools = cast("Tools", SimpleNamespace(cpu=self, clock=self.clock))  # it needs no others
        cpu_pass(
            PassContext(
                self.execute,
                tools,
                self.collected,
                self.takes_ns,
                rounds=None,
                count_refs=True,
                timed=True,
                on_demand=on_demand,
            )
        )
        (profile,) = self.collected.profiles() or (None,)
        return profile

    @property
    def problems(self) -> list[str]:
        assert {problem.kind for problem in self.collected.problems} <= {ProblemKind.SKIPPED}
        return [problem.text for problem in self.collected.problems]


@pytest.mark.parametrize(
    ("takes_ns", "executions", "samples"),
    [
        (3_000 * MS, 1, 3_000),
        (200 * MS, 1, 200),
        (150 * MS, 2, 300),
        (10 * MS, 20, 200),
        (MS // 2, 400, 200),
        (MS // 10, 1819, 181),  # until two seconds are over
    ],
)
def test_it_ends_with_200_samples_or_after_two_seconds(takes_ns: int, executions: int, samples: int) -> None:
    test = FakeTest(takes_ns)
    profile = test.take()
    assert profile is not None
    assert (test.executions, profile.executions, sample_count(profile)) == (executions, executions, samples)
    assert profile.elapsed_ns == takes_ns * executions
    assert test.problems == []


@pytest.mark.parametrize(
    ("takes_ns", "overhead_ns", "executions"),
    [
        (5_000, MS, 10),
        (5_000, 300 * MS, 1),
        (50_000, MS, 10),
        (MS, 50 * MS, 4),
    ],
)
@pytest.mark.parametrize("on_demand", [False, True])
def test_it_gives_up_when_200_samples_are_out_of_reach(
    takes_ns: int,
    overhead_ns: int,
    executions: int,
    on_demand: bool,  # noqa: FBT001 - parametrized
) -> None:
    test = FakeTest(takes_ns, overhead_ns)
    assert test.take(on_demand=on_demand) is None
    assert test.executions == executions
    too_short = "no CPU profile: the test is too short for a sample every millisecond"
    assert test.problems == ([] if on_demand else [too_short])


def test_some_samples_are_better_than_none() -> None:
    test = FakeTest(5 * MS, overhead_ns=150 * MS)
    profile = test.take()
    assert (test.executions, profile) == (2, None)
    test = FakeTest(21 * MS, overhead_ns=800 * MS)
    profile = test.take()
    assert profile is not None
    assert (test.executions, sample_count(profile), test.problems) == (1, 21, [])


@pytest.mark.parametrize("on_demand", [False, True])
def test_a_test_that_sets_a_profiler_is_told(on_demand: bool) -> None:  # noqa: FBT001 - parametrized
    test = FakeTest(100 * MS, sees=0.43)
    profile = test.take(on_demand=on_demand)
    assert profile is not None
    assert 0.4 < profile.covered_ns / profile.elapsed_ns < 0.45
    why = "the test sets a profiler or stops the clock"
    assert test.problems == [f"the CPU profile covers only 43 % of the time: {why}"]


def test_a_test_that_lets_nothing_be_seen_is_executed_no_oftener_than_that_takes_to_find_out() -> None:
    test = FakeTest(50 * MS, sees=0.0)
    assert test.take() is None
    assert test.executions == 4
    assert [text[:39] for text in test.problems] == ["the CPU profile covers only 0 % of the "]


@pytest.mark.parametrize("sees", [0.91, 1.2])
def test_what_is_nearly_covered_is_fine(sees: float) -> None:
    test = FakeTest(100 * MS, sees=sees)
    assert test.take() is not None
    assert test.problems == []


def test_a_test_that_fails_under_the_profiler_keeps_its_record() -> None:
    test = FakeTest(10 * MS, fails_at=3)
    assert test.take(on_demand=True) is None
    assert test.executions == 3
    assert test.problems == ["no CPU profile: the test fails under pyinstrument (call failed: on purpose)"]


def test_a_profiler_that_cannot_run_is_told_once() -> None:
    test = FakeTest(10 * MS, busy="no CPU profile: a profiler is active")
    assert test.take() is None
    assert test.executions == 1
    assert test.problems == ["no CPU profile: a profiler is active"]


def test_c_functions_are_named_as_calls_names_them() -> None:
    test = FakeTest(200 * MS)
    test.collected.add(Execution({CALLS: {"time.sleep": 1}}))
    profile = test.take()
    assert profile is not None
    assert [frame.place for stack in profile.stacks for frame in stack] == ["test_it.py:test", "time.sleep"]


def test_a_profile_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def wide(self: FakeTest) -> Observation:
        stacks: dict[Stack, tuple[int, ...]] = {
            (STACK[0], Frame(f"a.py:f{n}", "/a.py", f"f{n}", n)): (1, MS) for n in range(2000)
        }
        return Observation(profile=StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, 1, 2000 * MS, 2000 * MS))

    monkeypatch.setattr(FakeTest, "stop", wide)
    profile = FakeTest(2000 * MS).take()
    assert profile is not None
    assert len(profile.stacks) < 300
    assert sample_count(profile) == 2000


def test_refs_are_not_counted() -> None:
    test = FakeTest(10 * MS)
    test.take()
    assert test.collected.measurements() == {}


def test_other_problems_of_an_execution_are_kept() -> None:
    test = FakeTest(200 * MS)
    execute: Callable[[Region], Execution] = test.execute

    def with_problem(region: Region) -> Execution:
        execution = execute(region)
        return Execution(
            problems=(Problem(ProblemKind.SKIPPED, "something else"),), profiles=execution.profiles
        )

    test.execute = with_problem  # type: ignore[method-assign]
    assert test.take() is not None
    assert test.problems == ["something else"]
