"""Runtime figures: what interpreter and system did during a round, read at its two boundaries.

They explain and are never judged. No thread samples them, and nothing is read while the round runs, except
that each collection of garbage is timed (under a microsecond each).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.metrics import GC_COLLECTIONS, GC_PAUSE, MINOR_FAULTS, RSS_GROWTH, RSS_PEAK
from pytest_goref.profilers import Observation
from pytest_goref.profilers.garbage import Garbage, GarbageWindow
from pytest_goref.profilers.resident import RESIDENT_MEMORY, Resident, ResidentMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_goref.model import Metric

try:
    import resource
except ImportError:  # pragma: no cover - Windows does not count page faults

    def _minor_faults() -> int | None:
        return None

else:
    # Linux counts for the measuring thread alone, macOS and the BSDs for the whole process.
    _WHO: Final = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)

    def _minor_faults() -> int | None:
        return resource.getrusage(_WHO).ru_minflt


class RuntimeProfiler:
    """Reads the runtime figures before and after a round; to be started before its clock.

    Args:
        memory: tells the resident memory.
        minor_faults: returns how many pages were touched first so far, None where nobody counts.
        prepare: called before anything is read, for example to collect garbage.

    """

    def __init__(
        self,
        memory: ResidentMemory = RESIDENT_MEMORY,
        minor_faults: Callable[[], int | None] = _minor_faults,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._memory = memory
        self._minor_faults = minor_faults
        self._prepare = prepare

    def start(self) -> RunningRuntime:
        """Read the figures."""
        self._prepare()
        return RunningRuntime(self._memory, self._minor_faults)


class RunningRuntime:
    """Runtime figures of a round that has begun."""

    def __init__(self, memory: ResidentMemory, minor_faults: Callable[[], int | None]) -> None:
        self._minor_faults = minor_faults
        self._window = memory.window()
        self._faults = minor_faults()
        self._garbage = GarbageWindow()

    def stop(self) -> Observation:
        """Return the figures; one that the system does not tell is left out."""
        garbage = self._garbage.end()
        faults = self._minor_faults()
        before, after = self._window.before, self._window.end()
        counted: dict[Metric, Mapping[str, int]] = {}
        counted.update(garbage_figures(garbage))
        counted.update(resident_figures(before, after))
        if self._faults is not None and faults is not None:
            counted[MINOR_FAULTS] = {"": max(faults - self._faults, 0)}
        return Observation(counted)


def garbage_figures(garbage: Garbage) -> dict[Metric, Mapping[str, int]]:
    """Return number and time of the collections by generation."""
    figures: dict[Metric, Mapping[str, int]] = {GC_COLLECTIONS: _by_name(garbage.collections)}
    if garbage.pauses_ns is not None:
        figures[GC_PAUSE] = _by_name(garbage.pauses_ns)
    return figures


def _by_name(by_generation: Mapping[int, int]) -> dict[str, int]:
    return {f"generation {generation}": value for generation, value in by_generation.items()}


def resident_figures(before: Resident, after: Resident) -> dict[Metric, Mapping[str, int]]:
    """Return growth and peak of the resident memory, as far as the system tells them."""
    figures: dict[Metric, Mapping[str, int]] = {}
    if before.rss_bytes is not None and after.rss_bytes is not None:
        figures[RSS_GROWTH] = {"": max(after.rss_bytes - before.rss_bytes, 0)}
    if after.peak_rss_bytes is not None:
        figures[RSS_PEAK] = {"": after.peak_rss_bytes}
    return figures
