"""Places: where a regression sits, as text in cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Group
from pytest_goref.quantity import format_quantity
from pytest_goref.report.text import printable
from pytest_goref.verdict import CALLED_BY

if TYPE_CHECKING:
    from pytest_goref.quantity import Unit
    from pytest_goref.verdict import Place, Where

_PLACES: Final = {Group.ALLOCATIONS: "site"}
_CHANGING: Final = (Group.COUNTS, Group.CALLS, Group.ALLOCATIONS)
"""Groups whose first column is followed by its change."""


@dataclass(frozen=True, slots=True)
class PlaceTable:
    """Where the findings of one group sit, in cells; every cell is one safe line and may be empty.

    Attributes:
        remark: one sentence to read before the table, or in its place; may be empty.
        headers: the names of the columns.
        rows: one for each place, what explains most first.
        hidden: how many more places there are.

    """

    remark: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    hidden: int = 0


def place_table(where: Where, most: int | None = None) -> PlaceTable:
    """Return the table of ``where``.

    Args:
        where: the places of one group.
        most: how many places there is room for; None for all.

    """
    places = where.places[:most]
    first, *others = where.columns
    change = ["change"] if where.group in _CHANGING else []
    noted = any(place.note for place in places)
    headers = [
        _PLACES.get(where.group, "function"),
        first.title,
        *change,
        *(column.title for column in others),
        *(["called by"] if noted else []),
    ]
    return PlaceTable(
        printable(where.remark),
        tuple(headers),
        tuple(_cells(place, where, noted=noted) for place in places),
        where.hidden + len(where.places) - len(places),
    )


def _cells(place: Place, where: Where, *, noted: bool) -> tuple[str, ...]:
    (before, after), *others = place.values
    first, *columns = where.columns
    change = [_change(before, after, first.unit)] if where.group in _CHANGING else []
    return (
        printable(place.name),
        _moved(before, after, first.unit),
        *change,
        *(_moved(*values, column.unit) for values, column in zip(others, columns, strict=True)),
        *([printable(place.note).removeprefix(CALLED_BY)] if noted else []),
    )


def _moved(before: int | None, after: int | None, unit: Unit) -> str:
    values = [format_quantity(value, unit) for value in (before, after) if value is not None]
    return values[0] if len(set(values)) == 1 else " -> ".join(values)


def _change(before: int | None, after: int | None, unit: Unit) -> str:
    if before is None or after is None:
        return "not named in the baseline" if after is not None else ""
    if not before or not after:
        return "" if before == after else "gone" if before else "new"
    delta = after - before
    return f"{'-' if delta < 0 else '+'}{format_quantity(abs(delta), unit)}" if delta else ""
