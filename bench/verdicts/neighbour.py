"""A noisy neighbour: a process on each processor that is busy and idle in turn, for random spans of time."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST_S, LONGEST_S = 0.1, 3.0
LARGE_BYTES = 32 << 20


@contextlib.contextmanager
def neighbours(seed: int) -> Iterator[None]:
    """Keep every processor busy now and then, until the block ends."""
    processors = os.cpu_count() or 1
    running = [
        subprocess.Popen([sys.executable, __file__, str(seed), str(number)]) for number in range(processors)
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
            process.wait()


def disturb(seed: int, number: int) -> None:
    """Be busy and idle in turn on one processor for as long as the process that started this one lives."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[number % len(allowed)]})
    draw = random.Random(seed * 1000 + number)  # noqa: S311 - draws spans of time
    large = bytearray(LARGE_BYTES)
    parent = os.getppid()
    while os.getppid() == parent:
        until_s = time.monotonic() + draw.uniform(SHORTEST_S, LONGEST_S)
        while time.monotonic() < until_s:
            large[:] = bytes(large)  # memory traffic
            sum(range(200_000))
        time.sleep(draw.uniform(SHORTEST_S, LONGEST_S))


if __name__ == "__main__":
    disturb(int(sys.argv[1]), int(sys.argv[2]))
