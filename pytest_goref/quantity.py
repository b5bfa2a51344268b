"""Quantities: what a user writes ("10 MB", "50ms") and what a person reads ("1.23 ms").

Inside the program every number is an ``int`` in its base unit; text is met only here.
"""

from __future__ import annotations

import enum
import math
import re
from typing import Final

from pytest_goref.errors import InvalidValueError


class Unit(enum.Enum):
    """The base unit in which a metric's integers are counted."""

    COUNT = "count"
    NANOSECOND = "ns"
    BYTE = "B"
    PERMILLE = "permille"


_SCALES: Final[dict[Unit, dict[str, int]]] = {
    Unit.COUNT: {"": 1},
    Unit.NANOSECOND: {
        "ns": 1,
        "us": 10**3,
        "µs": 10**3,  # micro sign
        "μs": 10**3,  # Greek mu, which some keyboards type
        "ms": 10**6,
        "s": 10**9,
        "min": 60 * 10**9,
    },
    Unit.BYTE: {
        "b": 1,
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
    },
    Unit.PERMILLE: {"%": 10},
}
_WRITTEN: Final[dict[Unit, str]] = {
    Unit.COUNT: "a whole number such as 16",
    Unit.NANOSECOND: "a time such as 50ms (units: ns, us, ms, s, min)",
    Unit.BYTE: "a size such as 64KiB (units: B, kB, MB, GB, KiB, MiB, GiB)",
    Unit.PERMILLE: "a share such as 12.5%",
}
_QUANTITY: Final = re.compile(r"\s*(\d+(?:_\d+)*(?:\.\d+)?)\s*([A-Za-zµμ%]*)\s*", re.ASCII)
_STEPS: Final[dict[Unit, tuple[tuple[str, int], ...]]] = {
    Unit.NANOSECOND: (("s", 10**9), ("ms", 10**6), ("us", 10**3)),
    Unit.BYTE: (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)),
}
_SHOWN_CHARACTERS: Final = 80
_MOST: Final = 2**63 - 1
_MOST_DIGITS: Final = 40
"""More than any value that can be stored has; ``int`` refuses very long texts with an error of its own."""


def parse_quantity(text: str, unit: Unit) -> int:
    """Return the number of base units that ``text`` names; a fraction of a nanosecond or byte is dropped.

    Raises:
        InvalidValueError: ``text`` is no quantity of that unit, is a fraction of a count, or is too large.

    """
    match = _QUANTITY.fullmatch(text)
    scale = _SCALES[unit].get(match[2].lower()) if match else None
    if match is None or scale is None:
        raise InvalidValueError(f"{_shown(text)} is not {_WRITTEN[unit]}")
    number = match[1].replace("_", "")
    if len(number) > _MOST_DIGITS:
        raise InvalidValueError(f"{number[:_MOST_DIGITS]}... has too many digits: write {_WRITTEN[unit]}")
    whole, _, fraction = number.partition(".")
    divisor: int = 10 ** len(fraction)
    value, remainder = divmod(int(whole + fraction) * scale, divisor)
    if remainder and unit is Unit.COUNT:
        raise InvalidValueError(f"{_shown(text)} is not {_WRITTEN[unit]}")
    if value > _MOST:
        raise InvalidValueError(f"{_shown(text)} is too large: the limit is {_MOST} {unit.value}")
    return value


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")


def format_quantity(value: int, unit: Unit) -> str:
    """Return ``value`` as a person reads it: three significant digits and a unit, counts whole."""
    if unit is Unit.COUNT:
        return str(value)
    if unit is Unit.PERMILLE:
        return f"{value / 10:.1f} %"
    for suffix, scale in _STEPS[unit]:
        scaled = value / scale
        rounded = abs(float(f"{scaled:.3g}"))  # what is shown decides: 999 999 ns are 1.00 ms, not 1000 us
        if rounded >= 1:
            decimals = max(0, 2 - math.floor(math.log10(rounded)))
            return f"{scaled:.{decimals}f} {suffix}"
    return f"{value} {unit.value}"
