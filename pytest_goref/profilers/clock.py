"""The clock: wall time, CPU time and involuntary context switches of one execution.

Clocks are bound at import, so that a test that freezes time cannot freeze ours.
"""

from __future__ import annotations

from time import perf_counter_ns, thread_time_ns
from typing import Final, Protocol

from pytest_goref.model import Round
from pytest_goref.profilers import Observation

try:
    import resource
except ImportError:  # pragma: no cover - Windows does not count context switches

    def _preempted() -> int:
        return 0

else:
    # Linux counts for the measuring thread alone, macOS and the BSDs for the whole process.
    _WHO: Final = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)

    def _preempted() -> int:
        return resource.getrusage(_WHO).ru_nivcsw


class Clock(Protocol):
    """The three readings a round is made of; each is monotonic."""

    def wall_ns(self) -> int:
        """Return elapsed nanoseconds."""
        ...

    def cpu_ns(self) -> int:
        """Return nanoseconds of CPU time of this thread."""
        ...

    def preempted(self) -> int:
        """Return how often the kernel took the CPU away."""
        ...


class SystemClock:
    """The clocks of the operating system."""

    wall_ns = staticmethod(perf_counter_ns)
    cpu_ns = staticmethod(thread_time_ns)
    preempted = staticmethod(_preempted)


SYSTEM_CLOCK: Final = SystemClock()


class ClockProfiler:
    """Times an execution.

    Args:
        clock: what to read.

    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock

    def start(self) -> RunningClock:
        """Read the clocks, the elapsed time last."""
        return RunningClock(self._clock)


class RunningClock:
    """A round that has begun."""

    __slots__ = ("_clock", "_cpu_ns", "_preempted", "_wall_ns")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._preempted = clock.preempted()
        self._cpu_ns = clock.cpu_ns()
        self._wall_ns = clock.wall_ns()

    def stop(self) -> Observation:
        """Return the round; a clock that went backwards counts as standing still."""
        wall_ns = self._clock.wall_ns() - self._wall_ns
        cpu_ns = self._clock.cpu_ns() - self._cpu_ns
        preempted = self._clock.preempted() - self._preempted
        return Observation(round=Round(max(wall_ns, 0), max(cpu_ns, 0), max(preempted, 0)))
