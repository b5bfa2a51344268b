from __future__ import annotations

import errno
import os
import re
import unicodedata
from pathlib import Path

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_values import texts, unhurried

from pytest_goref.errors import CacheError
from pytest_goref.store.files import is_inside, is_reserved, locked, reason, safe_file_name, write_atomically


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for data in (b"one", b"", b"three" * 100_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.json"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_cannot_be_synchronised_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == tmp_path:
            raise PermissionError(errno.EACCES, "as on Windows")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"


def test_the_longest_legal_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


def test_a_lock_keeps_others_out_and_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    with (
        locked(path),
        pytest.raises(CacheError, match=r"locked by another process for more than 0.01 s") as caught,
        locked(path, timeout_s=0.01),
    ):
        pass
    assert str(path) in str(caught.value)
    with locked(path, timeout_s=0.01):
        pass


def test_a_lock_ends_with_an_error_in_its_block(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError), locked(tmp_path / "a.lock"):
        fail()
    with locked(tmp_path / "a.lock", timeout_s=0.01):
        pass


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "make the directory writable"),
        (NotImplementedError("no flock"), "put the project on a file system that has locks"),
        (OSError(errno.ENOLCK, "No locks"), "put the project on a file system that has locks"),
        (OSError(errno.ENOSPC, "No space left"), "free space"),
    ],
)
def test_a_lock_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with (
        pytest.raises(CacheError, match=rf"a\.lock: cannot lock: .+: {remedy}$"),
        locked(tmp_path / "a.lock"),
    ):
        pass


def test_a_name_is_readable_and_holds_a_hash_of_the_whole() -> None:
    assert safe_file_name("tests/test_orders.py", ".json") == "tests_test_orders.py-ebdec31f7aaa7e50.json"


@unhurried
@given(texts, st.sampled_from(["", ".json", ".lock"]))
def test_a_name_is_legal_on_every_file_system(text: str, suffix: str) -> None:
    name = safe_file_name(text, suffix)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name)
    assert len(name) < 120
    assert name.endswith(suffix)
    assert not is_reserved(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "-rf",
        ".hidden",
        "con.py",
        "NUL",
        "com1.test.py",
        "lpt9",
        "x" * 5000,
        "é" * 5000,
        "a\0b",
        "\ud800",
    ],
)
def test_a_name_is_legal_for_odd_texts_too(text: str) -> None:
    name = safe_file_name(text, ".json")
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,110}\.json", name)
    assert not is_reserved(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/test_a.py", "tests/Test_A.py"),
        ("test_x[a/b]", "test_x[a-b]"),
        ("tests/a_b.py", "tests/a/b.py"),
        (unicodedata.normalize("NFC", "é.py"), unicodedata.normalize("NFD", "é.py")),
        ("\ud800", "\ud801"),
        ("a" * 4096 + "x", "b" + "a" * 4095 + "x"),
        ("", "_"),
    ],
)
def test_different_texts_have_different_names_where_case_is_ignored(one: str, other: str) -> None:
    assert safe_file_name(one, "").lower() != safe_file_name(other, "").lower()


@unhurried
@given(texts, texts)
def test_names_are_equal_only_for_equal_texts(one: str, other: str) -> None:
    assert (safe_file_name(one, "").lower() == safe_file_name(other, "").lower()) == (one == other)


def test_is_inside_follows_links_and_survives_loops(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "out").mkdir()
    (inside / "link").symlink_to(tmp_path / "out")
    (inside / "loop").symlink_to(inside / "loop")
    assert is_inside(inside / "missing" / "file", inside)
    assert is_inside(inside, inside)
    assert is_inside(inside / "loop", inside)
    assert not is_inside(inside / "link" / "file", inside)
    assert not is_inside(tmp_path / "inside-not", inside)
    assert not is_inside(inside / ".." / "out", inside)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "No space left on device"),
        (OSError("plain"), "plain"),
        (NotImplementedError(), "NotImplementedError"),
    ],
)
def test_a_reason_is_never_empty(error: Exception, words: str) -> None:
    assert reason(error) == words
