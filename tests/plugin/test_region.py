from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from pytest_goref.metrics import CALLS, LEAKED_REFS, REFS
from pytest_goref.model import ProblemKind, Round
from pytest_goref.plugin.region import Iterations, Region
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.clock import ClockProfiler

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeClock:
    """Goes on only when told."""

    def __init__(self) -> None:
        self.now_ns = 0

    def wall_ns(self) -> int:
        return self.now_ns

    def cpu_ns(self) -> int:
        return self.now_ns // 2

    def process_cpu_ns(self) -> int:
        return self.now_ns * 3

    def preempted(self) -> int:
        return 0


class FakeKernels:
    """Takes longer each time."""

    def __init__(self) -> None:
        self.now_ns = 0

    def compute_ns(self) -> int:
        self.now_ns += 1
        return self.now_ns

    memory_ns = compute_ns


@dataclass
class Recorded:
    """A profiler that notes what happens to it and may fail."""

    name: str
    log: list[str]
    observation: Observation = field(default_factory=Observation)
    start_error: Exception | None = None
    stop_error: Exception | None = None

    def start(self) -> Recorded:
        self.log.append(f"start {self.name}")
        if self.start_error:
            raise self.start_error
        return self

    def stop(self) -> Observation:
        self.log.append(f"stop {self.name}")
        if self.stop_error:
            raise self.stop_error
        return self.observation


def test_profilers_stop_in_the_opposite_order() -> None:
    log: list[str] = []
    region = Region((Recorded("a", log), Recorded("b", log)))
    assert not region.entered
    with region:
        log.append("test")
    assert log == ["start a", "start b", "test", "stop b", "stop a"]
    assert region.entered


def test_observations_are_put_together() -> None:
    taken = Round(3, 2, 1)
    first = Recorded("a", [], Observation({REFS: {"query": 1}}))
    second = Recorded("b", [], Observation({CALLS: {"f": 2}, LEAKED_REFS: {}}, taken))
    region = Region((first, second))
    with region:
        pass
    execution = region.execution("it failed")
    assert execution.counted == {REFS: {"query": 1}, CALLS: {"f": 2}, LEAKED_REFS: {}}
    assert (execution.round, execution.problems, execution.failure) == (taken, (), "it failed")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ProfilerUnavailableError("another one is on"), "another one is on"),
        (ZeroDivisionError("a defect"), "a profiler failed: ZeroDivisionError: a defect"),
    ],
)
def test_what_a_profiler_does_wrong_is_a_problem(error: Exception, text: str) -> None:
    log: list[str] = []
    other = Recorded("other", log, Observation({REFS: {}}))
    for broken in (Recorded("x", log, start_error=error), Recorded("x", log, stop_error=error)):
        region = Region((broken, other))
        with region:
            pass
        execution = region.execution()
        assert [(p.kind, p.text) for p in execution.problems] == [(ProblemKind.SKIPPED, text)]
        assert execution.counted == {REFS: {}}
    assert log == ["start x", "start other", "stop other", "start x", "start other", "stop other", "stop x"]


def test_the_error_of_the_test_is_the_one_that_is_raised() -> None:
    region = Region((Recorded("a", [], stop_error=ValueError("second")),))
    with pytest.raises(LookupError, match="first"), region:
        raise LookupError("first")


def test_a_region_that_was_never_entered_has_seen_nothing() -> None:
    assert Region((Recorded("a", []),)).execution().counted == {}


def _timed(clock: FakeClock, iterations: Iterations | None) -> Region:
    return Region((ClockProfiler(clock, FakeKernels()),), iterations, clock)


def _loop(wall_ns: int, iterations: int = 1, preempted: int = 0) -> Round:
    """Return the round of a loop by the clock."""
    return Round(wall_ns, wall_ns // 2, preempted, wall_ns * 3, iterations=iterations)


def _takes(clock: FakeClock, ns: int) -> Callable[[], int]:
    def call() -> int:
        clock.now_ns += ns
        return clock.now_ns

    return call


def test_without_rounds_a_loop_calls_once() -> None:
    clock = FakeClock()
    region = _timed(clock, None)
    with region:
        assert region.loop("f", _takes(clock, 100)) == 100
    assert not region.timed
    assert region.execution().timers == {}


def test_a_loop_counts_as_one_call_in_its_round() -> None:
    clock = FakeClock()
    iterations = Iterations()
    iterations.learn("f", _loop(20_000))
    assert iterations.of("f") == 75
    region = _timed(clock, iterations)
    with region:
        clock.now_ns += 4000
        region.loop("f", _takes(clock, 20_000))
    assert clock.now_ns == 4000 + 75 * 20_000
    execution = region.execution()
    # The kernels of a loop are those of the round that it is in: memory, compute, round, compute, memory.
    kernels = {"memory_before_ns": 1, "compute_before_ns": 2, "compute_after_ns": 3, "memory_after_ns": 4}
    assert execution.timers == {"f": replace(_loop(1_500_000, 75), **kernels)}
    assert execution.round == replace(_loop(24_000), **kernels)
    assert region.timed


def test_a_loop_without_a_clock_around_it_has_no_kernels() -> None:
    clock = FakeClock()
    region = Region((), Iterations(), clock)
    with region:
        region.loop("f", _takes(clock, 2_000_000))
    assert region.execution().timers == {"f": _loop(2_000_000)}
    assert region.execution().round is None


def test_a_name_that_is_timed_again_is_numbered() -> None:
    clock = FakeClock()
    region = _timed(clock, Iterations())
    with region:
        for ns in (2_000_000, 2_400_000, 2_600_000):
            region.loop("f", _takes(clock, ns))
    timers = region.execution().timers
    assert {name: taken.wall_ns for name, taken in timers.items()} == {
        "f": 2_000_000,
        "f #2": 2_400_000,
        "f #3": 2_600_000,
    }


def test_an_error_in_a_loop_is_raised_and_not_timed() -> None:
    clock = FakeClock()
    region = _timed(clock, Iterations())

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError), region:
        region.loop("f", fail)
    assert region.execution().timers == {}


@pytest.mark.parametrize(
    ("took_ns", "times"),
    [
        (1_000_000, 1),  # long enough
        (999_999, 2),  # nearly: at least twice as many
        (100_000, 15),
        (1_000, 1000),  # a first call is slow: at most a thousand times as many
        (0, 1000),  # the clock did not move
        (9_000_000, 1),  # too long, but fewer than one is none
    ],
)
def test_how_many_calls_are_enough(took_ns: int, times: int) -> None:
    iterations = Iterations()
    iterations.learn("f", _loop(took_ns))
    assert iterations.of("f") == times
    assert iterations.of("g") == 1


def test_calls_grow_until_they_are_enough() -> None:
    iterations = Iterations()
    learned = []
    for _ in range(4):
        present = iterations.of("f")
        iterations.learn("f", _loop(present * 50, present))  # 50 ns each
        learned.append(iterations.of("f"))
    assert learned == [1000, 30_000, 30_000, 30_000]


def test_calls_that_take_too_long_become_fewer() -> None:
    iterations = Iterations()
    iterations.learn("f", _loop(1000))  # the first call did less than those after it
    iterations.learn("f", _loop(30_000_000, 1000, preempted=2))  # not because of the calls alone
    assert iterations.of("f") == 1000
    iterations.learn("f", _loop(30_000_000, 1000))
    assert iterations.of("f") == 50
    iterations.learn("f", _loop(3_000_000, 50))
    assert iterations.of("f") == 50
