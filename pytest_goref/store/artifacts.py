"""Artifacts: the profiles of tests, and the captures they were read from, beside the history.

They explain and are never needed: every one may be deleted at any time, and one that cannot be read is as
good as none.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import stat
import zlib
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.errors import CacheError
from pytest_goref.store.files import is_inside, is_own_file, reason, safe_file_name
from pytest_goref.store.jsontext import CodecError, parse_json
from pytest_goref.store.profile_codec import profile_from_plain, profile_to_plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from pytest_goref.model import TestKey
    from pytest_goref.profile import ProfileKind, StackProfile

FORMAT: Final = 1
"""1: the first."""

DEFAULT_MOST_BYTES: Final = 200_000_000
"""How much room artifacts take, unless the project says otherwise."""

_PROFILES: Final = ".json.gz"
_CAPTURE: Final = ".memray"
_MOST_BYTES: Final = 32 * 2**20
"""Of one file of profiles, unpacked; what is written stays far below."""

_OWNER: Final = re.compile(r"run-[1-9]\d{0,17}|baseline-[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_RUN: Final = "run-"


def owner_of_run(run_id: int) -> str:
    """Return the owner of what the run ``run_id`` has left."""
    return f"{_RUN}{run_id}"


def owner_of_baseline(name: str) -> str:
    """Return the owner of what was accepted into the baseline ``name``."""
    return f"baseline-{name}"


class Artifacts:
    """The directory of artifacts; nothing is made before something is put into it.

    Args:
        directory: ``artifacts`` in the cache directory.

    Attributes:
        notices: what the user must be told, in sentences: an artifact cannot be read.

    """

    def __init__(self, directory: Path) -> None:
        self.notices: list[str] = []
        self._directory = directory

    def put(
        self, owner: str, key: TestKey, profiles: Collection[StackProfile], capture: Path | None = None
    ) -> None:
        """Make ``profiles`` and ``capture`` all that ``owner`` has of a test.

        Args:
            owner: of a run or a baseline.
            key: the test.
            profiles: at most one of each kind; none removes what is there.
            capture: a file, which is moved; one that is not there is ignored.

        Raises:
            CacheError: the directory leads elsewhere.
            OSError: it cannot be written.

        """
        directory = self._owned(owner)
        path, captured = _files(directory, key)
        if not profiles and capture is None:
            for stale in (path, captured):
                stale.unlink(missing_ok=True)
            return
        directory.mkdir(parents=True, exist_ok=True)
        self._write(path, key, profiles)
        with contextlib.suppress(FileNotFoundError):
            captured.unlink()
        if capture is not None and capture.is_file():
            with _placed(captured) as temporary:
                shutil.move(capture, temporary)

    def copy(self, source: str, target: str, key: TestKey) -> None:
        """Make what owner ``source`` has of a test all that owner ``target`` has of it.

        Raises:
            CacheError: the directory leads elsewhere.
            OSError: it cannot be written.

        """
        pairs = zip(_files(self._owned(source), key), _files(self._owned(target), key), strict=True)
        for old, new in pairs:
            new.unlink(missing_ok=True)
            if is_own_file(old):
                new.parent.mkdir(parents=True, exist_ok=True)
                with _placed(new) as temporary:
                    shutil.copyfile(old, temporary)

    def get(self, owner: str, key: TestKey, kind: ProfileKind) -> StackProfile | None:
        """Return a profile, None when there is none; ``notices`` says when one cannot be read."""
        try:
            path, _ = _files(self._owned(owner), key)
            profiles = _read(path, key)
        except FileNotFoundError:
            return None
        except (CacheError, CodecError, OSError) as error:
            self.notices.append(f"a profile of {key.nodeid} cannot be read, and is not used: {_why(error)}")
            return None
        return profiles.get(kind)

    def capture(self, owner: str, key: TestKey) -> Path | None:
        """Return the file in memray's own format, None when there is none."""
        try:
            _, captured = _files(self._owned(owner), key)
        except CacheError as error:
            self.notices.append(str(error))
            return None
        return captured if is_own_file(captured) else None

    def drop(self, owner: str) -> None:
        """Remove all that ``owner`` has.

        Raises:
            CacheError: the directory leads elsewhere.

        """
        shutil.rmtree(self._owned(owner), ignore_errors=True)

    def drop_tests(self, owner: str, keys: Iterable[TestKey]) -> None:
        """Remove what ``owner`` has of some tests.

        Raises:
            CacheError: the directory leads elsewhere.
            OSError: a file cannot be removed.

        """
        directory = self._owned(owner)
        for key in keys:
            for path in _files(directory, key):
                path.unlink(missing_ok=True)

    def drop_runs_before(self, run_id: int) -> None:
        """Remove what runs older than ``run_id`` have; newer ones may be those of other processes."""
        for owner in self._owners():
            if owner.startswith(_RUN) and int(owner.removeprefix(_RUN)) < run_id:
                self.drop(owner)

    def shrink(self, most_bytes: int) -> None:
        """Remove files until at most ``most_bytes`` are left: of the oldest runs first, of baselines last.

        Of one owner the captures go first: they are large, and a profile tells most of what they do.
        """
        sizes = [(path, size) for owner in self._owners() for path, size in self._sizes(owner)]
        excess = sum(size for _, size in sizes) - most_bytes
        for path, size in sizes:
            if excess <= 0:
                break
            with contextlib.suppress(OSError):  # another process was first, or has it open
                path.unlink()
                excess -= size
        for owner in self._owners():
            with contextlib.suppress(OSError):  # it is not empty
                (self._directory / owner).rmdir()

    def _owners(self) -> list[str]:
        """Return the owners that have something, runs before baselines and older ones before newer ones."""
        if self._directory.is_symlink():  # what is behind it is not ours to remove
            return []
        try:
            names = [
                entry.name for entry in os.scandir(self._directory) if entry.is_dir(follow_symlinks=False)
            ]
        except OSError:
            return []
        found = filter(_OWNER.fullmatch, names)
        return sorted(found, key=lambda name: (not name.startswith(_RUN), len(name), name))

    def _sizes(self, owner: str) -> Iterator[tuple[Path, int]]:
        paths = sorted(
            (self._directory / owner).iterdir(), key=lambda path: (path.suffix != _CAPTURE, path.name)
        )
        for path in paths:
            with contextlib.suppress(OSError):
                yield path, path.lstat().st_size

    def _owned(self, owner: str) -> Path:
        """Return the directory of ``owner``.

        Raises:
            CacheError: it is not one of ours: what is written there would land elsewhere.

        """
        directory = self._directory / owner
        is_link = self._directory.is_symlink()
        if not _OWNER.fullmatch(owner) or is_link or not is_inside(directory, self._directory.parent):
            raise CacheError(f"{directory}: is not a directory of artifacts: rename or delete it")
        return directory

    @staticmethod
    def _write(path: Path, key: TestKey, profiles: Iterable[StackProfile]) -> None:
        plain = {
            "format": FORMAT,
            "path": key.path,
            "name": key.name,
            "profiles": [profile_to_plain(profile) for profile in profiles],
        }
        text = json.dumps(plain, separators=(",", ":"))  # in ASCII: it takes text that is no valid Unicode
        with _placed(
            path
        ) as temporary:  # not synchronised: what is lost with the power can be measured again
            temporary.write_bytes(gzip.compress(text.encode(), mtime=0))


