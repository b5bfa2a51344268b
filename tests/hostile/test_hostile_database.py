"""A history that a stranger made: nothing in it runs, and SQLite touches no other file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import sys
from typing import TYPE_CHECKING

import pytest
from store_values import ENVIRONMENT, KEY, RUN, record_of

from pytest_goref.errors import HistoryError
from pytest_goref.model import TestKey
from pytest_goref.store import database
from pytest_goref.store import history as history_module
from pytest_goref.store.history import History, TestResult

if TYPE_CHECKING:
    from pathlib import Path

RESULT = TestResult(KEY, "passed", record_of())
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
links = pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a privilege")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "history.db"


@pytest.fixture
def history(path: Path) -> History:
    history = History(path, busy_timeout_ms=20)
    history.append(RUN, [RESULT])
    return history


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user, outside of the cache."""
    file = tmp_path / "precious.txt"
    file.write_bytes(b"precious\0")
    return file


def execute(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def refusals(history: History) -> set[str]:
    """Return what every way to use the history is refused with."""
    messages = set()
    for use in (history.runs, lambda: history.record(1, KEY), lambda: history.append(RUN, [RESULT])):
        with pytest.raises(HistoryError) as caught:
            use()
        messages.add(str(caught.value))
    return messages


VIEW_OF_RUN = """
    CREATE VIEW run AS
    WITH RECURSIVE forever(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM forever)
    SELECT n AS id, '' AS started_at, '' AS revision, 1 AS environment_id, 0 AS exit_status, 1 AS complete,
        '[]' AS scope, '' AS plugin_version, '' AS conditions FROM forever
"""


@pytest.mark.parametrize(
    ("statements", "name"),
    [
        (["CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM result; END"], "t"),
        (["CREATE VIEW everything AS SELECT * FROM run"], "everything"),
        (["DROP TABLE result", "DROP TABLE run", VIEW_OF_RUN], "run"),
        (["CREATE VIRTUAL TABLE v USING fts5(a)"], "v"),
        (["CREATE TABLE other (a)"], "other"),
        (["CREATE INDEX i ON result (length(record))"], "i"),
        (["ALTER TABLE run ADD COLUMN g AS (zeroblob(900000000))"], "run"),
        (["ALTER TABLE run ADD COLUMN c DEFAULT (1) CHECK (length(zeroblob(900000000)) > 0)"], "run"),
        (["DROP TABLE environment", "CREATE TABLE environment (id INTEGER PRIMARY KEY)"], "environment"),
        (["DROP TABLE environment"], "environment"),
        (['CREATE TABLE "\x1b[31m\n" (a)'], "\\x1b[31m\\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_our_schema_is_refused_by_its_name(
    history: History, path: Path, statements: list[str], name: str
) -> None:
    execute(path, *statements)
    before = path.read_bytes()
    assert refusals(history) == {f"{path}: '{name}' is not as pytest-goref makes it: move the file away"}
    assert path.read_bytes() == before


def test_a_comment_cannot_hide_a_check(history: History, path: Path) -> None:
    execute(
        path,
        "DROP TABLE environment",
        "CREATE TABLE environment (id INTEGER PRIMARY KEY, -- \n python TEXT NOT NULL, "
        "machine TEXT NOT NULL, fingerprint TEXT NOT NULL, /* -- */ CHECK (length(zeroblob(9)) > 0), "
        "UNIQUE (python, machine, fingerprint))",
    )
    assert refusals(history) == {f"{path}: 'environment' is not as pytest-goref makes it: move the file away"}


def test_a_schema_that_cannot_be_read_is_damage(history: History, path: Path) -> None:
    execute(
        path,
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE EVERYTHING')",
    )
    with pytest.raises(HistoryError, match="malformed database schema"):
        history.runs()
    assert history.append(RUN, [RESULT]) == 1
    assert "it is now history.db.damaged-1" in history.notices[0]


@links
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_followed(
    history: History, path: Path, victim: Path, suffix: str, *, there: bool
) -> None:
    target = victim if there else victim.with_name("new")
    link = path.with_name(path.name + suffix)
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    with pytest.raises(HistoryError, match="a link, which is not followed: delete it"):
        history.append(RUN, [RESULT])
    if there:
        with pytest.raises(HistoryError, match="a link, which is not followed: delete it"):
            history.runs()
    assert victim.read_bytes() == b"precious\0"
    assert not victim.with_name("new").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_pipe_is_not_waited_for(history: History, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    assert refusals(history) == {f"{path}: not a file, or a link, which is not followed: delete it"}


@pytest.mark.parametrize("write", [True, False])
def test_a_journal_cannot_delete_a_file(history: History, path: Path, victim: Path, *, write: bool) -> None:
    """SQLite deletes the super-journal that a journal names, once it has rolled the journal back."""
    name = os.fsencode(victim)
    pages = len(path.read_bytes()) // 16_384
    head = (JOURNAL_MAGIC + struct.pack(">IIIII", 0, 0, pages, 512, 16_384)).ljust(512, b"\0")
    checksum = sum(name) & 0xFFFFFFFF
    page_of_lock = 2**30 // 16_384 + 1
    tail = struct.pack(">I", page_of_lock) + name + struct.pack(">II", len(name), checksum) + JOURNAL_MAGIC
    path.with_name("history.db-journal").write_bytes(head + tail)
    with pytest.raises(HistoryError, match=r"history\.db-journal: names a file that SQLite would delete"):
        history.append(RUN, [RESULT]) if write else history.runs()
    assert victim.read_bytes() == b"precious\0"


def test_companions_that_hold_nothing_are_no_obstacle(history: History, path: Path) -> None:
    path.with_name("history.db-journal").write_bytes(b"")
    path.with_name("history.db-wal").write_bytes(b"no log")
    assert [run.id for run in history.runs()] == [1]


def test_statements_and_values_have_limits(history: History, path: Path) -> None:
    with database.opened_for_reading(path, 20) as connection:
        assert connection is not None
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED) == 0
        with pytest.raises(sqlite3.OperationalError, match="too many attached databases"):
            connection.execute("ATTACH ':memory:' AS other")
        with pytest.raises(sqlite3.DataError, match="too big"):
            connection.execute("SELECT zeroblob(900000000)").fetchone()
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT load_extension('x')")
        for name, value in (("trusted_schema", 0), ("cell_size_check", 1), ("query_only", 1)):
            assert connection.execute(f"PRAGMA {name}").fetchone() == (value,)


def test_a_statement_that_would_never_end_is_ended(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_MOST_STEPS", 1)
    with pytest.raises(HistoryError, match="damaged history \\(interrupted\\): delete it"):
        history.runs()


def test_a_value_that_is_too_large_is_named(history: History, path: Path) -> None:
    execute(path, "UPDATE result SET record = zeroblob(70000000)")
    with pytest.raises(HistoryError, match="it holds more than any run of pytest: move it away"):
        history.record(1, KEY)


def test_one_text_for_many_rows_fills_no_memory(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [TestResult(TestKey("t.py", str(number)), "passed", record_of()) for number in range(20)]
    history.append(RUN, results)
    monkeypatch.setattr(history_module, "_MOST_READ", 100_000)
    assert len(list(history.results(2))) == 20
    execute(path, "UPDATE environment SET fingerprint = hex(zeroblob(5000))")
    with pytest.raises(HistoryError, match="holds more than any run of pytest: move it away"):
        list(history.results(2))


def test_a_record_that_could_not_be_read_again_is_not_stored(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "MOST_VALUE_BYTES", 100)
    with pytest.raises(HistoryError, match=r"test_total\[1\]: cannot be stored: its record takes \d+ bytes"):
        history.append(RUN, [RESULT])
    assert history.last_id() == 1
    assert history.run(1).environment == ENVIRONMENT
