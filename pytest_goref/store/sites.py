"""Allocation sites in an entry: one row for each, so that a name stands in a file once for its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_goref.metrics import SITE_BYTES, SITE_COUNT, SITE_PEAK_BYTES
from pytest_goref.store.jsontext import CodecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.model import Measurements, Metric, Samples

COLUMNS: Final = (SITE_COUNT, SITE_BYTES, SITE_PEAK_BYTES)
"""What the numbers of a row are; ``null`` where a metric does not name the site."""
_MOST: Final = 2**63 - 1


def sites_to_plain(measurements: Measurements) -> dict[str, list[int | None]] | None:
    """Return the sites of ``measurements`` as rows by their names; None where rows cannot hold them.

    Raises:
        CodecError: a number is negative, beyond 64 bits or not an ``int``: it could not be read again.

    """
    columns = [measurements.get(metric) for metric in COLUMNS]
    filled = [column for column in columns if column]
    if None in columns or len(filled) not in (0, len(columns)):
        return None
    if any(len(samples) != 1 for column in filled for samples in column.values()):
        return None
    rows: dict[str, list[int | None]] = {}
    for index, column in enumerate(filled):
        for name, (value,) in column.items():
            _check(value, ("sites", name))
            rows.setdefault(name, [None] * len(COLUMNS))[index] = value
    return rows


def sites_from_plain(rows: Mapping[str, Any], where: tuple[str, ...]) -> Measurements:
    """Return the measurements that ``sites_to_plain`` made ``rows`` from.

    Raises:
        CodecError: a row is not of that shape; the message names the place.

    """
    columns: dict[Metric, dict[str, Samples]] = {metric: {} for metric in COLUMNS}
    targets = tuple(columns.values())
    for name, row in rows.items():
        if not isinstance(row, list) or len(row) != len(COLUMNS):
            raise CodecError((*where, name), f"expected a list of {len(COLUMNS)} numbers or null")
        for target, value in zip(targets, row, strict=True):
            if value is not None:
                _check(value, (*where, name))
                target[name] = (value,)
    return columns


def _check(value: object, where: tuple[str, ...]) -> None:
    if type(value) is not int or not 0 <= value <= _MOST:  # by type: True is an int too
        raise CodecError(where, f"expected numbers from 0 to {_MOST}")
