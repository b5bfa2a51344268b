"""``goref prune``: removes what is accepted for tests that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import Answer, Command, counted
from pytest_goref.cli.project import Project, covers, nodeid
from pytest_goref.errors import HistoryError
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline

if TYPE_CHECKING:
    import argparse


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the baseline")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def _run(project: Project, options: argparse.Namespace) -> Answer:
    baseline = project.baselines.open(options.name)
    number = project.last_run()
    run = project.history.run(number)
    again = "run all tests with pytest --goref, then prune again"
    if not run.complete:
        raise HistoryError(
            f"nothing is pruned: run {number} was partial (narrowed by options, or stopped early): {again}"
        )
    if run.exit_status != 0:
        raise HistoryError(
            f"nothing is pruned: run {number} did not succeed (exit status {run.exit_status}): "
            f"repair what failed, then {again}"
        )
    found = {result.key for result in project.history.results(number)}
    gone = [key for key in baseline.keys() if key not in found and covers(run, key.path)]  # noqa: SIM118 - no mapping
    if gone and not options.dry_run:
        project.baselines.remove(options.name, gone)
        Artifacts(project.cache.artifacts).drop_tests(owner_of_baseline(options.name), gone)
    verb = "would prune" if options.dry_run else "pruned"
    done = f"{verb} {counted(len(gone), 'test')} from" if gone else "nothing to prune in"
    return Answer((*map(nodeid, gone), f"goref: {done} baseline {options.name}, by run {number}"))


COMMAND: Final = Command(
    name="prune",
    summary="remove tests that are gone from a baseline",
    description="""\
Removes from the baseline NAME the tests that the last run did not find any more: deleted, renamed, or no
longer marked. Only test files that the run has looked at are touched, and only after a run that was complete
and succeeded. A module that skips itself as a whole on this machine counts as gone: use --dry-run first.
""",
    examples=("goref prune main --dry-run", "goref prune main"),
    declare=_declare,
    run=_run,
)
