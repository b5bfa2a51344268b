from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_values import ENVIRONMENT, KEY, MOST, RUN, record_of, records, start_python

from pytest_goref.errors import HistoryError
from pytest_goref.model import Environment, Record, TestKey
from pytest_goref.store.history import History, TestResult
from pytest_goref.store.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = TestKey(KEY.path, "test_empty")


def passed(*found: Record) -> list[TestResult]:
    return [TestResult(record.key, "passed", record) for record in found]


@contextlib.contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".goref_cache" / "history.db"


@pytest.fixture
def history(path: Path) -> History:
    return History(path)


def test_a_history_that_is_not_there_is_empty(history: History, path: Path) -> None:
    assert history.runs() == []
    assert history.last_id() is None
    assert history.record(1, KEY) is None
    assert history.passed_record(1, KEY) is None
    assert history.measured_keys(1) == []
    assert list(history.records(1)) == []
    assert list(history.results(1)) == []
    with pytest.raises(
        HistoryError, match=r"no run 1 in the history: it holds none yet: run pytest with --goref"
    ):
        history.run(1)
    assert not path.parent.exists()


def test_what_is_appended_is_found(history: History) -> None:
    results = [*passed(record_of()), TestResult(OTHER, "skipped", None)]
    assert history.append(RUN, results) == 1
    assert history.append(replace(RUN, id=77, exit_status=1, complete=False, scope=("a", "b\udc80")), []) == 2
    assert history.last_id() == 2
    assert history.runs() == [
        replace(RUN, id=2, exit_status=1, complete=False, scope=("a", "b\udc80")),
        replace(RUN, id=1),
    ]
    assert history.run(1) == replace(RUN, id=1)
    assert list(history.results(1)) == results
    assert list(history.results(2)) == []
    assert list(history.records(1)) == [record_of()]
    assert history.measured_keys(1) == [KEY]
    assert history.record(1, KEY) == record_of()
    assert history.record(1, OTHER) is None
    assert history.record(2, KEY) is None
    assert history.notices == []


@settings(deadline=None, max_examples=25)  # each makes a database
@given(st.lists(records, max_size=4, unique_by=lambda record: record.key))
def test_any_record_survives(tmp_path_factory: pytest.TempPathFactory, found: list[Record]) -> None:
    history = History(tmp_path_factory.mktemp("any") / "history.db")
    run_id = history.append(RUN, passed(*found))
    assert list(history.records(run_id)) == found
    assert [history.record(run_id, record.key) for record in found] == found


def test_each_record_keeps_its_own_environment(history: History) -> None:
    remote = replace(record_of(OTHER), environment=Environment("cpython-3.13", "another", "def"))
    run_id = history.append(RUN, passed(record_of(), remote))
    assert [record.environment for record in history.records(run_id)] == [ENVIRONMENT, remote.environment]
    assert history.run(run_id).environment == ENVIRONMENT


def test_a_test_that_is_reported_twice_counts_as_it_ended(history: History) -> None:
    history.append(RUN, [TestResult(KEY, "failed", None), *passed(record_of())])
    assert list(history.results(1)) == passed(record_of())


def test_the_last_pass_may_be_in_an_earlier_run(history: History) -> None:
    history.append(RUN, passed(record_of(refs=1)))
    history.append(RUN, passed(record_of(refs=2), record_of(OTHER)))
    history.append(RUN, [TestResult(KEY, "failed", record_of(refs=3))])
    history.append(RUN, [TestResult(KEY, "passed", None)])
    history.append(RUN, passed(record_of(refs=5)))
    expected = [None, *(record_of(refs=refs) for refs in (1, 2, 2, 2, 5))]
    assert [history.passed_record(run_id, KEY) for run_id in range(6)] == expected
    assert history.passed_record(5, TestKey(KEY.path, "test_new")) is None


def test_the_oldest_runs_make_room_and_no_id_is_used_twice(path: Path) -> None:
    history = History(path, keep_runs=2)
    for number in range(1, 6):
        assert history.append(RUN, passed(record_of(refs=number))) == number
    assert [info.id for info in history.runs()] == [5, 4]
    assert history.record(3, KEY) is None
    assert history.record(4, KEY) == record_of(refs=4)
    with pytest.raises(HistoryError, match=r"no run 3 in the history: it holds 4 to 5$"):
        history.run(3)
    one = History(path, keep_runs=1)
    assert one.append(RUN, []) == 6
    assert one.append(RUN, []) == 7
    with connected(path) as connection:
        assert connection.execute("SELECT count(*) FROM result").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM environment").fetchone() == (1,)


