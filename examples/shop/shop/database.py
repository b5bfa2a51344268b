"""The shop's database: every statement goes through one tracked method."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest_goref as goref

Rows = list[tuple[Any, ...]]

_SCHEMA = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL);
CREATE TABLE item (purchase INTEGER NOT NULL, product INTEGER NOT NULL, pieces INTEGER NOT NULL);
CREATE INDEX item_by_purchase ON item (purchase);
"""


class Database:
    """An open database.

    Args:
        path: of the file; made when missing, in memory by default.

    """

    def __init__(self, path: str = ":memory:") -> None:
        self._connection = sqlite3.connect(path)
        self._connection.executescript(_SCHEMA)

    @goref.track("db.query")
    def query(self, statement: str, values: Sequence[object] = ()) -> Rows:
        """Return the rows that a statement yields."""
        return self._connection.execute(statement, values).fetchall()

    @goref.track("db.insert")
    def insert(self, statement: str, values: Sequence[object]) -> int:
        """Insert one row and return its id."""
        return self._connection.execute(statement, values).lastrowid or 0

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
