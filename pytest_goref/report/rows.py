"""Rows: what there is to tell about findings, as text in cells; and the text of a failed test."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Group, Severity
from pytest_goref.quantity import Unit, format_quantity
from pytest_goref.report.places import place_table
from pytest_goref.report.terminal import place_lines, table
from pytest_goref.report.text import printable, shorten
from pytest_goref.verdict import Finding, Outcome, Verdict, is_failure

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_FAILURES: Final = 20
_LONGEST_SUBJECT: Final = 100
_BASELINE: Final = "baseline "
"""What the words for a saved baseline begin with; its name follows."""
_WHOLE_PERCENT: Final = 100
_TENTH_PERCENT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """One finding in cells; every cell is one safe line and may be empty.

    Attributes:
        metric: the name of the metric.
        subject: of what; empty for the whole test.
        before: the accepted value.
        after: the measured value.
        change: the difference, absolute and in percent, ``new`` or ``gone``.
        note: what the numbers do not say.

    """

    metric: str
    subject: str
    before: str
    after: str
    change: str
    note: str


def row_of(finding: Finding) -> Row:
    """Return the row of ``finding``."""
    unit = finding.metric.unit
    return Row(
        metric=printable(finding.metric.name),
        subject=printable(finding.subject),
        before=_value(finding.before, unit),
        after=_value(finding.after, unit),
        change=_change(finding),
        note=printable(finding.reason),
    )


def rows_of(verdict: Verdict, most: int = 8, *, everything: bool = False) -> tuple[tuple[Row, ...], int]:
    """Return the rows of the most important findings of ``verdict``, and how many findings are left out.

    Args:
        verdict: what was judged.
        most: how many rows there is room for.
        everything: whether findings are told too that are not judged, or that could not be.

    """
    # A table of functions says the same of calls, and more.
    shown = any(where.group in (Group.COUNTS, Group.CALLS) and where.places for where in verdict.where)
    matter = (f for f in verdict.findings if _matters(f) and not (shown and _only_warns_of_calls(f)))
    return first_rows(verdict.findings if everything else matter, most)


def first_rows(findings: Iterable[Finding], most: int) -> tuple[tuple[Row, ...], int]:
    """Return the rows of the first ``most`` of ``findings``, and how many findings are left out."""
    rows = tuple(row_of(finding) for finding in findings)
    return rows[:most], max(0, len(rows) - most)


def difference(finding: Finding) -> str:
    """Return the difference with its sign, such as ``+1`` or ``-2.50 ms``; empty without two values."""
    if finding.before is None or finding.after is None:
        return ""
    delta = finding.after - finding.before
    return f"{'-' if delta < 0 else '+'}{format_quantity(abs(delta), finding.metric.unit)}"


def failure_text(verdict: Verdict, against: str, spelling: str = "", width: int = 100) -> str:
    """Return the text of a test that fails by ``verdict``, or by being new, incomparable or inconclusive.

    Args:
        verdict: what was judged.
        against: what it was compared with, ``baseline NAME`` for a saved one; empty when with nothing.
        spelling: how pytest names the test where it was started; empty for its node id.
        width: the most characters of a line of the table.

    """
    rows, hidden = first_rows(verdict.failures, _MOST_FAILURES)
    lines = [_headline(verdict, against)]
    if rows:
        lines.extend(["", *table(rows, width=width), *_more(hidden)])
    for where in verdict.where:
        lines.extend(["", *place_lines(place_table(where), width)])
    if against.startswith(_BASELINE) and _acceptable(verdict):
        name = shlex.quote(against.removeprefix(_BASELINE))
        test = _quoted(spelling or verdict.key.nodeid)
        lines.extend(["", f"accept with: pytest --goref-save={name} {test}"])
    return "\n".join(lines)


def _headline(verdict: Verdict, against: str) -> str:
    failures = verdict.failures
    if not failures:
        parts = [f"goref: {verdict.outcome.value}", printable(verdict.reason)]
        return ": ".join(filter(None, parts)) + _compared_with(against)
    regressed = [finding for finding in failures if finding.outcome is Outcome.REGRESSED]
    first, *_ = regressed or failures
    metric = printable(first.metric.name)
    parts = [f"goref: {_moved(first)} {metric}" if first.subject else f"goref: {metric} {_moved(first)}"]
    if first.outcome is Outcome.OVER_LIMIT:
        parts.append(printable(first.reason))
    if len(failures) > 1:
        parts.append(f"and {len(failures) - 1} more")
    return ", ".join(parts) + (_compared_with(against) if regressed else "")


def _compared_with(against: str) -> str:
    return f", compared with {printable(against)}" if against else ""


def _acceptable(verdict: Verdict) -> bool:
    """Return whether accepting the numbers would let the test pass."""
    if not verdict.failures:
        return verdict.outcome is Outcome.NEW
    return any(finding.outcome is Outcome.REGRESSED for finding in verdict.failures)


def _matters(finding: Finding) -> bool:
    return finding.severity is not Severity.OFF and finding.outcome is not Outcome.INCOMPARABLE


def _only_warns_of_calls(finding: Finding) -> bool:
    return finding.metric.group is Group.CALLS and not is_failure(finding)


def _value(value: int | None, unit: Unit) -> str:
    return "" if value is None else format_quantity(value, unit)


def _change(finding: Finding) -> str:
    if finding.outcome in (Outcome.NEW, Outcome.GONE):
        return str(finding.outcome.value)
    before, after = finding.before, finding.after
    if before is None or after is None or before == after:
        return ""
    if before == 0:
        return str(Outcome.NEW.value)
    if after == 0:
        return str(Outcome.GONE.value)
    return f"{difference(finding)} ({_percent(100 * (after - before) / before)} %)"


def _percent(percent: float) -> str:
    if abs(percent) >= _WHOLE_PERCENT:
        return f"{percent:+.0f}"
    if abs(percent) >= _TENTH_PERCENT:
        return f"{percent:+.1f}".removesuffix(".0")
    return f"{percent:+.1g}"


def _moved(finding: Finding) -> str:
    unit = finding.metric.unit
    values = [format_quantity(v, unit) for v in (finding.before, finding.after) if v is not None]
    delta = difference(finding)
    subject = shorten(printable(finding.subject), _LONGEST_SUBJECT)
    return " ".join(filter(None, (subject, " -> ".join(values), f"({delta})" if delta else "")))


def _more(hidden: int) -> list[str]:
    return [f"  and {hidden} more"] if hidden else []


def _quoted(text: str) -> str:
    """Return ``text`` as one word for a shell; what a terminal could act on is spelled as by bash and zsh."""
    if text.isprintable():
        return "'" + text.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_in_ansi_c, text)) + "'"


def _in_ansi_c(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    escaped = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", escaped))
