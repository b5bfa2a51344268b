from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_goref.metrics import CALLS, GC_COLLECTIONS, LEAKED_REFS, LEAKED_THREADS, REFS
from pytest_goref.model import Group, ProblemKind
from pytest_goref.plugin.pass_context import Collected, NotRepeatableError, PassContext, Tools
from pytest_goref.plugin.passes import PASSES, counts_pass, time_pass
from pytest_goref.plugin.region import Execution, Region
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.leaks import LeaksProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.refs import RefsProfiler
from pytest_goref.tracker import Tracker, disable, enable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_goref.model import Measurements

SECOND_NS = 1_000_000_000
NO_LEAKS: Measurements = {LEAKED_REFS: {}, LEAKED_THREADS: {}}


class FakeClock:
    """Goes on only when a test takes its time."""

    now_ns = 0

    def wall_ns(self) -> int:
        return self.now_ns

    def cpu_ns(self) -> int:
        return self.now_ns

    process_cpu_ns = cpu_ns

    def preempted(self) -> int:
        return 0


@dataclass
class FakeKernels:
    """Notes when they run."""

    ran: list[str] = field(default_factory=list)

    def compute_ns(self) -> int:
        self.ran.append("compute")
        return len(self.ran)

    def memory_ns(self) -> int:
        self.ran.append("memory")
        return len(self.ran)


@dataclass
class FakeCalls:
    """Tells the calls of one execution after the other."""

    told: Sequence[int] = (7,)
    started: int = 0

    def start(self) -> FakeCalls:
        self.started += 1
        return self

    def stop(self) -> Observation:
        return Observation({CALLS: {"f": self.told[min(self.started, len(self.told)) - 1]}})


@dataclass
class FakeTest:
    """A test that takes its time, uses its keys, and fails where it is told to.

    Args:
        takes_ns: how long each execution takes.
        uses: how often ``query`` is used, by the number of the quiet execution.
        fails: whether a quiet execution fails, by its number and whether calls are being counted.

    """

    takes_ns: int = 1000
    uses: Callable[[int], int] = lambda _: 2
    fails: Callable[[int, bool], bool] = lambda _number, _counting: False
    calls: FakeCalls = field(default_factory=FakeCalls)
    clock: FakeClock = field(default_factory=FakeClock)
    kernels: FakeKernels = field(default_factory=FakeKernels)
    tracker: Tracker = field(default_factory=Tracker)
    executions: int = 0

    def execute(self, region: Region) -> Execution:
        self.executions += 1
        counting = self.calls.started
        with region:
            for _ in range(self.uses(self.executions)):
                self.tracker.ref("query").deref()
            self.clock.now_ns += self.takes_ns
        failed = self.fails(self.executions, self.calls.started > counting)
        return region.execution("call failed: on purpose" if failed else "")

    def context(
        self, *, rounds: int | None = None, count_refs: bool = True, timed: bool = True
    ) -> PassContext:
        refs = RefsProfiler(self.tracker)
        leaks = LeaksProfiler(refs, Places(Path.cwd()))
        tools = Tools(
            refs,
            leaks,
            self.calls,
            memory=self.calls,
            cpu=self.calls,
            clock=self.clock,
            kernels=self.kernels,
        )
        return PassContext(self.execute, tools, Collected(), self.takes_ns, rounds, count_refs, timed)


@pytest.mark.parametrize(
    ("takes_ns", "rounds", "executions"),
    [
        (1_000, 20, 22),
        (50_000_000, 20, 22),
        (60_000_000, 17, 19),  # until a second is over
        (200_000_000, 5, 7),
        (900_000_000, 5, 7),  # at least
        (1_100_000_000, 3, 3),  # the first execution was warm-up enough
        (10_100_000_000, 1, 1),
    ],
)
def test_how_many_rounds_are_taken(takes_ns: int, rounds: int, executions: int) -> None:
    test = FakeTest(takes_ns)
    context = test.context()
    time_pass(context)
    visit = context.collected.visit()
    assert visit is not None
    assert [taken.wall_ns for taken in visit.rounds] == [takes_ns] * rounds
    assert test.executions == executions


