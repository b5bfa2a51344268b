from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lock_holder import Holder, waiting_for

from pytest_goref.plugin.machine_lock import (
    MachineLock,
    _ancestors,
    lock_directory,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def hold(directory: Path) -> Iterator[Callable[[str], Holder]]:
    holders: list[Holder] = []

    def start(words: str = "process 7 (pytest in /x/y)") -> Holder:
        holders.append(Holder(directory, words))
        return holders[-1]

    yield start
    for holder in holders:
        holder.close()


def _lock(directory: Path, told: list[str], most_waiting_s: float = 600.0) -> MachineLock:
    return MachineLock(directory, "process 8 (pytest in /z)", told.append, most_waiting_s)


def _is_free(directory: Path) -> bool:
    """Return whether another process gets the lock at once."""
    holder = Holder(directory, "x")
    try:
        return (directory / "timing.holder").read_text(encoding="utf-8").endswith("\nx")
    finally:
        holder.close()


def test_the_lock_is_held_in_its_block(directory: Path) -> None:
    told: list[str] = []
    lock = _lock(directory, told)
    with lock.held():
        assert not _is_free(directory)
        text = (directory / "timing.holder").read_text(encoding="utf-8")
        assert text == f"{os.getpid()}\nprocess 8 (pytest in /z)"
    assert _is_free(directory)
    assert not (directory / "timing.holder").exists()
    assert told == []


def test_an_error_in_the_block_releases_it(directory: Path) -> None:
    with pytest.raises(LookupError), _lock(directory, []).held():
        raise LookupError
    assert _is_free(directory)


def test_a_process_does_not_wait_for_itself(directory: Path) -> None:
    told: list[str] = []
    first, second = _lock(directory, told), _lock(directory, told)
    with first.held():
        with first.held(), second.held():
            pass
        assert not _is_free(directory)  # only who took it gives it back
    assert _is_free(directory)
    assert told == []


def test_who_waits_is_told_at_once_for_whom(directory: Path, hold: Callable[[str], Holder]) -> None:
    told: list[str] = []
    holders: list[Holder] = []

    def tell(text: str) -> None:
        told.append(text)
        holders[-1].let_go()

    lock = MachineLock(directory, "process 8", tell)
    for words in ("process 7", "process 9"):
        holders.append(hold(words))
        with lock.held():
            assert (directory / "timing.holder").read_text(encoding="utf-8") == f"{os.getpid()}\nprocess 8"
    assert told == [waiting_for("process 7"), waiting_for("process 9")]


def test_nothing_is_told_twice(directory: Path) -> None:
    told: list[str] = []
    lock = _lock(directory, told)
    for text in ("a", "b", "a"):
        lock._say(text)
    assert told == ["a", "b"]


def test_the_lock_of_a_process_that_died_is_free(directory: Path, hold: Callable[[], Holder]) -> None:
    told: list[str] = []
    hold().die()
    assert (directory / "timing.holder").exists()
    with _lock(directory, told).held():
        text = (directory / "timing.holder").read_text(encoding="utf-8")
        assert text.startswith(f"{os.getpid()}\n")
    assert told == []


def test_nobody_waits_for_ever_and_only_once(directory: Path, hold: Callable[[], Holder]) -> None:
    told: list[str] = []
    hold()
    lock = _lock(directory, told, most_waiting_s=0.06)
    for _ in range(2):
        with lock.held():
            told.append("in the block")
    assert told == [
        waiting_for("process 7 (pytest in /x/y)"),
        "waited 0.001 minutes for process 7 (pytest in /x/y): this session now times beside it",
        "in the block",
        "in the block",
    ]


def test_a_lock_that_becomes_free_is_taken_again(directory: Path, hold: Callable[[], Holder]) -> None:
    lock = _lock(directory, [], most_waiting_s=0.01)
    holder = hold()
    with lock.held():
        pass
    holder.close()
    with lock.held():
        assert not _is_free(directory)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "another process"),
        ("12", "another process"),
        ("no number\nprocess 9", "process 9"),
        ("12\na\x1b[31m\nb", "a\\x1b[31m\\nb"),
    ],
)
def test_whatever_the_holder_has_written_is_told_in_one_line(
    directory: Path, hold: Callable[[], Holder], text: str, words: str
) -> None:
    told: list[str] = []
    hold()
    (directory / "timing.holder").write_text(text, encoding="utf-8")
    with _lock(directory, told, most_waiting_s=0.01).held():
        pass
    assert told[0].startswith(f"waiting for {words}, which")


def test_a_holder_that_has_said_nothing_yet_is_another_process(
    directory: Path, hold: Callable[[], Holder]
) -> None:
    told: list[str] = []
    hold()
    (directory / "timing.holder").unlink()
    with _lock(directory, told, most_waiting_s=0.01).held():
        pass
    assert told[0].startswith("waiting for another process, which")


def test_a_session_that_a_timed_test_has_started_does_not_wait(directory: Path) -> None:
    code = f"""
from pathlib import Path
from pytest_goref.plugin.machine_lock import MachineLock
with MachineLock(Path({str(directory)!r}), "inner", print).held():
    print("not alone", flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    with _lock(directory, []).held():
        inner = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert not _is_free(directory)
    assert inner.stdout == "not alone\n"


def test_nobody_waits_for_an_ancestor(directory: Path, hold: Callable[[], Holder]) -> None:
    told: list[str] = []
    hold()
    (directory / "timing.holder").write_text(f"{os.getppid()}\nthe parent", encoding="utf-8")
    with _lock(directory, told).held():
        pass
    assert told == []


def test_ancestors_begin_with_the_parent() -> None:
    pids = list(_ancestors())
    assert pids[0] == os.getppid()
    assert os.getpid() not in pids


def test_there_are_no_further_ancestors_where_nothing_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_options: "12 (a ) b) S x")
    assert list(_ancestors()) == [os.getppid()]


def test_the_directory_is_for_this_user_alone(directory: Path) -> None:
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    with _lock(directory, []).held():
        assert directory.stat().st_mode & 0o777 == 0o700


def test_the_directory_of_another_user_is_not_used(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    told: list[str] = []
    lock = _lock(directory, told)
    for _ in range(2):
        with lock.held():
            assert list(directory.iterdir()) == []
    (text,) = told
    assert text == (
        f"other sessions may time at the same time: {directory} belongs to another user: "
        "have it removed, or set TMPDIR"
    )


def test_a_link_is_not_followed(directory: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory.symlink_to(elsewhere)
    told: list[str] = []
    with _lock(directory, told).held():
        assert list(elsewhere.iterdir()) == []
    assert told == [
        f"other sessions may time at the same time: {directory} is not a directory: remove it, or set TMPDIR"
    ]


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    directory = tmp_path / "gone" / "locks"
    with _lock(directory, told).held():
        pass
    (text,) = told
    assert text == (
        f"other sessions may time at the same time: {directory} cannot be used: "
        "No such file or directory: make it writable, or set TMPDIR"
    )


def test_locks_of_users_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = lock_directory()
    assert mine.parent == Path(tempfile.gettempdir())
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert lock_directory().name == "pytest-goref-12345" != mine.name
