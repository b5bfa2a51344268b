"""Texts that a terminal, a browser or a table could act on, and the check that none was let through."""

from __future__ import annotations

from typing import Final

TEXTS: Final = (
    *(
        "\x1b[31mred\x1b[0m",
        "\x9b31m",
        "\x1b]8;;http://e.vil\x1b\\here\x1b]8;;\x1b\\",
        "\x07",
        "\x7f",
        "\x00",
    ),
    *(
        "a\nb",
        "a\r\nb",
        "a\rb",
        "\x85",
        "\u2028",
        "\u202eabc",
        "\u2066abc",
        "\u200bzero\u200dwidth",
        "\ufeff",
    ),
    *(
        "<script>document.title='OWNED'</script>",
        "</script><img src=x onerror=document.title='OWNED'>",
        "<!--",
    ),
    *("|a|b|", "`id` $(id)", "{0} %s", "=cmd()", "'", '"', "\\", ";", "\udc80", "\ud800"),
    *("\u6f22\u5b57" * 50, "\U0001f600", "e" + "\u0301" * 50, "goref: 1 compared\n=== 1 passed in 0.01s ==="),
)
"""One of each kind: ANSI and 8-bit escapes, links, line breaks, bidirectional and invisible text, HTML,
Markdown, shell, formats, formulas, lone surrogates, wide and combined characters, lines as ours are."""
LONG: Final = "x" * 1_000_000


def harmful_lines(output: str) -> list[str]:
    """Return the lines of ``output`` that hold more than what a terminal only shows."""
    return [line[:200] for line in output.split("\n") if not line.isprintable()]
