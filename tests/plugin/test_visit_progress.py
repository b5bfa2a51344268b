from __future__ import annotations

import io
from functools import partial

import pytest

from pytest_goref.plugin.progress import Progress, in_words

SECOND_NS = 1_000_000_000


class FakeClock:
    """A clock that somebody else moves."""

    def __init__(self) -> None:
        self.now_ns = 5 * SECOND_NS

    def __call__(self) -> int:
        return self.now_ns


class Screen(io.StringIO):
    """A file that is a terminal, or not.

    Args:
        terminal: whether it is.
        columns: how wide it is.
        before: what is written on it already.

    """

    def __init__(self, *, terminal: bool, columns: int = 60, before: str = "") -> None:
        super().__init__()
        self._terminal = terminal
        self.columns = columns
        self.before = before

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Config:
    monkeypatch.setenv("TERM", "xterm")
    return pytester.parseconfig("-p", "no:asyncio")


def shown(
    session: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    screen: Screen,
    visits: list[tuple[int, int, int]],
    total: int = 6,
) -> str:
    """Return what is written when each of ``visits`` (tests, expected s, taken s) happens."""
    monkeypatch.setenv("COLUMNS", str(screen.columns))
    clock, reporter = FakeClock(), pytest.TerminalReporter(session, screen)
    reporter.write(screen.before)
    monkeypatch.setattr(session, "get_terminal_writer", lambda: reporter._tw)
    with Progress(reporter, total, clock) as progress:
        for number, (tests, expected_s, taken_s) in enumerate(visits, start=1):
            progress.begin(number, tests, expected_s * SECOND_NS)
            clock.now_ns += taken_s * SECOND_NS
    return screen.getvalue()


def test_a_terminal_shows_one_line_that_changes(
    session: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = [(12, 10, 20), (12, 10, 10), (1, 5, 4)]
    output = shown(session, monkeypatch, Screen(terminal=True, columns=61), visits)
    assert output.endswith("\n")
    assert [line.rstrip() for line in output[:-1].split("\r")] == [
        "",
        "goref: visit 1 of 6, 12 tests, about 60 s left",
        "goref: visit 2 of 6, 12 tests, about 100 s left",  # twice as long as was thought
        "goref: visit 3 of 6, 1 test, about 30 s left",
        "goref: 3 visits in 34 s",
    ]
    assert {len(line) for line in output[:-1].split("\r")} == {0, 60}


def test_a_narrow_terminal_cuts_the_line(session: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=True, columns=40)
    lines = shown(session, monkeypatch, screen, [(10_000, 1, 1)]).split("\r")
    assert lines[1:] == ["goref: visit 1 of ...ts, about 6 s left", f"{'goref: 1 visit in 1 s':39}\n"]


def test_a_log_has_one_line(session: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    output = shown(session, monkeypatch, Screen(terminal=False), [(12, 10, 20), (12, 10, 10)])
    assert output == "goref: measuring 12 tests in up to 6 fresh processes (about 60 s)\n"
    output = shown(session, monkeypatch, Screen(terminal=False), [(1, 200, 20)], total=1)
    assert output == "goref: measuring 1 test in 1 fresh process (about 3 min)\n"


@pytest.mark.parametrize("before", ["....", "test_a.py ."])
def test_the_line_of_the_tests_is_left(
    session: pytest.Config, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    output = shown(session, monkeypatch, Screen(terminal=False, before=before), [(1, 1, 1)])
    assert output == f"{before}\ngoref: measuring 1 test in up to 6 fresh processes (about 6 s)\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_shown_when_no_visit_begins(
    session: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert shown(session, monkeypatch, Screen(terminal=terminal), []) == ""


@pytest.mark.parametrize(
    ("options", "shows"),
    [((), True), (("-q",), True), (("-v",), True), (("-qq",), False), (("-p", "no:terminal"), False)],
)
def test_a_quiet_session_shows_nothing(
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    shows: bool,  # noqa: FBT001 - a column of the table
) -> None:
    config = pytester.parseconfigure("-p", "no:asyncio", *options)
    capsys.readouterr()
    start = partial(Progress.of, config)
    with start(2) as progress:
        progress.begin(1, 3, SECOND_NS)
    found = "goref: measuring 3 tests in up to 2 fresh processes (about 2 s)\n" if shows else ""
    assert capsys.readouterr().out == found


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (40.4, "40 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
    ],
)
def test_durations_are_told_roughly(seconds: float, words: str) -> None:
    assert in_words(int(seconds * SECOND_NS)) == words
