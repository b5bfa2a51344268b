from __future__ import annotations

import os
import tempfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from lock_holder import Holder, waiting_for

from pytest_goref.plugin.machine_lock import (
    MachineLock,
    lock_directory,
    terminal_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from plugin_project import Project

pytest_plugins = ("plugin_project",)


class Reporter:
    """What a terminal reporter is asked to do."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def ensure_newline(self) -> None:
        self.lines.append("")

    def write_line(self, text: str) -> None:
        self.lines.append(text)

    def flush(self) -> None:
        self.lines.append("flushed")


def test_a_line_of_its_own_is_shown_at_once() -> None:
    plugins: dict[str, Reporter] = {}
    manager = SimpleNamespace(get_plugin=plugins.get)
    invocation = SimpleNamespace(dir="/x\ny")
    config: Any = SimpleNamespace(pluginmanager=manager, invocation_params=invocation)
    terminal_of(config)("nobody sees this")
    plugins["terminalreporter"] = reporter = Reporter()
    MachineLock.of(config)._say("a\x1b[31m")
    assert reporter.lines == ["", "goref: a\\x1b[31m", "flushed"]
    assert MachineLock.of(config)._words == f"process {os.getpid()} (pytest in /x\ny)"


_TEST = """
import pytest

@pytest.mark.profile
def test_it():
    pass
"""
_TIMED = ("--goref", "--goref-passes=counts,time", "--goref-rounds=2")


@pytest.fixture
def timed(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with one timed test, whose sessions lock in a directory of their own."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    project.write({"test_it.py": _TEST})
    return project


def _directory(tmp_path: Path) -> Path:
    return tmp_path / "temporary" / lock_directory().name


def test_a_session_holds_the_lock_while_it_times(timed: Project, tmp_path: Path) -> None:
    timed.write(
        {
            "test_it.py": f"""
from pathlib import Path
import pytest
HOLDER = Path({str(_directory(tmp_path) / "timing.holder")!r})

@pytest.mark.profile
def test_it():
    with open("seen.txt", "a") as file:
        print(HOLDER.exists(), file=file)
"""
        }
    )
    assert timed.run_untraced(*_TIMED, "--goref-lock=on").ret == 0
    seen = timed.path / "seen.txt"
    assert seen.read_text(encoding="utf-8").split() == ["False"] * 3 + ["True"] * 4
    seen.unlink()
    assert timed.run_untraced(*_TIMED, "--goref-lock=off").ret == 0
    assert seen.read_text(encoding="utf-8").split() == ["False"] * 7


def test_the_terminal_shows_at_once_for_whom_a_session_waits(
    timed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Holder(_directory(tmp_path), "process 7 (pytest in /x/y)")
    say = MachineLock._say

    def say_and_let_go(lock: MachineLock, text: str) -> None:
        say(lock, text)
        holder.let_go()

    monkeypatch.setattr(MachineLock, "_say", say_and_let_go)
    result = timed.run_untraced(*_TIMED, "--goref-lock=on")
    holder.close()
    assert result.ret == 0
    waiting = f"goref: {waiting_for('process 7 (pytest in /x/y)')}"
    assert result.outlines.count(waiting) == 1


def test_a_session_without_a_terminal_waits_silently(timed: Project, tmp_path: Path) -> None:
    (tmp_path / "temporary" / lock_directory().name).write_text("no directory", encoding="utf-8")
    result = timed.run_untraced(*_TIMED, "--goref-lock=on", "-p", "no:terminal")
    assert (result.ret, result.outlines) == (0, [])
    told = f"goref: other sessions may time at the same time: {_directory(tmp_path)} is not a directory"
    result = timed.run_untraced(*_TIMED, "--goref-lock=on")
    assert sum(line.startswith(told) for line in result.outlines) == 1


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("--goref-lock=maybe",), "--goref-lock: 'maybe'"),
        (("-o", "goref_lock="), "ini value goref_lock: ''"),
    ],
)
def test_a_wrong_value_is_a_usage_error(project: Project, arguments: tuple[str, ...], place: str) -> None:
    project.write({"test_it.py": _TEST})
    result = project.run("--goref", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: goref: {place} is neither 'on' nor 'off'"])
