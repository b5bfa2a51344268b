"""Verdicts as plain data: what travels from an xdist worker to the controller on a test report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import METRICS
from pytest_goref.model import Group, Severity, TestKey
from pytest_goref.quantity import Unit
from pytest_goref.verdict import Column, Finding, Outcome, Place, Verdict, Where

if TYPE_CHECKING:
    from collections.abc import Sequence

Plain = dict[str, object]
"""Only dict, list, str, int and None: what JSON and xdist can carry."""


def verdict_to_plain(verdict: Verdict) -> Plain:
    """Return ``verdict`` as plain data; a character that UTF-8 cannot hold is written as an escape."""
    return {
        "path": _encodable(verdict.key.path),
        "name": _encodable(verdict.key.name),
        "outcome": verdict.outcome.value,
        "reason": _encodable(verdict.reason),
        "findings": [_finding_to_plain(finding) for finding in verdict.findings],
        "where": [_where_to_plain(where) for where in verdict.where],
    }


def verdict_from_plain(plain: object) -> Verdict:
    """Return the verdict that ``plain`` was made of.

    Raises:
        InvalidValueError: ``plain`` was not made by ``verdict_to_plain`` of this version.

    """
    try:
        return _verdict(plain)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValueError(
            f"the verdict that a worker sent cannot be read ({type(error).__name__}: {error}); "
            "use the same version of pytest-goref in the controller and its workers"
        ) from error


def _finding_to_plain(finding: Finding) -> list[object]:
    return [
        finding.metric.name,
        _encodable(finding.subject),
        finding.outcome.value,
        finding.severity.value,
        finding.before,
        finding.after,
        _encodable(finding.reason),
    ]


def _where_to_plain(where: Where) -> list[object]:
    return [
        where.group.value,
        [[_encodable(column.title), column.unit.value] for column in where.columns],
        [
            [_encodable(place.name), [list(pair) for pair in place.values], _encodable(place.note)]
            for place in where.places
        ],
        where.hidden,
        _encodable(where.remark),
    ]


def _verdict(plain: object) -> Verdict:
    if not isinstance(plain, dict):
        raise TypeError(f"not a mapping: {plain!r}")
    return Verdict(
        key=TestKey(_text(plain["path"]), _text(plain["name"])),
        outcome=Outcome(plain["outcome"]),
        findings=tuple(_finding(finding) for finding in _list(plain["findings"])),
        reason=_text(plain["reason"]),
        where=tuple(_where(where) for where in _list(plain["where"])),
    )


def _finding(plain: object) -> Finding:
    metric, subject, outcome, severity, before, after, reason = _list(plain)
    return Finding(
        metric=METRICS[_text(metric)],
        subject=_text(subject),
        outcome=Outcome(outcome),
        severity=Severity(severity),
        before=_whole_number(before),
        after=_whole_number(after),
        reason=_text(reason),
    )


def _where(plain: object) -> Where:
    group, columns, places, hidden, remark = _list(plain)
    number = _whole_number(hidden)
    if number is None:
        raise TypeError("not a whole number: None")
    titles = tuple(_column(column) for column in _list(columns))
    return Where(
        group=Group(group),
        columns=titles,
        places=tuple(_place(place, len(titles)) for place in _list(places)),
        hidden=number,
        remark=_text(remark),
    )


def _column(plain: object) -> Column:
    title, unit = _list(plain)
    return Column(_text(title), Unit(unit))


def _place(plain: object, columns: int) -> Place:
    name, values, note = _list(plain)
    pairs = tuple(_pair(pair) for pair in _list(values))
    if len(pairs) != columns:
        raise ValueError(f"{len(pairs)} values in {columns} columns")
    return Place(_text(name), pairs, _text(note))


def _pair(plain: object) -> tuple[int | None, int | None]:
    before, after = _list(plain)
    return _whole_number(before), _whole_number(after)


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"not a list: {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not text: {value!r}")
    return value


def _whole_number(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"not a whole number: {value!r}")
    return value


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
