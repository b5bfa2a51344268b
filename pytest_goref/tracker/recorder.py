"""The recorder of the engine in Python.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

from _thread import get_ident

from pytest_goref.errors import InvalidValueError

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    from collections import deque

    from pytest_goref.tracker.spans import Span


class Recorder:
    """A ring of the last spans: the references that ended, with their stamps. Give it to ``Tracker.record``.

    Args:
        capacity: how many spans are kept; older ones are dropped.

    Raises:
        InvalidValueError: the capacity is below 1.

    """

    __slots__ = ("_spans",)

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise InvalidValueError(f"the capacity of a recorder must be 1 or more, got {capacity}")
        from collections import deque  # noqa: PLC0415 - few programs record, and each start would pay

        self._spans: deque[tuple[tuple[str, ...], str, int, int, int]] = deque(maxlen=capacity)

    @property
    def capacity(self) -> int:
        """How many spans are kept."""
        return self._spans.maxlen or 0

    def add(self, path: tuple[str, ...], key: str, begin_ns: int, end_ns: int) -> None:
        """Keep the stamps of a reference that this thread ended."""
        self._spans.append((path, key, begin_ns, end_ns, get_ident()))

    def spans(self) -> list[Span]:
        """Return the last spans, the one that ended first at the front."""
        from pytest_goref.tracker.spans import Span  # noqa: PLC0415 - as above

        return [Span(*span) for span in self._spans.copy()]

    def clear(self) -> None:
        """Forget every span."""
        self._spans.clear()
