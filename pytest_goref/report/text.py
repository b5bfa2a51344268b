"""Text that is safe to print: one line, no control characters, no longer than there is room for."""

from __future__ import annotations

from typing import Final

_ELLIPSIS: Final = "..."


def printable(text: str) -> str:
    r"""Return ``text`` in one line, whatever a terminal could act on or cannot show written as an escape.

    A line break becomes ``\n``, an ANSI escape ``\x1b``, a bidirectional override ``\u202e``, an undecodable
    byte ``\udc80``; a backslash stays as it is.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def shorten(text: str, width: int) -> str:
    """Return ``text`` with its middle left out so that it has at most ``width`` characters."""
    if len(text) <= width:
        return text
    kept = width - len(_ELLIPSIS)
    if kept < 1:
        return text[: max(0, width)]
    tail = kept // 2
    return f"{text[: kept - tail]}{_ELLIPSIS}{text[len(text) - tail :]}"


def ascii_only(text: str) -> str:
    """Return ``text`` for a stream that can encode nothing else: other characters written as escapes."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
