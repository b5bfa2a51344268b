"""The table: how often each rule was wrong, how often it found what was there, and whether that is enough."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from collect import AMOUNTS, STORED, STREAMS, UNCHANGED
from evaluate import OURS, SAME
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmark import Failures
    from evaluate import Tally

RESAMPLES: Final = 1000
CHANGES: Final = tuple(amount - UNCHANGED for amount in AMOUNTS if amount != UNCHANGED)
Part = tuple[int, int]
"""How often something was, of how often it could be."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval of 95 %.

    Attributes:
        value: what was seen, 0.01 for 1 %; may exceed 1 where several can happen at once.
        low: the lower end.
        high: the upper end.

    """

    value: float
    low: float
    high: float

    def in_percent(self) -> str:
        """Return the share and its interval, for example ``0.1 (0-0.4)``."""
        return f"{100 * self.value:.1f} ({100 * self.low:.1f}-{100 * self.high:.1f})"

    def plain(self) -> str:
        """Return the number and its interval."""
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Bar:
    """What must hold.

    Attributes:
        rule: of which rule.
        column: of which figure.
        limit: 0.01 for 1 %.
        is_most: whether the figure may not exceed the limit; if not, it may not fall short of it.

    """

    rule: str
    column: str
    limit: float
    is_most: bool = True

    def holds(self, value: float) -> bool:
        """Return whether ``value`` is good enough."""
        return value <= self.limit if self.is_most else value >= self.limit

    def told(self, value: float) -> str:
        """Return in a line whether ``value`` is good enough."""
        verdict = "PASS" if self.holds(value) else "MISS"
        sign = "<=" if self.is_most else ">="
        if self.column == VISITS:
            return f"{verdict}  {self.rule}, {self.column}: {value:.2f} {sign} {self.limit}"
        return f"{verdict}  {self.rule}, {self.column}: {100 * value:.2f} % {sign} {100 * self.limit:g} %"


PER_TEST: Final = "false alarms per test"
PER_RUN: Final = "per run"
LEFT_OPEN: Final = "inconclusive"
VISITS: Final = "extra visits per test"


def found(change: int) -> str:
    """Return the title of the column that says how often ``change`` percent are found."""
    return f"+{change}% found"


BARS: Final = (
    Bar(OURS, PER_TEST, 0.005),
    Bar(OURS, PER_RUN, 0.05),
    Bar(OURS, found(20), 0.90, is_most=False),
    Bar(OURS, found(40), 0.98, is_most=False),
    Bar(OURS, LEFT_OPEN, 0.02),
    Bar(OURS, VISITS, 1.2),
    Bar("goref 10%", PER_TEST, 0.002),
)


@dataclass(frozen=True, slots=True)
class _Column:
    """A figure: of comparisons with which change, and what is counted in each."""

    change: int
    part: Callable[[Tally], Part]


COLUMNS: Final[Mapping[str, _Column]] = {
    PER_TEST: _Column(SAME, lambda tally: (tally.slower, tally.tests)),
    PER_RUN: _Column(SAME, lambda tally: (int(tally.slower > 0), 1)),
    **{found(change): _Column(change, lambda tally: (tally.slower, tally.tests)) for change in CHANGES},
    LEFT_OPEN: _Column(SAME, lambda tally: (tally.left_open, tally.tests)),
    VISITS: _Column(SAME, lambda tally: (tally.visits, tally.tests)),
}


def independent(blocks: int, tests: int, column: str) -> int:
    """Return how many of the comparisons share no process: a baseline and a run take 7 blocks of a stream."""
    disjoint = blocks // (STORED + 1)
    change = COLUMNS[column].change
    processes = disjoint * (len(STREAMS) if change == SAME else 1)
    return processes if column == PER_RUN else processes * tests


def shares(tallies: Iterable[Tally], blocks: int, tests: int, seed: int) -> dict[str, dict[str, Share]]:
    """Return every figure of every rule; the intervals come from drawing blocks again, with replacement.

    Args:
        tallies: what every rule says of all comparisons.
        blocks: how many blocks there are.
        tests: how many tests a run has.
        seed: of the drawing.

    """
    draw = random.Random(seed)  # noqa: S311 - draws blocks
    drawn = [draw.choices(range(blocks), k=blocks) for _ in range(RESAMPLES)]
    by_rule: dict[str, list[Tally]] = defaultdict(list)
    for tally in tallies:
        by_rule[tally.rule].append(tally)
    return {
        rule: {
            name: _share(_by_block(of_rule, column, blocks), drawn, independent(blocks, tests, name))
            for name, column in COLUMNS.items()
        }
        for rule, of_rule in by_rule.items()
    }


def _by_block(tallies: Iterable[Tally], column: _Column, blocks: int) -> list[Part]:
    """Return for each block of a normal run how often it was, of how often it could be."""
    events, trials = [0] * blocks, [0] * blocks
    for tally in tallies:
        if tally.change == column.change:
            happened, could = column.part(tally)
            events[tally.block] += happened
            trials[tally.block] += could
    return list(zip(events, trials, strict=True))


def _share(parts: Sequence[Part], drawn: Sequence[Sequence[int]], fewest: int) -> Share:
    """Return the share in all blocks; where nothing or everything happened, drawing again tells nothing.

    There the exact bound of ``fewest`` independent comparisons stands.
    """
    value = _ratio(parts)
    seen = sorted(_ratio([parts[block] for block in blocks]) for blocks in drawn)
    low, high = seen[int(0.025 * len(seen))], seen[int(0.975 * len(seen)) - 1]
    never = 1 - 0.025 ** (1 / max(1, fewest))
    return Share(value, 1 - never if value == 1 else low, never if value == 0 else high)


def _ratio(parts: Iterable[Part]) -> float:
    events, trials = (sum(column) for column in zip(*parts, strict=True))
    return events / trials if trials else 0.0


def print_table(by_rule: Mapping[str, Mapping[str, Share]], real: Sequence[Failures]) -> None:
    """Print a row for each rule, shares in percent."""
    titles = ["rule", *COLUMNS]
    rows = [
        [rule, *(_cell(rule, name, share) for name, share in columns.items())]
        for rule, columns in by_rule.items()
    ]
    for failures in real:
        figures = [
            f"{100 * failures.tests / failures.of_tests:.1f}",
            f"{100 * failures.runs / failures.of_runs:.1f}",
        ]
        name = f"pytest-benchmark itself, {failures.field}:5%"
        rows.append([name, *figures, *[""] * (len(titles) - 3)])
    print(tabulate(rows, titles, tablefmt="github", disable_numparse=True))


def _cell(rule: str, column: str, share: Share) -> str:
    if column in (LEFT_OPEN, VISITS) and not rule.startswith("goref"):
        return ""  # the others always decide at once
    return share.plain() if column == VISITS else share.in_percent()


def print_bars(by_rule: Mapping[str, Mapping[str, Share]]) -> bool:
    """Print whether each bar holds; return whether all do."""
    values = [(bar, by_rule[bar.rule][bar.column].value) for bar in BARS]
    for bar, value in values:
        print(bar.told(value))
    return all(bar.holds(value) for bar, value in values)
