"""``goref compare``: judges what is stored against something else that is stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from pytest_goref.cli.command import REFERENCE, Answer, Command, summary_width
from pytest_goref.cli.project import Project, covers
from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import RuleChange, Rules, parse_rule
from pytest_goref.compare.where import Evidence, explain
from pytest_goref.environment import current_environment
from pytest_goref.errors import InvalidValueError
from pytest_goref.model import BaselineEntry, Environment, Record, Severity, TestKey
from pytest_goref.profile import ProfileKind
from pytest_goref.report.summary import NotCompared, Summary
from pytest_goref.report.terminal import render_summary
from pytest_goref.store.artifacts import Artifacts, owner_of_run
from pytest_goref.store.reference import Reference, open_reference

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable, Iterator

    from pytest_goref.profile import StackProfile

_REGRESSION: Final = 1


class _Side(Protocol):
    """What is judged."""

    def keys(self) -> Collection[TestKey]:
        """Return every test it has something to say about."""
        ...

    def record(self, key: TestKey, expected: BaselineEntry | None) -> Record | None:
        """Return what was measured of ``key``; None when nothing was."""
        ...

    def cpu_profile(self, key: TestKey) -> StackProfile | None:
        """Return where ``key`` spent its time; None when that is not known here."""
        ...

    def without_record(self) -> Counter[str]:
        """Return how many tests have no record, by their outcome."""
        ...

    def looked_for(self, key: TestKey) -> bool:
        """Return whether ``key`` would be here if the test still existed."""
        ...


class _RunSide:
    """A run, judged as it was measured.

    Args:
        project: where it is stored.
        run_id: its number.

    """

    def __init__(self, project: Project, run_id: int) -> None:
        self._run_id = run_id
        self._artifacts = Artifacts(project.cache.artifacts)
        self._run = project.history.run(run_id)
        self._results = {result.key: result for result in project.history.results(run_id)}

    def keys(self) -> Collection[TestKey]:
        return self._results

    def record(self, key: TestKey, _expected: BaselineEntry | None) -> Record | None:
        return self._results[key].record

    def cpu_profile(self, key: TestKey) -> StackProfile | None:
        return self._artifacts.get(owner_of_run(self._run_id), key, ProfileKind.CPU)

    def without_record(self) -> Counter[str]:
        return Counter(result.outcome for result in self._results.values() if result.record is None)

    def looked_for(self, key: TestKey) -> bool:
        return covers(self._run, key.path)


class _AcceptedSide:
    """Accepted entries, judged as if they were measured now.

    Args:
        reference: where the entries are.

    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._keys = frozenset(reference.tests())

    def keys(self) -> Collection[TestKey]:
        return self._keys

    def record(self, key: TestKey, expected: BaselineEntry | None) -> Record | None:
        entry = self._reference.get(key)
        return None if entry is None else as_record(entry, expected)

    def cpu_profile(self, key: TestKey) -> StackProfile | None:
        return self._reference.profile(key, ProfileKind.CPU)

    def without_record(self) -> Counter[str]:
        return Counter()

    def looked_for(self, _key: TestKey) -> bool:
        return True


def as_record(entry: BaselineEntry, expected: BaselineEntry | None) -> Record:
    """Return ``entry`` as a record that compares with ``expected``.

    An entry may hold rounds of several machines, a record has those of one: a machine that ``expected`` was
    timed on too, if there is one, and this machine before others.
    """
    shared = entry.visits.keys() & expected.visits.keys() if expected else set()
    fingerprint = _preferred(shared or entry.visits.keys())
    environment = Environment(entry.python, entry.platform, fingerprint)
    return Record(
        key=entry.key,
        environment=environment,
        mode=entry.mode,
        measurements=entry.measurements,
        fresh=entry.visits.get(fingerprint, ()),
        code=entry.code,
    )


def _preferred(fingerprints: Collection[str]) -> str:
    here = current_environment().fingerprint
    return here if here in fingerprints else min(fingerprints, default="")


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help=f"what is accepted: {REFERENCE}")
    parser.add_argument("after", metavar="B", help=f"what is judged: {REFERENCE}")
    for severity, what in ((Severity.FAIL, "fails"), (Severity.WARN, "is only told")):
        parser.add_argument(
            f"--{severity.value}",
            metavar="RULE",
            action="append",
            default=[],
            help=f"more than RULE accepts {what}, for example calls:5%%+8 or counts:0; repeatable",
        )
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show every test and finding")
    parser.add_argument("-q", "--quiet", action="count", default=0, help="show only what fails")


def _run(project: Project, options: argparse.Namespace) -> Answer:
    rules = _rules(options)
    reference = open_reference(options.before, project.cache, project.directory)
    side = _side(project, options.after)
    summary = _summary(reference, side, rules)
    lines = render_summary(summary, options.verbose - options.quiet, summary_width())
    return Answer(tuple(lines), _REGRESSION if any(v.failures for v in summary.verdicts) else 0)


def _rules(options: argparse.Namespace) -> Rules:
    """Return the default rules after those of the command line; of two about one metric, --fail wins."""
    rules = Rules.default()
    for severity, texts in ((Severity.WARN, options.warn), (Severity.FAIL, options.fail)):
        try:
            rules = rules.with_changes(_changes(severity, texts))
        except InvalidValueError as error:
            # The message may advise an option, whose name begins with --goref- only for pytest.
            text = str(error).replace("--goref-", "--")
            raise InvalidValueError(f"--{severity.value}: {text}") from None
    return rules


def _changes(severity: Severity, texts: Iterable[str]) -> Iterator[tuple[Severity, RuleChange]]:
    return ((severity, parse_rule(text)) for text in texts)


def _side(project: Project, text: str) -> _Side:
    run = project.run_named(text)
    if run is not None:
        return _RunSide(project, run)
    return _AcceptedSide(open_reference(text, project.cache, project.directory))


def _summary(reference: Reference, side: _Side, rules: Rules) -> Summary:
    verdicts = []
    for key in sorted(side.keys()):
        expected = reference.get(key)
        record = side.record(key, expected)
        if record is not None:
            verdict = judge(record, expected, rules)
            evidence = Evidence(
                cpu_before=reference.profile(key, ProfileKind.CPU), cpu_after=side.cpu_profile(key)
            )
            verdicts.append(replace(verdict, where=explain(verdict, record, expected, evidence)))
    absent = sorted(set(reference.tests()).difference(side.keys()))
    missing = tuple(key for key in absent if side.looked_for(key))
    outcomes = side.without_record()
    return Summary(
        verdicts=tuple(verdicts),
        reference=reference.words,
        missing=missing,
        not_compared=NotCompared(
            skipped=outcomes["skipped"],
            failed=outcomes["failed"] + outcomes["xfailed"],
            not_selected=len(absent) - len(missing),
        ),
        failures_told=False,
    )


COMMAND: Final = Command(
    name="compare",
    summary="judge a run or a baseline against another one",
    description="""\
Judges what B holds against what A holds, prints the summary that pytest --goref-compare=A would end with, and
exits with 1 when a test fails by the rules. The rules are the default ones and those given here; ini values
and markers of the project are not known. Durations are judged where fresh processes timed both sides.
""",
    examples=(
        "goref compare main last",
        "goref compare run:12 run:15 --fail calls:5%+8",
        "goref compare release-1 main --warn counts:0",
    ),
    declare=_declare,
    run=_run,
)
