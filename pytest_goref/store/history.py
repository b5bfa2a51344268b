"""The history: the last runs on this machine with the record of every test, in one SQLite database."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.errors import CacheError, HistoryError
from pytest_goref.model import Environment, Record, TestKey
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.database import (
    MOST_VALUE_BYTES,
    DamagedDatabaseError,
    move_aside,
    opened_for_reading,
    opened_for_writing,
    return_free_pages,
)
from pytest_goref.store.files import locked
from pytest_goref.store.jsontext import CodecError
from pytest_goref.store.runs import (
    INSERT_RESULT,
    INSERT_RUN,
    SELECT_RESULTS,
    SELECT_RUNS,
    RunInfo,
    StoredText,
    TestResult,
    column_of_record,
    id_of_environment,
    key_of_columns,
    result_of_row,
    row_of_run,
    run_of_row,
    stored_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["History", "RunInfo", "TestResult"]

_MOST_READ: Final = 2**29
"""Characters of all that one query finds: one text that many rows share is read for each of them."""
_ROW: Final = 256
"""What a row takes in memory beside its text."""

_Row = tuple[StoredText, StoredText, str, Environment | None, str | None]


class History:
    """The stored runs; nothing is opened, and nothing made, before a method needs it.

    Args:
        path: the database, ``history.db`` in the cache directory.
        keep_runs: how many runs are kept, at least 1; the oldest make room.
        busy_timeout_ms: how long to wait for another process, in milliseconds.

    Attributes:
        notices: what the user must be told, in sentences: a damaged history was moved aside.

    """

    def __init__(self, path: Path, *, keep_runs: int = 50, busy_timeout_ms: int = 5000) -> None:
        if keep_runs < 1:
            raise ValueError(f"keep_runs must be at least 1, not {keep_runs}")
        self.notices: list[str] = []
        self._path = path
        self._keep_runs = keep_runs
        self._busy_timeout_ms = busy_timeout_ms

    def append(self, run: RunInfo, results: Iterable[TestResult]) -> int:
        """Store ``run`` with ``results``, whole or not at all, and return its id; ``run.id`` is ignored.

        A damaged database is moved aside, a new one is begun, and ``notices`` says so.

        Raises:
            HistoryError: the database is locked, of a newer version, or cannot be written.
            CacheError: the cache directory cannot be made.

        """
        rows = [_encode(result) for result in results]  # before the lock, so that it is held shortly
        if not self._path.parent.is_dir():
            CacheDirectory(self._path.parent).ensure()
        lock = self._path.parent / "locks" / f"{self._path.name}.lock"
        try:
            with locked(lock, self._busy_timeout_ms / 1000):
                try:
                    return self._append(run, rows)
                except DamagedDatabaseError as error:  # under the lock: nobody else moves our new one aside
                    moved = move_aside(self._path)
                    self.notices.append(f"{error}: it is now {moved.name}, a new one begins with this run")
                    return self._append(run, rows)
        except CacheError as error:
            raise HistoryError(str(error)) from error

    def runs(self) -> list[RunInfo]:
        """Return all stored runs, newest first.

        Raises:
            HistoryError: the database cannot be read.

        """
        runs: list[RunInfo] = []
        for row in self._rows(SELECT_RUNS):
            with self._damage_of(row[0]):
                runs.append(run_of_row(row))
        return runs

    def run(self, run_id: int) -> RunInfo:
        """Return the run ``run_id``.

        Raises:
            HistoryError: there is no such run, or the database cannot be read.

        """
        runs = self.runs()  # no more than are kept, and the message needs them all
        for info in runs:
            if info.id == run_id:
                return info
        kept = f"{runs[-1].id} to {runs[0].id}" if runs else "none yet: run pytest with --goref"
        raise HistoryError(f"{self._path}: no run {run_id} in the history: it holds {kept}")

    def last_id(self) -> int | None:
        """Return the id of the newest run, or None when there is none.

        Raises:
            HistoryError: the database cannot be read.

        """
        return next((row[0] for row in self._rows("SELECT max(id) FROM run")), None)

    def results(self, run_id: int) -> Iterator[TestResult]:
        """Yield all tests of run ``run_id``, in the order in which they ended.

        Raises:
            HistoryError: the database cannot be read, or a record is damaged.

        """
        for row in self._rows(f"{SELECT_RESULTS} WHERE run_id = ? ORDER BY result.rowid", run_id):
            yield self._result(run_id, row)

    def records(self, run_id: int) -> Iterator[Record]:
        """Yield all that run ``run_id`` measured, in the order in which tests ended.

        Raises:
            HistoryError: the database cannot be read, or a record is damaged.

        """
        return (result.record for result in self.results(run_id) if result.record is not None)

    def measured_keys(self, run_id: int) -> list[TestKey]:
        """Return the tests that run ``run_id`` measured, in the order in which they ended.

        Raises:
            HistoryError: the database cannot be read.

        """
        query = "SELECT path, name FROM result WHERE run_id = ? AND record IS NOT NULL ORDER BY rowid"
        with self._damage_of(run_id):
            return [key_of_columns(*row) for row in self._rows(query, run_id)]

    def record(self, run_id: int, key: TestKey) -> Record | None:
        """Return what run ``run_id`` measured of ``key``, or None when that is nothing.

        Raises:
            HistoryError: the database cannot be read, or the record is damaged.

        """
        query = f"{SELECT_RESULTS} WHERE run_id = ? AND path = ? AND name = ?"
        rows = self._rows(query, run_id, stored_text(key.path), stored_text(key.name))
        return self._result(run_id, rows[0]).record if rows else None

    def passed_run(self, run_id: int, key: TestKey) -> int | None:
        """Return the run in which ``key`` last passed and was measured: ``run_id`` or one before it, or None.

        Raises:
            HistoryError: the database cannot be read.

        """
        query = """
            SELECT run.id FROM run CROSS JOIN result
            WHERE run.id <= ? AND run_id = run.id AND path = ? AND name = ?
                AND outcome = 'passed' AND record IS NOT NULL
            ORDER BY run.id DESC LIMIT 1
        """  # CROSS: from the few runs to the index of results, never through all results
        ids = self._rows(query, run_id, stored_text(key.path), stored_text(key.name))
        return ids[0][0] if ids else None

    def passed_record(self, run_id: int, key: TestKey) -> Record | None:
        """Return what was measured of ``key`` when it last passed, in run ``run_id`` or before it, or None.

        Raises:
            HistoryError: the database cannot be read, or the record is damaged.

        """
        passed = self.passed_run(run_id, key)
        return None if passed is None else self.record(passed, key)

    def _append(self, run: RunInfo, rows: list[_Row]) -> int:
        with opened_for_writing(self._path, self._busy_timeout_ms) as connection:
            environments = {run.environment, *(row[3] for row in rows if row[3])}
            ids = {environment: id_of_environment(connection, environment) for environment in environments}
            run_id = connection.execute(INSERT_RUN, row_of_run(run, ids[run.environment])).lastrowid
            assert run_id is not None  # noqa: S101 (an INSERT that did not raise has one)
            connection.execute(  # after the INSERT, or the id of the last run would be given again
                "DELETE FROM run WHERE id <= (SELECT id FROM run ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self._keep_runs,),
            )
            connection.executemany(
                INSERT_RESULT,
                (
                    (run_id, path, name, outcome, environment and ids[environment], record)
                    for path, name, outcome, environment, record in rows
                ),
            )
            return_free_pages(connection)
        return run_id

    def _rows(self, query: str, *parameters: int | StoredText) -> list[tuple[Any, ...]]:
        """Return what ``query`` finds, all at once: a caller who stops halfway leaves nothing open.

        Raises:
            HistoryError: the database cannot be read, or holds far more than a session of pytest leaves.

        """
        rows: list[tuple[Any, ...]] = []
        room = _MOST_READ
        with opened_for_reading(self._path, self._busy_timeout_ms) as connection:
            for row in connection.execute(query, parameters) if connection else ():
                room -= _ROW + sum(len(cell) for cell in row if isinstance(cell, str | bytes))
                if room < 0:
                    raise HistoryError(f"{self._path}: holds more than any run of pytest: move it away")
                rows.append(row)
        return rows

    def _result(self, run_id: int, row: tuple[object, ...]) -> TestResult:
        with self._damage_of(run_id):
            return result_of_row(row)

    @contextlib.contextmanager
    def _damage_of(self, run_id: object) -> Iterator[None]:
        try:
            yield
        except CodecError as error:
            raise HistoryError(
                f"{self._path}: run {run_id} is damaged: {error}: use another run, or delete the file"
            ) from error


def _encode(result: TestResult) -> _Row:
    key, record = result.key, result.record
    try:
        text = column_of_record(record)
    except CodecError as error:
        raise HistoryError(f"{key.nodeid}: cannot be stored: {error}") from error
    if text is not None and len(text) > MOST_VALUE_BYTES:  # it is ASCII
        raise HistoryError(
            f"{key.nodeid}: cannot be stored: its record takes {len(text)} bytes; the limit is "
            f"{MOST_VALUE_BYTES}: let it use fewer tracked keys"
        )
    environment = None if record is None else record.environment
    return stored_text(key.path), stored_text(key.name), result.outcome, environment, text
