"""What users write: a rule, a limit or a quantity is understood, or refused in a line."""

from __future__ import annotations

from typing import Final

from pytest_goref.compare.rules import Rules, parse_limits, parse_rule
from pytest_goref.errors import InvalidValueError
from pytest_goref.model import Severity
from pytest_goref.quantity import Unit, format_quantity, parse_quantity

_MOST: Final = 2**63 - 1
_LONGEST: Final = 1000
SEEDS: Final = (
    *(b"counts:0", b"calls:5%+8", b"durations:10%", b"calls:off", b"allocations:5%+64KiB", b"refs:1_000"),
    *(b" peak_bytes : 5 % + 1.5 MiB ", b"leaks:0", b"wall_time:10%+1ms", b"cals:5%", b"::", b"calls:5%+8+9"),
    *(
        b"50ms",
        b"1.5 min",
        "7\u00b5s".encode(),
        b"0.1ns",
        b"20 MB",
        b"9" * 5000,
        b"12.5%",
        b"1_0",
        b"\x1b[31m:1%",
    ),
)


def one_input(data: bytes) -> None:
    """Parse ``data`` as everything that users write as text.

    Raises:
        AssertionError: what was understood cannot be stored, or a refusal is no short line.

    """
    text = data.decode("utf-8", "surrogateescape")
    _check_rule(text)
    for unit in Unit:
        _check_quantity(text, unit)
    for limits in ({"max_duration": text}, {"max_peak": text}, {"max_count": {text: 1}}):
        try:
            parse_limits(**limits)
        except InvalidValueError as error:
            _check_refusal(error)


def _check_rule(text: str) -> None:
    try:
        change = parse_rule(text)
    except InvalidValueError as error:
        _check_refusal(error)
        return
    assert change.metrics
    for tolerance in (change.tolerances or {}).values():
        assert 0 <= tolerance.absolute <= _MOST
        assert tolerance.relative >= 0
    Rules.default().with_changes([(Severity.FAIL, change)])


def _check_quantity(text: str, unit: Unit) -> None:
    try:
        value = parse_quantity(text, unit)
    except InvalidValueError as error:
        _check_refusal(error)
        return
    assert 0 <= value <= _MOST
    assert format_quantity(value, unit).isprintable()


def _check_refusal(error: InvalidValueError) -> None:
    message = str(error)
    assert message.isprintable(), message
    assert len(message) < _LONGEST, message