@contextlib.contextmanager
def _placed(path: Path) -> Iterator[Path]:
    """Give the name of a file that becomes ``path`` when the block ends, so that nobody sees half of it."""
    temporary = path.with_name(f".goref-{os.urandom(8).hex()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _files(directory: Path, key: TestKey) -> tuple[Path, Path]:
    """Return where the profiles and the capture of a test are."""
    stem = safe_file_name(f"{key.path}\0{key.name}", "")
    return directory / f"{stem}{_PROFILES}", directory / f"{stem}{_CAPTURE}"


def _read(path: Path, key: TestKey) -> dict[ProfileKind, StackProfile]:
    """Return the profiles in a file, by kind.

    Raises:
        CodecError: it holds something else.
        OSError: it cannot be read.

    """
    members = parse_json(_unpacked(path))
    if not isinstance(members, dict) or members.get("format") != FORMAT:
        raise CodecError(("format",), f"expected {FORMAT}")
    if (members.get("path"), members.get("name")) != (key.path, key.name):
        raise CodecError(("name",), "it belongs to another test")
    plain: Any = members.get("profiles")
    if not isinstance(plain, list):
        raise CodecError(("profiles",), "expected a list")
    profiles = map(profile_from_plain, plain)
    return {profile.kind: profile for profile in profiles}


def _unpacked(path: Path) -> bytes:
    """Return what a compressed file holds, which is never more than a file of ours."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        raise CodecError((), "not a file")
    if status.st_size > _MOST_BYTES:
        raise CodecError((), f"larger than {_MOST_BYTES} bytes")
    try:
        with gzip.open(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CodecError((), f"not compressed data ({error})") from None
    if len(data) > _MOST_BYTES:
        raise CodecError((), f"larger than {_MOST_BYTES} bytes when unpacked")
    return data


def _why(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)
