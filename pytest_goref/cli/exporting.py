"""``goref export``: a profile as a file for another program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import Answer, Command
from pytest_goref.cli.profiles import declare_profile, declare_stored, open_stored
from pytest_goref.profile import ProfileKind
from pytest_goref.report.export import FORMATS, file_name
from pytest_goref.report.text import printable
from pytest_goref.store.files import write_atomically

if TYPE_CHECKING:
    import argparse

    from pytest_goref.cli.project import Project

_STDOUT: Final = "-"


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_stored(parser, "RUN")
    declare_profile(parser)
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="for which program")
    parser.add_argument("-o", dest="output", metavar="FILE", help="where to write it; - for stdout")


def _run(project: Project, options: argparse.Namespace) -> Answer:
    form = FORMATS[options.format]
    stored = open_stored(project, options.in_run)
    profiled = stored.profiled(options.test, ProfileKind(options.kind))
    content = form.render(profiled)
    if options.output == _STDOUT:
        sys.stdout.buffer.write(content)
        return Answer(())
    if options.output:
        path = project.directory / options.output
        path.write_bytes(content)
    else:
        path = project.directory / file_name(profiled, form)
        write_atomically(path, content)  # a link of that name, which nobody asked for, is replaced
    said = f"goref: {options.kind} profile of {profiled.test} in {stored.words}: written to {path}"
    return Answer((printable(said),))


COMMAND: Final = Command(
    name="export",
    summary="a profile as a file for another program",
    description="""\
Writes where the time or the memory of TEST went, as RUN has seen it. speedscope is for
https://www.speedscope.app; pprof for go tool pprof; collapsed for flamegraph.pl; chrome for
https://ui.perfetto.dev and chrome://tracing; html is the page of pyinstrument or memray; json is for programs
of your own. A CPU profile holds samples and time, a memory profile the bytes at the peak, in total and left,
and the number of allocations; collapsed has room for one number, the time or the peak. Times are those of all
executions under the profiler.
""",
    examples=(
        "goref export last test_checkout --format speedscope",
        "goref export main test_checkout --format pprof --kind memory",
        "goref export run:12 cart --format collapsed -o - | flamegraph.pl > cart.svg",
    ),
    declare=_declare,
    run=_run,
)
