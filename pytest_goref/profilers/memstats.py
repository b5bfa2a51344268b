"""Memory figures that a test asks for: what there is now, and how it changes over a block of code."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pytest_goref.errors import GorefError
from pytest_goref.metrics import GC_COLLECTIONS, GC_PAUSE, RSS_GROWTH, RSS_PEAK
from pytest_goref.profilers.garbage import GarbageWindow, collections_by_generation
from pytest_goref.profilers.resident import RESIDENT_MEMORY, ResidentMemory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pytest_goref.model import Metric
    from pytest_goref.profilers.resident import Resident


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Figures of this process at one moment, or how they changed; None where they cannot be told.

    Attributes:
        rss_bytes: resident memory.
        peak_rss_bytes: the most resident memory since the block began.
        live_blocks: memory blocks that the interpreter has allocated.
        gc_collections: garbage collections of all generations since the process began.
        gc_pause_ns: time of the garbage collections since the block began.
        threads: living threads.
        tasks: pending asyncio tasks of the loop that runs here; 0 where none runs.

    """

    rss_bytes: int | None
    peak_rss_bytes: int | None
    live_blocks: int
    gc_collections: int
    gc_pause_ns: int | None
    threads: int
    tasks: int

    def __sub__(self, earlier: MemoryStats) -> MemoryStats:
        return MemoryStats(
            _difference(self.rss_bytes, earlier.rss_bytes),
            _difference(self.peak_rss_bytes, earlier.peak_rss_bytes),
            self.live_blocks - earlier.live_blocks,
            self.gc_collections - earlier.gc_collections,
            _difference(self.gc_pause_ns, earlier.gc_pause_ns),
            self.threads - earlier.threads,
            self.tasks - earlier.tasks,
        )


def _difference(later: int | None, earlier: int | None) -> int | None:
    return None if later is None or earlier is None else later - earlier


class MemoryWatch:
    """Memory figures before and after a block; the block begins here, and ends with ``with`` or ``stop()``.

    Args:
        name: of the block, for messages.
        ended: called once with the watch when the block has ended.
        memory: tells the resident memory.

    Attributes:
        name: as given.
        before: the figures when the block began.

    """

    def __init__(
        self,
        name: str = "",
        ended: Callable[[MemoryWatch], object] = lambda _: None,
        memory: ResidentMemory = RESIDENT_MEMORY,
    ) -> None:
        self.name = name
        self._ended = ended
        self._after: MemoryStats | None = None
        self._garbage = GarbageWindow()
        self._window = memory.window()
        self.before = _stats(self._window.before, gc_pause_ns=0)

    def __enter__(self) -> Self:
        """Return the watch."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the block."""
        self.stop()

    def stop(self) -> MemoryStats:
        """End the block, unless it has ended, and return the difference."""
        if self._after is None:
            resident = self._window.end()
            pauses_ns = self._garbage.end().pauses_ns
            self._after = _stats(resident, None if pauses_ns is None else sum(pauses_ns.values()))
            self._ended(self)
        return self.difference

    @property
    def after(self) -> MemoryStats:
        """The figures when the block ended.

        Raises:
            GorefError: it has not ended.

        """
        if self._after is None:
            block = f"memstats({self.name!r})" if self.name else "memstats()"
            raise GorefError(
                f"the block of {block} has not ended: read it after the with block, or call stop()"
            )
        return self._after

    @property
    def difference(self) -> MemoryStats:
        """By how much the figures changed in the block.

        Raises:
            GorefError: it has not ended.

        """
        return self.after - self.before

    def figures(self) -> dict[Metric, int]:
        """Return the difference as runtime figures, those that are known; none is below zero."""
        difference = self.difference
        figures: dict[Metric, int | None] = {
            RSS_GROWTH: difference.rss_bytes,
            RSS_PEAK: self.after.peak_rss_bytes,
            GC_COLLECTIONS: difference.gc_collections,
            GC_PAUSE: difference.gc_pause_ns,
        }
        return {metric: max(value, 0) for metric, value in figures.items() if value is not None}


def _stats(resident: Resident, gc_pause_ns: int | None) -> MemoryStats:
    return MemoryStats(
        rss_bytes=resident.rss_bytes,
        peak_rss_bytes=resident.peak_rss_bytes,
        live_blocks=sys.getallocatedblocks(),
        gc_collections=sum(collections_by_generation().values()),
        gc_pause_ns=gc_pause_ns,
        threads=threading.active_count(),
        tasks=_number_of_tasks(),
    )


def _number_of_tasks() -> int:
    asyncio = sys.modules.get("asyncio")  # where it was not imported no loop runs
    if asyncio is None:
        return 0
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs here
        return 0
