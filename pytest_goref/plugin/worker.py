"""An xdist worker: it measures and tells the controller what it collected; it writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from pytest_goref.plugin.selection import Selection


class WorkerHooks:
    """The hook with which a worker says goodbye.

    Args:
        selection: what it collected.

    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what was collected."""
        session.config.workeroutput["goref_selection"] = self._selection.to_plain()  # type: ignore[attr-defined]
