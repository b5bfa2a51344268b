"""Visits as plain data and back: a round is a row of numbers."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Round, Visit
from pytest_goref.store.jsontext import CodecError
from pytest_goref.store.shapes import as_list, as_object, check_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_goref.store.shapes import Where

_ROUND_COLUMNS: Final = (
    "wall_ns",
    "cpu_ns",
    "preempted",
    "process_cpu_ns",
    "compute_before_ns",
    "compute_after_ns",
    "memory_before_ns",
    "memory_after_ns",
    "iterations",
)
"""What the numbers of a row are; a row may be longer in a later version."""
_MOST_VISITS: Final = 64
"""Of one machine; fewer are ever written, and what compares them takes time by the square of their number."""
_numbers_of: Final = operator.attrgetter(*_ROUND_COLUMNS)


def visit_to_plain(visit: Visit, where: Where) -> dict[str, object]:
    """Return ``visit`` as plain data.

    Raises:
        CodecError: it could not be read again; the message names the place below ``where``.

    """
    plain: dict[str, object] = {"rounds": _rounds_to_plain(visit.rounds, (*where, "rounds"))}
    if visit.timers:
        plain["timers"] = {
            name: _rounds_to_plain(rounds, (*where, "timers", name)) for name, rounds in visit.timers.items()
        }
    return plain


def visits_from_plain(obj: object, where: Where) -> tuple[Visit, ...]:
    """Return the visits in the list ``obj`` that compare with those of this version.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place below ``where``.

    """
    visits = as_list(obj, where)
    if len(visits) > _MOST_VISITS:
        raise CodecError(where, f"expected at most {_MOST_VISITS} visits")
    return tuple(
        visit_from_plain(visit, (*where, str(index)))
        for index, visit in enumerate(visits)
        if not is_of_first_version(visit)
    )


def is_of_first_version(visit: object) -> bool:
    """Return whether 0.1.0 wrote ``visit``: rounds without kernels, which compare with nothing."""
    return isinstance(visit, dict) and "wall_ns" in visit and "rounds" not in visit


def _rounds_to_plain(rounds: Sequence[Round], where: Where) -> list[list[int]]:
    rows = [list(_numbers_of(one)) for one in rounds]
    _rounds_from_plain(rows, where)  # or it could not be read again
    return rows


def visit_from_plain(obj: object, where: Where) -> Visit:
    """Return the visit that ``visit_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place below ``where``.

    """
    members = as_object(obj, where)
    timers = as_object(members.get("timers", {}), (*where, "timers"))
    return Visit(
        _rounds_from_plain(members.get("rounds"), (*where, "rounds")),
        {name: _rounds_from_plain(rows, (*where, "timers", name)) for name, rows in timers.items()},
    )


def _rounds_from_plain(obj: object, where: Where) -> tuple[Round, ...]:
    rows = as_list(obj, where)
    if not rows:
        raise CodecError(where, "expected at least one round")
    return tuple(_round_from_plain(row, (*where, str(index))) for index, row in enumerate(rows))


def _round_from_plain(obj: object, where: Where) -> Round:
    row = as_list(obj, where)
    if len(row) < len(_ROUND_COLUMNS):
        raise CodecError(where, f"expected {len(_ROUND_COLUMNS)} numbers")
    check_samples(row, where[:-1], where[-1])
    taken = Round(*row[: len(_ROUND_COLUMNS)])
    if taken.iterations < 1:
        raise CodecError(where, "expected at least one iteration")
    return taken
