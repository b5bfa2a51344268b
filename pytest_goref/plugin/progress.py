"""The progress of visits: one line that changes on a terminal, one line in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from pytest_goref.profilers.clock import SYSTEM_CLOCK
from pytest_goref.report.text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import pytest

_SECOND_NS: Final = 1_000_000_000
_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_QUIETEST: Final = -2
"""The verbosity of ``-qq``: nothing is shown."""


class Progress:
    """Shows how many of some visits are done, and about how long the others will take.

    Args:
        reporter: writes it; None when nothing is to be shown.
        visits: how many there are, at most.
        now_ns: reads a clock.

    """

    def __init__(
        self,
        reporter: pytest.TerminalReporter | None,
        visits: int,
        now_ns: Callable[[], int] = SYSTEM_CLOCK.wall_ns,
    ) -> None:
        self._reporter = reporter
        self._visits = visits
        self._now_ns = now_ns
        self._began_ns = 0
        self._expected_ns = 0
        self._begun = 0

    @classmethod
    def of(cls, config: pytest.Config, visits: int) -> Progress:
        """Return the progress of ``visits`` in a session."""
        reporter = config.pluginmanager.getplugin("terminalreporter")
        return cls(reporter if config.get_verbosity() > _QUIETEST else None, visits)

    def __enter__(self) -> Self:
        """Begin when the first visit does."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the line of a terminal with what it took."""
        reporter = self._reporter
        if reporter is None or not self._begun or not reporter.isatty:
            return
        visits = "1 visit" if self._begun == 1 else f"{self._begun} visits"
        self._rewrite(reporter, f"goref: {visits} in {in_words(self._now_ns() - self._began_ns)}")
        reporter.line("")

    def begin(self, number: int, tests: int, expected_ns: int) -> None:
        """Show that a visit begins.

        Args:
            number: of the visit, from 1.
            tests: how many it measures.
            expected_ns: how long it is expected to take; the visits before correct that.

        """
        now_ns = self._now_ns()
        if not self._begun:
            self._began_ns = now_ns
        left_ns = self._left_ns(now_ns, number, expected_ns)
        self._expected_ns += expected_ns
        self._begun += 1
        reporter, measured = self._reporter, "1 test" if tests == 1 else f"{tests} tests"
        if reporter is None:
            return
        if self._begun == 1:
            _leave_line(reporter)
        if reporter.isatty:
            text = f"visit {number} of {self._visits}, {measured}, about {in_words(left_ns)} left"
            self._rewrite(reporter, f"goref: {text}")
        elif self._begun == 1:
            processes = "1 fresh process" if self._visits == 1 else f"up to {self._visits} fresh processes"
            reporter.write_line(f"goref: measuring {measured} in {processes} (about {in_words(left_ns)})")

    def _left_ns(self, now_ns: int, number: int, expected_ns: int) -> int:
        """Return how long this visit and those after it will take, as far as those before it tell."""
        all_ns = expected_ns * max(1, self._visits - number + 1)
        if not self._expected_ns:
            return all_ns
        return all_ns * (now_ns - self._began_ns) // self._expected_ns

    def _rewrite(self, reporter: pytest.TerminalReporter, text: str) -> None:
        width = reporter.config.get_terminal_writer().fullwidth
        reporter.rewrite(shorten(text, width - 1), erase=True)
        reporter.flush()


def _leave_line(reporter: pytest.TerminalReporter) -> None:
    """End the line on which pytest shows the tests."""
    reporter.ensure_newline()
    if reporter.config.get_terminal_writer().width_of_current_line:  # with -q the reporter does not know
        reporter.line("")


def in_words(duration_ns: int) -> str:
    """Return a duration as people say it: ``40 s``, ``3 min``, ``2 h``."""
    seconds = max(1, round(duration_ns / _SECOND_NS))
    if seconds < 2 * _MINUTE_S:
        return f"{seconds} s"
    if seconds < 2 * _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    return f"{round(seconds / _HOUR_S)} h"
