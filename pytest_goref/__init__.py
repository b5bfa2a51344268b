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
    Ref,
    Snapshot,
    Tracker,
    disable,
    enable,
    engine,
    get_tracker,
    is_enabled,
)

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    from pytest_goref.tracker.spans import Recorder

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


def __getattr__(name: str) -> object:
    if name != "Recorder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_goref.tracker import engines  # noqa: PLC0415 - few programs record

    return engines.Recorder
