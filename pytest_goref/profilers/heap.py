"""The heap: keeping what a test did not allocate out of its garbage collections."""

from __future__ import annotations

import gc
from typing import Final

_FROZEN_AT_START: Final = gc.get_freeze_count()
"""CPython 3.12 begins with some hundred objects that it froze itself."""


class QuietHeap:
    """The heap as it is now, kept out of the garbage collections that follow.

    Else what else the process holds, which is more in a suite than alone, would decide when garbage of a test
    is collected, and so when its finalizers and ``gc.callbacks`` run, which are calls like others.

    Nothing is collected first: in a suite of 30 000 tests that takes half a second, for each test. What the
    application has frozen itself is left alone: unfreezing cannot tell the two apart.
    """

    def __init__(self) -> None:
        self._frozen = gc.get_freeze_count() <= _FROZEN_AT_START
        try:
            if self._frozen:
                gc.freeze()
            gc.collect()  # counts from zero, and empties the free lists of the interpreter
        except BaseException:  # Ctrl-C
            self.give_back()
            raise

    def give_back(self) -> None:
        """Let all objects be collected again."""
        if self._frozen:
            gc.unfreeze()
