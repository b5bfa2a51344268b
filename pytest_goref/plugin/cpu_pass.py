"""The ``cpu`` pass: executions under a sampling profiler, until there are enough samples to tell shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pytest_goref.metrics import CALLS
from pytest_goref.model import Problem, ProblemKind
from pytest_goref.plugin.region import Execution, Region
from pytest_goref.profile import SAMPLE_NS, TIME, merged
from pytest_goref.profilers.sampled import bounded, named_as

if TYPE_CHECKING:
    from pytest_goref.plugin.pass_context import PassContext
    from pytest_goref.profile import StackProfile

_ENOUGH_NS: Final = 200 * SAMPLE_NS
"""Shares are compared only when they rest on 200 samples."""

_LONGEST_NS: Final = 2_000_000_000

_FIRST_LOOK_EXECUTIONS: Final = 10
_FIRST_LOOK_NS: Final = _LONGEST_NS // 10
"""After either, a test that would need far longer is given up."""

_FEWEST_NS: Final = 20 * SAMPLE_NS
"""With fewer samples, a function that takes half of the time may show as a quarter or as three quarters."""

_MOST_BYTES: Final = 10_000
_LOWEST_COVERAGE: Final = 0.9


def cpu_pass(context: PassContext) -> None:
    """Execute under the profiler until there are 200 samples, or 2 s are over; refs are not counted."""
    taken = _Taken()
    clock = context.tools.clock
    began_ns = clock.wall_ns()
    while taken.wants_more(clock.wall_ns() - began_ns):
        execution = context.execute(Region((context.tools.cpu,), clock=clock))
        context.collected.note(*execution.problems)
        if execution.failure:
            _note(context, f"no CPU profile: the test fails under pyinstrument ({execution.failure})")
            return
        if not execution.profiles:
            return
        taken.add(execution.profiles[0])
    _conclude(context, taken)


def _conclude(context: PassContext, taken: _Taken) -> None:
    """Store the profile, unless it says nothing, and tell what is wrong with it."""
    if taken.is_blind:
        share = round(100 * taken.covered_ns / taken.elapsed_ns)
        why = "the test sets a profiler or stops the clock"
        _note(context, f"the CPU profile covers only {share} % of the time: {why}")
    if taken.sampled_ns >= _FEWEST_NS:
        calls = context.collected.measurements().get(CALLS, {})
        profile = bounded(named_as(merged(taken.profiles), calls), _MOST_BYTES)
        context.collected.add(Execution(profiles=(profile,)))
    elif not context.on_demand and not taken.is_blind:
        _note(context, "no CPU profile: the test is too short for a sample every millisecond")


def _note(context: PassContext, text: str) -> None:
    context.collected.note(Problem(ProblemKind.SKIPPED, text))


class _Taken:
    """The profiles taken so far, and what they add up to."""

    def __init__(self) -> None:
        self.profiles: list[StackProfile] = []
        self.sampled_ns = self.elapsed_ns = self.covered_ns = 0

    def add(self, profile: StackProfile) -> None:
        self.profiles.append(profile)
        self.sampled_ns += profile.total(TIME)
        self.elapsed_ns += profile.elapsed_ns
        self.covered_ns += profile.covered_ns

    def wants_more(self, passed_ns: int) -> bool:
        """Return whether to execute once more, ``passed_ns`` after the first one began."""
        executions = len(self.profiles)
        if not executions:
            return True
        if passed_ns >= _LONGEST_NS or self.sampled_ns >= _ENOUGH_NS:
            return False
        if executions < _FIRST_LOOK_EXECUTIONS and passed_ns < _FIRST_LOOK_NS:
            return True
        # The time in the test tells better than its first few samples how many there will be.
        within_reach = 2 * self.elapsed_ns * _LONGEST_NS >= passed_ns * _ENOUGH_NS
        return within_reach and not self.is_blind

    @property
    def is_blind(self) -> bool:
        """Whether the profiler has missed more than chance explains.

        An execution begins and ends between two samples: up to an interval more or less is covered.
        """
        missed_ns = self.elapsed_ns - self.covered_ns
        by_chance_ns = 3 * SAMPLE_NS * math.sqrt(len(self.profiles))
        return self.covered_ns < _LOWEST_COVERAGE * self.elapsed_ns and missed_ns > by_chance_ns
