from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.errors import InvalidValueError
from pytest_goref.quantity import Unit, format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0", Unit.COUNT, 0),
        (" 16 ", Unit.COUNT, 16),
        ("1_000", Unit.COUNT, 1000),
        ("2.0", Unit.COUNT, 2),
        ("50ms", Unit.NANOSECOND, 50_000_000),
        ("50 MS", Unit.NANOSECOND, 50_000_000),
        ("1.5us", Unit.NANOSECOND, 1_500),
        ("1.5µs", Unit.NANOSECOND, 1_500),  # micro sign
        ("1.5μs", Unit.NANOSECOND, 1_500),
        ("2min", Unit.NANOSECOND, 120 * 10**9),
        ("1.9ns", Unit.NANOSECOND, 1),  # the fraction of a base unit is dropped
        ("0.1s", Unit.NANOSECOND, 100_000_000),  # exact: no binary fraction on the way
        ("64KiB", Unit.BYTE, 65_536),
        ("10 MB", Unit.BYTE, 10_000_000),
        ("0.1 KiB", Unit.BYTE, 102),  # 102.4
        ("9223372036854775807", Unit.COUNT, 2**63 - 1),
        ("12.5 %", Unit.PERMILLE, 125),
    ],
)
def test_a_quantity_is_read_in_base_units(text: str, unit: Unit, value: int) -> None:
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", Unit.COUNT),
        ("-1", Unit.COUNT),
        ("1.5", Unit.COUNT),
        ("1e3", Unit.COUNT),
        ("nan", Unit.COUNT),
        ("inf", Unit.NANOSECOND),
        ("5", Unit.NANOSECOND),
        ("5 KiB", Unit.NANOSECOND),
        ("5ms", Unit.BYTE),
        ("5%", Unit.BYTE),
        ("5", Unit.PERMILLE),
        ("5 m s", Unit.NANOSECOND),
        ("1__0", Unit.COUNT),
        (".5s", Unit.NANOSECOND),
        ("\u0663", Unit.COUNT),  # a digit to Python, not to us
        ("5\x00", Unit.COUNT),
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str, unit: Unit) -> None:
    with pytest.raises(InvalidValueError, match="such as") as caught:
        parse_quantity(text, unit)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["9223372036854775808", "9" * 40])
def test_more_than_can_be_stored_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="too large"):
        parse_quantity(text, Unit.COUNT)


@pytest.mark.parametrize("text", ["9" * 41, "9" * 5000, "0." + "1" * 5000, "1" + "_1" * 5000])
def test_too_many_digits_are_refused_before_python_refuses_them(text: str) -> None:
    with pytest.raises(InvalidValueError, match="too many digits") as caught:
        parse_quantity(text, Unit.COUNT)
    assert len(str(caught.value)) < 200


@given(st.text(), st.sampled_from(Unit))
def test_any_text_is_a_quantity_or_refused(text: str, unit: Unit) -> None:
    with contextlib.suppress(InvalidValueError):
        assert parse_quantity(text, unit) >= 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234_567, Unit.COUNT, "1234567"),
        (-5, Unit.COUNT, "-5"),
        (0, Unit.NANOSECOND, "0 ns"),
        (999, Unit.NANOSECOND, "999 ns"),
        (1_000, Unit.NANOSECOND, "1.00 us"),
        (1_234_567, Unit.NANOSECOND, "1.23 ms"),
        (12_345_678, Unit.NANOSECOND, "12.3 ms"),
        (123_456_789, Unit.NANOSECOND, "123 ms"),
        (9_999_999, Unit.NANOSECOND, "10.0 ms"),  # not 10.00
        (99_999_999, Unit.NANOSECOND, "100 ms"),  # not 100.0
        (999_999, Unit.NANOSECOND, "1.00 ms"),  # not 1000 us
        (999_499, Unit.NANOSECOND, "999 us"),
        (999_999_999, Unit.NANOSECOND, "1.00 s"),
        (-1_500_000, Unit.NANOSECOND, "-1.50 ms"),
        (12_345 * 10**9, Unit.NANOSECOND, "12345 s"),
        (1_023, Unit.BYTE, "1023 B"),
        (1_024, Unit.BYTE, "1.00 KiB"),
        (1_023 * 1024, Unit.BYTE, "1023 KiB"),
        (2**20 - 1, Unit.BYTE, "1.00 MiB"),
        (5 * 2**40, Unit.BYTE, "5120 GiB"),
        (967, Unit.PERMILLE, "96.7 %"),
    ],
)
def test_a_value_is_written_for_people(value: int, unit: Unit, text: str) -> None:
    assert format_quantity(value, unit) == text


@given(st.integers(0, 10**9 * 999), st.sampled_from([Unit.NANOSECOND, Unit.BYTE]))
def test_what_is_written_can_be_read_and_is_close(value: int, unit: Unit) -> None:
    text = format_quantity(value, unit)
    assert re.fullmatch(r"\d{1,4}(\.\d{1,2})? [A-Za-z]+", text)
    # Three digits: off by at most half a unit of the third, plus the dropped fraction of a base unit.
    assert abs(parse_quantity(text, unit) - value) <= value * 0.005 + 1
