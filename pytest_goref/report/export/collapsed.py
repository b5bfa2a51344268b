"""Collapsed stacks, one in a line, as ``flamegraph.pl`` and many other programs read them.

A line has room for one number: nanoseconds of a CPU profile, bytes at the peak of a memory profile.
https://www.brendangregg.com/FlameGraphs/cpuflamegraphs.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_goref.report.export.profiled import labelled_stacks, main_value
from pytest_goref.report.text import printable

if TYPE_CHECKING:
    from pytest_goref.report.export.profiled import Profiled


def render(profiled: Profiled) -> bytes:
    """Return the lines, sorted."""
    stacks = labelled_stacks(profiled.profile, main_value(profiled.profile))
    lines = (
        f"{';'.join(printable(name).replace(';', ',') for name in stack)} {number}\n"
        for stack, number in stacks.items()
    )
    return "".join(lines).encode()
