"""Entering and leaving a tracker so that neither a full disk nor Ctrl-C leaves half of it on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def enter(tracker: AbstractContextManager[object]) -> None:
    """Enter memray's ``tracker``, which does not undo what it has begun when it is stopped half-way.

    When it refuses, because another one is active, it has begun nothing, and leaving it would stop that one.
    """
    before = threading.getprofile()
    try:
        tracker.__enter__()
    except BaseException as error:
        if threading.getprofile() is not before or not isinstance(error, Exception):
            leave(tracker)
        raise


def leave(tracker: AbstractContextManager[object]) -> None:
    """Leave memray's ``tracker``, once more when that was interrupted: what is undone stays undone."""
    try:
        tracker.__exit__(None, None, None)
    except BaseException:
        tracker.__exit__(None, None, None)
        raise
