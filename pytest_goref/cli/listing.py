"""``goref list``: the baselines and the stored runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import Answer, Command, table_width
from pytest_goref.report.terminal import plain_table

if TYPE_CHECKING:
    import argparse

    from pytest_goref.cli.project import Project
    from pytest_goref.store.history import RunInfo

_BASELINE_COLUMNS: Final = ("baseline", "modules", "tests")
_RUN_COLUMNS: Final = ("run", "started", "commit", "tests", "failed", "ran", "exit", "python", "machine")
_ROOM_FOR_MACHINE: Final = 100
_COMMIT_CHARACTERS: Final = 8
_MINUTES: Final = len("2025-01-31T12:00")


def _declare(_parser: argparse.ArgumentParser) -> None:
    """Declare nothing: the command has no arguments of its own."""


def _run(project: Project, _options: argparse.Namespace) -> Answer:
    return Answer((*_baselines(project), "", *_runs(project)))


def _baselines(project: Project) -> list[str]:
    rows = []
    for name in project.baselines.names():
        keys = list(project.baselines.open(name).keys())
        rows.append((name, str(len({key.path for key in keys})), str(len(keys))))
    if not rows:
        return ["no baselines yet: make one with pytest --goref-save=NAME"]
    return plain_table(_BASELINE_COLUMNS, rows, table_width())


def _runs(project: Project) -> list[str]:
    rows = [_row(project, run) for run in project.history.runs()]
    if not rows:
        return ["no runs yet: make one with pytest --goref"]
    width = table_width()
    columns = len(_RUN_COLUMNS) - (width < _ROOM_FOR_MACHINE)
    return plain_table(_RUN_COLUMNS[:columns], [row[:columns] for row in rows], width)


def _row(project: Project, run: RunInfo) -> tuple[str, ...]:
    results = list(project.history.results(run.id or 0))
    return (
        str(run.id),
        run.started_at[:_MINUTES].replace("T", " "),
        run.commit[:_COMMIT_CHARACTERS],
        str(sum(result.record is not None for result in results)),
        str(sum(result.outcome == "failed" for result in results)),
        "complete" if run.complete else "partial",
        str(run.exit_status),
        run.environment.python,
        run.environment.machine,
    )


COMMAND: Final = Command(
    name="list",
    summary="the baselines and the stored runs",
    description="""\
Lists the baselines with the number of their test modules and tests, and the stored runs, newest first. Of a
run: how many tests were measured and how many failed, whether it was complete (neither narrowed by options
such as -k nor stopped early; only then goref prune relies on it), the exit status of pytest, and, where there
is room, the machine.
""",
    examples=("goref list", "goref --cache ../shop/.goref_cache list"),
    declare=_declare,
    run=_run,
)
