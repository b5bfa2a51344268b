"""What a pass works with: the tools, a way to execute the test once more, and what was seen so far."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_goref.metrics import CALLS, REFS
from pytest_goref.model import Exactness, Measurements, Metric, Problem, Round, Samples, Visit
from pytest_goref.plugin.region import Execution, Iterations, Region
from pytest_goref.profilers.bystanders import Bystanders
from pytest_goref.profilers.clock import SYSTEM_CLOCK, Clock
from pytest_goref.profilers.kernels import KERNELS, Kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_goref.profile import ProfileKind, StackProfile
    from pytest_goref.profilers import Profiler
    from pytest_goref.profilers.leaks import LeaksProfiler
    from pytest_goref.profilers.refs import RefsProfiler

COUNTED_TIMES: Final = 9
"""How many executions count refs where that is cheap: the two that count calls, the warm-ups, five rounds."""

_MOST_DISTURBED: Final = 2
"""Executions of one test that are forgotten because other threads ran meanwhile: some threads always do."""


class NotRepeatableError(Exception):
    """A test that passed once failed in a quiet execution; the message is its failure in one line."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The profilers of a session, made once.

    Attributes:
        refs: counts refs; on in every execution that is counted.
        leaks: takes note of what an execution leaves behind.
        calls: counts calls.
        memory: records allocations.
        cpu: samples where the time goes.
        clock: read by the rounds.
        kernels: run before and after each round.
        lock: keeps other sessions of this machine from timing in its block.
        prepare: by the name of a pass, what must have happened before a test that it measures is executed.

    """

    refs: RefsProfiler
    leaks: LeaksProfiler
    calls: Profiler
    memory: Profiler
    cpu: Profiler
    clock: Clock = SYSTEM_CLOCK
    kernels: Kernels = KERNELS
    lock: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    prepare: Mapping[str, Callable[[], None]] = field(default_factory=dict)


class Collected:
    """What the executions of one test have shown so far."""

    def __init__(self) -> None:
        self._executions: dict[Metric, list[Mapping[str, int]]] = {}
        self._rounds: list[Round] = []
        self._timers: dict[str, list[Round]] = {}
        self._profiles: dict[ProfileKind, StackProfile] = {}
        self.capture: Path | None = None
        self.callers: Mapping[str, str] = {}
        self.concurrent = False
        self._codes: set[str] = set()
        self.problems: list[Problem] = []
        self.disturbed = 0

    def add(self, execution: Execution) -> None:
        """Add the counts, times and problems of an execution."""
        for metric, by_subject in execution.counted.items():
            self._executions.setdefault(metric, []).append(by_subject)
        if execution.round is not None:
            self._rounds.append(execution.round)
            for name, timer in execution.timers.items():
                self._timers.setdefault(name, []).append(timer)
        for profile in execution.profiles:
            self.take_profile(profile)
        self.callers = execution.callers or self.callers
        self.concurrent = self.concurrent or execution.concurrent
        self._codes |= {execution.code} - {""}
        self._take_capture(execution.capture)
        self.note(*execution.problems)

    def take_profile(self, profile: StackProfile) -> None:
        """Keep the last profile of its kind."""
        self._profiles[profile.kind] = profile

    def _take_capture(self, capture: Path | None) -> None:
        """Keep the last file, and only that."""
        if capture is not None:
            self.drop_capture()
            self.capture = capture

    def drop_capture(self) -> None:
        """Delete the file that nobody will ask for."""
        if self.capture is not None:
            self.capture.unlink(missing_ok=True)
            self.capture = None

    def note(self, *problems: Problem) -> None:
        """Add problems, each text once."""
        self.problems.extend(problem for problem in problems if problem not in self.problems)

    def times(self, metric: Metric) -> int:
        """Return how many executions have measured ``metric``."""
        return len(self._executions.get(metric, ()))

    @property
    def varies(self) -> bool:
        """Whether executions have counted differently what should be the same in each."""
        exact = (by for metric, by in self.measurements().items() if metric.exactness is Exactness.EXACT)
        return any(len(samples) > 1 for by_subject in exact for samples in by_subject.values())

    @property
    def calls_repeat(self) -> bool:
        """Whether several executions have made the same calls: then they had the same examples too."""
        by_subject = self.measurements().get(CALLS, {})
        return self.times(CALLS) > 1 and all(len(samples) == 1 for samples in by_subject.values())

    @property
    def code(self) -> str:
        """The fingerprint of the code that ran, "" when it is not known or executions ran other functions."""
        return next(iter(self._codes)) if len(self._codes) == 1 else ""

    def measurements(self) -> Measurements:
        """Return samples by metric and subject; a subject that an execution did not see counts zero there."""
        return {metric: _samples(executions) for metric, executions in self._executions.items()}

    def profiles(self) -> tuple[StackProfile, ...]:
        """Return the last profile of each kind."""
        return tuple(self._profiles.values())

    def visit(self) -> Visit | None:
        """Return the rounds, None when there are none."""
        timers = {name: tuple(taken) for name, taken in self._timers.items()}
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
        drawn: whether Hypothesis draws examples for the test, perhaps others in each execution.
        on_demand: whether nobody asked for the pass by name, so that it tells of no result that it lacks.

    """

    execute: Callable[[Region], Execution]
    tools: Tools
    collected: Collected
    first_ns: int
    rounds: int | None
    count_refs: bool
    timed: bool
    drawn: bool = False
    on_demand: bool = False

    def run(self, *profilers: Profiler, iterations: Iterations | None = None) -> Execution:
        """Execute once; refs are counted outermost, so that their snapshots are not part of a time.

        Raises:
            NotRepeatableError: the test failed.

        """
        # No oftener: a test that accumulates would count more whenever there is time for more rounds.
        if self.count_refs and self.collected.times(REFS) < COUNTED_TIMES:
            profilers = (self.tools.refs, *profilers)
        execution = self.execute(Region(profilers, iterations, self.tools.clock))
        if execution.failure:
            raise NotRepeatableError(execution.failure)
        return execution

    def undisturbed(self, execute: Callable[[], Execution]) -> Execution:
        """Return what ``execute`` has seen while no thread ran that is not the test's, if that can be had."""
        while True:
            bystanders = Bystanders()
            execution = execute()
            if self.collected.disturbed == _MOST_DISTURBED or not bystanders.have_run():
                return execution
            self.collected.disturbed += 1
            execution.drop_capture()

    def run_watched(self, *profilers: Profiler) -> Execution:
        """Execute once and take note of what is left behind after the tear-down.

        Raises:
            NotRepeatableError: the test failed.

        """
        with contextlib.closing(self.tools.leaks.start()) as window:
            execution = self.run(*profilers)
        execution.counted.update(window.stop().counted)
        return execution
