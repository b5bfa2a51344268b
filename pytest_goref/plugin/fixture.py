"""The ``goref`` fixture: what a test may ask of the plugin while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import pytest

from pytest_goref.profilers.memstats import MemoryWatch
from pytest_goref.tracker import get_tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_goref.plugin.region import Region
    from pytest_goref.tracker import Ref, Snapshot

_P = ParamSpec("_P")
_T = TypeVar("_T")

REGION: Final = pytest.StashKey["Callable[[], Region | None]"]()
"""Where a measuring session leaves the way to its present region."""


class GorefFixture:
    """What the fixture gives to a test.

    Args:
        region: returns the region in which the test is executing; None when nothing is measured.

    """

    def __init__(self, region: Callable[[], Region | None]) -> None:
        self._region = region
        self._tracker = get_tracker()
        self._before = self._tracker.snapshot()
        self._watches: list[MemoryWatch] = []

    @classmethod
    def of(cls, config: pytest.Config) -> GorefFixture:
        """Return a fixture value for the session of ``config``."""
        return cls(config.stash.get(REGION, lambda: None))

    def ref(self, key: str) -> Ref:
        """Begin a use of ``key`` in the root tracker; end it with ``with`` or ``deref()``."""
        return self._tracker.ref(key)

    def snapshot(self) -> Snapshot:
        """Return what was tracked since this test was set up."""
        return self._tracker.snapshot() - self._before

    def memstats(self, name: str = "") -> MemoryWatch:
        """Begin to watch memory, garbage collections, threads and tasks; end with ``with`` or ``stop()``.

        ``before`` is taken at once, ``after`` and ``difference`` when the block ends.

        Args:
            name: of the block; with one, its figures are stored beside those of the timed rounds.

        """
        watch = MemoryWatch(name, self._keep)
        self._watches.append(watch)
        return watch

    def _keep(self, watch: MemoryWatch) -> None:
        """Store the figures of a block that has ended."""
        self._watches.remove(watch)
        region = self._region()
        if region is not None and watch.name:
            region.note(watch.name, watch.figures())

    def close(self) -> None:
        """End the blocks that the test has not ended."""
        self._region = lambda: None
        while self._watches:
            self._watches[-1].stop()

    def measure(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call ``function`` and return its result; in a timed round call it often enough to be timed.

        For functions that are faster than a round can resolve: the number of calls is chosen so that they
        take 1 to 3 ms together, and the time of one call is stored under the function's qualified name.
        Outside timed rounds, and when ``--goref`` is off, it is called once.
        """
        region = self._region()
        if region is None or not region.timed:
            return function(*args, **kwargs)
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return region.loop(name, lambda: function(*args, **kwargs))
