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
from pytest_goref.report.text import printable
from pytest_goref.store.reference import open_reference

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_goref.store.history import TestResult

_COLUMNS: Final = ("test", "outcome", "refs", "calls", "fastest round")
_DETAIL_COLUMNS: Final = ("metric", "subject", "value")
_ABSENT: Final = "-"
_EXECUTIONS: Final = {Mode.WARM: "executed repeatedly", Mode.COLD: "executed once"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What there is to show about one test.

    Attributes:
        key: the test.
        outcome: how it ended in the run; ``accepted`` in a baseline.
        entry: its numbers; None when nothing was measured.
        problems: why there is less than was asked for.
        machines: in words, by fingerprint, as far as known.

    """

    key: TestKey
    outcome: str
    entry: BaselineEntry | None
    problems: tuple[Problem, ...]
    machines: Mapping[str, str]


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
    words, shown = _stored(project, options.stored)
    if not options.tests:
        return Answer(_overview(words, shown))
    by_key = {test.key: test for test in shown}
    found = [by_key[test_named(text, words, by_key)] for text in options.tests]
    return Answer(tuple(_blocks([_details(words, test) for test in found])))


def _stored(project: Project, text: str) -> tuple[str, list[_Shown]]:
    """Return what ``text`` is called in messages, and what it holds."""
    run = project.run_named(text)
    if run is not None:
        return f"run {run}", [_of_result(result) for result in project.history.results(run)]
    reference = open_reference(text, project.cache, project.directory)
    entries = ((key, reference.get(key)) for key in reference.tests())
    return reference.words, [_Shown(key, "accepted", entry, (), _here()) for key, entry in entries]


def _of_result(result: TestResult) -> _Shown:
    record = result.record
    if record is None:
        return _Shown(result.key, result.outcome, None, (), {})
    machines = {record.environment.fingerprint: record.environment.machine}
    entry = BaselineEntry.from_record(record)
    return _Shown(result.key, result.outcome, entry, record.problems, machines)


def _here() -> Mapping[str, str]:
    """Return the only machine that a baseline, which holds no names of machines, can name."""
    here = current_environment()
    return {here.fingerprint: here.machine}


def _overview(words: str, shown: Sequence[_Shown]) -> tuple[str, ...]:
    rows = [
        (
            test.key.nodeid,
            test.outcome,
            _total(test.entry, REFS),
            _total(test.entry, CALLS),
            _fastest(test.entry),
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


def _fastest(entry: BaselineEntry | None) -> str:
    """Return the fastest round: of this machine when it has some, else of all."""
    visits = entry.visits if entry else {}
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
        [line for place in sorted(entry.visits) for line in _rounds(place, test)],
        [f"{problem.kind.value}: {printable(problem.text)}" for problem in test.problems],
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


def _rounds(fingerprint: str, test: _Shown) -> Iterator[str]:
    """Yield the lines about what was timed on one machine."""
    visits = test.entry.visits[fingerprint] if test.entry else ()
    yield f"{printable(test.machines.get(fingerprint, 'another machine'))} ({printable(fingerprint)}):"
    yield f"  elapsed: {_spread(_walls(visits), 'round')}"
    yield f"  CPU:     {_spread([one.cpu_ns for visit in visits for one in visit.rounds], 'round')}"
    for name in sorted({name for visit in visits for name in visit.timers}):
        samples = [ns for visit in visits for ns in visit.timers.get(name, ())]
        yield f"  {CPU_TIME.name} of {printable(name)}: {_spread(samples, 'sample')}"


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
