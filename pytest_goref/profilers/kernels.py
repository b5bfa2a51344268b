"""The calibration kernels: two fixed amounts of work that tell how fast the machine is at this moment.

THE KERNELS ARE FROZEN FOR EVER. Durations of different moments are compared by how long the kernels took
beside them, so stored rounds mean something only beside the very same work. Whoever changes one of them, a
constant included, makes a new ``KERNEL_VERSION`` (in ``model``): what was stored before is then incomparable.

Each takes about 0.2 ms of a common machine. They use no text as a key and no set, so the hash seed changes
nothing; what they allocate is small, freed at once, and never the first use of a large block of memory.
"""

from __future__ import annotations

import gc
from time import thread_time_ns
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_COMPUTE_STEPS: Final = 1250
_MEMORY_STEPS: Final = 10
_STRIDE: Final = 1031
"""A prime: neighbours in the order of the visit are far apart in memory."""
_CELLS: Final = 8192
_PART: Final = 64


class _Counter:
    """Something with an attribute and a method."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0

    def add(self, amount: int) -> None:
        self.total = (self.total + amount) & 0xFFFFFF


def _mixed(value: int, step: int) -> int:
    return (value * 31 + step) & 0xFFFF


_counter: Final = _Counter()
# Some 400 KiB, made once: beyond the first cache of a processor, and touched long before it is timed.
_cells: Final = [number * 7919 + 1_000_003 for number in range(_CELLS)]
_index: Final = {number * 17: (number * _STRIDE) % _CELLS for number in range(_CELLS // 8)}


def compute() -> int:
    """Do integer arithmetic, function and method calls, and use attributes and local names."""
    counter = _counter
    counter.total = 0
    value = 1
    for step in range(_COMPUTE_STEPS):
        value = _mixed(value, step)
        if value & 1:
            counter.add(value)
        else:
            value += step % 7
    return counter.total


def memory() -> int:
    """Make lists, dictionaries and text, drop them, and walk through a list and a dictionary far and wide."""
    cells, index = _cells, _index
    checksum, position = 0, 0
    for step in range(_MEMORY_STEPS):
        part = []
        for _ in range(_PART):
            position = (position + _STRIDE) % _CELLS
            part.append(cells[position] + step)
        by_number = {number: number + step for number in part}
        texts = [str(number) for number in part]
        for key in range(step * 17, (step + _PART) * 17, 17):
            checksum += cells[index[key]]
        checksum += len("".join(texts)) + by_number[part[step]]
    return checksum


class Kernels(Protocol):
    """How long each kernel takes now."""

    def compute_ns(self) -> int:
        """Return the CPU time of the kernel that computes."""
        ...

    def memory_ns(self) -> int:
        """Return the CPU time of the kernel that allocates."""
        ...


class CalibrationKernels:
    """The kernels, timed by the CPU time of this thread."""

    def __init__(self, cpu_ns: Callable[[], int] = thread_time_ns) -> None:
        self._cpu_ns = cpu_ns

    def compute_ns(self) -> int:
        """Return the CPU time of the kernel that computes."""
        return self._timed(compute)

    def memory_ns(self) -> int:
        """Return the CPU time of the kernel that allocates."""
        return self._timed(memory)

    def _timed(self, kernel: Callable[[], int]) -> int:
        # Else what the test has allocated decides whether a collection falls into the kernel after it.
        collects = gc.isenabled()
        gc.disable()
        try:
            began_ns = self._cpu_ns()
            kernel()
            return max(self._cpu_ns() - began_ns, 0)
        finally:
            if collects:
                gc.enable()


KERNELS: Final = CalibrationKernels()
"""The kernels of every round."""
