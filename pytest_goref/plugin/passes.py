"""The passes: which quiet executions follow a first one that passed, and what they add up to.

A pass is a function that executes the test under its own tool and adds what it saw to the collected samples.
Never two tools in one execution, and never a time taken under a tool.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Group, Problem, ProblemKind
from pytest_goref.plugin.cpu_pass import cpu_pass
from pytest_goref.plugin.memory_pass import memory_pass
from pytest_goref.plugin.pass_context import COUNTED_TIMES, NotRepeatableError, PassContext
from pytest_goref.plugin.region import Iterations
from pytest_goref.profilers.clock import ClockProfiler
from pytest_goref.profilers.heap import QuietHeap
from pytest_goref.profilers.runtime import RuntimeProfiler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_goref.model import Metric
    from pytest_goref.plugin.region import Execution

_SECOND_NS: Final = 1_000_000_000
_WARM_UPS: Final = 2
_ROUNDS: Final = 20
_TIME_LIMIT_NS: Final = _SECOND_NS
_CHEAP_NS: Final = _SECOND_NS // 2


def time_pass(context: PassContext) -> None:
    """Warm up, then take rounds: 20 or 1 s, at least 5 (3 when a round takes over 1 s, 1 over 10 s)."""
    with context.tools.lock():
        _take_rounds(context)


def _take_rounds(context: PassContext) -> None:
    iterations = Iterations()
    clock, kernels = context.tools.clock, context.tools.kernels
    profilers = (RuntimeProfiler(prepare=gc.collect), ClockProfiler(clock, kernels))
    heap = QuietHeap()
    try:
        for _ in range(_WARM_UPS):  # of the kernels alone: a slow test gets no other
            kernels.memory_ns()
            kernels.compute_ns()
        # A slow test was warmed up enough by its first execution.
        for _ in range(_WARM_UPS if context.first_ns < _SECOND_NS else 0):
            execution = context.run(*profilers, iterations=iterations)
            context.collected.add(replace(execution, round=None, counted=_refs_of(execution)))
        began_ns, taken = clock.wall_ns(), 0
        while taken < _rounds_wanted(context, clock.wall_ns() - began_ns):
            context.collected.add(context.run(*profilers, iterations=iterations))
            taken += 1
    finally:
        heap.give_back()


def _refs_of(execution: Execution) -> dict[Metric, Mapping[str, int]]:
    """Return what counts in a warm-up too: refs do, the runtime figures are of the rounds."""
    return {metric: by for metric, by in execution.counted.items() if metric.group is not Group.RUNTIME}


def _rounds_wanted(context: PassContext, elapsed_ns: int) -> int:
    """Return how many rounds to take in all, after ``elapsed_ns`` of taking them."""
    if context.rounds is not None:
        return context.rounds
    if elapsed_ns < _TIME_LIMIT_NS:
        return _ROUNDS
    if context.first_ns > 10 * _SECOND_NS:
        return 1
    return 3 if context.first_ns > _SECOND_NS else 5


def counts_pass(context: PassContext) -> None:
    """Count refs and calls, twice when that is cheap, and in more executions where no others follow.

    Two executions often agree by chance although the counts of a test vary; it must not fail for that.
    Only two tell whether Hypothesis draws the same examples each time.
    """
    cheap = context.first_ns < _CHEAP_NS
    _count_calls(context, times=2 if cheap or context.drawn else 1)
    if cheap and context.collected.varies:
        _count_calls(context, times=COUNTED_TIMES - 2)
    elif cheap and not context.timed:
        for _ in range(COUNTED_TIMES - 2):
            context.collected.add(context.run())


def _count_calls(context: PassContext, times: int) -> None:
    for _ in range(times):
        try:
            execution = context.undisturbed(lambda: context.run_watched(context.tools.calls))
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
MEMORY: Final = "memory"
TIME: Final = "time"
CPU: Final = "cpu"

PASSES: Final[Mapping[str, Callable[[PassContext], None]]] = {
    COUNTS: counts_pass,
    MEMORY: memory_pass,
    TIME: time_pass,
    CPU: cpu_pass,
}
"""Every pass by its name, in the order executed: counting comes first, then allocations, so that both are
always the same executions of a test, however many rounds are taken."""

ON_DEMAND: Final = (CPU,)
"""Passes that only explain: unless they are asked for by name, they are taken where that is needed."""
