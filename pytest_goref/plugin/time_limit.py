"""The time limit that pytest-timeout sets for a test: every execution has it for itself."""

from __future__ import annotations

import contextlib
import faulthandler
import math
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = "goref-time-limit"
_SLOWED_DOWN: Final = 10
"""How much longer an execution may take under a profiler than the first one did."""
_NS_PER_S: Final = 1_000_000_000


class TimeLimit:
    """Takes note of the limit of each test, and sets it again for each further execution.

    A profiler slows a test down, which must not make it exceed a limit that it keeps: with the method
    ``thread`` that ends the process. So a further execution may take longer; only one that hangs is stopped.
    """

    def __init__(self) -> None:
        self._item: pytest.Item | None = None
        self._settings: Any = None
        self._began_ns = 0
        self._allowed_s = 0.0

    @classmethod
    def register(cls, plugins: pytest.PytestPluginManager) -> None:
        """Begin to take note."""
        plugins.register(cls(), _NAME)

    @classmethod
    def of(cls, config: pytest.Config) -> TimeLimit:
        """Return the one that was registered."""
        found = config.pluginmanager.get_plugin(_NAME)
        assert isinstance(found, cls)  # noqa: S101 - whoever measures has registered it
        return found

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> object:  # noqa: ANN401 - theirs
        """Note the limit of the first execution, lengthen that of a further one."""
        if self._item is not item:
            self._item, self._settings, self._began_ns = item, settings, perf_counter_ns()
            self._allowed_s = 0
            return None
        if settings.timeout >= self._allowed_s:
            return None
        settings = settings._replace(timeout=self._allowed_s)
        return item.ihook.pytest_timeout_set_timer(item=item, settings=settings)

    @contextlib.contextmanager
    def suspended(self, item: pytest.Item) -> Iterator[None]:
        """Let nothing that happens now count as time of the item, which has not begun yet."""
        if self._item is not item:
            yield
            return
        item.ihook.pytest_timeout_cancel_timer(item=item)
        yield
        self._began_ns = perf_counter_ns()
        item.ihook.pytest_timeout_set_timer(item=item, settings=self._settings)

    def lift(self, item: pytest.Item) -> None:
        """Stop the clock, and that of pytest: the first execution is over and has kept its limit."""
        config = item.config
        if config.pluginmanager.has_plugin("faulthandler") and float(
            config.getini("faulthandler_timeout") or 0
        ):
            faulthandler.cancel_dump_traceback_later()
        if self._item is item:
            took_s = (perf_counter_ns() - self._began_ns) / _NS_PER_S
            self._allowed_s = max(self._settings.timeout, math.ceil(_SLOWED_DOWN * took_s))
            item.ihook.pytest_timeout_cancel_timer(item=item)

    @contextlib.contextmanager
    def again(self, item: pytest.Item) -> Iterator[None]:
        """Limit a further execution of the item."""
        if self._item is not item or self._settings.func_only:  # then pytest-timeout itself sets it again
            yield
            return
        item.ihook.pytest_timeout_set_timer(item=item, settings=self._settings)
        try:
            yield
        finally:
            item.ihook.pytest_timeout_cancel_timer(item=item)
