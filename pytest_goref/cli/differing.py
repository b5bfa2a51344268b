"""``goref diff``: what the places take more, or less, than before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import Answer, Command, counted, table_width
from pytest_goref.cli.profiles import (
    declare_profile,
    declare_stored,
    declare_table,
    open_stored,
    value_named,
)
from pytest_goref.profile import ProfileKind
from pytest_goref.quantity import format_quantity
from pytest_goref.report.export.top import COLUMNS, cells, difference, ranked, total_per_execution
from pytest_goref.report.terminal import plain_table
from pytest_goref.report.text import printable

if TYPE_CHECKING:
    import argparse

    from pytest_goref.cli.project import Project


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_stored(parser, "A", "B")
    declare_profile(parser)
    declare_table(parser)


def _run(project: Project, options: argparse.Namespace) -> Answer:
    kind = ProfileKind(options.kind)
    first, second = open_stored(project, options.in_a), open_stored(project, options.in_b)
    profiled = first.profiled(options.test, kind)
    before, after = profiled.profile, second.profiled(profiled.test, kind).profile
    index = value_named(options.value, before)
    name, unit = before.values[index]
    old, new = total_per_execution(before, index), total_per_execution(after, index)
    places = ranked(difference(before, after, index), cumulative=options.cumulative)
    shown = places[: options.rows]
    title = f"{profiled.test}: {name}, {first.words} -> {second.words}"
    change = f"{format_quantity(old, unit)} -> {format_quantity(new, unit)} per execution under the profiler"
    if not places:
        return Answer((printable(title), f"{change}, nothing has changed"))
    found = f"{change}, {len(shown)} of {counted(len(places), 'place')} that changed"
    rows = cells(shown, old, unit, signed=True)
    return Answer((printable(title), found, *plain_table(COLUMNS, rows, table_width())))


COMMAND: Final = Command(
    name="diff",
    summary="where a test takes more or less time or memory than before",
    description="""\
Shows how the profile of TEST in B differs from that in A, the largest change first, in the columns of goref
top: the change of what a place takes itself (flat) and together with all that it calls (cum), and what share
that is of all that the test took in A. Numbers are for one execution of the test. It is not judged here
whether a change of time is more than chance: goref compare does that.
""",
    examples=("goref diff main last test_checkout", "goref diff run:11 run:12 test_checkout --kind memory"),
    declare=_declare,
    run=_run,
)
