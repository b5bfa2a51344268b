"""Refs: how often each tracked key was used, and which refs an execution left behind.

Reads the root tracker before and after; an application's own trackers are neither reset nor replaced.
"""

from __future__ import annotations

from typing import Final

from pytest_goref.metrics import LEAKED_REFS, REFS, subject_of_key
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.tracker import Snapshot, Tracker, get_tracker, is_enabled

_MOST_KEYS: Final = 100_000
"""Of one execution: nobody reads more, and to keep and compare them takes longer than most tests."""


class RefsProfiler:
    """Counts the refs that end while it runs."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        self._tracker = get_tracker() if tracker is None else tracker

    def start(self) -> RunningRefs:
        """Begin a window on the tracker.

        Raises:
            ProfilerUnavailableError: tracking is disabled, so that every count would be zero.

        """
        if not is_enabled():
            raise ProfilerUnavailableError("tracking is disabled: call goref.enable() before the test")
        return RunningRefs(self._tracker)


class RunningRefs:
    """A window on the tracker that has begun."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._before = tracker.snapshot()

    def window(self) -> Snapshot:
        """Return what was tracked since the window began.

        Raises:
            ProfilerUnavailableError: there are more keys than are kept.

        """
        now = self._tracker.snapshot()
        changed = now.changed_since(self._before)
        if changed > _MOST_KEYS:
            raise ProfilerUnavailableError(
                f"refs are not counted: there are more than {_MOST_KEYS} keys in one execution: "
                "let a key name a kind of thing, not each one"
            )
        return now - self._before

    def stop(self) -> Observation:
        """Return the number of refs that ended in the window, by key.

        Raises:
            ProfilerUnavailableError: there are more keys than are kept.

        """
        counted = {
            subject_of_key(path, key): entry.count for path, key, entry in self.window().walk() if entry.count
        }
        return Observation({REFS: counted})

    def leaked(self) -> Observation:
        """Return the number of refs that began in the window and are still active, by key.

        Raises:
            ProfilerUnavailableError: there are more keys than are kept.

        """
        left = {
            subject_of_key(path, key): entry.active
            for path, key, entry in self.window().walk()
            if entry.active > 0
        }
        return Observation({LEAKED_REFS: left})
