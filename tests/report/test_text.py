from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.report.text import ascii_only, printable, shorten

ANY_TEXT = st.text(st.characters(categories=None), max_size=60)  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("app/orders.py:total", "app/orders.py:total"),
        ("größe 世界", "größe 世界"),
        ("C:\\new", "C:\\new"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u200b", "a\\u2066b\\u200b"),
        ("a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\x85"),
        ("\udc80", "\\udc80"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_what_a_terminal_could_act_on_is_escaped(text: str, safe: str) -> None:
    assert printable(text) == safe


@given(ANY_TEXT)
def test_printable_text_is_one_line_without_control_characters(text: str) -> None:
    safe = printable(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in safe)
    assert len(safe.splitlines()) <= 1
    assert printable(safe) == safe
    safe.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghij", 9, "abc...hij"),
        ("abcdefghij", 8, "abc...ij"),
        ("abcdefghij", 5, "a...j"),
        ("abcdefghij", 4, "a..."),
        ("abcdefghij", 3, "abc"),
        ("abcdefghij", 0, ""),
        ("abcdefghij", -1, ""),
    ],
)
def test_the_middle_of_a_long_text_is_left_out(text: str, width: int, short: str) -> None:
    assert shorten(text, width) == short


@given(ANY_TEXT, st.integers(0, 80))
def test_a_shortened_text_fits(text: str, width: int) -> None:
    assert len(shorten(text, width)) == min(width, len(text))


def test_a_stream_that_encodes_only_ascii_gets_escapes() -> None:
    assert ascii_only("größe -> 世\udc80") == "gr\\xf6\\xdfe -> \\u4e16\\udc80"


@given(ANY_TEXT)
def test_ascii_text_is_ascii(text: str) -> None:
    assert ascii_only(text).isascii()
