from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.report.places import PlaceTable
from pytest_goref.report.rows import Row
from pytest_goref.report.terminal import HEADERS, place_lines, plain_table, table
from pytest_goref.report.text import printable

CALLS = Row("calls", "app/orders.py:total", "100", "200", "+100 (+100 %)", "")
LONG = Row("refs", "/dao/psql/some/very/long/scope:query.with.a.long.name", "12", "13", "+1 (+8.3 %)", "")
NOTED = Row("cpu_time", "", "10.0 ms", "12.5 ms", "+2.50 ms (+25 %)", "slower by 22 % to 27 %, 99 % sure")


def test_a_row_reads_from_left_to_right() -> None:
    assert table([CALLS], (), 80) == ["calls  app/orders.py:total  100 -> 200  +100 (+100 %)"]


def test_a_table_has_headers_for_the_columns_it_needs() -> None:
    assert table([CALLS]) == [
        "metric    subject              before -> after    change",
        "--------  -------------------  -----------------  -------------",
        "calls     app/orders.py:total  100 -> 200         +100 (+100 %)",
    ]


def test_no_rows_are_no_lines() -> None:
    assert table([]) == []


def test_a_long_subject_is_shortened_in_the_middle() -> None:
    (line,) = table([LONG], (), 60)
    assert len(line) == 60
    assert "..." in line
    assert line.endswith("name  12 -> 13  +1 (+8.3 %)")


def test_a_long_note_stands_below_its_row_when_there_is_no_room_beside_it() -> None:
    short = Row("refs", "db.query", "", "4", "", "limit 3")
    lines = table([short, LONG, NOTED], (), 84)
    assert lines[3:] == ["    slower by 22 % to 27 %, 99 % sure"]
    assert lines[0].endswith("  limit 3")
    assert len(table([NOTED], (), 90)) == 1


def test_all_notes_stand_below_when_even_short_ones_have_no_room() -> None:
    row = Row("leaked_refs", "pool.connection", "1000", "2000", "+1000 (+100 %)", "limit 3")
    assert table([row], (), 40)[1:] == ["    limit 3"]


def test_numbers_in_text_stay_text() -> None:
    row = Row("1e3", "007", "1_000", "", "0x10", "1.50")
    assert table([row], (), 80) == ["1e3  007  1_000  0x10  1.50"]


def test_cells_are_made_safe() -> None:
    row = Row("refs", "a\nb", "1", "2", "", "\x1b[31m")
    assert table([row], (), 80) == ["refs  a\\nb  1 -> 2  \\x1b[31m"]


_CELLS = st.text(max_size=60)
_NUMBERS = st.integers(0, 2**63 - 1).map(str)
_ROWS = st.lists(st.builds(Row, st.just("refs"), _CELLS, _NUMBERS, _NUMBERS, _CELLS, _CELLS), max_size=4)


@given(_ROWS, st.integers(0, 120), st.sampled_from([(), HEADERS]))
def test_every_line_fits_and_is_safe(rows: list[Row], width: int, headers: tuple[str, ...]) -> None:
    lines = table(rows, headers, width)
    assert all(len(line) <= max(width, 40) for line in lines)
    assert all(line.isprintable() for line in lines)
    assert len(lines) >= len(rows)


@given(
    st.lists(
        st.builds(
            Row, st.just("refs"), _CELLS, *[st.sampled_from(["1", "12"])] * 2, st.just("+1"), st.just("")
        )
    )
)
def test_only_the_subject_is_shortened(rows: list[Row]) -> None:
    lines = table(rows, (), 40)
    assert all(
        line.endswith(f"{row.before} -> {row.after}  +1") or f"{row.before} -> {row.after} " in line
        for row, line in zip(rows, lines, strict=True)
    )


@pytest.mark.parametrize("width", [-5, 0, 39])
def test_forty_characters_are_the_least(width: int) -> None:
    assert table([LONG], HEADERS, width) == table([LONG], HEADERS, 40)


def test_a_table_of_any_columns_shortens_the_widest() -> None:
    rows = [("007", "tests/test_orders.py::test_total"), ("1e3", "a\nb")]
    assert plain_table(("run", "test"), rows, 30) == [
        "run  test",
        "---  -------------------------",
        "007  tests/test_...:test_total",
        "1e3  a\\nb",
    ]
    assert plain_table(("run", "test"), rows, 80)[2] == "007  tests/test_orders.py::test_total"


@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=3), st.integers(10, 90))
def test_a_table_of_any_columns_fits_and_is_safe(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = plain_table(("one", "two", "three"), rows, width)
    assert len(lines) == len(rows) + 2
    assert all(len(line) <= width and line.isprintable() for line in lines)


def test_a_table_of_any_columns_shortens_the_second_widest_too() -> None:
    rows = [("app/orders.py:Orders.total", "1 -> 101", "app/reports.py:Report.lines")]
    assert plain_table(("function", "calls", "called by"), rows, 50, ruled=False) == [
        "function             calls     called by",
        "app/orde...rs.total  1 -> 101  app/repo...rt.lines",
    ]


def test_places_are_a_table_with_a_remark_above_and_the_rest_counted_below() -> None:
    places = PlaceTable("why this is so", ("site", "bytes"), (("copy", "1 B -> 9 B"),), 3)
    assert place_lines(places) == [
        "why this is so",
        "site  bytes",
        "----  ----------",
        "copy  1 B -> 9 B",
        "and 3 more",
    ]
    assert place_lines(PlaceTable("too few", ("site", "bytes"), ())) == ["too few"]


@given(
    st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=200),
    st.lists(st.tuples(_CELLS, _NUMBERS, _CELLS), max_size=3),
    st.integers(40, 90),
)
def test_places_fit_and_are_safe(remark: str, rows: list[tuple[str, str, str]], width: int) -> None:
    places = PlaceTable(printable(remark), ("function", "calls", "called by"), tuple(rows), 2)
    lines = place_lines(places, width, ruled=False)
    assert lines[-1] == "and 2 more"
    assert all(len(line) <= width and line.isprintable() for line in lines)
