from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.report.terminal import plain_table

CELL = st.text(max_size=60)


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    assert plain_table(("n", "name", "last"), [("1e3", "a", "007"), ("2", "longer", "")], 80) == [
        "n    name    last",
        "---  ------  ----",
        "1e3  a       007",
        "2    longer",
    ]


def test_the_widest_column_is_shortened_in_the_middle() -> None:
    rows = [("tests/test_long_name.py::test_1", "12345"), ("x", "1")]
    assert plain_table(("test", "refs"), rows, 24) == [
        "test               refs",
        "-----------------  -----",
        "tests/t...:test_1  12345",
        "x                  1",
    ]


def test_what_does_not_fit_even_then_is_cut_off() -> None:
    rows = [("a" * 20, "b" * 10, "c" * 10)]
    assert plain_table(("1", "2", "3"), rows, 28)[-1] == "aaaaa...aaaa  bbbbbbbbbb  cc"


def test_a_cell_is_one_safe_line() -> None:
    assert plain_table(("a", "b"), [("x\ny", "\x1b[31m\u202e")], 80)[-1] == "x\\ny  \\x1b[31m\\u202e"


@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5),
    width=st.integers(min_value=1, max_value=90),
)
def test_no_line_is_too_long_and_none_is_lost(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = plain_table(("one", "two", "three"), rows, width)
    assert len(lines) == len(rows) + 2
    assert max(map(len, lines)) <= width
    assert all(line.isprintable() for line in lines)
