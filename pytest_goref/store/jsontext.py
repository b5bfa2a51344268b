"""JSON as this package stores it: one exact text for each value, and a reader that trusts nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Final, NoReturn

from pytest_goref.errors import GorefError

_SHOWN_CHARACTERS: Final = 80
_ROW: Final = re.compile(r"\[\n *(-?\d+|null),\n *(-?\d+|null),\n *(-?\d+|null)\n *\]")
_LONG_ROW: Final = re.compile(r"(?<=[,\[]\n)( *)\[((?:\n *-?\d+,)*\n *-?\d+)\n *\]")
_LINE_BREAK: Final = re.compile(r"\n *")
_SMALL_BYTES: Final = 2**20
_MOST_MARKS: Final = {b"[": 1_000_000, b"{": 1_000_000, b":": 2_000_000, b",": 8_000_000}
"""What a text may hold of them: three bytes of brackets become 64 of memory."""


class CodecError(GorefError, ValueError):
    """Stored or transmitted data does not have the expected shape.

    Args:
        where: the steps from the outermost object to the wrong value; empty for the whole.
        what: what is wrong there.

    """

    def __init__(self, where: tuple[str, ...], what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(f"{'.'.join(map(_shown, where))}: {what}" if where else what)


def parse_json(data: bytes) -> object:
    """Return the value that ``data``, JSON in UTF-8, holds; its numbers are all ``int``.

    Raises:
        CodecError: it is no JSON, nests too deeply, holds too many values, names a member twice or holds a
            number that is not whole.

    """
    check_amount(data)
    try:
        text = data.decode("utf-8-sig")  # an editor on Windows may have added the mark
    except UnicodeDecodeError as error:
        raise CodecError((), f"not UTF-8 text (byte {error.start})") from None
    try:
        return json.loads(
            text, object_pairs_hook=_members, parse_float=_refuse_number, parse_constant=_refuse_number
        )
    except json.JSONDecodeError as error:
        raise CodecError((), _not_json(text, error)) from None
    except RecursionError:
        raise CodecError((), "nested too deeply") from None
    except CodecError:
        raise
    except ValueError:  # more digits than int() accepts
        raise CodecError((), "holds a number that is too large") from None


def render_json(value: object) -> bytes:
    r"""Return ``value`` as the text that is stored: members sorted, a line per number, a newline at the end.

    Three numbers in a list, and numbers in a list of lists, are a row, in one line: rows are many, and change
    together. The text is in UTF-8; a lone surrogate (from a file name that is not UTF-8) is its JSON escape,
    ``\udc80``.

    Raises:
        CodecError: ``value`` nests too deeply, or holds too many values.

    """
    try:
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        raise CodecError((), "nested too deeply") from None
    text = _ROW.sub(r"[\1, \2, \3]", text)  # never inside of text, where a line break is escaped
    text = _LONG_ROW.sub(_in_one_line, text)
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    check_amount(data)
    return data


def check_amount(data: bytes) -> None:
    """Refuse ``data``, JSON, when it would take far more memory than it is long.

    Raises:
        CodecError: it holds too many values.

    """
    if len(data) > _SMALL_BYTES and any(data.count(mark) > most for mark, most in _MOST_MARKS.items()):
        raise CodecError((), "holds too many lists, objects or numbers")


def _in_one_line(row: re.Match[str]) -> str:
    return f"{row[1]}[{_LINE_BREAK.sub(' ', row[2]).strip()}]"


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the object of ``pairs``; a merge that kept both sides leaves a member twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise CodecError((), f"holds {_shown(counts.most_common(1)[0][0])} twice")
    return members


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "empty"
    if "\n<<<<<<< " in text:
        return "holds the conflict markers of a merge"
    return f"not JSON ({error.msg}, line {error.lineno} column {error.colno})"


def _refuse_number(text: str) -> NoReturn:
    raise CodecError((), f"holds {_shown(text)}, which is not a whole number")


def _shown(text: str) -> str:
    """Return ``text`` in one short line of ASCII: stored names may hold anything."""
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."
