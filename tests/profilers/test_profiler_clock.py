from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_goref.model import Round
from pytest_goref.profilers.clock import SYSTEM_CLOCK, ClockProfiler

if TYPE_CHECKING:
    from collections.abc import Iterable


class Stepping:
    """A clock and its kernels, whose readings are given in advance, each in the order asked for."""

    def __init__(self, *readings: tuple[int, int, int, int], kernels: Iterable[int] = ()) -> None:
        names = ("wall", "cpu", "process", "preempted")
        self.readings = {name: [reading[at] for reading in readings] for at, name in enumerate(names)}
        self.kernels = iter(kernels)
        self.asked: list[str] = []

    def _read(self, name: str) -> int:
        self.asked.append(name)
        return self.readings[name].pop(0)

    def wall_ns(self) -> int:
        return self._read("wall")

    def cpu_ns(self) -> int:
        return self._read("cpu")

    def process_cpu_ns(self) -> int:
        return self._read("process")

    def preempted(self) -> int:
        return self._read("preempted")

    def compute_ns(self) -> int:
        self.asked.append("compute")
        return next(self.kernels)

    def memory_ns(self) -> int:
        self.asked.append("memory")
        return next(self.kernels)


def test_a_round_is_the_difference_of_two_readings() -> None:
    clock = Stepping((100, 10, 20, 3), (350, 90, 200, 5))
    assert ClockProfiler(clock).start().stop().round == Round(
        wall_ns=250, cpu_ns=80, preempted=2, process_cpu_ns=180
    )


def test_the_elapsed_time_is_read_last_and_first_again() -> None:
    clock = Stepping((0, 0, 0, 0), (1, 1, 1, 1))
    ClockProfiler(clock).start().stop()
    before = ["preempted", "process", "cpu", "wall"]
    assert clock.asked == [*before, *reversed(before)]


def test_kernels_run_around_the_round_as_a_palindrome() -> None:
    clock = Stepping((0, 0, 0, 0), (9, 8, 7, 0), kernels=(11, 12, 13, 14))
    taken = ClockProfiler(clock, clock).start().stop().round
    before = ["memory", "compute", "preempted", "process", "cpu", "wall"]
    assert clock.asked == [*before, *reversed(before)]
    assert taken == Round(
        9,
        8,
        0,
        7,
        memory_before_ns=11,
        compute_before_ns=12,
        compute_after_ns=13,
        memory_after_ns=14,
    )


def test_a_clock_that_goes_backwards_stands_still() -> None:
    clock = Stepping((100, 10, 10, 3), (50, 9, 9, 2))
    assert ClockProfiler(clock).start().stop().round == Round(0, 0, 0)


def test_the_system_clock_goes_forward() -> None:
    running = ClockProfiler().start()
    sum(range(1000))
    taken = running.read()
    assert taken.wall_ns > 0
    assert SYSTEM_CLOCK.preempted() >= 0
    assert SYSTEM_CLOCK.process_cpu_ns() > 0