@pytest.mark.parametrize("takes_ns", [1_000, 2 * SECOND_NS])
def test_warm_kernels_run_around_every_round(takes_ns: int) -> None:
    test = FakeTest(takes_ns)
    warm_up = ["memory", "compute"] * 2
    around = ["memory", "compute", "test", "compute", "memory"]

    def execute(region: Region) -> Execution:
        with region:
            test.kernels.ran.append("test")
        return region.execution()

    context = replace(test.context(rounds=1), execute=execute)
    time_pass(context)
    executions = 3 if takes_ns < SECOND_NS else 1
    assert test.kernels.ran == warm_up + around * executions
    visit = context.collected.visit()
    assert visit is not None
    (taken,) = visit.rounds
    last = len(test.kernels.ran)
    assert (taken.memory_before_ns, taken.memory_after_ns) == (last - 4, last)
    assert (taken.compute_before_ns, taken.compute_after_ns) == (last - 3, last - 1)


def test_counting_runs_no_kernels() -> None:
    test = FakeTest()
    counts_pass(test.context())
    assert test.kernels.ran == []


@pytest.mark.parametrize(("takes_ns", "executions"), [(1_000, 32), (60_000_000, 32), (10_100_000_000, 30)])
def test_rounds_that_are_asked_for_are_taken(takes_ns: int, executions: int) -> None:
    test = FakeTest(takes_ns)
    time_pass(test.context(rounds=30))
    assert test.executions == executions


def test_refs_are_counted_in_a_fixed_number_of_executions() -> None:
    test = FakeTest(uses=lambda number: number)  # it accumulates
    context = test.context()
    for take in PASSES.values():
        take(context)
    assert context.collected.measurements()[REFS]["query"] == tuple(range(1, 10))
    slower = FakeTest(200_000_000, uses=lambda number: number)
    context = slower.context()
    for take in PASSES.values():
        take(context)
    assert context.collected.measurements()[REFS]["query"] == tuple(range(1, 10))


def test_refs_are_counted_as_often_without_rounds() -> None:
    test = FakeTest(uses=lambda number: number % 2 + 1)
    context = test.context(timed=False)
    counts_pass(context)
    assert test.executions == 9
    assert len(context.collected.measurements()[REFS]["query"]) == 9


def test_constant_counts_are_kept_once() -> None:
    test = FakeTest()
    context = test.context()
    counts_pass(context)
    assert test.executions == 2
    assert context.collected.measurements() == {REFS: {"query": (2,)}, CALLS: {"f": (7,)}, **NO_LEAKS}


