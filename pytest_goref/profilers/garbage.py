"""Garbage: how often the collector ran, and for how long the program stood still meanwhile.

PYTEST_DONT_REWRITE: its callback runs inside the rounds that are timed.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Garbage:
    """What the collector did in a window.

    Attributes:
        collections: number by generation; those that did not run are left out.
        pauses_ns: time by generation; None when somebody removed the callback that takes it.

    """

    collections: Mapping[int, int]
    pauses_ns: Mapping[int, int] | None


def collections_by_generation() -> dict[int, int]:
    """Return how often each generation was collected since the process began."""
    return {generation: stats["collections"] for generation, stats in enumerate(gc.get_stats())}


class GarbageWindow:
    """A time in which the collector is watched, by a callback beside those that others have set.

    Args:
        clock_ns: what to read.

    """

    def __init__(self, clock_ns: Callable[[], int] = perf_counter_ns) -> None:
        self._clock_ns = clock_ns
        self._began_ns: int | None = None
        self._pauses_ns: dict[int, int] = {}
        self._before = collections_by_generation()
        self._callback = self._note
        gc.callbacks.append(self._callback)

    def _note(self, phase: str, info: Mapping[str, int]) -> None:
        """Take the time of a collection; called by the collector."""
        now_ns = self._clock_ns()
        if phase == "start":
            self._began_ns = now_ns
        elif self._began_ns is not None:  # else the window began within a collection
            generation = info["generation"]
            took_ns = now_ns - self._began_ns
            self._pauses_ns[generation] = self._pauses_ns.get(generation, 0) + max(took_ns, 0)
            self._began_ns = None

    def end(self) -> Garbage:
        """Stop watching and return what was seen."""
        kept = any(callback is self._callback for callback in gc.callbacks)
        if kept:
            gc.callbacks.remove(self._callback)
        before = self._before
        ran = {
            generation: number - before.get(generation, 0)
            for generation, number in collections_by_generation().items()
            if number > before.get(generation, 0)
        }
        return Garbage(ran, dict(self._pauses_ns) if kept else None)
