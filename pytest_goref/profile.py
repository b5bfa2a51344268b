"""Profiles: where the CPU time or the memory of one test went, as weighted stacks.

One shape for both, so that tables, artifacts and exports are written once. Frozen; nothing here does I/O.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_goref.quantity import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ProfileKind(enum.Enum):
    """What was profiled."""

    CPU = "cpu"
    MEMORY = "memory"


class Frame(NamedTuple):
    """One function on a stack.

    Attributes:
        place: the function's file and qualified name as in the subjects of ``calls``, or its module.
        file: absolute path of its source, empty when there is none.
        function: its qualified name; ``(module)`` for the code of a module.
        line: the line that was executing, 0 when unknown.

    """

    place: str
    file: str
    function: str
    line: int


Stack = tuple[Frame, ...]
"""Frames, outermost first; the first is the test's function or what it was called by outside the runner."""


_DEEPEST: Final = 64
OTHER: Final = Frame("(other)", "", "(other)", 0)
"""Stands for frames or stacks that there is no room for."""


class Value(NamedTuple):
    """What one number of each stack is, for example ``time`` in nanoseconds."""

    name: str
    unit: Unit


CPU_VALUES: Final = (Value("samples", Unit.COUNT), Value("time", Unit.NANOSECOND))
"""The numbers of a stack in a CPU profile: how often it was seen, and the time that this stands for."""

SAMPLE_NS: Final = 1_000_000
"""The time between two samples, unless C code or a loop without calls lets none be taken."""

SAMPLES: Final = 0
"""Index of the samples in ``CPU_VALUES``."""

TIME: Final = 1
"""Index of the time in ``CPU_VALUES``."""

MEMORY_VALUES: Final = (
    Value("peak", Unit.BYTE),
    Value("total", Unit.BYTE),
    Value("left", Unit.BYTE),
    Value("allocations", Unit.COUNT),
)
"""The numbers of a stack in a memory profile: bytes at the peak, altogether, not freed; how often."""


@dataclass(frozen=True, slots=True)
class StackProfile:
    """Weighted stacks of one test.

    Attributes:
        kind: what was profiled.
        values: what the numbers of a stack are, in their order.
        stacks: the numbers of each stack; every stack once.
        executions: how often the test was executed for it.
        elapsed_ns: how long that took altogether, under the profiler.
        covered_ns: the part of it that the profiler saw.

    """

    kind: ProfileKind
    values: tuple[Value, ...]
    stacks: Mapping[Stack, tuple[int, ...]]
    executions: int = 1
    elapsed_ns: int = 0
    covered_ns: int = 0

    def total(self, value: int) -> int:
        """Return the sum over all stacks of the number at index ``value``."""
        return sum(numbers[value] for numbers in self.stacks.values())

    def flat(self, value: int) -> dict[str, int]:
        """Return for each place the sum of the stacks that end there."""
        return _summed((stack[-1:], numbers[value]) for stack, numbers in self.stacks.items())

    def cumulative(self, value: int) -> dict[str, int]:
        """Return for each place the sum of the stacks that it is on, each stack counted once."""
        return _summed((stack, numbers[value]) for stack, numbers in self.stacks.items())


def shallow(stack: Stack) -> Stack:
    """Return a stack of bounded depth: the middle of a deep recursion is left out."""
    if len(stack) <= _DEEPEST:
        return stack
    return (*stack[: _DEEPEST // 2], OTHER, *stack[-(_DEEPEST // 2) + 1 :])


def merged(profiles: Iterable[StackProfile]) -> StackProfile:
    """Return one profile of several executions of a test, at least one, all of the same kind and values."""
    first, *rest = profiles
    stacks: dict[Stack, tuple[int, ...]] = dict(first.stacks)
    for profile in rest:
        for stack, numbers in profile.stacks.items():
            known = stacks.get(stack)
            stacks[stack] = numbers if known is None else tuple(map(sum, zip(known, numbers, strict=True)))
    return StackProfile(
        first.kind,
        first.values,
        stacks,
        first.executions + sum(profile.executions for profile in rest),
        first.elapsed_ns + sum(profile.elapsed_ns for profile in rest),
        first.covered_ns + sum(profile.covered_ns for profile in rest),
    )


def sample_count(profile: StackProfile) -> int:
    """Return how many samples the time in a CPU profile is worth: a late one stands for several."""
    return profile.total(TIME) // SAMPLE_NS


def _summed(weighted: Iterable[tuple[Stack, int]]) -> dict[str, int]:
    sums: defaultdict[str, int] = defaultdict(int)
    for stack, number in weighted:
        for place in {frame.place for frame in stack}:
            sums[place] += number
    return {place: number for place, number in sums.items() if number}
