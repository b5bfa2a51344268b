"""``goref show``: the numbers of a run or of a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import REFERENCE, Answer, Command, counted, table_width
from pytest_goref.cli.project import Project, nodeid, test_named
from pytest_goref.environment import current_environment
from pytest_goref.metrics import CALLS, CPU_TIME, METRICS, REFS
from pytest_goref.model import BaselineEntry, Metric, Mode, Problem, Samples, TestKey, Visit
from pytest_goref.quantity import Unit, format_quantity
from pytest_goref.report.terminal import plain_table
from pytest_goref.report.text import printable, shorten
from pytest_goref.store.reference import open_reference

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_goref.store.history import TestResult

_COLUMNS: Final = ("test", "outcome", "refs", "calls", "fastest round")
_DETAIL_COLUMNS: Final = ("metric", "subject", "value")
_ABSENT: Final = "-"
_WIDEST: Final = 2000
"""Characters of a problem, which may quote what a test has raised."""
_EXECUTIONS: Final = {Mode.WARM: "executed repeatedly", Mode.COLD: "executed once"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What there is to show about one test.

    Attributes:
        key: the test.
        outcome: how it ended in the run; ``accepted`` in a baseline.
        entry: its numbers; None when nothing was measured.
        visits: the rounds of each process, by machine fingerprint.
        problems: why there is less than was asked for.

    """

    key: TestKey
    outcome: str
    entry: BaselineEntry | None
    visits: Mapping[str, tuple[Visit, ...]]
    problems: tuple[Problem, ...]


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stored", metavar="RUN_OR_BASELINE", help=REFERENCE)
    parser.add_argument(
        "tests",
        metavar="TEST",
        nargs="*",
        default=[],
        help="a node id, or a part of it that no other test has",
    )


def _run(project: Project, options: argparse.Namespace) -> Answer:
    run = project.run_named(options.stored)
    words, shown = _of_reference(project, options.stored) if run is None else _of_run(project, run)
    if not options.tests:
        conditions = project.history.run(run).conditions if run is not None else ""
        below = (f"conditions: {printable(conditions)}",) if conditions else ()
        return Answer((*_overview(words, shown), *below))
    by_key = {test.key: test for test in shown}
    found = [by_key[test_named(text, words, by_key)] for text in options.tests]
    return Answer(tuple(_blocks([_details(words, test) for test in found])))


def _of_run(project: Project, run: int) -> tuple[str, list[_Shown]]:
    """Return what a run is called in messages, and what it holds."""
    return f"run {run}", [_of_result(result) for result in project.history.results(run)]


def _of_reference(project: Project, text: str) -> tuple[str, list[_Shown]]:
    """Return what a baseline is called in messages, and what it holds."""
    reference = open_reference(text, project.cache, project.directory)
    entries = ((key, reference.get(key)) for key in reference.tests())
    shown = [_Shown(key, "accepted", entry, entry.visits if entry else {}, ()) for key, entry in entries]
    return reference.words, shown


def _of_result(result: TestResult) -> _Shown:
    record = result.record
    if record is None:
        return _Shown(result.key, result.outcome, None, {}, ())
    taken = (*((record.visit,) if record.visit else ()), *record.fresh)
    visits = {record.environment.fingerprint: taken} if taken else {}
    return _Shown(result.key, result.outcome, BaselineEntry.from_record(record), visits, record.problems)


def _overview(words: str, shown: Sequence[_Shown]) -> tuple[str, ...]:
    rows = [
        (
            test.key.nodeid,
            test.outcome,
            _total(test.entry, REFS),
            _total(test.entry, CALLS),
            _fastest(test.visits),
        )
        for test in shown
    ]
    table = plain_table(_COLUMNS, rows, table_width()) if rows else []
    measured = sum(test.entry is not None for test in shown)
    return (*table, f"{printable(words)}: {counted(len(shown), 'test')}, {measured} with numbers")


