"""Tables of a profile like those of pprof's ``top``: what a place takes itself, and with what it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_goref.quantity import format_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_goref.profile import StackProfile, Value
    from pytest_goref.quantity import Unit

COLUMNS: Final = ("flat", "flat%", "sum%", "cum", "cum%", "name")
_ABSENT: Final = "-"


class Taken(NamedTuple):
    """What one place takes of a value, or how that has changed.

    Attributes:
        place: as in every table.
        flat: itself.
        cumulative: with all that it calls.

    """

    place: str
    flat: int
    cumulative: int


def taken(profile: StackProfile, value: int) -> list[Taken]:
    """Return what each place takes, in no order."""
    return _joined(profile.flat(value), profile.cumulative(value))


def difference(before: StackProfile, after: StackProfile, value: int) -> list[Taken]:
    """Return how much more each place takes for one execution of the test; those that changed."""
    flat, cumulative = (
        {
            place: _per_execution(new.get(place, 0), after) - _per_execution(old.get(place, 0), before)
            for place in old.keys() | new.keys()
        }
        for old, new in (
            (before.flat(value), after.flat(value)),
            (before.cumulative(value), after.cumulative(value)),
        )
    )
    return [row for row in _joined(flat, cumulative) if row.flat or row.cumulative]


def total_per_execution(profile: StackProfile, value: int) -> int:
    """Return what one execution of the test takes."""
    return _per_execution(profile.total(value), profile)


def ranked(rows: Sequence[Taken], *, cumulative: bool) -> list[Taken]:
    """Return the rows by how much they take or have changed, the most first."""

    def weight(row: Taken) -> tuple[int, int, str]:
        flat, cum = -abs(row.flat), -abs(row.cumulative)
        return (cum, flat, row.place) if cumulative else (flat, cum, row.place)

    return sorted(rows, key=weight)


def cells(rows: Sequence[Taken], total: int, unit: Unit, *, signed: bool = False) -> list[tuple[str, ...]]:
    """Return the rows of a table with ``COLUMNS``.

    Args:
        rows: in their order.
        total: what the shares are of.
        unit: of the numbers.
        signed: whether the numbers are changes.

    """
    plus = "+" if signed else ""
    running = 0

    def number(amount: int) -> str:
        return f"{plus if amount > 0 else ''}{format_quantity(amount, unit)}"

    def share(amount: int) -> str:
        return f"{100 * amount / total:{plus}.1f}%" if total else _ABSENT

    table: list[tuple[str, ...]] = []
    for row in rows:
        running += row.flat
        table.append(
            (
                number(row.flat),
                share(row.flat),
                share(running),
                number(row.cumulative),
                share(row.cumulative),
                row.place,
            )
        )
    return table


def index_of(values: Sequence[Value], name: str) -> int | None:
    """Return the index of the value ``name``, None when there is none."""
    return next((index for index, value in enumerate(values) if value.name == name), None)


def _joined(flat: Mapping[str, int], cumulative: Mapping[str, int]) -> list[Taken]:
    places = flat.keys() | cumulative.keys()
    return [Taken(place, flat.get(place, 0), cumulative.get(place, 0)) for place in places]


def _per_execution(amount: int, profile: StackProfile) -> int:
    return round(amount / max(1, profile.executions))
