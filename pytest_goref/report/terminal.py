"""The terminal: tables that fit, and the summary at the end of a run."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from pytest_goref.report.text import printable, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_goref.report.places import PlaceTable
    from pytest_goref.report.rows import Row
    from pytest_goref.report.summary import Section, Summary, TestRows

HEADERS: Final = ("metric", "subject", "before -> after", "change", "note")
"""The columns of a table of rows."""

_GAP: Final = 2
_SUBJECT: Final = 1
_NOTE: Final = 4
_NARROWEST: Final = 40
_NARROWEST_SUBJECT: Final = 24
_NARROWEST_COLUMN: Final = 12
_SHORT_NOTE: Final = 24
_INDENT: Final = "    "


def table(rows: Sequence[Row], headers: Sequence[str] = HEADERS, width: int = 80) -> list[str]:
    """Return the lines of a table of ``rows``, none longer than ``width``.

    Long subjects are shortened in the middle. Notes stand in the last column while there is room, else the
    long ones, and at last all, below their row.

    Args:
        rows: what to show.
        headers: the names of the five columns; empty for none.
        width: the most characters of a line; less than 40 is taken as 40.

    """
    head, blocks = _blocks(rows, headers, max(width, _NARROWEST))
    return [*head, *(line for block in blocks for line in block)]


def render_summary(summary: Summary, verbosity: int = 0, width: int = 80) -> list[str]:
    """Return the lines of the summary at the end of a run; the last one is always the closing line.

    Args:
        summary: what to tell.
        verbosity: below 0 only what failed, from 1 everything, as pytest's ``-q`` and ``-v``.
        width: the most characters of a line of a table; less than 40 is taken as 40.

    """
    tests, hidden = summary.tests(verbosity)
    return [
        *_tests(tests, max(width, _NARROWEST)),
        *([f"and {hidden} more tests (-v shows all)"] if hidden else []),
        *(line for section in summary.sections(verbosity) for line in _section(section)),
        *summary.last_lines(verbosity),
    ]


def plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int = 80, *, ruled: bool = True
) -> list[str]:
    """Return the lines of a table of any columns, none longer than ``width``.

    The widest columns are shortened in the middle, and what does not fit even then is cut off.

    Args:
        headers: the names of the columns.
        rows: the cells, as many as there are headers; at least one row.
        width: the most characters of a line.
        ruled: whether a line is drawn below the headers.

    """
    from tabulate import tabulate  # noqa: PLC0415 - it takes long to import and is needed only for a table

    cells = [headers, *([printable(cell) for cell in row] for row in rows)]
    widths = _fitted([max(map(len, column)) for column in zip(*cells, strict=True)], width)
    rule = ["-" * column for column in widths]  # tabulate's own would be wider than its column needs to be
    cells = [[shorten(cell, column) for cell, column in zip(row, widths, strict=True)] for row in cells]
    lines = [cells[0], *([rule] if ruled else []), *cells[1:]]
    text = tabulate(lines, tablefmt="plain", disable_numparse=True)
    return [line[:width].rstrip() for line in text.split("\n")]


def place_lines(table: PlaceTable, width: int = 80, *, ruled: bool = True) -> list[str]:
    """Return the lines that say where a regression sits.

    Args:
        table: the places and what to remark on them.
        width: the most characters of a line.
        ruled: whether a line is drawn below the headers.

    """
    rows = plain_table(table.headers, table.rows, width, ruled=ruled) if table.rows else []
    more = [f"and {table.hidden} more"] if table.hidden else []
    return [*textwrap.wrap(table.remark, max(width, _NARROWEST)), *rows, *more]


def _fitted(widths: list[int], width: int) -> list[int]:
    """Return ``widths`` of columns with the widest narrowed, as far as that is readable, until all fit."""
    fitted = [min(column, max(width, _NARROWEST_COLUMN)) for column in widths]  # of a name of a million
    while sum(fitted) + _GAP * (len(fitted) - 1) > width and max(fitted) > _NARROWEST_COLUMN:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _tests(tests: Sequence[TestRows], width: int) -> list[str]:
    """Return each test with its rows below it, the columns of all tests in line."""
    _, blocks = _blocks([row for test in tests for row in test.rows], (), width - _GAP)
    remaining = iter(blocks)
    lines = []
    for test in tests:
        lines.append(printable(test.title))
        lines.extend(f"  {line}" for _ in test.rows for line in next(remaining))
        if test.hidden:
            lines.append(f"  and {test.hidden} more (-v shows all)")
        for where in test.where:
            lines.extend(f"  {line}" for line in place_lines(where, width - _GAP, ruled=False))
    return lines


def _section(section: Section) -> list[str]:
    more = [f"  and {section.hidden} more (-v names all)"] if section.hidden else []
    return [f"{section.title}:", *(f"  {printable(line)}" for line in section.lines), *more]


def _blocks(rows: Sequence[Row], headers: Sequence[str], width: int) -> tuple[list[str], list[list[str]]]:
    """Return the header lines of a table, and for each row its line and the lines of a note below it."""
    if not rows:
        return [], []
    cells = [_cells(row) for row in rows]
    longest_note = _longest_note_beside(cells, headers, width)
    below = [line[_NOTE] if len(line[_NOTE]) > longest_note else "" for line in cells]
    cells = [(*line[:_NOTE], "" if note else line[_NOTE]) for line, note in zip(cells, below, strict=True)]
    lines = [shorten(line, width) for line in _laid_out(cells, headers, width)]
    head, body = lines[: -len(rows)], lines[-len(rows) :]
    return head, [[line, *_wrapped(note, width)] for line, note in zip(body, below, strict=True)]


def _cells(row: Row) -> tuple[str, ...]:
    values = f"{row.before} -> {row.after}" if row.before and row.after else row.before or row.after
    return tuple(printable(cell) for cell in (row.metric, row.subject, values, row.change, row.note))


def _longest_note_beside(cells: Sequence[Sequence[str]], headers: Sequence[str], width: int) -> int:
    """Return the length up to which notes can stand in their column and leave room for the subjects."""
    wanted = min(_NARROWEST_SUBJECT, max(len(line[_SUBJECT]) for line in cells))
    for most in (width, _SHORT_NOTE):
        kept = [(*line[:_NOTE], line[_NOTE] if len(line[_NOTE]) <= most else "") for line in cells]
        if _room_for_subjects(kept, headers, width) >= wanted:
            return most
    return 0


def _room_for_subjects(cells: Sequence[Sequence[str]], headers: Sequence[str], width: int) -> int:
    others = [n for n in _used(cells) if n != _SUBJECT]
    lines = [*cells, headers] if headers else cells
    return width - sum(_GAP + max(len(line[n]) for line in lines) for n in others)


def _used(cells: Sequence[Sequence[str]]) -> list[int]:
    return [n for n in range(len(HEADERS)) if any(line[n] for line in cells)]


def _laid_out(cells: Sequence[Sequence[str]], headers: Sequence[str], width: int) -> list[str]:
    from tabulate import tabulate  # noqa: PLC0415 - it takes long to import and is needed only for a table

    used = _used(cells)
    room = max(_GAP, _room_for_subjects(cells, headers, width))
    text = tabulate(
        [[shorten(line[n], room) if n == _SUBJECT else line[n] for n in used] for line in cells],
        [headers[n] for n in used] if headers else (),
        tablefmt="simple" if headers else "plain",
        disable_numparse=True,
    )
    return [line.rstrip() for line in text.split("\n")]


def _wrapped(note: str, width: int) -> list[str]:
    return textwrap.wrap(note, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
