"""The table: a row for each suite, and whether what was measured is good enough."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outcomes import Comparison
    from running import Session

TITLES: Final = (
    "suite",
    "tests",
    "outcomes",
    "same",
    "without s",
    "with s",
    "CPU",
    "elapsed",
    "per test",
    "off, CPU",
)


@dataclass(frozen=True, slots=True)
class Overhead:
    """How much longer sessions took than those that ran right beside them.

    Attributes:
        ratios: of each round, in ascending order.

    """

    ratios: tuple[float, ...]

    @classmethod
    def of(cls, longer: Sequence[float], base: Sequence[float]) -> Overhead:
        """Return the overhead of ``longer`` over ``base``, of one round each by their index."""
        return cls(tuple(sorted(more / less for more, less in zip(longer, base, strict=True))))

    @property
    def median(self) -> float:
        """The share that is added, 0.1 for 10 %."""
        return statistics.median(self.ratios) - 1

    def in_percent(self) -> str:
        """Return the median and the range of all rounds."""
        low, high = (100 * (ratio - 1) for ratio in (self.ratios[0], self.ratios[-1]))
        return f"{100 * self.median:+.1f} % ({low:+.1f}..{high:+.1f})"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the sessions of one suite have shown; sessions of equal index ran one after the other.

    Attributes:
        title: of the project.
        comparison: of all outcomes.
        absent: without the plugin.
        off: with the plugin installed, and off.
        on: with the plugin on.

    """

    title: str
    comparison: Comparison
    absent: Sequence[Session]
    off: Sequence[Session]
    on: Sequence[Session]

    @property
    def cpu(self) -> Overhead:
        """In CPU time, which other processes disturb little."""
        return Overhead.of([s.cpu_s for s in self.on], [s.cpu_s for s in self.absent])

    @property
    def wall(self) -> Overhead:
        """In elapsed time."""
        return Overhead.of([s.wall_s for s in self.on], [s.wall_s for s in self.absent])

    @property
    def cpu_off(self) -> Overhead:
        """In CPU time, when the plugin is off."""
        return Overhead.of([s.cpu_s for s in self.off], [s.cpu_s for s in self.absent])

    def row(self) -> list[str]:
        """Return the cells of the table."""
        told, seconds = self.comparison, statistics.median(s.wall_s for s in self.absent)
        with_it = statistics.median(s.wall_s for s in self.on)
        per_test_us = (
            1e6 * statistics.median(s.cpu_s - a.cpu_s for s, a in zip(self.on, self.absent, strict=True))
        ) / max(told.tests, 1)
        same = "yes" if not told.different else f"NO, {len(told.different)}"
        return [
            self.title,
            str(told.tests),
            ", ".join(f"{number} {word}" for word, number in told.outcomes.most_common()),
            f"{same} ({len(told.flaky)} flaky)" if told.flaky else same,
            f"{seconds:.2f}",
            f"{with_it:.2f}",
            self.cpu.in_percent(),
            self.wall.in_percent(),
            f"{per_test_us:.0f} us",
            self.cpu_off.in_percent() if self.off else "",
        ]


def in_all(measured: Sequence[Measured]) -> tuple[Overhead, Overhead]:
    """Return the overhead in CPU time of all suites together, on and off: the sums of each round."""

    def sums(kind: str) -> list[float]:
        return [
            sum(session.cpu_s for session in round_)
            for round_ in zip(*(getattr(suite, kind) for suite in measured), strict=True)
        ]

    absent = sums("absent")
    return Overhead.of(sums("on"), absent), Overhead.of(sums("off") or absent, absent)


def print_table(measured: Sequence[Measured]) -> None:
    """Print a row for each suite, then each test that differs."""
    rows = [suite.row() for suite in measured]
    print(tabulate(rows, TITLES, tablefmt="github", disable_numparse=True))
    for suite in measured:
        for nodeid in suite.comparison.flaky:
            print(f"flaky without the plugin: {suite.title}: {nodeid}")
        for line in suite.comparison.different:
            print(f"DIFFERENT: {suite.title}: {line}")
