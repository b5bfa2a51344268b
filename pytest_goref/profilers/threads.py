"""Threads: samples of the threads that are begun meanwhile, which pyinstrument does not see.

A profiler of pyinstrument ends only in the thread that it began in, which a thread of somebody else's program
does not do for us. The hook here may be left behind: it goes as soon as it is called again.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.profile import SAMPLE_NS

if TYPE_CHECKING:
    from types import FrameType

    from pytest_goref.profilers.clock import Clock
    from pytest_goref.profilers.sampled import Sample

_SECOND_NS: Final = 1_000_000_000


class ThreadSampler:
    """Samples every thread that begins between start and stop.

    Args:
        clock: says when the next sample is due.
        phase: which part of the interval has passed when a thread begins, 0 to 1.

    """

    def __init__(self, clock: Clock, phase: float = 0.0) -> None:
        self._clock = clock
        self._passed_ns = round(phase * SAMPLE_NS)
        self._before: Any = threading.getprofile()
        self._samples: list[Sample] = []
        self._stopped = False

    def start(self) -> None:
        """Let new threads begin with a sampler."""
        threading.setprofile(self._begin)

    def stop(self) -> list[Sample]:
        """Let new threads begin as before, and return what was seen."""
        self._stopped = True
        threading.setprofile(self._before)
        return list(self._samples)

    def _begin(self, *_event: object) -> None:
        """Give the thread that has begun a sampler of its own; this is its first event."""
        last_ns = self._clock.wall_ns() - self._passed_ns

        def see(frame: FrameType, event: str, arg: object) -> None:
            nonlocal last_ns
            now_ns = self._clock.wall_ns()
            if now_ns - last_ns < SAMPLE_NS:
                return
            if self._stopped:
                sys.setprofile(None)
                return
            self._samples.append((_stack(frame, event, arg), (now_ns - last_ns) / _SECOND_NS))
            last_ns = now_ns

        sys.setprofile(see)


def _stack(frame: FrameType | None, event: str, arg: object) -> list[str]:
    """Return the stack whose time has passed when ``event`` happens, outermost first, as pyinstrument's."""
    texts = []
    if event == "call" and frame is not None:
        frame = frame.f_back  # what is entered now has not taken any time
    elif event in ("c_return", "c_exception"):
        name = getattr(arg, "__qualname__", None) or getattr(arg, "__name__", "?")
        texts.append(f"{name}\x00<built-in>\x000")
    while frame is not None:
        code = frame.f_code
        where = f"{code.co_name}\x00{code.co_filename}\x00{code.co_firstlineno}"
        texts.append(f"{where}\x01l{frame.f_lineno or 0}")
        frame = frame.f_back
    texts.reverse()
    return texts
