"""Values of the model as columns of the history and back; a column of SQLite may hold anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_goref.model import Record, TestKey
from pytest_goref.store.codec import record_from_plain, record_to_plain
from pytest_goref.store.jsontext import CodecError, parse_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pytest_goref.model import Environment

StoredText = str | bytes
compact_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""JSON on one line, in ASCII: it takes text that is no valid Unicode."""


def stored_text(text: str) -> StoredText:
    """Return ``text`` as SQLite takes it: bytes when it is not valid Unicode, as a path on disk may be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def key_from_columns(path: object, name: object) -> TestKey:
    """Return the key whose parts ``stored_text`` made ``path`` and ``name`` from.

    Raises:
        CodecError: it did not.

    """
    return TestKey(_text(path, "path"), _text(name, "name"))


def record_to_column(record: Record) -> str:
    """Return what is stored of ``record``; key and environment have their own columns.

    Raises:
        CodecError: a number is out of range.

    """
    plain = record_to_plain(record)
    for column in ("path", "name", "environment"):
        del plain[column]
    return compact_json(plain)


def record_from_columns(key: TestKey, environment: Sequence[object], text: object) -> Record:
    """Return the record of ``key`` from its columns.

    Args:
        key: the test.
        environment: the columns python, machine and fingerprint.
        text: what ``record_to_column`` returned.

    Raises:
        CodecError: the columns hold something else.

    """
    plain = parse_json(_text(text, "record").encode())
    if not isinstance(plain, dict):
        raise CodecError((), "expected an object")
    plain["path"], plain["name"] = key.path, key.name
    plain["environment"] = dict(zip(("python", "machine", "fingerprint"), environment, strict=True))
    return record_from_plain(plain)


def environment_id(connection: sqlite3.Connection, environment: Environment) -> int:
    """Return the id of the row of ``environment``, made when missing."""
    values = (environment.python, environment.machine, environment.fingerprint)
    connection.execute(
        "INSERT OR IGNORE INTO environment (python, machine, fingerprint) VALUES (?, ?, ?)", values
    )
    (found,) = connection.execute(
        "SELECT id FROM environment WHERE python = ? AND machine = ? AND fingerprint = ?", values
    ).fetchone()
    return int(found)


def _text(stored: object, column: str) -> str:
    if isinstance(stored, str):
        return stored
    try:
        if isinstance(stored, bytes):
            return stored.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        pass
    raise CodecError((column,), "expected text")
