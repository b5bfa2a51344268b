"""The invocation tracker: a port of Go's goref that counts and times keys in a tree of scopes.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

from pytest_goref.tracker.engines import (
    Recorder,
    Ref,
    Tracker,
    disable,
    enable,
    engine,
    get_tracker,
    is_enabled,
)
from pytest_goref.tracker.entry import Entry
from pytest_goref.tracker.snapshot import Snapshot

__all__ = [
    "Entry",
    "Recorder",
    "Ref",
    "Snapshot",
    "Tracker",
    "disable",
    "enable",
    "engine",
    "get_tracker",
    "is_enabled",
]
