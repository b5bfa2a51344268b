"""Histories and baselines that are damaged, newer, of another program or locked."""

from __future__ import annotations

import contextlib
import functools
import sqlite3

import pytest
from plugin_project import COUNTS, Project, closing_line
from saved_project import NEWER, baseline_file, cache_of, note, refusal

from pytest_goref.store.files import locked
from pytest_goref.store.history import History

pytest_plugins = ("plugin_project", "saved_project")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for a lock."""
    soon = functools.partial(History, busy_timeout_ms=20)
    monkeypatch.setattr("pytest_goref.plugin.controller.History", soon)
    monkeypatch.setattr("pytest_goref.store.reference.History", soon)
    monkeypatch.setattr("pytest_goref.store.baseline.locked", functools.partial(locked, timeout_s=0.02))


def test_a_damaged_history_is_moved_aside_and_told_once(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    database.write_bytes(b"no database, but long enough to be taken for one" * 100)

    result = saved.run("--goref", COUNTS)

    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    line = note(result, "damaged history")
    assert line.startswith(f"{database}: damaged history (file is not a database): it is now ")
    assert line.endswith("history.db.damaged-1, a new one begins with this run")
    assert (cache_of(saved) / "history.db.damaged-1").read_bytes().startswith(b"no database")
    again = saved.run("--goref-compare=last", COUNTS)
    assert "damaged history" not in again.stdout.str()
    assert closing_line(again).startswith("goref: 2 compared")


@pytest.mark.parametrize("which", ["last", "run:1"])
def test_a_damaged_history_cannot_be_compared_with(saved: Project, which: str) -> None:
    database = cache_of(saved) / "history.db"
    database.write_bytes(b"no database, but long enough to be taken for one" * 100)

    line = refusal(saved.run(f"--goref-compare={which}"))

    assert line.startswith(f"{database}: damaged history (file is not a database): delete it, or run pytest")
    assert database.exists()


def test_a_newer_history_stays_and_is_told(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 3")
        connection.commit()

    result = saved.run("--goref-compare=main", COUNTS)

    assert result.ret == pytest.ExitCode.OK
    assert note(result, NEWER).startswith(f"this run is not in the history: {database}: {NEWER}version 3;")
    assert closing_line(result).startswith("goref: 2 compared")
    assert NEWER in refusal(saved.run("--goref-compare=last"))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_the_database_of_another_program_stays_and_is_told(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    database.unlink()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    result = saved.run("--goref", COUNTS)

    assert result.ret == pytest.ExitCode.OK
    assert note(result, "another program").endswith("the database of another program: move it away")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


@pytest.mark.usefixtures("impatient")
def test_a_locked_history_is_told_once_and_stops_nothing(saved: Project) -> None:
    database = cache_of(saved) / "history.db"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        results = [
            saved.run(option, COUNTS) for option in ("--goref", "--goref-compare=last", "--goref-save=x")
        ]

    for result in results:
        result.assert_outcomes(passed=2)
        assert result.ret == pytest.ExitCode.OK
        assert "it is locked by another process: wait" in note(result, "this run is not in the history: ")
    assert len(saved.history.runs()) == 1


@pytest.mark.usefixtures("impatient")
def test_a_locked_baseline_fails_the_session_that_should_save(saved: Project) -> None:
    saved.replace("test_it.py", 'ref("two")', 'ref("three")')
    (lock,) = (cache_of(saved) / "locks").glob("main-*.lock")
    before = baseline_file(saved).read_bytes()

    with locked(lock):
        result = saved.run("--goref-save=main", COUNTS, "-qq")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = note(result, "was not saved")
    assert line.startswith(f"goref: baseline main was not saved: {lock}: locked by another process for more")
    assert baseline_file(saved).read_bytes() == before
