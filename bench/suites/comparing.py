"""Runs the own tests of released projects with and without the plugin.

Run it with the interpreter in question: ``python bench/suites``. It downloads the sdists of eight projects,
whose hashes it knows, and makes an environment for each with the project, what its tests need and this
checkout. Then it runs their tests without the plugin, with the plugin installed and off, and with
``--goref --goref-all``, in turns, and compares how each phase of each test ended. A test that differs between
sessions without the plugin is flaky: it is named, and not counted. It exits with 1 when an outcome differs or
a bar is missed: with the ``time`` and ``counts`` passes and every test executed once, all suites together may
take 15 % more CPU time, and 1 % more when the plugin is off. It needs POSIX, and the network once.
``--goref='--goref-rounds=3' --runs=1`` compares outcomes under the default passes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Final

from outcomes import compare
from overhead import Measured, in_all, print_table
from prepare import prepare
from projects import PROJECTS, Project
from running import ABSENT, OFF, Session, SuiteFailedError, run

ONCE: Final = "--goref-passes=time,counts --goref-repeat=off"
"""What the bars are for."""
RUNS: Final = 5
MOST_ON: Final = 0.15
MOST_OFF: Final = 0.01


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python bench/suites", description=__doc__)
    parser.add_argument("projects", nargs="*", help="names of projects (all)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="keeps sdists and environments for next time"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"sessions of each kind ({RUNS})")
    parser.add_argument(
        "--goref", default=ONCE, metavar="OPTIONS", help=f"beside --goref --goref-all ({ONCE})"
    )
    options = parser.parse_args()
    unknown = set(options.projects) - {project.name for project in PROJECTS}
    if unknown or options.runs < 1:
        parser.error(f"no such project: {', '.join(unknown)}" if unknown else "--runs: at least 1")
    return options


def main() -> int:
    """Run all suites, print the table, and return the exit status."""
    options = parsed()
    wanted = [p for p in PROJECTS if not options.projects or p.name in options.projects]
    measured: list[Measured] = []
    failed = False
    with tempfile.TemporaryDirectory() as name:
        work = (options.work or Path(name)).resolve()
        for project in wanted:
            try:
                suite = measure(project, work, options.runs, shlex.split(options.goref))
            except SuiteFailedError as error:
                failed = True
                print(f"{project.title}: {error}", file=sys.stderr)
                continue
            measured.append(suite)
            print(", ".join(filter(None, suite.row())), file=sys.stderr, flush=True)
    if not measured:
        return 1
    print(f"Python {sys.version.split()[0]}, --goref --goref-all {options.goref}, {options.runs} rounds")
    print_table(measured)
    alike = not failed and not any(suite.comparison.different for suite in measured)
    return 0 if holds(measured, is_judged=options.goref == ONCE) and alike else 1


def measure(project: Project, work: Path, runs: int, options: list[str]) -> Measured:
    """Return what the tests of ``project`` do.

    Args:
        project: which one.
        work: the directory that keeps sdists and environments.
        runs: how many sessions of each kind to time.
        options: for the sessions that measure.

    """
    print(f"{project.title} ...", file=sys.stderr, flush=True)
    suite = prepare(project, work)
    on = ("--goref", "--goref-all", *options)
    first = run(suite, ABSENT)  # compiles modules, so it is not timed
    run(suite, ("--goref", "--goref-all", *shlex.split(ONCE)))  # those of the plugin too
    sessions: dict[tuple[str, ...], list[Session]] = {}
    for number in range(runs):
        order = (ABSENT, OFF, on) if number % 2 == 0 else (on, OFF, ABSENT)  # a drift hits all alike
        for kind in order:
            sessions.setdefault(kind, []).append(run(suite, kind))
    absent, off, measuring = sessions[ABSENT], sessions[OFF], sessions[on]
    return Measured(project.title, compare([first, *absent], [*off, *measuring]), absent, off, measuring)


def holds(measured: list[Measured], *, is_judged: bool) -> bool:
    """Print the overhead of all suites together, and whether it is small enough where that is known."""
    good = True
    on, off = in_all(measured)
    for what, overhead, most in (("on", on, MOST_ON), ("off", off, MOST_OFF)):
        line = f"all suites together, the plugin {what}: {overhead.in_percent()} CPU time"
        if is_judged or what == "off":
            good = good and overhead.median <= most
            line = f"{'PASS' if overhead.median <= most else 'MISS'}  {line}, at most {100 * most:g} %"
        print(line)
    return good
