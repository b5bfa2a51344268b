"""The schema of the history, and the check that a database has no other: a stranger may have made it.

A view in the place of a table, a trigger, a check or a generated column is a program that SQLite would run
when the table is read or written; a virtual table is one that its module runs. Ours has none of them.
https://sqlite.org/security.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

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
TO_SECOND: Final = """
ALTER TABLE run ADD COLUMN conditions TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 2;
"""
"""Makes a database of the first version one of the second."""

FIRST_AS_SECOND: Final = "CREATE TEMP VIEW run AS SELECT *, '' AS conditions FROM main.run"
"""Shows a database of the first version, which may not be changed, as one of the second."""
_COMMENT_OR_SPACE: Final = re.compile(r"--[^\n]*|\s+")
_TABLE: Final = re.compile(r"CREATETABLE(\w+)\(.*?\)(?=;|$)")
_ADDED: Final = ",conditionsTEXTNOTNULLDEFAULT''"
_INDEX_OF_TABLE: Final = "sqlite_autoindex_"


def _bare(sql: str) -> str:
    """Return ``sql`` without comments and white space, which differ between what wrote a table, and when."""
    return _COMMENT_OR_SPACE.sub("", sql)


_TABLES: Final = {table[1]: table[0] for table in _TABLE.finditer(_bare(SCHEMA))}


def foreign_object(connection: sqlite3.Connection) -> str | None:
    """Return the name of something in the database that this package has not made, or does not make so."""
    missing = set(_TABLES)
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema"):
        if kind == "index" and sql is None and str(name).startswith(_INDEX_OF_TABLE):
            continue  # of a UNIQUE of ours
        expected = _TABLES.get(name)
        found = _bare(sql) if isinstance(sql, str) else None
        if kind != "table" or found is None or found not in (expected, _first(expected)):
            return str(name)
        missing.discard(name)
    return min(missing, default=None)


def _first(table: str | None) -> str | None:
    """Return ``table`` as the first version made it."""
    return table and table.replace(_ADDED, "")
