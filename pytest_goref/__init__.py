"""Counts and times what an application does, by key: the part of pytest-goref that application code imports.

    import pytest_goref as goref

    with goref.ref("db.query"):
        ...

    @goref.track
    def handle(request): ...

    goref.snapshot()["db.query"].count

Standard library only, no threads; without pytest it works just the same.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

from pytest_goref.errors import DoubleDerefWarning, GorefError, GorefWarning
from pytest_goref.tracker import (
    Entry,
    Recorder,
    Ref,
    Snapshot,
    Tracker,
    disable,
    enable,
    engine,
    get_tracker,
    is_enabled,
)

__version__ = "0.1.0"

__all__ = [
    "DoubleDerefWarning",
    "Entry",
    "GorefError",
    "GorefWarning",
    "Recorder",
    "Ref",
    "Snapshot",
    "Tracker",
    "disable",
    "enable",
    "engine",
    "get_tracker",
    "is_enabled",
    "ref",
    "reset",
    "snapshot",
    "track",
]

_root = get_tracker()
ref = _root.ref
track = _root.track
snapshot = _root.snapshot
reset = _root.reset
