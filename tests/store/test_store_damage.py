"""Baselines that are damaged, misplaced, of a newer format, or that lead elsewhere."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from store_values import KEY, entry_of

from pytest_goref.errors import BaselineError, CacheError
from pytest_goref.model import TestKey
from pytest_goref.store import document
from pytest_goref.store.baseline import Baselines, open_file
from pytest_goref.store.cache import CacheDirectory

OTHER = TestKey(KEY.path, "test_empty")
HEALTHY = {"format": 1, "path": KEY.path, "tests": {}}
REMEDY = "restore it from version control, or delete it and save again with --goref-save"


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory(tmp_path / ".goref_cache")


@pytest.fixture
def baselines(cache: CacheDirectory) -> Baselines:
    return Baselines(cache)


@pytest.fixture
def file(baselines: Baselines) -> Path:
    (file,) = baselines.save("main", {KEY: entry_of()}).files
    return file


def check_refused(baselines: Baselines, file: Path, *words: str) -> None:
    """Every way to use ``file`` is an error with ``words`` and its name, and it stays as it is."""
    before = file.read_bytes() if file.is_file() else b""
    for use in (
        lambda: baselines.open("main").get(KEY),
        lambda: [baselines.open("main").get(key) for key in baselines.open("main").keys()],  # noqa: SIM118
        lambda: baselines.save("main", {KEY: entry_of(refs=4)}),
    ):
        with pytest.raises(BaselineError) as caught:
            use()
        for word in (str(file), *words):
            assert word in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (file.read_bytes() if file.is_file() else b"") == before


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02\x03" * 100, "not JSON"),
        (b"\x80", "not UTF-8 text"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (b"{}", "format: expected the number of a format"),
        (b'{"format": true}', "format: expected the number of a format"),
        (b'{"format": 0}', "format: expected the number of a format"),
        (b'{"format": "1"}', "format: expected the number of a format"),
        (b'{"format": 1}', "path: expected text"),
        (b'{"format": 1, "path": "x"}', "tests: expected an object"),
        (b'{"format": 1, "path": "x", "tests": []}', "tests: expected an object"),
        (b'{"format": 1, "path": "x", "tests": {}}', "the file of another module, 'x'"),
        (b'{"format": 1, "format": 1}', "holds format twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"format": 1e400}', "not a whole number"),
        (b"{\n<<<<<<< HEAD\n", "conflict markers of a merge"),
    ],
)
def test_a_damaged_file_stops_with_its_name(baselines: Baselines, file: Path, data: bytes, what: str) -> None:
    file.write_bytes(data)
    check_refused(baselines, file, what, REMEDY)


def test_every_truncation_is_noticed(baselines: Baselines, file: Path) -> None:
    whole = file.read_bytes()
    for length in range(0, len(whole.rstrip()) - 1, 7):
        file.write_bytes(whole[:length])
        with pytest.raises(BaselineError, match="damaged baseline"):
            baselines.open("main").get(KEY)


def test_a_damaged_entry_stops_with_its_place(baselines: Baselines, file: Path) -> None:
    baselines.save("main", {OTHER: entry_of(OTHER)})
    plain: Any = json.loads(file.read_bytes())
    plain["tests"][KEY.name]["measurements"]["refs"] = 5
    file.write_text(json.dumps(plain))
    check_refused(baselines, file, "tests.test_total[1].measurements.refs: expected an object", REMEDY)
    assert baselines.open("main").get(OTHER) == entry_of(OTHER)


def test_a_newer_format_is_refused_and_never_overwritten(baselines: Baselines, file: Path) -> None:
    file.write_text(json.dumps({"format": 7, "everything": "else"}))
    check_refused(
        baselines,
        file,
        "written by a newer pytest-goref (format 7; this one reads up to 1): upgrade, or save it anew",
    )


def test_one_unreadable_file_stops_a_save_before_the_first_write(baselines: Baselines, file: Path) -> None:
    elsewhere = TestKey("a.py", "test_a")
    file.write_bytes(b"")
    with pytest.raises(BaselineError, match="damaged"):
        baselines.save("main", {elsewhere: entry_of(elsewhere), KEY: entry_of()})
    assert baselines.open("main").get(elsewhere) is None


def test_a_file_that_was_renamed_is_refused(baselines: Baselines, file: Path) -> None:
    file.rename(file.with_name("renamed.json"))
    with pytest.raises(
        BaselineError, match=r"renamed\.json: .*the file of another module, 'tests/test_orders\.py'"
    ):
        baselines.open("main").paths()


def test_a_huge_file_is_not_read(baselines: Baselines, file: Path) -> None:
    with file.open("wb") as huge:
        huge.truncate(64 * 2**20 + 1)
    with pytest.raises(BaselineError, match=r"damaged baseline: 67108865 bytes; the limit is 67108864"):
        baselines.open("main").get(KEY)


def test_a_file_that_would_be_too_large_is_not_written(
    baselines: Baselines, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    monkeypatch.setattr(document, "_MOST_BYTES", len(before) + 100)
    with pytest.raises(
        BaselineError, match=r"the limit is \d+: mark fewer of its tests, or split the module"
    ):
        baselines.save("main", {OTHER: entry_of(OTHER)})
    assert file.read_bytes() == before


def test_a_member_that_is_read_but_cannot_be_written_stops_the_save(
    baselines: Baselines, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nest(*_: object, **__: object) -> str:
        raise RecursionError

    monkeypatch.setattr(json, "dumps", nest)
    before = file.read_bytes()
    with pytest.raises(BaselineError, match=r"cannot be written: nested too deeply"):
        baselines.save("main", {OTHER: entry_of(OTHER)})
    assert file.read_bytes() == before


def test_a_directory_in_the_place_of_a_file_is_refused(baselines: Baselines, file: Path) -> None:
    file.unlink()
    file.mkdir()
    check_refused(baselines, file, "not a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(baselines: Baselines, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    check_refused(baselines, file, "not a file")


def test_a_link_that_leaves_the_directory_is_not_followed(
    baselines: Baselines, file: Path, tmp_path: Path
) -> None:
    shutil.move(file, tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    check_refused(baselines, file, "a symbolic link that leaves")


def test_a_link_that_stays_is_followed(baselines: Baselines, file: Path) -> None:
    file.rename(file.with_name("target"))
    file.symlink_to("target")
    assert baselines.open("main").get(KEY) == entry_of()


def test_a_link_that_leads_nowhere_is_no_entry(baselines: Baselines, file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")
    assert baselines.open("main").get(KEY) is None
    assert list(baselines.open("main").keys()) == []
    assert baselines.save("main", {KEY: entry_of()}).new == 1
    assert baselines.open("main").get(KEY) == entry_of()


def test_a_link_to_itself_is_an_error(baselines: Baselines, file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)
    check_refused(baselines, file, "cannot read the baseline")


def test_a_baseline_that_is_a_link_elsewhere_is_not_followed(
    baselines: Baselines, cache: CacheDirectory, file: Path, tmp_path: Path
) -> None:
    shutil.move(file.parent, tmp_path / "elsewhere")
    (cache.baselines / "main").symlink_to(tmp_path / "elsewhere")
    for use in (
        lambda: baselines.open("main"),
        lambda: baselines.save("main", {OTHER: entry_of(OTHER)}),
        lambda: baselines.remove("main", [KEY]),
    ):
        with pytest.raises(BaselineError, match="a symbolic link that leaves"):
            use()


def test_baselines_may_all_live_behind_a_link(cache: CacheDirectory, tmp_path: Path) -> None:
    cache.ensure()
    (tmp_path / "shared").mkdir()
    cache.baselines.symlink_to(tmp_path / "shared")
    Baselines(cache).save("main", {KEY: entry_of()})
    assert Baselines(cache).open("main").get(KEY) == entry_of()


def test_a_file_named_by_the_user_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**HEALTHY, "format": 2}))
    with pytest.raises(BaselineError, match="written by a newer"):
        open_file(path)
    path.write_text("no")
    with pytest.raises(BaselineError, match="damaged"):
        open_file(path)


@pytest.mark.parametrize(("step", "error"), [("replace", BaselineError), ("mkdir", CacheError)])
def test_a_write_that_fails_is_named_and_leaves_the_rest(
    baselines: Baselines, file: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: type[Exception]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    before = file.read_bytes()
    monkeypatch.setattr(Path, step, refuse)
    with pytest.raises(error, match="Read-only file system"):
        baselines.save("main", {OTHER: entry_of(OTHER)})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_directories_that_cannot_be_listed_are_named(
    baselines: Baselines, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    baseline = baselines.open("main")
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BaselineError, match=r"main: cannot read the baseline: Permission denied"):
        baseline.paths()
    with pytest.raises(BaselineError, match=r"baselines: cannot read: Permission denied"):
        baselines.names()


def test_a_baseline_that_disappears_while_open_accepts_nothing(baselines: Baselines, file: Path) -> None:
    baseline = baselines.open("main")
    shutil.rmtree(file.parent)
    assert baseline.get(KEY) is None
    assert baseline.paths() == []
