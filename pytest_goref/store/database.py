"""The SQLite side of the history: opening it to read or to write, and what its errors mean.

SQLite and not a file per run: one transaction holds all of a run or nothing of it, ids are handed out by the
database, and one test of one run is found without reading the others. A stranger may have made the file: what
SQLite would run, follow or fill memory with is refused. https://sqlite.org/security.html
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import HistoryError
from pytest_goref.store.files import reason
from pytest_goref.store.schema import FIRST_AS_SECOND, SCHEMA, SCHEMA_VERSION, TO_SECOND, foreign_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_VALUE_BYTES: Final = 64 * 2**20
"""Of the record of one test; what tests do stays far below."""

_BEYOND_REPAIR: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_INTERRUPT})
"""Interrupted is what ``_MOST_STEPS`` has ended."""
_TAKEN: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNWRITABLE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_PAGE_BYTES: Final = 16_384
"""A record takes some KiB, and SQLite puts only whole ones together: smaller pages would stay half empty."""
_MOST_PAGES: Final = 1024
"""How many free pages one run returns to the file system at most: a bound on its time."""
_COMPANIONS: Final = ("-wal", "-shm", "-journal")
_MOST_STEPS: Final = 2_000_000_000
"""Of the machine of SQLite in one statement; a database whose pages lead in a circle would never end."""
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: MOST_VALUE_BYTES + 2**16,  # of a row, of which the record is the most
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
_SHOWN_CHARACTERS: Final = 80
_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
"""What a journal ends with when it names a super-journal. https://sqlite.org/fileformat.html"""


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
    _check_files(path)
    with named_errors(path), _connected(str(path), busy_timeout_ms) as connection:
        version = _version(connection, path)
        if version == 1:
            connection.executescript(f"BEGIN IMMEDIATE; {TO_SECOND} COMMIT;")
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
    _check_files(path)
    try:
        with named_errors(path), _connected_read_only(path, busy_timeout_ms) as connection:
            version = _version(connection, path)
            if version == 1:
                connection.execute("PRAGMA temp_store = MEMORY")
                connection.execute(FIRST_AS_SECOND)
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
        elif code == sqlite3.SQLITE_TOOBIG:
            remedy = "it holds more than any run of pytest: move it away"
        elif code in _UNWRITABLE:
            remedy = "check the permissions of the file and its directory"
        raise HistoryError(f"{path}: cannot use the history ({error}): {remedy}") from error


@contextlib.contextmanager
def _connected(database: str, busy_timeout_ms: int) -> Iterator[sqlite3.Connection]:
    """Open ``database``, a path or a URI (``file:``); only statements begin transactions."""
    is_uri = database.startswith("file:")
    connection = sqlite3.connect(database, timeout=busy_timeout_ms / 1000, isolation_level=None, uri=is_uri)
    try:
        _distrust(connection)
        yield connection
    finally:
        connection.close()


def _distrust(connection: sqlite3.Connection) -> None:
    """Let ``connection`` do no more than is needed, whatever the file holds."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    for category, limit in _LIMITS.items():
        connection.setlimit(category, limit)
    connection.set_progress_handler(lambda: 1, _MOST_STEPS)
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)


def _check_files(path: Path) -> None:
    """Refuse what would make SQLite touch other files than the database ``path`` and its companions.

    Raises:
        HistoryError: one of them is a link, or no file; or a journal names another one: SQLite deletes that
            "super-journal" after a rollback, wherever it is.

    """
    for suffix in ("", *_COMPANIONS):
        file = path.with_name(path.name + suffix)
        with contextlib.suppress(OSError):  # it is not there, or SQLite says why it cannot be used
            mode = file.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise HistoryError(f"{file}: not a file, or a link, which is not followed: delete it")
            if suffix == "-journal" and _ends_with(file, _JOURNAL_MAGIC):
                raise HistoryError(f"{file}: names a file that SQLite would delete: delete this journal")


def _ends_with(file: Path, end: bytes) -> bool:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - len(end)))
        return opened.read() == end


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
        HistoryError: it is newer than this package, or the database, or something in it, is not ours.

    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise HistoryError(
            f"{path}: written by a newer pytest-goref (version {version}; this one reads up to "
            f"{SCHEMA_VERSION}): upgrade, or move the file away"
        )
    if version < 1 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise HistoryError(f"{path}: the database of another program: move it away")
    if version >= 1 and (name := foreign_object(connection)) is not None:
        shown = ascii(name[:_SHOWN_CHARACTERS])
        raise HistoryError(f"{path}: {shown} is not as pytest-goref makes it: move the file away")
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
