"""A run and the results of its tests, and their rows in the history; a column of SQLite may hold anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.model import Environment, Record, TestKey
from pytest_goref.store.codec import environment_to_plain, record_from_plain, record_to_plain
from pytest_goref.store.jsontext import CodecError, check_amount, parse_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

StoredText = str | bytes
SELECT_RUNS: Final = """
    SELECT run.id, started_at, revision, python, machine, fingerprint, exit_status, complete, scope,
        plugin_version, conditions
    FROM run JOIN environment ON environment.id = run.environment_id
    ORDER BY run.id DESC
"""
_RUN_TYPES: Final = (int, str, str, int, int, str, str, str)
INSERT_RUN: Final = """
    INSERT INTO run
        (started_at, revision, environment_id, exit_status, complete, scope, plugin_version, conditions)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_RESULTS: Final = """
    SELECT path, name, outcome, python, machine, fingerprint, record
    FROM result LEFT JOIN environment ON environment.id = result.environment_id
"""
INSERT_RESULT: Final = """
    INSERT OR REPLACE INTO result (run_id, path, name, outcome, environment_id, record)
    VALUES (?, ?, ?, ?, ?, ?)
"""  # REPLACE: a test that was reported twice counts as it ended
_compact = json.JSONEncoder(separators=(",", ":")).encode  # in ASCII: it takes text that is no valid Unicode


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
        conditions: what on this machine would have spoiled durations, in words, "" for nothing known.

    """

    id: int | None
    started_at: str
    commit: str
    environment: Environment
    exit_status: int
    complete: bool
    scope: tuple[str, ...]
    plugin_version: str
    conditions: str = ""


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


def row_of_run(run: RunInfo, environment_id: int) -> tuple[object, ...]:
    """Return the columns of ``INSERT_RUN``."""
    return (
        run.started_at,
        run.commit,
        environment_id,
        run.exit_status,
        run.complete,
        _compact(run.scope),
        run.plugin_version,
        run.conditions,
    )


def run_of_row(row: tuple[Any, ...]) -> RunInfo:
    """Return the run whose columns are those of ``SELECT_RUNS``.

    Raises:
        CodecError: a column holds something else.

    """
    run_id, started_at, commit, *where, exit_status, complete, scope, version, conditions = row
    own = (run_id, started_at, commit, exit_status, complete, scope, version, conditions)
    if tuple(map(type, own)) != _RUN_TYPES:
        raise CodecError((), "a column holds a value of another type")
    paths = parse_json(scope.encode())
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise CodecError(("scope",), "expected a list of text")
    environment = _environment_of_columns(where)
    return RunInfo(
        run_id,
        started_at,
        commit,
        environment,
        exit_status,
        bool(complete),
        tuple(paths),
        version,
        conditions,
    )


def column_of_record(record: Record | None) -> str | None:
    """Return what is stored of ``record``; key and environment have their own columns.

    Raises:
        CodecError: a number is out of range, or there are too many.

    """
    if record is None:
        return None
    plain = record_to_plain(record)
    for column in ("path", "name", "environment"):
        del plain[column]
    text = _compact(plain)
    check_amount(text.encode())
    return text


def result_of_row(row: tuple[object, ...]) -> TestResult:
    """Return the result whose columns are those of ``SELECT_RESULTS``.

    Raises:
        CodecError: a column holds something else.

    """
    path, name, outcome, *environment, record = row
    key = key_of_columns(path, name)
    if not isinstance(outcome, str):
        raise CodecError(("outcome",), "expected text")
    return TestResult(key, outcome, None if record is None else _record_of_columns(key, environment, record))


def key_of_columns(path: object, name: object) -> TestKey:
    """Return the key whose parts ``stored_text`` made ``path`` and ``name`` from.

    Raises:
        CodecError: it did not.

    """
    return TestKey(_text(path, "path"), _text(name, "name"))


def stored_text(text: str) -> StoredText:
    """Return ``text`` as SQLite takes it: bytes when it is not valid Unicode, as a path on disk may be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def id_of_environment(connection: sqlite3.Connection, environment: Environment) -> int:
    """Return the id of the row of ``environment``, made when missing."""
    values = tuple(map(stored_text, (environment.python, environment.machine, environment.fingerprint)))
    connection.execute(
        "INSERT OR IGNORE INTO environment (python, machine, fingerprint) VALUES (?, ?, ?)", values
    )
    (found,) = connection.execute(
        "SELECT id FROM environment WHERE python = ? AND machine = ? AND fingerprint = ?", values
    ).fetchone()
    return int(found)


def _record_of_columns(key: TestKey, environment: Sequence[object], record: object) -> Record:
    plain = parse_json(_text(record, "record").encode())
    if not isinstance(plain, dict):
        raise CodecError(("record",), "expected an object")
    plain["path"], plain["name"] = key.path, key.name
    plain["environment"] = environment_to_plain(_environment_of_columns(environment))
    return record_from_plain(plain)


def _environment_of_columns(columns: Sequence[object]) -> Environment:
    python, machine, fingerprint = columns
    return Environment(_text(python, "python"), _text(machine, "machine"), _text(fingerprint, "fingerprint"))


def _text(stored: object, column: str) -> str:
    if isinstance(stored, bytes):
        try:
            return stored.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            pass
    if not isinstance(stored, str):
        raise CodecError((column,), "expected text")
    return stored
