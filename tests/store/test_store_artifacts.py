from __future__ import annotations

import gzip
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from profile_values import CPU, MEMORY
from store_values import KEY

from pytest_goref.errors import CacheError
from pytest_goref.model import TestKey
from pytest_goref.profile import ProfileKind
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.store.profile_codec import profile_to_plain

if TYPE_CHECKING:
    from pathlib import Path

RUN = owner_of_run(3)
MAIN = owner_of_baseline("main")
OTHER = TestKey("tests/test_orders.py", "test_total[2]")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / ".goref_cache" / "artifacts"


@pytest.fixture
def artifacts(directory: Path) -> Artifacts:
    return Artifacts(directory)


def capture_in(directory: Path, size: int = 5) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    capture = directory / "capture.bin"
    capture.write_bytes(b"m" * size)
    return capture


def only_file(directory: Path, suffix: str) -> Path:
    (path,) = directory.glob(f"*/*{suffix}")
    return path


def test_what_was_put_is_there_and_nothing_else(artifacts: Artifacts, tmp_path: Path) -> None:
    capture = capture_in(tmp_path)
    artifacts.put(RUN, KEY, [CPU, MEMORY], capture)
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) == CPU
    assert artifacts.get(RUN, KEY, ProfileKind.MEMORY) == MEMORY
    kept = artifacts.capture(RUN, KEY)
    assert kept is not None
    assert kept.read_bytes() == b"mmmmm"
    assert not capture.exists()
    assert artifacts.get(MAIN, KEY, ProfileKind.CPU) is None
    assert artifacts.get(RUN, OTHER, ProfileKind.CPU) is None
    assert artifacts.capture(RUN, OTHER) is None
    assert artifacts.notices == []


def test_nothing_is_made_before_something_is_put(artifacts: Artifacts, directory: Path) -> None:
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) is None
    artifacts.put(RUN, KEY, [])
    artifacts.copy(RUN, MAIN, KEY)
    artifacts.shrink(0)
    artifacts.drop_runs_before(7)
    artifacts.drop(RUN)
    assert not directory.exists()


def test_the_same_profiles_are_the_same_bytes(artifacts: Artifacts, directory: Path) -> None:
    artifacts.put(RUN, KEY, [CPU])
    first = only_file(directory, ".json.gz").read_bytes()
    artifacts.put(RUN, KEY, [CPU])
    assert only_file(directory, ".json.gz").read_bytes() == first


def test_putting_replaces_all_that_was_there(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.put(RUN, KEY, [CPU, MEMORY], capture_in(tmp_path))
    artifacts.put(RUN, KEY, [MEMORY])
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) is None
    assert artifacts.capture(RUN, KEY) is None
    artifacts.put(RUN, KEY, [])
    assert artifacts.get(RUN, KEY, ProfileKind.MEMORY) is None


def test_a_capture_that_is_gone_is_ignored(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.put(RUN, KEY, [CPU], tmp_path / "gone.bin")
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) == CPU
    assert artifacts.capture(RUN, KEY) is None


def test_a_copy_replaces_what_was_there(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.put(MAIN, KEY, [MEMORY], capture_in(tmp_path))
    artifacts.put(RUN, KEY, [CPU])
    artifacts.copy(RUN, MAIN, KEY)
    assert artifacts.get(MAIN, KEY, ProfileKind.CPU) == CPU
    assert artifacts.get(MAIN, KEY, ProfileKind.MEMORY) is None
    assert artifacts.capture(MAIN, KEY) is None
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) == CPU


def test_a_copy_takes_the_capture_with_it(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.put(RUN, KEY, [MEMORY], capture_in(tmp_path))
    artifacts.copy(RUN, MAIN, KEY)
    artifacts.drop(RUN)
    kept = artifacts.capture(MAIN, KEY)
    assert kept is not None
    assert kept.read_bytes() == b"mmmmm"


def test_no_temporary_file_is_left(artifacts: Artifacts, directory: Path, tmp_path: Path) -> None:
    artifacts.put(RUN, KEY, [CPU], capture_in(tmp_path))
    artifacts.copy(RUN, MAIN, KEY)
    assert list(directory.rglob("*.tmp")) == []
    assert len(list(directory.glob("*/*"))) == 4


def packed(**changes: object) -> bytes:
    plain: dict[str, Any] = {
        "format": 1,
        "path": KEY.path,
        "name": KEY.name,
        "profiles": [profile_to_plain(CPU)],
    }
    return gzip.compress(json.dumps({**plain, **changes}).encode())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"not compressed", "not compressed data (Not a gzipped file (b'no'))"),
        (packed()[:40], "not compressed data (Compressed file ended before the end-of-stream marker"),
        (packed()[:20] + b"\xff" * 20 + packed()[40:], "not compressed data (Error -3"),
        (gzip.compress(b"\x80"), "not UTF-8 text"),
        (gzip.compress(b"["), "not JSON"),
        (gzip.compress(b"[]"), "format: expected 1"),
        (packed(format=2), "format: expected 1"),
        (packed(name="test_other"), "name: it belongs to another test"),
        (packed(profiles={}), "profiles: expected a list"),
        (packed(profiles=[{}]), "kind: expected cpu or memory"),
        (gzip.compress(b"[" * 100_000), "nested too deeply"),
        (gzip.compress(b" " * (32 * 2**20 + 1)), "larger than 33554432 bytes when unpacked"),
    ],
    ids=[
        "empty",
        "plain",
        "cut-short",
        "overwritten",
        "not-text",
        "not-json",
        "list",
        "newer",
        "of-another-test",
        "no-list",
        "no-kind",
        "deep",
        "bomb",
    ],
)
def test_what_cannot_be_read_is_as_good_as_none(
    artifacts: Artifacts, directory: Path, content: bytes, why: str
) -> None:
    artifacts.put(RUN, KEY, [CPU])
    only_file(directory, ".json.gz").write_bytes(content)
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) is None
    (notice,) = artifacts.notices
    assert notice.startswith(f"a profile of {KEY.nodeid} cannot be read, and is not used: {why}")


