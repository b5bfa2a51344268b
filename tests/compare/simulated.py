"""Visits of made-up code on made-up machines, for tests of what decides whether it became slower."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass

from pytest_goref.compare.rounds import Series
from pytest_goref.compare.slowdown import (
    Opinion,
    decide,
)

CLEAR, SLOWER, FASTER, OPEN = Opinion.CLEAR, Opinion.SLOWER, Opinion.FASTER, Opinion.OPEN
FIVE, TEN = 0.05, 0.10
STEADY = (1.0,)
SWINGING = (1.0, 1.3, 1.3, 1.0, 1.15)
"""The machine takes up to 30 % longer at times."""
ROUNDS = 20


@dataclass(frozen=True)
class Code:
    """What is timed on one side.

    Attributes:
        work: how much there is to do; 1.2 takes 20 % longer.
        computes: how the time follows the speed at which the machine computes, as an exponent.
        allocates: the same for the speed at which it allocates.
        noise: by how much rounds differ; visits differ by half of it.

    """

    work: float = 1.0
    computes: float = 1.0
    allocates: float = 0.0
    noise: float = 0.02


@dataclass(frozen=True)
class Machine:
    """How much longer than at its best a machine takes, in the course of a visit."""

    computes: tuple[float, ...] = STEADY
    allocates: tuple[float, ...] | None = None
    """As ``computes`` when both are slow at the same time."""


def visits(count: int, code: Code, machine: Machine | None = None, seed: int = 0) -> Series:
    """Return visits of ``code``; each begins at another place in the course of the machine."""
    generator = random.Random(seed)  # noqa: S311 - samples, not secrets
    made = [_visit(code, machine or Machine(), generator) for _ in range(count)]
    times, compute, memory = zip(*made, strict=True)
    return Series(times, compute, memory)


def _visit(code: Code, machine: Machine, generator: random.Random) -> tuple[tuple[float, ...], ...]:
    def disturbed(factor: float, noise: float) -> float:
        return math.log(factor) + noise * abs(generator.gauss())

    course = list(zip(machine.computes, machine.allocates or machine.computes, strict=True))
    start = generator.randrange(len(course))
    process = code.noise / 2 * generator.gauss()
    rows = []
    for computes, allocates in itertools.islice(itertools.cycle(course), start, start + ROUNDS):
        took_ms = 5 * code.work * computes**code.computes * allocates**code.allocates
        rows.append(
            (
                disturbed(took_ms * 1e6, code.noise) + process,
                disturbed(computes * 2e5, 0.02),
                disturbed(allocates * 2e5, 0.02),
            )
        )
    return tuple(zip(*rows, strict=True))


def judged(before: Series, after: Series, threshold: float = FIVE, *, paired: bool = False) -> list[Opinion]:
    """Return what is said after each fresh visit until it is decided."""
    said: list[Opinion] = []
    for count in range(1, len(after.times) + 1):
        accepted = before.first(count) if paired else before
        said.append(decide(accepted, after.first(count), threshold, paired=paired).opinion)
        if said[-1] is not OPEN:
            break
    return said


SAME, SLOW, FAST = Code(), Code(work=1.2), Code(work=1 / 1.2)
MACHINES = [Machine(), Machine(SWINGING)]