def test_room_that_is_not_needed_is_returned(path: Path) -> None:
    many = passed(*(record_of(TestKey("t.py", str(number)), calls=40) for number in range(2000)))
    history = History(path, keep_runs=2)
    history.append(RUN, many)
    full = path.stat().st_size
    history.append(RUN, many)
    history.append(RUN, many)
    assert path.stat().st_size < full * 2.1
    history.append(RUN, [])
    history.append(RUN, [])
    assert path.stat().st_size < full / 10


def test_one_page_at_a_time_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_goref.store.database._MOST_PAGES", 3)
    history = History(path, keep_runs=1)
    history.append(RUN, passed(*(record_of(TestKey("t.py", str(number))) for number in range(200))))
    before = path.stat().st_size
    history.append(RUN, [])
    assert before - path.stat().st_size == 3 * 16_384


def test_nothing_is_left_open_or_lying_about(history: History, path: Path) -> None:
    history.append(RUN, passed(record_of()))
    next(history.results(1))
    assert sorted(file.name for file in path.parent.iterdir() if "history" in file.name) == ["history.db"]


def test_a_new_database_is_what_the_schema_says(history: History, path: Path) -> None:
    history.append(RUN, [])
    with connected(path) as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "journal_mode", "auto_vacuum")
        ]
        assert pragmas == [2, "wal", 2]
        tables = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table'").fetchall()
    assert len(tables) == 3
    assert all(sql in SCHEMA for (sql,) in tables)


def test_the_conditions_of_a_run_are_kept(history: History) -> None:
    history.append(replace(RUN, conditions="turbo is on"), [])
    assert history.run(1).conditions == "turbo is on"


def _make_first_version(path: Path) -> None:
    with connected(path) as connection:
        connection.execute("ALTER TABLE run DROP COLUMN conditions")
        connection.execute("PRAGMA user_version = 1")


def test_a_history_of_the_first_version_is_read_and_left_as_it_is(history: History, path: Path) -> None:
    history.append(replace(RUN, conditions="turbo is on"), passed(record_of()))
    _make_first_version(path)
    before = path.read_bytes()
    assert history.runs() == [replace(RUN, id=1)]
    assert list(history.records(1)) == [record_of()]
    assert history.passed_run(1, KEY) == 1
    assert path.read_bytes() == before


def test_a_history_of_the_first_version_goes_on(history: History, path: Path) -> None:
    history.append(RUN, passed(record_of()))
    _make_first_version(path)
    second = replace(RUN, conditions="turbo is on")
    assert history.append(second, []) == 2
    assert history.runs() == [replace(second, id=2), replace(RUN, id=1)]
    assert list(history.records(1)) == [record_of()]
    with connected(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_run_without_records_is_not_a_run_that_is_not_there(history: History) -> None:
    history.append(RUN, [])
    assert history.run(1) == replace(RUN, id=1)


def test_a_number_that_cannot_be_stored_is_named(history: History, path: Path) -> None:
    with pytest.raises(
        HistoryError, match=r"test_total\[1\]: cannot be stored: measurements\.refs\.db\.query: "
    ):
        history.append(RUN, passed(record_of(refs=MOST + 1)))
    assert not path.exists()


def test_at_least_one_run_is_kept(path: Path) -> None:
    with pytest.raises(ValueError, match="keep_runs must be at least 1, not 0"):
        History(path, keep_runs=0)


@pytest.mark.parametrize("name", ["a#b?mode=x%20.db", "é ü.db", "file:x.db"])
def test_the_path_may_hold_anything(tmp_path: Path, name: str) -> None:
    history = History(tmp_path / name)
    history.append(RUN, passed(record_of()))
    assert list(history.records(1)) == [record_of()]
    assert (tmp_path / name).exists()


APPENDER = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
from store_values import RUN, record_of
from pytest_goref.store.history import History, TestResult

history = History(pathlib.Path(sys.argv[1]), busy_timeout_ms=60_000)
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    history.append(RUN, [TestResult(record_of().key, "passed", record_of())])
print(*history.notices)
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_append_at_once_lose_nothing(path: Path, *, damaged: bool) -> None:
    if damaged:
        path.parent.mkdir()
        path.write_bytes(b"no database" * 1000)
    children: list[Any] = [start_python(APPENDER, path, Path(__file__).parent) for _ in range(3)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    outputs = [child.communicate() for child in children]
    assert [errors for _, errors in outputs] == [""] * 3
    assert sum("damaged" in output for output, _ in outputs) == damaged
    history = History(path)
    assert [info.id for info in history.runs()] == list(range(15, 0, -1))
    assert [list(history.records(run_id)) for run_id in range(1, 16)] == [[record_of()]] * 15
