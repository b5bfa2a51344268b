"""The history: the last runs on this machine with the record of every test, in one SQLite database."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.errors import CacheError, HistoryError
from pytest_goref.model import Environment, Record, TestKey
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.database import (
    DamagedDatabaseError,
    move_aside,
    opened_for_reading,
    opened_for_writing,
    return_free_pages,
)
from pytest_goref.store.files import locked
from pytest_goref.store.jsontext import CodecError, parse_json
from pytest_goref.store.rows import (
    StoredText,
    compact_json,
    environment_id,
    key_from_columns,
    record_from_columns,
    record_to_column,
    stored_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_RUN: Final = """
    SELECT run.id, started_at, revision, python, machine, fingerprint, exit_status, complete, scope,
        plugin_version
    FROM run JOIN environment ON environment.id = run.environment_id
"""
_RESULT: Final = """
    SELECT path, name, outcome, python, machine, fingerprint, record
    FROM result LEFT JOIN environment ON environment.id = result.environment_id
    WHERE run_id = ?
"""
_RUN_TYPES: Final = (int, str, str, str, str, str, int, int, str, str)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One invocation of pytest, without its records.

    Attributes:
        id: its number in the history; None before it is stored.
        started_at: ISO 8601 with zone.
        commit: the revision of the working copy; empty when unknown.
        environment: where it ran.
        exit_status: the exit status of pytest.
        complete: whether the whole selection ran.
        scope: POSIX paths relative to rootdir that were selected; an empty path is all of it.
        plugin_version: the version of this package.

    """

    id: int | None
    started_at: str
    commit: str
    environment: Environment
    exit_status: int
    complete: bool
    scope: tuple[str, ...]
    plugin_version: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test of a run ended and what was measured.

    Attributes:
        key: the test.
        outcome: ``passed``, ``failed``, ``skipped`` or another word of pytest.
        record: what was measured; None when nothing was.

    """

    __test__ = False  # pytest would otherwise try to collect it by its name

    key: TestKey
    outcome: str
    record: Record | None


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
                    self.notices.append(
                        f"{error}: moved aside to {moved.name}; a new one begins with this run"
                    )
                    return self._append(run, rows)
        except CacheError as error:
            raise HistoryError(str(error)) from error

    def runs(self) -> list[RunInfo]:
        """Return all stored runs, newest first.

        Raises:
            HistoryError: the database cannot be read.

        """
        with opened_for_reading(self._path, self._busy_timeout_ms) as connection:
            rows = connection.execute(f"{_RUN} ORDER BY run.id DESC").fetchall() if connection else []
        return [self._run_info(row) for row in rows]

    def run(self, run_id: int) -> RunInfo:
        """Return the run ``run_id``.

        Raises:
            HistoryError: there is no such run, or the database cannot be read.

        """
        runs = self.runs()  # at most keep_runs, and the message needs them all
        for info in runs:
            if info.id == run_id:
                return info
        kept = (
            f"it holds {runs[-1].id} to {runs[0].id}"
            if runs
            else "it holds none yet: run pytest with --goref"
        )
        raise HistoryError(f"{self._path}: no run {run_id} in the history: {kept}")

    def last_id(self) -> int | None:
        """Return the id of the newest run, or None when there is none.

        Raises:
            HistoryError: the database cannot be read.

        """
        with opened_for_reading(self._path, self._busy_timeout_ms) as connection:
            row = connection.execute("SELECT max(id) FROM run").fetchone() if connection else None
        return row and row[0]

    def record(self, run_id: int, key: TestKey) -> Record | None:
        """Return what run ``run_id`` measured of ``key``, or None when that is nothing.

        Raises:
            HistoryError: the database cannot be read, or the record is damaged.

        """
        found = self._results(
            run_id, "AND path = ? AND name = ?", (stored_text(key.path), stored_text(key.name))
        )
        return next((result.record for result in found), None)

    def records(self, run_id: int) -> Iterator[Record]:
        """Yield all that run ``run_id`` measured, in the order in which tests ended.

        Raises:
            HistoryError: the database cannot be read, or a record is damaged.

        """
        return (result.record for result in self.results(run_id) if result.record is not None)

    def results(self, run_id: int) -> Iterator[TestResult]:
        """Yield all tests of run ``run_id``, in the order in which they ended.

        Raises:
            HistoryError: the database cannot be read, or a record is damaged.

        """
        return self._results(run_id, "ORDER BY result.rowid", ())

    def _append(self, run: RunInfo, rows: list[_Row]) -> int:
        with opened_for_writing(self._path, self._busy_timeout_ms) as connection:
            environments = {run.environment, *(row[3] for row in rows if row[3])}
            ids = {environment: environment_id(connection, environment) for environment in environments}
            run_id = connection.execute(
                "INSERT INTO run (started_at, revision, environment_id, exit_status, complete, scope,"
                " plugin_version) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    run.started_at,
                    run.commit,
                    ids[run.environment],
                    run.exit_status,
                    run.complete,
                    compact_json(run.scope),
                    run.plugin_version,
                ),
            ).lastrowid
            assert run_id is not None  # noqa: S101 (an INSERT that did not raise has one)
            connection.execute(  # after the INSERT, or the id of the last run would be given again
                "DELETE FROM run WHERE id <= (SELECT id FROM run ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self._keep_runs,),
            )
            connection.executemany(  # a test that was reported twice counts as it ended
                "INSERT OR REPLACE INTO result (run_id, path, name, outcome, environment_id, record)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (run_id, path, name, outcome, environment and ids[environment], record)
                    for path, name, outcome, environment, record in rows
                ),
            )
            return_free_pages(connection)
        return run_id

    def _results(
        self, run_id: int, condition: str, parameters: tuple[StoredText, ...]
    ) -> Iterator[TestResult]:
        with opened_for_reading(self._path, self._busy_timeout_ms) as connection:
            if connection is not None:
                for row in connection.execute(f"{_RESULT} {condition}", (run_id, *parameters)):
                    yield self._result(run_id, row)

    def _result(self, run_id: int, row: tuple[Any, ...]) -> TestResult:
        path, name, outcome, *environment, text = row
        with self._damage_of(run_id):
            key = key_from_columns(path, name)
            if not isinstance(outcome, str):
                raise CodecError(("outcome",), "expected text")
            record = None if text is None else record_from_columns(key, environment, text)
            return TestResult(key, outcome, record)

    def _run_info(self, row: tuple[Any, ...]) -> RunInfo:
        run_id, started_at, commit, python, machine, fingerprint, exit_status, complete, scope, version = row
        with self._damage_of(run_id):
            if tuple(map(type, row)) != _RUN_TYPES:
                raise CodecError((), "a column holds a value of another type")
            paths = parse_json(scope.encode())
            if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
                raise CodecError(("scope",), "expected a list of text")
        environment = Environment(python, machine, fingerprint)
        return RunInfo(
            run_id, started_at, commit, environment, exit_status, bool(complete), tuple(paths), version
        )

    @contextlib.contextmanager
    def _damage_of(self, run_id: int) -> Iterator[None]:
        try:
            yield
        except CodecError as error:
            raise HistoryError(
                f"{self._path}: run {run_id} is damaged: {error}: use another run, or delete the file"
            ) from error


_Row = tuple[StoredText, StoredText, str, Environment | None, str | None]


def _encode(result: TestResult) -> _Row:
    key, record = result.key, result.record
    try:
        text = None if record is None else record_to_column(record)
    except CodecError as error:
        raise HistoryError(f"{key.nodeid}: cannot be stored: {error}") from error
    environment = None if record is None else record.environment
    return stored_text(key.path), stored_text(key.name), result.outcome, environment, text
