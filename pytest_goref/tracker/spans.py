"""What a recorder returns: references that ended, with their stamps.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """A reference that ended, with its stamps."""

    path: tuple[str, ...]
    """The path of its tracker."""
    key: str
    begin_ns: int
    """What the tracker's clock said when it began."""
    end_ns: int
    thread: int
    """The ``threading.get_ident()`` of the thread that ended it."""