def _total(entry: BaselineEntry | None, metric: Metric) -> str:
    """Return the sum over all subjects of ``metric``; of one that varies, the most."""
    subjects = entry.measurements.get(metric) if entry else None
    return _ABSENT if subjects is None else str(sum(map(max, subjects.values())))


def _fastest(visits: Mapping[str, tuple[Visit, ...]]) -> str:
    """Return the fastest round: of this machine when it has some, else of all."""
    here = visits.get(current_environment().fingerprint)
    walls = _walls(here) if here else [wall for some in visits.values() for wall in _walls(some)]
    return _duration(min(walls)) if walls else _ABSENT


def _details(words: str, test: _Shown) -> list[str]:
    entry = test.entry
    if entry is None:
        return [nodeid(test.key), f"{printable(words)}: {printable(test.outcome)}, nothing was measured"]
    origin = ", ".join((words, test.outcome, _EXECUTIONS[entry.mode], entry.python))
    rows = list(_measurement_rows(entry))
    blocks = [
        [nodeid(test.key), printable(origin)],
        plain_table(_DETAIL_COLUMNS, rows, table_width()) if rows else ["no counts"],
        [line for place in sorted(test.visits) for line in _rounds(place, test.visits[place])],
        [f"{problem.kind.value}: {shorten(printable(problem.text), _WIDEST)}" for problem in test.problems],
    ]
    return list(_blocks(blocks))


def _blocks(blocks: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of all blocks, with an empty line between two of them."""
    filled = [block for block in blocks if block]
    for number, block in enumerate(filled):
        if number:
            yield ""
        yield from block


def _measurement_rows(entry: BaselineEntry) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each measurement: by metric, of one metric the largest first."""
    for metric in METRICS.values():
        subjects = entry.measurements.get(metric)
        if subjects is not None and not subjects:
            yield metric.name, "", "0"
        for subject, samples in sorted((subjects or {}).items(), key=lambda item: (-max(item[1]), item[0])):
            yield metric.name, subject, _range(samples, metric.unit)


def _range(samples: Samples, unit: Unit) -> str:
    low, high = format_quantity(min(samples), unit), format_quantity(max(samples), unit)
    return low if low == high else f"{low}..{high}"


def _rounds(fingerprint: str, visits: tuple[Visit, ...]) -> Iterator[str]:
    """Yield the lines about what was timed on one machine."""
    yield f"{printable(fingerprint)} ({counted(len(visits), 'visit')}):"
    yield f"  elapsed: {_spread(_walls(visits), 'round')}"
    yield f"  CPU:     {_spread([one.cpu_ns for visit in visits for one in visit.rounds], 'round')}"
    for name in sorted({name for visit in visits for name in visit.timers}):
        loops = [one for visit in visits for one in visit.timers.get(name, ())]
        samples = [one.cpu_ns // one.iterations for one in loops]
        yield f"  {CPU_TIME.name} of {printable(name)}: {_spread(samples, 'round')}"


def _walls(visits: Iterable[Visit]) -> list[int]:
    return [one.wall_ns for visit in visits for one in visit.rounds]


def _spread(samples: Sequence[int], noun: str) -> str:
    ordered = sorted(samples)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2
    return f"fastest {_duration(ordered[0])}, median {_duration(middle)}, {counted(len(ordered), noun)}"


def _duration(ns: int) -> str:
    return format_quantity(ns, Unit.NANOSECOND)


COMMAND: Final = Command(
    name="show",
    summary="the numbers of a run or of a baseline",
    description="""\
Without TEST, the main numbers of each test: all uses of tracked keys (refs), all calls, its fastest round.
With TEST, every measurement of that test, the largest first, its rounds by machine, and what could not be
measured. "-" means not measured.
""",
    examples=("goref show last", "goref show main tests/test_shop.py::test_cart", "goref show run:12 cart"),
    declare=_declare,
    run=_run,
)
