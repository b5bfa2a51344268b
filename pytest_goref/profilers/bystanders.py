"""Bystanders: threads that were there before an execution, and whether they ran meanwhile.

A server's thread is one, and that through which a worker of xdist hears of its next test. Even one that has
nothing to do with the test disturbs what is counted: all threads share the lists of free objects of the
interpreter, so that the test allocates more or less, and from Python 3.12 on ``cProfile`` sees the calls of
all of them. Only Linux tells whether a thread ran.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Final

_TASKS: Final = Path("/proc/self/task")


class Bystanders:
    """The threads beside this one."""

    def __init__(self) -> None:
        self._before = _times_run()

    def have_run(self) -> bool:
        """Return whether one of them ran since then; False where the system does not tell."""
        return bool(self._before) and any(
            now != self._before[thread] for thread, now in _times_run().items() if thread in self._before
        )


def _times_run() -> dict[str, bytes]:
    """Return by thread, also of those that ``threading`` does not know, how long and how often it ran."""
    own = str(threading.get_native_id())
    told: dict[str, bytes] = {}
    with contextlib.suppress(OSError):  # another system
        for thread in _TASKS.iterdir():
            if thread.name != own:
                with contextlib.suppress(OSError):  # it has ended
                    told[thread.name] = (thread / "schedstat").read_bytes()
    return told
