"""The clock: elapsed time, CPU time and involuntary context switches of one execution, between the kernels.

Clocks are bound at import, so that a test that freezes time cannot freeze ours.
"""

from __future__ import annotations

from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import TYPE_CHECKING, Final, Protocol

from pytest_goref.model import Round
from pytest_goref.profilers import Observation

if TYPE_CHECKING:
    from pytest_goref.profilers.kernels import Kernels

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
    """The readings a round is made of; each is monotonic."""

    def wall_ns(self) -> int:
        """Return elapsed nanoseconds."""
        ...

    def cpu_ns(self) -> int:
        """Return nanoseconds of CPU time of this thread."""
        ...

    def process_cpu_ns(self) -> int:
        """Return nanoseconds of CPU time of all threads of this process."""
        ...

    def preempted(self) -> int:
        """Return how often the kernel took the CPU away."""
        ...


class SystemClock:
    """The clocks of the operating system."""

    wall_ns = staticmethod(perf_counter_ns)
    cpu_ns = staticmethod(thread_time_ns)
    process_cpu_ns = staticmethod(process_time_ns)
    preempted = staticmethod(_preempted)


SYSTEM_CLOCK: Final = SystemClock()


class ClockProfiler:
    """Times an execution.

    Args:
        clock: what to read.
        kernels: run right before and right after; None when the times will not be compared.

    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, kernels: Kernels | None = None) -> None:
        self._clock = clock
        self._kernels = kernels

    def start(self) -> RunningClock:
        """Run the kernels, then read the clocks, the elapsed time last."""
        return RunningClock(self._clock, self._kernels)


class RunningClock:
    """A round that has begun."""

    __slots__ = (
        "_clock",
        "_compute_ns",
        "_cpu_ns",
        "_kernels",
        "_memory_ns",
        "_preempted",
        "_process_cpu_ns",
        "_wall_ns",
    )

    def __init__(self, clock: Clock, kernels: Kernels | None) -> None:
        self._clock = clock
        self._kernels = kernels
        self._memory_ns = kernels.memory_ns() if kernels else 0
        self._compute_ns = kernels.compute_ns() if kernels else 0
        self._preempted = clock.preempted()
        self._process_cpu_ns = clock.process_cpu_ns()
        self._cpu_ns = clock.cpu_ns()
        self._wall_ns = clock.wall_ns()

    def stop(self) -> Observation:
        """Return the round as an observation."""
        return Observation(round=self.read())

    def read(self) -> Round:
        """Return the round; a clock that went backwards counts as standing still."""
        wall_ns = self._clock.wall_ns() - self._wall_ns
        cpu_ns = self._clock.cpu_ns() - self._cpu_ns
        process_cpu_ns = self._clock.process_cpu_ns() - self._process_cpu_ns
        preempted = self._clock.preempted() - self._preempted
        return Round(
            wall_ns=max(wall_ns, 0),
            cpu_ns=max(cpu_ns, 0),
            preempted=max(preempted, 0),
            process_cpu_ns=max(process_cpu_ns, 0),
            compute_before_ns=self._compute_ns,
            compute_after_ns=self._kernels.compute_ns() if self._kernels else 0,
            memory_before_ns=self._memory_ns,
            memory_after_ns=self._kernels.memory_ns() if self._kernels else 0,
        )
