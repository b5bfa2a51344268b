"""``goref top``: the places that take the most."""

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
from pytest_goref.report.export.top import COLUMNS, cells, ranked, taken
from pytest_goref.report.terminal import plain_table
from pytest_goref.report.text import printable

if TYPE_CHECKING:
    import argparse

    from pytest_goref.cli.project import Project


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_stored(parser, "RUN")
    declare_profile(parser)
    declare_table(parser)


def _run(project: Project, options: argparse.Namespace) -> Answer:
    stored = open_stored(project, options.in_run)
    profiled = stored.profiled(options.test, ProfileKind(options.kind))
    profile = profiled.profile
    index = value_named(options.value, profile)
    name, unit = profile.values[index]
    total = profile.total(index)
    places = ranked(taken(profile, index), cumulative=options.cumulative)
    shown = places[: options.rows]
    executions = counted(profile.executions, "execution")
    title = f"{profiled.test}: {name}, in {stored.words}"
    found = f"{format_quantity(total, unit)} in {executions} under the profiler"
    if not places:
        return Answer((printable(title), f"{found}, in no place"))
    found = f"{found}, {len(shown)} of {counted(len(places), 'place')}"
    return Answer((printable(title), found, *plain_table(COLUMNS, cells(shown, total, unit), table_width())))


COMMAND: Final = Command(
    name="top",
    summary="the places that take the most time or memory of a test",
    description="""\
Shows where the time or the memory of TEST went, as RUN has seen it, like the command top of pprof. flat is
what a place takes itself, cum what it takes together with all that it calls, sum% adds up flat%. Functions of
the project have a line each, all others one for each module. Times are those of all executions under the
profiler, which makes calls dearer than they are: they show where to look, not how long it takes.
""",
    examples=(
        "goref top last test_checkout",
        "goref top main test_checkout --kind memory --value total -n 5",
    ),
    declare=_declare,
    run=_run,
)
