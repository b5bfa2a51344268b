from __future__ import annotations

from pytest_goref.model import Round
from pytest_goref.profilers.clock import SYSTEM_CLOCK, ClockProfiler


class SteppingClock:
    """A clock whose readings are given in advance, each in the order asked for."""

    def __init__(self, wall_ns: list[int], cpu_ns: list[int], preempted: list[int]) -> None:
        self.readings = {"wall": iter(wall_ns), "cpu": iter(cpu_ns), "preempted": iter(preempted)}
        self.asked: list[str] = []

    def _read(self, name: str) -> int:
        self.asked.append(name)
        return next(self.readings[name])

    def wall_ns(self) -> int:
        return self._read("wall")

    def cpu_ns(self) -> int:
        return self._read("cpu")

    def preempted(self) -> int:
        return self._read("preempted")


def test_a_round_is_the_difference_of_two_readings() -> None:
    clock = SteppingClock([100, 350], [10, 90], [3, 5])
    assert ClockProfiler(clock).start().stop().round == Round(wall_ns=250, cpu_ns=80, preempted=2)


def test_the_elapsed_time_is_read_last_and_first_again() -> None:
    clock = SteppingClock([0, 1], [0, 1], [0, 1])
    ClockProfiler(clock).start().stop()
    assert clock.asked == ["preempted", "cpu", "wall", "wall", "cpu", "preempted"]


def test_a_clock_that_goes_backwards_stands_still() -> None:
    clock = SteppingClock([100, 50], [10, 9], [3, 2])
    assert ClockProfiler(clock).start().stop().round == Round(0, 0, 0)


def test_the_system_clock_goes_forward() -> None:
    running = ClockProfiler().start()
    sum(range(1000))
    taken = running.stop().round
    assert taken is not None
    assert taken.wall_ns > 0
    assert SYSTEM_CLOCK.preempted() >= 0
