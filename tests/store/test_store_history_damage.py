"""A history that is damaged, locked, newer, killed halfway, or where nothing may be written."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from store_values import KEY, RUN, record_of, start_python

from pytest_goref.errors import CacheError, HistoryError
from pytest_goref.model import TestKey
from pytest_goref.store.database import move_aside
from pytest_goref.store.files import locked
from pytest_goref.store.history import History, TestResult

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULT = TestResult(KEY, "passed", record_of())
MANY = [TestResult(TestKey("t.py", str(number)), "passed", record_of(calls=9)) for number in range(100)]


@contextlib.contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def execute(path: Path, *statements: str) -> None:
    with connected(path) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def history(path: Path) -> History:
    history = History(path, busy_timeout_ms=20)
    history.append(RUN, MANY)
    return history


def check_unreadable(history: History, *words: str) -> None:
    """Every way to read is a ``HistoryError`` with ``words``."""
    for read in (
        history.runs,
        history.last_id,
        lambda: history.run(1),
        lambda: history.record(1, KEY),
        lambda: history.passed_record(1, KEY),
        lambda: history.measured_keys(1),
        lambda: list(history.results(1)),
        lambda: list(history.records(1)),
    ):
        with pytest.raises(HistoryError) as caught:
            read()
        for word in words:
            assert word in str(caught.value)


@pytest.mark.parametrize("damage", ["text", "binary", "header", "truncated"])
def test_a_damaged_database_is_moved_aside_and_told(history: History, path: Path, damage: str) -> None:
    whole = path.read_bytes()
    damaged = {
        "text": b"no database at all\n" * 100,
        "binary": os.urandom(5000),
        "header": b"x" + whole[1:],
        "truncated": whole[: len(whole) // 2],
    }[damage]
    path.write_bytes(damaged)
    check_unreadable(history, f"{path}: damaged history (", "delete it, or run pytest with --goref")
    assert history.append(RUN, [RESULT]) == 1
    assert history.notices == [history.notices[0]]
    assert f"{path}: damaged history (" in history.notices[0]
    assert "it is now history.db.damaged-1, a new one begins" in history.notices[0]
    assert path.with_name("history.db.damaged-1").read_bytes() == damaged
    assert list(history.records(1)) == [record_of()]

    path.write_bytes(b"again no database" * 100)
    history.append(RUN, [RESULT])
    assert path.with_name("history.db.damaged-2").exists()
    assert len(history.notices) == 2


def test_damage_inside_is_noticed_too(history: History, path: Path) -> None:
    pages = path.read_bytes()
    path.write_bytes(pages[:16_384] + b"\xff" * (len(pages) - 16_384))
    assert history.append(RUN, [RESULT]) == 1
    assert len(history.notices) == 1


def test_what_belongs_to_a_damaged_database_goes_with_it(path: Path) -> None:
    for suffix in ("", "-wal", "-journal"):
        path.with_name(f"history.db{suffix}").write_text(suffix)
    (path.parent / "history.db.damaged-1").touch()
    assert move_aside(path) == path.with_name("history.db.damaged-2")
    moved = {file.name: file.read_text() for file in path.parent.iterdir()}
    assert moved == {
        "history.db.damaged-1": "",
        "history.db.damaged-2": "",
        "history.db.damaged-2-wal": "-wal",
        "history.db.damaged-2-journal": "-journal",
    }


def test_a_damaged_database_that_cannot_be_moved_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path.write_bytes(b"no database" * 1000)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(
        HistoryError, match=r"damaged, and cannot be moved aside: Permission denied: delete it"
    ):
        History(path).append(RUN, [])


def test_an_empty_file_is_a_history_that_begins(path: Path) -> None:
    path.touch()
    history = History(path)
    assert history.runs() == []
    assert history.append(RUN, [RESULT]) == 1
    assert history.notices == []


def test_a_newer_version_is_refused_and_not_touched(history: History, path: Path) -> None:
    execute(path, "PRAGMA user_version = 3")
    before = path.read_bytes()
    check_unreadable(
        history, f"{path}: written by a newer pytest-goref (version 3; this one reads up to 2): upgrade"
    )
    with pytest.raises(HistoryError, match="written by a newer"):
        history.append(RUN, [])
    assert path.read_bytes() == before
    assert history.notices == []


def test_the_database_of_another_program_is_refused_and_not_touched(path: Path) -> None:
    execute(path, "CREATE TABLE users (name TEXT)")
    before = path.read_bytes()
    history = History(path)
    check_unreadable(history, f"{path}: the database of another program: move it away")
    with pytest.raises(HistoryError, match="another program"):
        history.append(RUN, [])
    assert path.read_bytes() == before


def test_a_schema_that_was_changed_is_an_error(history: History, path: Path) -> None:
    execute(path, "DROP TABLE result", "DROP TABLE run")
    check_unreadable(history, f"{path}: 'result' is not as pytest-goref makes it: move the file away")
    with pytest.raises(HistoryError, match="'result' is not as pytest-goref makes it"):
        history.append(RUN, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("record", "'{'"),
        ("record", "'[]'"),
        ("record", "'{}'"),
        ("record", "5"),
        ("record", "x'ff'"),
        ("outcome", "x'61'"),
        ("path", "7"),
        ("name", "x'ff'"),
        ("environment_id", "NULL"),
    ],
)
def test_a_column_may_hold_anything(history: History, path: Path, column: str, value: str) -> None:
    execute(path, f"UPDATE result SET {column} = {value} WHERE rowid = 1")  # noqa: S608 (both stand above)
    with pytest.raises(
        HistoryError, match=r"history\.db: run 1 is damaged: .*: use another run, or delete the file"
    ):
        list(history.results(1))


def test_text_that_is_no_text_is_an_error(history: History, path: Path) -> None:
    execute(path, "UPDATE result SET outcome = CAST(x'ff' AS TEXT)")
    with pytest.raises(HistoryError, match=r"cannot use the history \(Could not decode to UTF-8"):
        list(history.results(1))


@pytest.mark.parametrize(("column", "value"), [("scope", "'{}'"), ("scope", "'[1]'"), ("exit_status", "'x'")])
def test_a_run_may_hold_anything(history: History, path: Path, column: str, value: str) -> None:
    execute(path, f"UPDATE run SET {column} = {value}")  # noqa: S608 (both stand above)
    with pytest.raises(HistoryError, match="run 1 is damaged"):
        history.runs()


def test_a_database_that_another_process_locks_is_named(history: History, path: Path) -> None:
    with connected(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            HistoryError, match=r"history\.db: cannot use .* it is locked by another process: wait"
        ):
            history.append(RUN, [])
        assert history.last_id() == 1


def test_a_database_that_another_process_keeps_for_itself_is_named(history: History, path: Path) -> None:
    with connected(path) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("UPDATE run SET exit_status = 1")
        check_unreadable(history, str(path), "it is locked by another process")


def test_an_append_waits_for_another_append(history: History, path: Path) -> None:
    with (
        locked(path.parent / "locks" / "history.db.lock"),
        pytest.raises(
            HistoryError, match=r"history\.db\.lock: locked by another process for more than 0\.02 s"
        ),
    ):
        history.append(RUN, [])


def test_a_full_disk_leaves_the_history_as_it_was(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(100000)")

    monkeypatch.setattr("pytest_goref.store.history.return_free_pages", fill)
    with pytest.raises(HistoryError, match=r"database or disk is full\): free space, or delete it"):
        history.append(RUN, [RESULT])
    assert [info.id for info in history.runs()] == [1]
    assert len(list(history.results(1))) == 100


KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[3])
from store_values import RUN, record_of
from pytest_goref.model import TestKey
from pytest_goref.store import database, history as module

left = int(sys.argv[2])
real = database._connected

def kill_later():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0

import contextlib
@contextlib.contextmanager
def watched(*arguments):
    with real(*arguments) as connection:
        connection.set_progress_handler(kill_later, 1000)
        yield connection

database._connected = watched
records = [record_of(TestKey("t.py", str(number)), calls=60) for number in range(2000)]
results = [module.TestResult(record.key, "passed", record) for record in records]
module.History(pathlib.Path(sys.argv[1])).append(RUN, results)
print("not killed")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot kill in this way")
@pytest.mark.parametrize("steps", [1, 10, 30, 50])
def test_a_process_killed_halfway_leaves_the_history_whole(history: History, path: Path, steps: int) -> None:
    child = start_python(KILLED, path, str(steps), str(Path(__file__).parent))
    assert child.communicate() == ("", "")
    assert child.returncode == -signal.SIGKILL
    assert [info.id for info in history.runs()] == [1]
    assert [result.key for result in history.results(1)] == [result.key for result in MANY]
    assert history.append(RUN, [RESULT]) == 2
    assert list(history.records(2)) == [record_of()]
    assert history.notices == []
    with connected(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """Give a directory with a history, and make this process one that may only read it."""
    if os.name == "nt":
        pytest.skip("Windows has no permission bits")
    directory = Path(tempfile.mkdtemp())  # not tmp_path: only its owner may enter that
    History(directory / "history.db").append(RUN, MANY)
    (directory / "history.db").chmod(0o444)
    shutil.rmtree(directory / "locks")
    directory.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield directory
    finally:
        if is_root:
            os.seteuid(0)
        directory.chmod(0o755)
        shutil.rmtree(directory)


def test_a_history_is_readable_where_nothing_may_be_written(read_only: Path) -> None:
    history = History(read_only / "history.db")
    assert history.last_id() == 1
    assert [result.key for result in history.results(1)] == [result.key for result in MANY]
    assert [path.name for path in read_only.iterdir()] == ["history.db"]
    with pytest.raises(
        HistoryError, match=r"locks/history\.db\.lock: cannot lock: .*: make the directory writable"
    ):
        history.append(RUN, [])
    with pytest.raises(CacheError, match=r"cannot make the cache directory: .*: make .* writable"):
        History(read_only / "new" / "history.db").append(RUN, [])


def test_a_log_that_cannot_be_read_is_not_passed_over(read_only: Path) -> None:
    log = read_only / "history.db-wal"
    with contextlib.ExitStack() as stack:
        if os.getuid() == 0:
            user = os.geteuid()
            os.seteuid(0)
            stack.callback(os.seteuid, user)
        read_only.chmod(0o755)
        log.write_bytes(b"runs that are not in the database yet")
        read_only.chmod(0o555)
        if os.getuid() == 0:
            os.seteuid(65534)
    with pytest.raises(HistoryError, match="check the permissions of the file and its directory"):
        History(read_only / "history.db").runs()


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(CacheError, match="is not a directory"):
        History(tmp_path / "cache" / "history.db").append(RUN, [])


def test_a_directory_in_the_place_of_the_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"cannot use the history \(unable to open database file\)"):
        History(tmp_path).append(RUN, [])
