"""The one door to what pytest does not offer publicly (pytest 8.4 to 9.x).

That is the request of an item, its report sections and its stash as a whole, and the exceptions a unittest
item collects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True, slots=True)
class ItemState:
    """What an execution leaves on an item and pytest does not reset.

    Attributes:
        stash: what plugins keep there.
        sections: captured output, by phase.
        properties: what is told of the test in reports.
        markers: its own.
        keywords: what it is selected by, of its own.
        extra_keywords: further names it is selected by.

    """

    stash: dict[pytest.StashKey[Any], object]
    sections: list[tuple[str, str, str]]
    properties: list[tuple[str, object]]
    markers: list[pytest.Mark]
    keywords: dict[str, Any]
    extra_keywords: set[str]

    @classmethod
    def save(cls, item: pytest.Item) -> ItemState:
        """Return what there is now."""
        return cls(
            dict(item.stash._storage),
            list(item._report_sections),
            list(item.user_properties),
            list(item.own_markers),
            dict(getattr(item.keywords, "_markers", {})),
            set(item.extra_keyword_matches),
        )

    def restore(self, item: pytest.Item) -> None:
        """Leave that and nothing else on the item."""
        stash = item.stash._storage
        stash.clear()
        stash.update(self.stash)
        item._report_sections[:] = self.sections
        item.user_properties[:] = self.properties
        item.own_markers[:] = self.markers
        markers = getattr(item.keywords, "_markers", None)
        if markers is not None:
            markers.clear()
            markers.update(self.keywords)
        item.extra_keyword_matches.clear()
        item.extra_keyword_matches.update(self.extra_keywords)


def failed_silently(item: pytest.Item) -> bool:
    """Return whether a unittest item failed or skipped without raising; its report will say so."""
    return bool(getattr(item, "_excinfo", None))


def renew_request(item: pytest.Item) -> None:
    """Give the item new fixture values, as pytest does when a plugin executes it again."""
    if hasattr(item, "_request") and not item._request:
        item._initrequest()  # type: ignore[attr-defined]
    test = getattr(item, "_obj", None)
    shares_instance = getattr(test, "is_hypothesis_test", False)  # Hypothesis refuses another one
    if getattr(item, "_instance", None) is not None and test is not None and not shares_instance:
        # Every execution gets an instance of the test's class of its own.
        del item._instance  # type: ignore[attr-defined]
        item._obj = None  # type: ignore[attr-defined]


def renew_spent_request(item: pytest.Item) -> None:
    """Give an item that was executed before what ``renew_request`` does."""
    if hasattr(item, "_request") and not item._request:
        renew_request(item)


def drop_request(item: pytest.Item) -> None:
    """Let go of fixture values, as pytest does after a test."""
    if hasattr(item, "_request"):
        item._request = False
        item.funcargs = None  # type: ignore[attr-defined]
