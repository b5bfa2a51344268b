"""Resident memory: how much memory of this process is in RAM, and the most since a moment.

Linux tells both, and lets a process begin its peak anew. Other systems tell only the peak since the process
began, which says nothing about a test: there it is not measured.
"""

from __future__ import annotations

import re
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(rb"^(VmRSS|VmHWM):\s*(\d+) kB$", re.MULTILINE)
_KIB: Final = 2**10


@dataclass(frozen=True, slots=True)
class Resident:
    """What the system tells of this process.

    Attributes:
        rss_bytes: what is in RAM now, None where the system does not tell.
        peak_rss_bytes: the most since the peak began anew, None where it cannot.

    """

    rss_bytes: int | None
    peak_rss_bytes: int | None


class ResidentMemory:
    """Reads and resets what the system keeps about this process.

    Windows may overlap: a peak that a later window forgets was noted by the earlier ones before.

    Args:
        process: the directory that the system keeps about the process.

    """

    def __init__(self, process: Path = Path("/proc/self")) -> None:
        self._status = str(process / "status")
        self._reset = str(process / "clear_refs")
        self._windows: weakref.WeakSet[PeakWindow] = weakref.WeakSet()

    def window(self) -> PeakWindow:
        """Begin the peak anew."""
        if self._windows:
            peak_bytes = self.read().peak_rss_bytes
            for window in tuple(self._windows):
                window.note(peak_bytes)
        window = PeakWindow(self, self._forget_peak())
        self._windows.add(window)
        return window

    def end(self, window: PeakWindow) -> None:
        """Take no more notes for ``window``."""
        self._windows.discard(window)

    def read(self) -> Resident:
        """Return what the system tells now; its peak is of all since it was begun anew by whoever did."""
        try:
            # Not Path.read_bytes: it is read right before and after a round, where every microsecond counts.
            with open(self._status, "rb", buffering=0) as status:  # noqa: PTH123 - see above
                text = status.read()
        except OSError:
            return Resident(None, None)
        told = {name: int(kib) * _KIB for name, kib in _LINE.findall(text or b"")}
        return Resident(told.get(b"VmRSS"), told.get(b"VmHWM"))

    def _forget_peak(self) -> bool:
        """Begin the peak anew; return whether the system allows it."""
        try:
            with open(self._reset, "wb", buffering=0) as reset:  # noqa: PTH123 - as for reading
                reset.write(b"5")
        except OSError:
            return False
        return True


class PeakWindow:
    """A time whose peak is asked for.

    Args:
        memory: what to read.
        began_anew: whether the peak is of this window alone.

    """

    def __init__(self, memory: ResidentMemory, began_anew: bool) -> None:  # noqa: FBT001 - its only caller asks the system
        self._memory = memory
        self._began_anew = began_anew
        self._noted_bytes = 0
        self.before = self._own(memory.read())

    def note(self, peak_bytes: int | None) -> None:
        """Take note of a peak that is about to be forgotten."""
        self._noted_bytes = max(self._noted_bytes, peak_bytes or 0)

    def end(self) -> Resident:
        """Return what is in RAM now, and the most there was in the window."""
        self._memory.end(self)
        return self._own(self._memory.read())

    def _own(self, told: Resident) -> Resident:
        if not self._began_anew or told.peak_rss_bytes is None:
            return Resident(told.rss_bytes, None)
        return Resident(told.rss_bytes, max(told.peak_rss_bytes, self._noted_bytes))


RESIDENT_MEMORY: Final = ResidentMemory()
"""Of this process: all windows on it know of each other."""
