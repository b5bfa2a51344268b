"""The measured region of one execution: from right before the test's function to right after it.

Everything a profiler does wrong ends here as a problem; it never changes what the test does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_goref.errors import GorefError
from pytest_goref.model import Metric, Problem, ProblemKind, Round
from pytest_goref.profilers.clock import SYSTEM_CLOCK, Clock, ClockProfiler

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_goref.profile import StackProfile
    from pytest_goref.profilers import Observation, Profiler, Running

_T = TypeVar("_T")

_ENOUGH_NS: Final = 1_000_000
"""An inner loop must take this long: a thousand times what reading the clock costs."""
_WANTED_NS: Final = 1_500_000
_TOO_LONG_NS: Final = 3_000_000
_MOST_GROWTH: Final = 1000
"""A first call is slower than those after it, so it tells little: the number of calls grows in steps."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What was seen in one execution of a test.

    Attributes:
        counted: metric -> subject -> value, of all profilers.
        round: its times, when a clock was on.
        timers: the loop of each call that was given to ``goref.measure``, by name.
        problems: what could not be measured.
        profiles: where time and memory went, at most one of each kind.
        capture: a file in memray's own format; whoever takes the execution owns it.
        callers: for each subject of ``calls`` the function that called it most.
        concurrent: whether threads or an event loop were seen.
        code: fingerprint of the code of all project functions that ran, "" where it is not known.
        failure: why the execution failed, "" when it passed.

    """

    counted: dict[Metric, Mapping[str, int]] = field(default_factory=dict)
    round: Round | None = None
    timers: dict[str, Round] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    profiles: tuple[StackProfile, ...] = ()
    capture: Path | None = None
    callers: Mapping[str, str] = field(default_factory=dict)
    concurrent: bool = False
    code: str = ""
    failure: str = ""

    def drop_capture(self) -> None:
        """Delete the file that nobody will ask for."""
        if self.capture is not None:
            self.capture.unlink(missing_ok=True)


class Iterations:
    """How many calls each inner loop of a test needs; learned in its first timed executions."""

    def __init__(self) -> None:
        self._by_name: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Return the number of calls for ``name``."""
        return self._by_name.get(name, 1)

    def learn(self, name: str, taken: Round) -> None:
        """Note how long some calls took, and change their number when that was too short or too long."""
        needed = taken.iterations * _WANTED_NS // max(taken.wall_ns, 1)
        if taken.wall_ns < _ENOUGH_NS:
            self._by_name[name] = max(taken.iterations * 2, min(needed, taken.iterations * _MOST_GROWTH))
        elif taken.wall_ns > _TOO_LONG_NS and not taken.preempted:
            self._by_name[name] = max(needed, 1)


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
        self._timers: dict[str, Round] = {}
        self._noted: dict[Metric, dict[str, int]] = {}
        self.entered = False

    @property
    def timed(self) -> bool:
        """Whether inner loops are to be timed."""
        return self._iterations is not None

    def __enter__(self) -> None:
        """Start the profilers."""
        self.entered = True
        try:
            for profiler in self._profilers:
                running = self._guarded(profiler.start)
                if running is not None:
                    self._running.append(running)
        except BaseException:  # Ctrl-C: what is on already must not stay on
            self.__exit__()
            raise

    def __exit__(self, *_exception: object) -> None:
        """Stop the profilers, whatever the test did; an interrupt leaves none on."""
        try:
            while self._running:
                observation = self._guarded(self._running[-1].stop)
                self._running.pop()
                if observation is not None:
                    self._observations.append(observation)
        except BaseException:
            while self._running:  # the one that was interrupted is stopped again: it may be on still
                self._guarded(self._running.pop().stop)
            raise

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
        running = ClockProfiler(self._clock).start()
        result = call()
        for _ in range(times - 1):
            result = call()
        taken = replace(running.read(), iterations=times)
        iterations.learn(name, taken)
        self._timers[_free_name(name, self._timers)] = taken
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
        return Execution(
            counted=counted,
            round=taken and _of_single_calls(taken, self._timers.values()),
            timers={name: _beside(taken, timer) for name, timer in self._timers.items()},
            problems=tuple(self._problems),
            profiles=tuple(o.profile for o in self._observations if o.profile is not None),
            capture=capture,
            callers=callers,
            concurrent=any(o.concurrent for o in self._observations),
            code=next((o.code for o in self._observations if o.code), ""),
            failure=failure,
        )


def _of_single_calls(taken: Round, timers: Iterable[Round]) -> Round:
    """Return ``taken`` as if each timed call had been made once.

    So a round stays comparable when a later run needs another number of calls.
    """
    for timer in timers:
        extra = timer.iterations - 1
        taken = replace(
            taken,
            wall_ns=max(taken.wall_ns - timer.wall_ns * extra // timer.iterations, 0),
            cpu_ns=max(taken.cpu_ns - timer.cpu_ns * extra // timer.iterations, 0),
            process_cpu_ns=max(taken.process_cpu_ns - timer.process_cpu_ns * extra // timer.iterations, 0),
        )
    return taken


def _beside(taken: Round | None, timer: Round) -> Round:
    """Return ``timer`` with the kernels that ran around its execution."""
    if taken is None:
        return timer
    return replace(
        taken,
        wall_ns=timer.wall_ns,
        cpu_ns=timer.cpu_ns,
        preempted=timer.preempted,
        process_cpu_ns=timer.process_cpu_ns,
        iterations=timer.iterations,
    )


def _free_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, numbered when this execution has used it before."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} #{number}"
    return free