def test_a_slow_test_is_counted_once() -> None:
    test = FakeTest(SECOND_NS // 2)
    counts_pass(test.context(timed=False))
    assert test.executions == 1


def test_calls_that_vary_are_counted_oftener() -> None:
    test = FakeTest(calls=FakeCalls(told=(1, 2, 1, 9)))
    context = test.context()
    counts_pass(context)
    assert test.executions == 9
    assert context.collected.measurements()[CALLS]["f"] == (1, 2, 1, 9, 9, 9, 9, 9, 9)


def test_a_subject_that_an_execution_did_not_see_counts_zero_there() -> None:
    collected = Collected()
    collected.add(Execution({REFS: {"a": 1}}))
    collected.add(Execution({REFS: {"b": 2}}))
    assert collected.measurements() == {REFS: {"a": (1, 0), "b": (0, 2)}}
    assert (collected.times(REFS), collected.times(CALLS), collected.varies) == (2, 0, True)


def test_refs_that_are_left_behind_are_counted_after_the_tear_down() -> None:
    test = FakeTest()
    context = test.context()

    def leaking(region: Region) -> Execution:
        test.tracker.ref("left")
        return test.execute(region)

    counts_pass(PassContext(leaking, context.tools, context.collected, 0, None, count_refs=True, timed=True))
    assert context.collected.measurements()[LEAKED_REFS] == {"left": (1,)}


def test_without_counts_a_round_counts_nothing() -> None:
    context = FakeTest().context(count_refs=False)
    time_pass(context)
    assert {metric.group for metric in context.collected.measurements()} == {Group.RUNTIME}


def test_the_runtime_figures_are_of_the_rounds_alone() -> None:
    context = FakeTest().context(rounds=4)
    time_pass(context)
    assert context.collected.times(GC_COLLECTIONS) == 4
    assert context.collected.times(REFS) == 6  # those of the warm-ups count


def test_what_is_noisy_does_not_make_a_test_vary() -> None:
    collected = Collected()
    for number in range(3):
        collected.add(Execution({REFS: {"query": 2}, GC_COLLECTIONS: {"generation 0": number}}))
    assert not collected.varies
    collected.add(Execution({REFS: {"query": 3}}))
    assert collected.varies


def test_a_test_that_fails_when_repeated_is_not_repeatable() -> None:
    with pytest.raises(NotRepeatableError, match="call failed: on purpose"):
        time_pass(FakeTest(fails=lambda number, _: number == 4).context())
    with pytest.raises(NotRepeatableError, match="call failed: on purpose"):
        counts_pass(FakeTest(fails=lambda _number, _counting: True).context())


def test_a_test_that_only_fails_under_cprofile_is_counted_without_calls() -> None:
    context = FakeTest(fails=lambda _, counting: counting).context()
    counts_pass(context)
    assert context.collected.measurements() == {REFS: {"query": (2,)}, **NO_LEAKS}
    (problem,) = context.collected.problems
    assert problem.kind is ProblemKind.SKIPPED
    assert problem.text == "calls were not counted: the test fails under cProfile (call failed: on purpose)"


def test_disabled_tracking_is_told_once() -> None:
    test = FakeTest(uses=lambda _: 0)
    context = test.context()
    disable()
    try:
        counts_pass(context)
    finally:
        enable()
    assert context.collected.measurements() == {CALLS: {"f": (7,)}, LEAKED_THREADS: {}}
    assert [p.text for p in context.collected.problems] == [
        "tracking is disabled: call goref.enable() before the test"
    ]


def test_a_profiler_that_cannot_run_leaves_a_problem() -> None:
    class Busy(FakeCalls):
        def start(self) -> FakeCalls:
            raise ProfilerUnavailableError("another profiler is active")

    context = FakeTest(calls=Busy()).context()
    counts_pass(context)
    assert context.collected.measurements() == {REFS: {"query": (2,)}, **NO_LEAKS}
    assert [p.text for p in context.collected.problems] == ["another profiler is active"]


def test_counting_comes_before_timing() -> None:
    assert list(PASSES).index("counts") < list(PASSES).index("time")


def test_sampling_comes_last() -> None:
    assert list(PASSES)[-1] == "cpu"


def test_rounds_are_taken_with_the_heap_frozen() -> None:
    seen: list[int] = []

    def look(_number: int) -> int:
        seen.append(gc.get_freeze_count())
        return 0

    test = FakeTest(uses=look)
    before = gc.get_freeze_count()
    time_pass(test.context(rounds=1))
    assert min(seen) > before + 1000
    assert gc.get_freeze_count() <= before


def test_what_the_application_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        time_pass(FakeTest().context(rounds=1))
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()


def test_a_failing_round_thaws_the_heap() -> None:
    before = gc.get_freeze_count()
    with pytest.raises(NotRepeatableError):
        time_pass(FakeTest(fails=lambda _number, _counting: True).context())
    assert gc.get_freeze_count() <= before
