"""The SQLite side of the history: its schema, opening it to read or to write, and what its errors mean.

SQLite and not a file per run: one transaction holds all of a run or nothing of it, ids are handed out by the
database, and one test of one run is found without reading the others.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import HistoryError
from pytest_goref.store.files import reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION: Final = 2
SCHEMA: Final = """
PRAGMA user_version = 2;             -- 1: the first; 2: run.conditions

-- Where something was measured; few, and so never removed.
CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    python TEXT NOT NULL,
    machine TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    UNIQUE (python, machine, fingerprint)
);

-- One invocation of pytest.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,          -- what "--goref-compare=run:N" names; never used twice
    started_at TEXT NOT NULL,        -- ISO 8601 with zone
    revision TEXT NOT NULL,          -- the commit; empty when unknown
    environment_id INTEGER NOT NULL REFERENCES environment (id),
    exit_status INTEGER NOT NULL,
    complete INTEGER NOT NULL,       -- 1 when the whole selection ran
    scope TEXT NOT NULL,             -- JSON list of the paths that were selected
    plugin_version TEXT NOT NULL,
    conditions TEXT NOT NULL DEFAULT ''  -- what would have spoiled durations, in words
);

-- One test of one run, in the order in which tests ended. The record is one JSON text: a new metric changes
-- no schema, a record is read and written whole, and a row per number would make a million of 10 000 tests.
CREATE TABLE result (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    path NOT NULL,                   -- TEXT, or BLOB when it is no valid Unicode
    name NOT NULL,                   -- as path
    outcome TEXT NOT NULL,           -- passed, failed, skipped, ...
    environment_id INTEGER REFERENCES environment (id),
    record TEXT,                     -- NULL when nothing was measured
    UNIQUE (run_id, path, name)
);
"""
_TO_SECOND: Final = """
ALTER TABLE run ADD COLUMN conditions TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 2;
"""
_FIRST_AS_SECOND: Final = "CREATE TEMP VIEW run AS SELECT *, '' AS conditions FROM main.run"
"""Shows a database of the first version, which may not be changed, as one of the second."""
_BEYOND_REPAIR: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_TAKEN: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNWRITABLE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_PAGE_BYTES: Final = 16_384
"""A record takes some KiB, and SQLite puts only whole ones together: smaller pages would stay half empty."""
_MOST_PAGES: Final = 1024
"""How many free pages one run returns to the file system at most: a bound on its time."""
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


class DamagedDatabaseError(HistoryError):
    """The file is no database, or a database that cannot be read to its end."""


@contextlib.contextmanager
def opened_for_writing(path: Path, busy_timeout_ms: int) -> Iterator[sqlite3.Connection]:
    """Open the database ``path``, made when missing, in a transaction that ends with the block.

    The caller keeps other processes out by a lock of its own.

    Raises:
        DamagedDatabaseError: the file is damaged.
        HistoryError: it is locked, of a newer version, of another program, or cannot be written.

    """
    with named_errors(path), _connected(str(path), busy_timeout_ms) as connection:
        version = _version(connection, path)
        if version == 1:
            connection.executescript(f"BEGIN IMMEDIATE; {_TO_SECOND} COMMIT;")
        if not version:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # this and the next: no effect later
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL, a crash of the process loses nothing
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")  # anything raised before: closing the connection rolls back


@contextlib.contextmanager
def opened_for_reading(path: Path, busy_timeout_ms: int) -> Iterator[sqlite3.Connection | None]:
    """Open the database ``path``, or yield None when there is none; works where nothing may be written.

    Raises:
        HistoryError: it is damaged, locked, of a newer version or of another program.

    """
    if _is_missing(path):
        yield None
        return
    try:
        with named_errors(path), _connected_read_only(path, busy_timeout_ms) as connection:
            version = _version(connection, path)
            if version == 1:
                connection.execute("PRAGMA temp_store = MEMORY")
                connection.execute(_FIRST_AS_SECOND)
            connection.execute("PRAGMA query_only = ON")
            yield connection if version else None
    except DamagedDatabaseError as error:
        raise HistoryError(
            f"{error}: delete it, or run pytest with --goref: it is then moved aside"
        ) from error


def return_free_pages(connection: sqlite3.Connection) -> None:
    """Make the file smaller by pages that hold nothing any more."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, _MOST_PAGES)):  # one by one: asked for more, Python 3.11 ends after the first
        connection.execute("PRAGMA incremental_vacuum(1)")


def move_aside(path: Path) -> Path:
    """Give the database ``path`` and what belongs to it the first free name, and return that.

    Raises:
        HistoryError: it cannot be renamed.

    """
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        os.rename(path, target)  # noqa: PTH104 (beside the companions, which may be missing)
        for suffix in _COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    except OSError as error:
        raise HistoryError(
            f"{path}: damaged, and cannot be moved aside: {reason(error)}: delete it"
        ) from error
    return target


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises in the block into a ``HistoryError`` that names the file and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        code = _primary_code(error)
        if code in _BEYOND_REPAIR:
            raise DamagedDatabaseError(f"{path}: damaged history ({error})") from error
        remedy = "free space, or delete it"
        if code in _TAKEN:
            remedy = "it is locked by another process: wait until it ends and try again"
        elif code in _UNWRITABLE:
            remedy = "check the permissions of the file and its directory"
        raise HistoryError(f"{path}: cannot use the history ({error}): {remedy}") from error


@contextlib.contextmanager
def _connected(database: str, busy_timeout_ms: int) -> Iterator[sqlite3.Connection]:
    """Open ``database``, a path or a URI (``file:``); only statements begin transactions."""
    is_uri = database.startswith("file:")
    connection = sqlite3.connect(database, timeout=busy_timeout_ms / 1000, isolation_level=None, uri=is_uri)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _connected_read_only(path: Path, busy_timeout_ms: int) -> Iterator[sqlite3.Connection]:
    """Open ``path`` to read it only.

    A reader of a WAL database makes an index file beside it, and removes it if it opened the file to write.
    Where it may not make one, the file is opened as one that does not change, unless a log beside it holds a
    run that is not in it yet.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"  # never makes the file; SQLite is content to only read it
    try:
        with _connected(uri, busy_timeout_ms) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        log = path.with_name(f"{path.name}-wal")
        if _primary_code(error) not in _UNWRITABLE or (log.exists() and log.stat().st_size):
            raise
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with _connected(uri, busy_timeout_ms) as connection:
        yield connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema, 0 of an empty database.

    Raises:
        HistoryError: it is newer than this package, or the database is not ours.

    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise HistoryError(
            f"{path}: written by a newer pytest-goref (version {version}; this one reads up to "
            f"{SCHEMA_VERSION}): upgrade, or move the file away"
        )
    if version < 1 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise HistoryError(f"{path}: the database of another program: move it away")
    return max(int(version), 0)


def _is_missing(path: Path) -> bool:
    """Return whether there is no ``path``; of one that may not be looked at, SQLite says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _primary_code(error: sqlite3.Error) -> int:
    """Return the SQLite code of ``error`` without its variant; 0 when the error is not from SQLite itself."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
