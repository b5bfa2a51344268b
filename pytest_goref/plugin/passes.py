"""The passes: which quiet executions follow a first one that passed, and what they add up to.

A pass is a function that executes the test under its own tool and adds what it saw to the collected samples.
Never two tools in one execution, and never a time taken under a tool.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_goref.metrics import REFS
from pytest_goref.model import Measurements, Metric, Problem, ProblemKind, Round, Samples, Visit
from pytest_goref.plugin.region import Execution, Iterations, Region
from pytest_goref.profilers import Profiler, ProfilerUnavailableError
from pytest_goref.profilers.clock import SYSTEM_CLOCK, Clock, ClockProfiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_goref.profilers.refs import RefsProfiler

_SECOND_NS: Final = 1_000_000_000
_WARM_UPS: Final = 2
_ROUNDS: Final = 20
_TIME_LIMIT_NS: Final = _SECOND_NS
_COUNTED: Final = 9
"""How many executions count refs where that is cheap: the two that count calls, the warm-ups, five rounds."""
_CHEAP_NS: Final = _SECOND_NS // 2
_FROZEN_AT_START: Final = gc.get_freeze_count()
"""CPython 3.12 begins with some hundred objects that it froze itself."""


class NotRepeatableError(Exception):
    """A test that passed once failed in a quiet execution; the message is its failure in one line."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The profilers of a session, made once.

    Attributes:
        refs: counts refs; on in every execution that is counted.
        calls: counts calls.
        clock: read by the rounds.

    """

    refs: RefsProfiler
    calls: Profiler
    clock: Clock = SYSTEM_CLOCK


class Collected:
    """What the executions of one test have shown so far."""

    def __init__(self) -> None:
        self._executions: dict[Metric, list[Mapping[str, int]]] = {}
        self._rounds: list[Round] = []
        self._timers: dict[str, list[int]] = {}
        self.problems: list[Problem] = []

    def add(self, execution: Execution) -> None:
        """Add the counts, times and problems of an execution."""
        for metric, by_subject in execution.counted.items():
            self._executions.setdefault(metric, []).append(by_subject)
        if execution.round is not None:
            self._rounds.append(execution.round)
            for name, ns in execution.timers.items():
                self._timers.setdefault(name, []).append(ns)
        self.note(*execution.problems)

    def note(self, *problems: Problem) -> None:
        """Add problems, each text once."""
        self.problems.extend(problem for problem in problems if problem not in self.problems)

    def times(self, metric: Metric) -> int:
        """Return how many executions have measured ``metric``."""
        return len(self._executions.get(metric, ()))

    @property
    def varies(self) -> bool:
        """Whether executions have counted differently."""
        return any(len(samples) > 1 for by in self.measurements().values() for samples in by.values())

    def measurements(self) -> Measurements:
        """Return samples by metric and subject; a subject that an execution did not see counts zero there."""
        return {metric: _samples(executions) for metric, executions in self._executions.items()}

    def visit(self) -> Visit | None:
        """Return the rounds, None when there are none."""
        timers = {name: tuple(ns) for name, ns in self._timers.items()}
        return Visit(tuple(self._rounds), timers) if self._rounds else None


def _samples(executions: Sequence[Mapping[str, int]]) -> dict[str, Samples]:
    subjects = {subject for counted in executions for subject in counted}
    by_subject = {}
    for subject in subjects:
        values = tuple(counted.get(subject, 0) for counted in executions)
        by_subject[subject] = values[:1] if len(set(values)) == 1 else values
    return by_subject


@dataclass(frozen=True, slots=True)
class PassContext:
    """What a pass works with.

    Attributes:
        execute: executes the test once more under a region.
        tools: the profilers.
        collected: where samples go.
        first_ns: how long the first execution took.
        rounds: timed executions asked for, None for as many as are needed.
        count_refs: whether refs are to be counted.
        timed: whether rounds are taken too.

    """

    execute: Callable[[Region], Execution]
    tools: Tools
    collected: Collected
    first_ns: int
    rounds: int | None
    count_refs: bool
    timed: bool

    def run(self, *profilers: Profiler, iterations: Iterations | None = None) -> Execution:
        """Execute once; refs are counted outermost, so that their snapshots are not part of a time.

        Raises:
            NotRepeatableError: the test failed.

        """
        # No oftener: a test that accumulates would count more whenever there is time for more rounds.
        if self.count_refs and self.collected.times(REFS) < _COUNTED:
            profilers = (self.tools.refs, *profilers)
        execution = self.execute(Region(profilers, iterations, self.tools.clock))
        if execution.failure:
            raise NotRepeatableError(execution.failure)
        return execution

    def run_watched(self, *profilers: Profiler) -> Execution:
        """Execute once and take note of the refs that are left behind after the tear-down.

        Raises:
            NotRepeatableError: the test failed.

        """
        try:
            window = self.tools.refs.start()
        except ProfilerUnavailableError:  # the region notes why
            return self.run(*profilers)
        execution = self.run(*profilers)
        execution.counted.update(window.leaked().counted)
        return execution


def time_pass(context: PassContext) -> None:
    """Warm up, then take rounds: 20 or 1 s, at least 5 (3 when a round takes over 1 s, 1 over 10 s)."""
    iterations = Iterations()
    clock = context.tools.clock
    profiler = ClockProfiler(clock, prepare=gc.collect)
    with _quiet_garbage_collector():
        # A slow test was warmed up enough by its first execution.
        for _ in range(_WARM_UPS if context.first_ns < _SECOND_NS else 0):
            execution = context.run(profiler, iterations=iterations)
            context.collected.add(replace(execution, round=None))
        began_ns, taken = clock.wall_ns(), 0
        while taken < _rounds_wanted(context, clock.wall_ns() - began_ns):
            context.collected.add(context.run(profiler, iterations=iterations))
            taken += 1


def _rounds_wanted(context: PassContext, elapsed_ns: int) -> int:
    """Return how many rounds to take in all, after ``elapsed_ns`` of taking them."""
    if context.rounds is not None:
        return context.rounds
    if elapsed_ns < _TIME_LIMIT_NS:
        return _ROUNDS
    if context.first_ns > 10 * _SECOND_NS:
        return 1
    return 3 if context.first_ns > _SECOND_NS else 5


@contextmanager
def _quiet_garbage_collector() -> Iterator[None]:
    """Keep pytest's own heap out of the collections that happen in a round.

    Nothing is collected first: in a suite of 30 000 items that takes half a second, for each test. What the
    application has frozen itself is left alone: unfreezing cannot tell the two apart.
    """
    if gc.get_freeze_count() > _FROZEN_AT_START:
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def counts_pass(context: PassContext) -> None:
    """Count refs and calls, twice when that is cheap, and in more executions where no others follow.

    Two executions often agree by chance although the counts of a test vary; it must not fail for that.
    """
    cheap = context.first_ns < _CHEAP_NS
    _count_calls(context, times=2 if cheap else 1)
    if cheap and context.collected.varies:
        _count_calls(context, times=_COUNTED - 2)
    elif cheap and not context.timed:
        for _ in range(_COUNTED - 2):
            context.collected.add(context.run())


def _count_calls(context: PassContext, times: int) -> None:
    for _ in range(times):
        try:
            execution = context.run_watched(context.tools.calls)
        except NotRepeatableError as error:
            # The test may be fine and only object to a profiler, for example because it starts its own.
            try:
                context.collected.add(context.run_watched())
            except NotRepeatableError:
                raise error from None
            text = f"calls were not counted: the test fails under cProfile ({error})"
            context.collected.note(Problem(ProblemKind.SKIPPED, text))
            return
        context.collected.add(execution)


COUNTS: Final = "counts"
TIME: Final = "time"

PASSES: Final[Mapping[str, Callable[[PassContext], None]]] = {COUNTS: counts_pass, TIME: time_pass}
"""Every pass by its name, in the order executed: counting comes first, so that it is always the second and
third
execution, however many rounds are taken."""
