from __future__ import annotations

import pytest

from pytest_goref.model import Group
from pytest_goref.quantity import Unit
from pytest_goref.report.places import PlaceTable, place_table
from pytest_goref.verdict import Column, Place, Where

CALLS = (Column("calls", Unit.COUNT),)
SITES = (Column("bytes", Unit.BYTE), Column("number", Unit.COUNT))
SHARES = (Column("calls", Unit.COUNT), Column("share of time", Unit.PERMILLE))


def test_functions_have_calls_their_change_and_a_caller() -> None:
    places = (Place("execute", ((1, 101),), "called by a.py:query"), Place("a.py:query", ((1, 101),)))
    assert place_table(Where(Group.COUNTS, CALLS, places, 4)) == PlaceTable(
        "",
        ("function", "calls", "change", "called by"),
        (("execute", "1 -> 101", "+100", "a.py:query"), ("a.py:query", "1 -> 101", "+100", "")),
        4,
    )


def test_nobody_is_named_where_no_caller_is_known() -> None:
    table = place_table(Where(Group.CALLS, CALLS, (Place("f", ((1, 2),)),)))
    assert table == PlaceTable("", ("function", "calls", "change"), (("f", "1 -> 2", "+1"),))


def test_sites_have_bytes_their_change_and_a_number() -> None:
    places = (Place("copy", ((1024, 4096), (3, 9))), Place("a.py:f", ((77, 77), (5, 4))))
    assert place_table(Where(Group.ALLOCATIONS, SITES, places)) == PlaceTable(
        "",
        ("site", "bytes", "change", "number"),
        (("copy", "1.00 KiB -> 4.00 KiB", "+3.00 KiB", "3 -> 9"), ("a.py:f", "77 B", "", "5 -> 4")),
    )


def test_shares_stand_beside_calls() -> None:
    places = (Place("a.py:f", ((2, 2), (105, 960))), Place("json", ((None, None), (100, 20))))
    assert place_table(Where(Group.DURATIONS, SHARES, places, remark="why\n")) == PlaceTable(
        "why\\n",
        ("function", "calls", "share of time"),
        (("a.py:f", "2", "10.5 % -> 96.0 %"), ("json", "", "10.0 % -> 2.0 %")),
    )


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ((0, 5), ("0 -> 5", "new")),
        ((5, 0), ("5 -> 0", "gone")),
        ((9, 7), ("9 -> 7", "-2")),
        ((0, 0), ("0", "")),
        ((None, 5), ("5", "not named in the baseline")),
        ((None, None), ("", "")),
    ],
)
def test_what_is_new_gone_or_unknown_is_marked(
    values: tuple[int | None, int | None], cells: tuple[str, str]
) -> None:
    table = place_table(Where(Group.CALLS, CALLS, (Place("f", (values,)),)))
    assert table.rows == (("f", *cells),)


def test_what_there_is_no_room_for_is_counted() -> None:
    places = tuple(Place(f"f{n}", ((0, n),)) for n in range(1, 6))
    table = place_table(Where(Group.CALLS, CALLS, places, 2), 3)
    assert ([row[0] for row in table.rows], table.hidden) == (["f1", "f2", "f3"], 4)


def test_names_are_made_safe() -> None:
    places = (Place("a\nb", ((1, 2),), "called by \x1b"),)
    assert place_table(Where(Group.CALLS, CALLS, places)).rows == (("a\\nb", "1 -> 2", "+1", "\\x1b"),)
