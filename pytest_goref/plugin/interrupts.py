"""Ctrl-C that Python drops, raised after all.

Ctrl-C is an exception in whatever the main thread executes next. When that is a finalizer, or what is called
while garbage is collected or modules are loaded, Python tells of the exception and goes on; and measuring
collects garbage and loads modules.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sys import UnraisableHookArgs


@contextlib.contextmanager
def none_dropped() -> Iterator[None]:
    """Raise what Python drops in the block when the block ends.

    Raises:
        KeyboardInterrupt: it was dropped.

    """
    dropped: list[BaseException | None] = []
    before = sys.unraisablehook

    def note(unraisable: UnraisableHookArgs, /) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            dropped.append(unraisable.exc_value)
        else:
            before(unraisable)

    sys.unraisablehook = note
    try:
        yield
    finally:
        if sys.unraisablehook is note:  # else a test has set another one
            sys.unraisablehook = before
    if dropped:
        raise KeyboardInterrupt
