"""Files that are whole or not there: atomic writes, locks between processes, names from any text."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import BaseFileLock

_PREFIX_CHARACTERS: Final = 80
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NO_LOCKS: Final = ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP")
_NO_ROOM: Final = ("ENOSPC", "EDQUOT")
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE | re.ASCII)


def write_atomically(path: Path, data: bytes) -> None:
    """Make ``data`` the content of ``path``: a reader, or a crash, sees all of it or what was there before.

    Raises:
        OSError: it cannot be written; ``path`` is as it was and no temporary file is left.

    """
    temporary = path.with_name(
        f".goref-{os.urandom(8).hex()}.tmp"
    )  # short: the target may have the longest name
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_directory(path.parent)


def remove_leftovers(directory: Path) -> None:
    """Remove what processes that were killed while they wrote have left in ``directory``.

    The caller holds the lock under which all others write there.
    """
    for temporary in directory.glob(".goref-*.tmp"):
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def locked(path: Path, timeout_s: float = 30.0) -> Iterator[None]:
    """Hold the lock file ``path``; one process at a time does.

    Args:
        path: made when missing, with its directory; it stays.
        timeout_s: how long to wait for another process, in seconds.

    Raises:
        CacheError: another process kept the lock, or the lock file cannot be made.

    """
    try:
        from filelock import FileLock, Timeout  # noqa: PLC0415 (it costs an import, and only writers need it)
    except OSError as error:  # no file can be opened
        raise CacheError(f"{path}: cannot lock: {reason(error)}") from error
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.parent.is_symlink():  # whoever locks a file makes it, and empties it
            raise CacheError(f"{path}: a symbolic link, which is not followed: delete it")
        acquire_natively(lock, timeout_s)
    except Timeout:
        raise CacheError(
            f"{path}: locked by another process for more than {timeout_s:g} s: "
            f"wait until it ends and try again"
        ) from None
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        raise CacheError(f"{path}: cannot lock: {reason(error)}: {_remedy(error)}") from error
    try:
        yield
    finally:
        lock.release()


def acquire_natively(lock: BaseFileLock, timeout_s: float) -> None:
    """Acquire ``lock`` from the kernel, which releases it when this process dies, however it does.

    Args:
        lock: to acquire.
        timeout_s: how long to wait, in seconds.

    Raises:
        Timeout: of filelock: another process holds it.
        OSError: the file cannot be locked.
        NotImplementedError: the file system has no locks.

    """
    with warnings.catch_warnings():  # filelock warns, then makes do with a file that outlives its process
        warnings.simplefilter("error", UserWarning)
        try:
            lock.acquire(timeout=timeout_s)
        except UserWarning as error:
            raise NotImplementedError("the file system has no locks") from error
        except BaseExceptionGroup as group:  # Ctrl-C while filelock undid what Ctrl-C has stopped
            if group.subgroup(KeyboardInterrupt) is None:
                raise
            raise KeyboardInterrupt from group


def _remedy(error: Exception) -> str:
    name = errno.errorcode.get(getattr(error, "errno", None) or 0)
    if isinstance(error, NotImplementedError) or name in _NO_LOCKS:
        return "put the project on a file system that has locks"
    if name in _NO_ROOM:
        return "free space"
    return "make the directory writable"


def safe_file_name(text: str, suffix: str) -> str:
    """Return a file name for ``text`` that is legal everywhere and different for every different text.

    Its readable part is the end of ``text``; a hash of the whole tells apart what differs in case only, in
    Unicode form, or in characters that no file name may hold.

    Args:
        text: any text, of any length.
        suffix: what the name ends with, for example ``.json``.

    """
    prefix = _UNSAFE.sub("_", text)[-_PREFIX_CHARACTERS:].lstrip(".-")
    if not prefix or _RESERVED.match(prefix):
        prefix = f"_{prefix}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{prefix}-{digest}{suffix}"


def is_reserved(name: str) -> bool:
    """Return whether Windows keeps ``name``, with any extension, for a device."""
    return _RESERVED.match(name) is not None


def is_inside(path: Path, directory: Path) -> bool:
    """Return whether ``path``, with all symbolic links followed, is in ``directory``; neither need exist."""
    real = os.path.realpath(path)  # Path.resolve raises for a link to itself
    return Path(real).is_relative_to(os.path.realpath(directory))


def is_own_file(path: Path) -> bool:
    """Return whether ``path`` is a file and not a symbolic link to one, which may be anywhere."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def reason(error: BaseException) -> str:
    """Return why ``error`` happened, without the path that an ``OSError`` repeats."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _sync_directory(directory: Path) -> None:
    """Make a rename in ``directory`` survive a loss of power, where a directory can be synchronised."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
