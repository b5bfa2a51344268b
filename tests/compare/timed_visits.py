"""Visits with a known duration and a little, always the same, noise: for tests of what judges them."""

from __future__ import annotations

import random

from pytest_goref.model import Round, Visit

ROUNDS = 20
KERNEL_NS = 200_000


def visit(number: int, time_ns: int, *, speed: float = 1.0, **timers_ns: int) -> Visit:
    """Return the rounds of one process.

    Args:
        number: of the process; equal numbers have equal noise.
        time_ns: CPU time of an undisturbed round.
        speed: of the machine, 2.0 when everything takes half as long.
        timers_ns: time of one call of each inner loop.

    """
    noise = random.Random(number)  # noqa: S311 - no secret

    def taken(ns: float) -> int:
        return round(ns / speed * (1 + 0.02 * noise.random() ** 2))

    def timed(ns: int, iterations: int) -> Round:
        cpu_ns = taken(ns * iterations)
        before, after, memory_before, memory_after = (taken(KERNEL_NS) for _ in range(4))
        return Round(cpu_ns + 100, cpu_ns, 0, cpu_ns, before, after, memory_before, memory_after, iterations)

    rounds = tuple(timed(time_ns, 1) for _ in range(ROUNDS))
    timers = {name: tuple(timed(ns, 100) for _ in range(ROUNDS)) for name, ns in timers_ns.items()}
    return Visit(rounds, timers)


def visits(count: int, time_ns: int, first: int = 0, **timers_ns: int) -> tuple[Visit, ...]:
    """Return so many visits, of the processes from number ``first`` on."""
    return tuple(visit(first + number, time_ns, **timers_ns) for number in range(count))


MS = 1_000_000
STORED = visits(6, 5 * MS)
SLOWER, FASTER = visits(6, 9 * MS, first=50), visits(6, 3 * MS, first=50)