def test_a_file_that_is_larger_than_any_of_ours_is_not_read(artifacts: Artifacts, directory: Path) -> None:
    artifacts.put(RUN, KEY, [CPU])
    os.truncate(only_file(directory, ".json.gz"), 32 * 2**20 + 1)
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) is None
    assert artifacts.notices[0].endswith("larger than 33554432 bytes")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
def test_a_pipe_is_not_waited_for(artifacts: Artifacts, directory: Path) -> None:
    artifacts.put(RUN, KEY, [CPU])
    path = only_file(directory, ".json.gz")
    path.unlink()
    os.mkfifo(path)
    assert artifacts.get(RUN, KEY, ProfileKind.CPU) is None
    assert artifacts.notices[0].endswith("not a file")


@pytest.mark.parametrize(
    "owner", ["", "..", "run-0", "run-01", "run-1/..", "main", "baseline-../x", "baseline-"]
)
def test_an_owner_is_no_path(artifacts: Artifacts, directory: Path, owner: str) -> None:
    with pytest.raises(CacheError, match="is not a directory of artifacts"):
        artifacts.put(owner, KEY, [CPU])
    assert not directory.exists()
    assert artifacts.get(owner, KEY, ProfileKind.CPU) is None
    assert artifacts.capture(owner, KEY) is None
    assert len(artifacts.notices) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a privilege")
def test_a_link_leads_nowhere(artifacts: Artifacts, directory: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    directory.mkdir(parents=True)
    (directory / RUN).symlink_to(elsewhere)
    with pytest.raises(CacheError):
        artifacts.put(RUN, KEY, [CPU])
    with pytest.raises(CacheError):
        artifacts.drop(RUN)
    artifacts.drop_runs_before(9)
    artifacts.shrink(0)
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]


def test_names_of_tests_stay_in_the_directory(artifacts: Artifacts, directory: Path) -> None:
    hostile = TestKey("../../../etc/passwd", "\0/\n\udc80" + "x" * 500)
    artifacts.put(RUN, hostile, [CPU])
    assert only_file(directory, ".json.gz").parent == directory / RUN
    assert artifacts.get(RUN, hostile, ProfileKind.CPU) == CPU


def test_tests_whose_ids_end_alike_have_files_of_their_own(artifacts: Artifacts) -> None:
    one, two = TestKey("a.py", "b::c"), TestKey("a.py::b", "c")
    artifacts.put(RUN, one, [CPU])
    assert artifacts.get(RUN, two, ProfileKind.CPU) is None
    assert artifacts.notices == []


def test_old_runs_are_dropped_and_nothing_else(artifacts: Artifacts, directory: Path) -> None:
    for number in (2, 9, 10, 11):
        artifacts.put(owner_of_run(number), KEY, [CPU])
    artifacts.put(MAIN, KEY, [CPU])
    (directory / "mine").mkdir()
    artifacts.drop_runs_before(10)
    assert sorted(path.name for path in directory.iterdir()) == ["baseline-main", "mine", "run-10", "run-11"]


def test_tests_that_are_gone_are_dropped(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.put(MAIN, KEY, [CPU], capture_in(tmp_path))
    artifacts.put(MAIN, OTHER, [CPU])
    artifacts.drop_tests(MAIN, [KEY])
    assert artifacts.get(MAIN, KEY, ProfileKind.CPU) is None
    assert artifacts.capture(MAIN, KEY) is None
    assert artifacts.get(MAIN, OTHER, ProfileKind.CPU) == CPU


def test_room_is_made_by_the_oldest_runs_and_their_captures_first(
    artifacts: Artifacts, directory: Path, tmp_path: Path
) -> None:
    owners = [MAIN, *map(owner_of_run, (10, 9))]
    for owner in owners:
        artifacts.put(owner, KEY, [CPU], capture_in(tmp_path, size=1000))
    order = []
    while files := {path.relative_to(directory) for path in directory.glob("*/*")}:
        size = sum((directory / path).stat().st_size for path in files)
        artifacts.shrink(size)
        assert {path.relative_to(directory) for path in directory.glob("*/*")} == files
        artifacts.shrink(size - 1)
        (gone,) = files - {path.relative_to(directory) for path in directory.glob("*/*")}
        order.append((gone.parts[0], gone.suffix))
    assert order == [(owner, suffix) for owner in ("run-9", "run-10", MAIN) for suffix in (".memray", ".gz")]
    assert list(directory.iterdir()) == []
