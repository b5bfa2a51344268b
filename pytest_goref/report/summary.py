"""The summary of a run: what was compared, what became of it, and what was not compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pytest_goref.model import Severity, TestKey
from pytest_goref.report.places import PlaceTable, place_table
from pytest_goref.report.rows import Row, first_rows, rows_of
from pytest_goref.report.text import printable, shorten
from pytest_goref.verdict import Outcome, Verdict, is_failure

_BY_COMPARISON: Final = (Outcome.SAME, Outcome.IMPROVED, Outcome.REGRESSED, Outcome.OVER_LIMIT)
_MOST_ROWS: Final = 8
_MOST_NAMES: Final = 3
_LONGEST_NOTE: Final = 2000
"""Characters; a note may quote what a test has raised, and the longest node ids."""
_MOST_PLACES: Final = 3
_MOST_TESTS: Final = 20
_IN_SECTIONS: Final = (Outcome.INCOMPARABLE, Outcome.NEW)
_ORDER: Final = (Outcome.OVER_LIMIT, Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.IMPROVED)


@dataclass(frozen=True, slots=True)
class TestRows:
    """A test that has something to tell.

    Attributes:
        title: which test, and its outcome.
        rows: what there is to tell, most important first.
        hidden: how many more rows there are.
        where: where its regressions sit, unless that was told elsewhere.

    """

    __test__ = False  # pytest would otherwise try to collect it by its name

    title: str
    rows: tuple[Row, ...]
    hidden: int
    where: tuple[PlaceTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Tests that have something in common.

    Attributes:
        title: what they have in common.
        lines: one for each test.
        hidden: how many more tests there are.

    """

    title: str
    lines: tuple[str, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class NotCompared:
    """How many marked tests have no verdict, by the reason."""

    skipped: int = 0
    failed: int = 0
    not_selected: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did.

    Attributes:
        name: the baseline.
        written: entries that are new or changed.
        unchanged: entries within tolerance, kept as they were.

    """

    name: str
    written: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run amounts to.

    Attributes:
        verdicts: of the tests that were measured, in the order to show.
        reference: what they were compared with, for example ``baseline main``; empty when with nothing.
        missing: tests that are accepted but exist no more.
        not_compared: the tests that have no verdict.
        saved: what was saved, None when nothing was.
        notes: lines to show as they are, such as why a test was executed once.
        failures_told: whether each failed test has said already where its regressions sit.

    """

    verdicts: tuple[Verdict, ...]
    reference: str = ""
    missing: tuple[TestKey, ...] = ()
    not_compared: NotCompared = field(default_factory=NotCompared)
    saved: Saved | None = None
    notes: tuple[str, ...] = ()
    failures_told: bool = True

    @property
    def compared(self) -> int:
        """How many tests have a verdict that rests on a comparison."""
        if not self.reference:
            return 0
        return sum(v.outcome in _BY_COMPARISON and not v.reason for v in self.verdicts)

    @property
    def over_limit(self) -> int:
        """How many tests fail by an absolute limit."""
        return sum(
            any(f.outcome is Outcome.OVER_LIMIT and is_failure(f) for f in v.findings) for v in self.verdicts
        )

    def count(self, outcome: Outcome) -> int:
        """Return how many verdicts have ``outcome``."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)

    def with_outcome(self, outcome: Outcome) -> tuple[Verdict, ...]:
        """Return the verdicts that have ``outcome``."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome is outcome)

    def tests(self, verbosity: int) -> tuple[tuple[TestRows, ...], int]:
        """Return the tests to show with their rows, worst first, and how many more there are.

        They are the failed tests when ``verbosity`` is below 0, the changed ones at 0, and all above.
        """
        ordered = sorted(self.verdicts, key=_rank)
        rows = (
            (v, TestRows(self._title(v), *_rows(v, verbosity), self._where(v, verbosity))) for v in ordered
        )
        shown = tuple(
            test
            for v, test in rows
            if test.rows or test.where or (verbosity > 0 and v.outcome not in _IN_SECTIONS)
        )
        most = len(shown) if verbosity > 0 else _MOST_TESTS
        return shown[:most], len(shown[most:])

    def sections(self, verbosity: int) -> tuple[Section, ...]:
        """Return the tests to name for what is not known about them; none below 0, a few at 0, else all."""
        if verbosity < 0:
            return ()
        incomparable, new = self.with_outcome(Outcome.INCOMPARABLE), self.with_outcome(Outcome.NEW)
        named = (
            ("incomparable", [f"{v.key.nodeid}: {v.reason}" for v in incomparable], _MOST_NAMES),
            ("partly incomparable", self._partly_incomparable(), _MOST_NAMES),
            ("missing", [key.nodeid for key in self.missing], _MOST_TESTS),
            ("new", [verdict.key.nodeid for verdict in new], _MOST_NAMES),
        )
        return tuple(
            _section(title, lines, None if verbosity else most) for title, lines, most in named if lines
        )

    def last_lines(self, verbosity: int) -> tuple[str, ...]:
        """Return the notes, unless ``verbosity`` is below 0, then what always ends the summary."""
        notes = self.notes if verbosity >= 0 else ()
        shown = (shorten(printable(note), _LONGEST_NOTE) for note in notes)
        return tuple(filter(None, (*shown, self.nothing_compared(), self.closing_line())))

    def closing_line(self) -> str:
        """Return the line that always ends the summary."""
        return f"goref: {self._comparison() if self.reference else self._measurement()}{self._saving()}"

    def nothing_compared(self) -> str:
        """Return the line that says why a comparison compared nothing; empty when it compared something."""
        if not self.reference or self.compared or self.count(Outcome.INCONCLUSIVE):
            return ""
        reasons = []
        if new := self.count(Outcome.NEW):
            reasons.append(f"{_tests(new)} not in {printable(self.reference)}")
        if incomparable := self.with_outcome(Outcome.INCOMPARABLE):
            reasons.append(f"{_tests(len(incomparable))} incomparable ({printable(incomparable[0].reason)})")
        if over := sum(bool(v.reason) for v in self.with_outcome(Outcome.OVER_LIMIT)):
            reasons.append(f"{_tests(over)} over a limit and not comparable")
        return f"goref: nothing was compared: {'; '.join(reasons) or self._nothing_measured()}"

    def _title(self, verdict: Verdict) -> str:
        outcome = verdict.outcome.value
        if verdict.outcome is Outcome.SAME and not self.reference:
            outcome = "measured"
        return f"{verdict.key.nodeid}: {outcome}"

    def _where(self, verdict: Verdict, verbosity: int) -> tuple[PlaceTable, ...]:
        if verbosity < 0 or (verdict.failures and self.failures_told):
            return ()
        return tuple(place_table(where, None if verbosity else _MOST_PLACES) for where in verdict.where)

    def _partly_incomparable(self) -> list[str]:
        """Return each reason why a metric of tests that were compared otherwise was not, and of how many."""
        reasons = Counter(
            finding.reason
            for verdict in self.verdicts
            if verdict.outcome is not Outcome.INCOMPARABLE
            for finding in verdict.findings
            if finding.outcome is Outcome.INCOMPARABLE and finding.severity is not Severity.OFF
        )
        return [f"{reason} ({_number_of_tests(number)})" for reason, number in reasons.most_common()]

    def _comparison(self) -> str:
        counts = (
            f"{self.compared} compared, {self.count(Outcome.NEW)} new, {len(self.missing)} missing, "
            f"{self.count(Outcome.INCOMPARABLE)} incomparable, "
            f"{self.count(Outcome.INCONCLUSIVE)} inconclusive"
        )
        results = f"{self.count(Outcome.REGRESSED)} regressed, {self.count(Outcome.IMPROVED)} improved"
        rest = self._rest()
        return f"{counts}; {results}{self._limits()}" + (f" (not compared: {rest})" if rest else "")

    def _measurement(self) -> str:
        rest = self._rest()
        return f"{len(self.verdicts)} measured{self._limits()}" + (f" (not measured: {rest})" if rest else "")

    def _limits(self) -> str:
        return f", {self.over_limit} over limit" if self.over_limit else ""

    def _saving(self) -> str:
        if self.saved is None:
            return ""
        entries = "entry" if self.saved.written == 1 else "entries"
        name = printable(self.saved.name)
        return f", saved to {name}: {self.saved.written} {entries} written, {self.saved.unchanged} unchanged"

    def _rest(self) -> str:
        rest = self.not_compared
        named = ((rest.skipped, "skipped"), (rest.failed, "failed"), (rest.not_selected, "not selected"))
        return ", ".join(f"{number} {name}" for number, name in named if number)

    def _nothing_measured(self) -> str:
        return f"no marked test was measured{f' ({rest})' if (rest := self._rest()) else ''}"


def _tests(number: int) -> str:
    return f"{_number_of_tests(number)} {'is' if number == 1 else 'are'}"


def _number_of_tests(number: int) -> str:
    return "1 test" if number == 1 else f"{number} tests"


def _rows(verdict: Verdict, verbosity: int) -> tuple[tuple[Row, ...], int]:
    if verbosity < 0:
        return first_rows(verdict.failures, _MOST_ROWS)
    if verbosity == 0:
        return rows_of(verdict, _MOST_ROWS)
    return rows_of(verdict, len(verdict.findings), everything=True)


def _rank(verdict: Verdict) -> tuple[bool, int]:
    order = _ORDER.index(verdict.outcome) if verdict.outcome in _ORDER else len(_ORDER)
    return not verdict.failures, order


def _section(title: str, lines: list[str], most: int | None) -> Section:
    shown = tuple(lines[:most])
    return Section(title, shown, len(lines) - len(shown))
