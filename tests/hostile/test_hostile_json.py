"""JSON that a stranger wrote: it ends in one line, within time and memory that its length bounds."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from store_values import KEY, RUN, entry_of, record_of

from pytest_goref.errors import BaselineError, HistoryError
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry
from pytest_goref.store import jsontext
from pytest_goref.store.baseline import Baselines, open_file
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.codec import entry_from_plain, entry_to_plain, record_from_plain, record_to_plain
from pytest_goref.store.history import History, TestResult
from pytest_goref.store.jsontext import CodecError, parse_json

if TYPE_CHECKING:
    from pathlib import Path

_BYTES: Final = 8 * 2**20
_BYTES_EACH: Final = 6
"""What refusing a text may take, as often as the text is long: it is decoded, which may make it wider."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stranger.json"


@pytest.mark.parametrize(
    ("unit", "what"),
    [
        (b"[", "too many lists"),
        (b'{"a":', "too many lists"),
        (b"[],", "too many lists"),
        (b"{},", "too many lists"),
        (b'{"":0},', "too many lists"),
        (b'"":0,', "not JSON"),
        (b"1,", "not JSON"),
        (b'"a" ', "not JSON"),
        (b"9", "a number that is too large"),
        (b"-", "not JSON"),
        (b"NaN", "which is not a whole number"),
        (b" ", "empty"),
        (b"\x00", "not JSON"),
        (b"\xff", "not UTF-8 text"),
        (b"\xef\xbb\xbf", "not JSON"),
        ("\U0001f600".encode(), "not JSON"),
    ],
)
def test_eight_megabytes_of_anything_end_in_one_line(file: Path, unit: bytes, what: str) -> None:
    data = unit * (_BYTES // len(unit))
    file.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(BaselineError, match=what) as caught:
            open_file(file)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert peak_bytes < len(data) * (1 + _BYTES_EACH)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_encodings_are_refused_and_a_mark_is_not(file: Path, encoding: str) -> None:
    text = json.dumps({"format": 1, "path": "t.py", "tests": {}})
    file.write_text(text, encoding=encoding)
    if encoding == "utf-8-sig":
        assert open_file(file).paths() == ["t.py"]
        return
    with pytest.raises(BaselineError, match=r"not UTF-8 text|not JSON"):
        open_file(file)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-0.0", "1E2", "0.1", "9" * 5000, "-1"]
)
def test_numbers_that_are_no_counts_are_refused(file: Path, number: str) -> None:
    plain: Any = {"format": 1, "path": KEY.path, "tests": {KEY.name: entry_to_plain(entry_of())}}
    plain["tests"][KEY.name]["measurements"]["refs"]["db.query"] = "NUMBER"
    file.write_text(json.dumps(plain).replace('"NUMBER"', number))
    with pytest.raises(BaselineError, match="damaged baseline"):
        open_file(file).get(KEY)


def test_small_texts_are_not_counted() -> None:
    many = b"[" + b"[]," * 300_000 + b"[]]"
    assert isinstance(parse_json(many), list)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CacheDirectory(tmp_path / ".goref_cache")
    record = replace(record_of(), measurements={REFS: {str(number): (1,) for number in range(1000)}})
    monkeypatch.setattr(jsontext, "_SMALL_BYTES", 0)
    monkeypatch.setattr(jsontext, "_MOST_MARKS", {b":": 900})
    with pytest.raises(BaselineError, match="cannot be written: holds too many lists, objects or numbers"):
        Baselines(cache).save("main", {KEY: BaselineEntry.from_record(record)})
    with pytest.raises(HistoryError, match="cannot be stored: holds too many"):
        History(cache.history).append(RUN, [TestResult(KEY, "passed", record)])
    assert not cache.history.exists()


def test_many_keys_are_read(tmp_path: Path) -> None:
    cache = CacheDirectory(tmp_path / ".goref_cache")
    record = replace(
        record_of(), measurements={REFS: {f"key {number}": (number,) for number in range(20_000)}}
    )
    Baselines(cache).save("main", {KEY: BaselineEntry.from_record(record)})
    History(cache.history).append(RUN, [TestResult(KEY, "passed", record)])
    assert Baselines(cache).open("main").get(KEY) == BaselineEntry.from_record(record)
    assert History(cache.history).record(1, KEY) == record


def test_more_visits_than_can_be_compared_are_refused() -> None:
    plain: Any = entry_to_plain(entry_of())
    plain["visits"]["abc"] *= 64
    assert len(entry_from_plain(KEY.path, KEY.name, plain).visits["abc"]) == 64
    plain["visits"]["abc"] *= 2
    with pytest.raises(CodecError, match="expected at most 64 visits"):
        entry_from_plain(KEY.path, KEY.name, plain)
    recorded: Any = record_to_plain(record_of())
    recorded["fresh"] *= 65
    with pytest.raises(CodecError, match="expected at most 64 visits"):
        record_from_plain(recorded)
