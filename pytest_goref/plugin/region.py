"""The measured region of one execution: from right before the test's function to right after it.

Everything a profiler does wrong ends here as a problem; it never changes what the test does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_goref.errors import GorefError
from pytest_goref.model import Metric, Problem, ProblemKind, Round
from pytest_goref.profilers.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from pathlib import Path

    from pytest_goref.profile import StackProfile
    from pytest_goref.profilers import Observation, Profiler, Running

_T = TypeVar("_T")

_ENOUGH_NS: Final = 1_000_000
"""An inner loop must take this long: a thousand times what reading the clock costs."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What was seen in one execution of a test.

    Attributes:
        counted: metric -> subject -> value, of all profilers.
        round: its times, when a clock was on.
        timers: ns per call of what was given to ``goref.measure``, by name.
        problems: what could not be measured.
        profiles: where time and memory went, at most one of each kind.
        capture: a file in memray's own format; whoever takes the execution owns it.
        callers: for each subject of ``calls`` the function that called it most.
        concurrent: whether threads or an event loop were seen.
        failure: why the execution failed, "" when it passed.

    """

    counted: dict[Metric, Mapping[str, int]] = field(default_factory=dict)
    round: Round | None = None
    timers: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    profiles: tuple[StackProfile, ...] = ()
    capture: Path | None = None
    callers: Mapping[str, str] = field(default_factory=dict)
    concurrent: bool = False
    failure: str = ""


class Iterations:
    """How many calls each inner loop of a test needs; learned in its first timed executions."""

    def __init__(self) -> None:
        self._by_name: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Return the number of calls for ``name``."""
        return self._by_name.get(name, 1)

    def learn(self, name: str, took_ns: int) -> None:
        """Note how long the present number of calls took, and raise it when that was too short."""
        present = self.of(name)
        if took_ns < _ENOUGH_NS:
            needed = present * _ENOUGH_NS * 5 // 4 // max(took_ns, 1)
            self._by_name[name] = max(present * 2, min(needed, present * 100))


class Region:
    """One execution of one test under some profilers.

    Args:
        profilers: started in this order, stopped in the opposite one.
        iterations: of the test's inner loops; None when this execution is not timed.
        clock: for inner loops.

    """

    def __init__(
        self, profilers: Sequence[Profiler], iterations: Iterations | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._profilers = profilers
        self._iterations = iterations
        self._clock = clock
        self._running: list[Running] = []
        self._observations: list[Observation] = []
        self._problems: list[Problem] = []
        self._timers: dict[str, int] = {}
        self._noted: dict[Metric, dict[str, int]] = {}
        self._extra_wall_ns = self._extra_cpu_ns = 0
        self.entered = False

    @property
    def timed(self) -> bool:
        """Whether inner loops are to be timed."""
        return self._iterations is not None

    def __enter__(self) -> None:
        """Start the profilers."""
        self.entered = True
        for profiler in self._profilers:
            running = self._guarded(profiler.start)
            if running is not None:
                self._running.append(running)

    def __exit__(self, *_exception: object) -> None:
        """Stop the profilers, whatever the test did."""
        while self._running:
            observation = self._guarded(self._running.pop().stop)
            if observation is not None:
                self._observations.append(observation)

    def _guarded(self, act: Callable[[], _T]) -> _T | None:
        """Return what ``act`` returns; None, and a problem, when it fails."""
        try:
            return act()
        except GorefError as error:
            self._problems.append(Problem(ProblemKind.SKIPPED, str(error)))
        except Exception as error:  # noqa: BLE001 - a defect in a profiler must not change a test's outcome
            text = f"a profiler failed: {type(error).__name__}: {error}"
            self._problems.append(Problem(ProblemKind.SKIPPED, text))
        return None

    def loop(self, name: str, call: Callable[[], _T]) -> _T:
        """Call ``call`` as often as the clock needs, note the time of one, and return the last result."""
        iterations = self._iterations
        if iterations is None:
            return call()
        times = iterations.of(name)
        cpu_ns, wall_ns = self._clock.cpu_ns(), self._clock.wall_ns()
        result = call()
        for _ in range(times - 1):
            result = call()
        wall_ns, cpu_ns = self._clock.wall_ns() - wall_ns, self._clock.cpu_ns() - cpu_ns
        iterations.learn(name, wall_ns)
        # A round stays comparable when a later run needs another number of calls: it counts one call.
        self._extra_wall_ns += wall_ns - wall_ns // times
        self._extra_cpu_ns += cpu_ns - cpu_ns // times
        self._timers[_free_name(name, self._timers)] = cpu_ns // times
        return result

    def note(self, name: str, figures: Mapping[Metric, int]) -> None:
        """Store runtime figures of a part of the test, in timed executions: under a tool they mislead."""
        if self.timed:
            for metric, value in figures.items():
                by_name = self._noted.setdefault(metric, {})
                by_name[_free_name(name, by_name)] = value

    def execution(self, failure: str = "") -> Execution:
        """Return what was seen, once the test is over."""
        counted: dict[Metric, Mapping[str, int]] = {}
        taken: Round | None = None
        callers: dict[str, str] = {}
        capture: Path | None = None
        for observation in self._observations:
            counted.update(observation.counted)
            callers.update(observation.callers)
            taken = observation.round or taken
            capture = observation.capture or capture
        for metric, by_name in self._noted.items():
            counted[metric] = {**counted.get(metric, {}), **by_name}
        if taken:
            taken = replace(
                taken,
                wall_ns=max(taken.wall_ns - self._extra_wall_ns, 0),
                cpu_ns=max(taken.cpu_ns - self._extra_cpu_ns, 0),
            )
        return Execution(
            counted=counted,
            round=taken,
            timers=self._timers,
            problems=tuple(self._problems),
            profiles=tuple(o.profile for o in self._observations if o.profile is not None),
            capture=capture,
            callers=callers,
            concurrent=any(o.concurrent for o in self._observations),
            failure=failure,
        )


def _free_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, numbered when this execution has used it before."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} #{number}"
    return free
