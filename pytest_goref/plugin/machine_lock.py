"""The machine lock: two sessions of one user on one machine do not time against each other."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import GorefError
from pytest_goref.report.text import printable, shorten
from pytest_goref.store.files import acquire_natively, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest
    from filelock import BaseFileLock

_MOST_WAITING_S: Final = 600.0
_SHOWN_CHARACTERS: Final = 300
_OFF: Final = "--goref-lock=off does not wait"
_held_here: Final[set[Path]] = set()
"""The locks that this process holds, so that a session inside of a session does not wait for itself."""


class _NoLockError(GorefError):
    """There is nowhere to lock; the message says why and what to do."""


class MachineLock:
    """A lock that the sessions of one user on this machine share.

    A process that dies releases it. Whoever cannot have it goes on without: a lock makes durations better,
    and is no reason to fail.

    Args:
        directory: where the lock lives; made when missing, for this user alone.
        holder_words: what others are told to wait for.
        tell: shows the user a sentence at once; each is told once.
        most_waiting_s: how long to wait, in seconds; after that nobody waits in this session any more.

    """

    def __init__(
        self,
        directory: Path,
        holder_words: str,
        tell: Callable[[str], None],
        most_waiting_s: float = _MOST_WAITING_S,
    ) -> None:
        self._directory = directory
        self._path = directory / "timing.lock"
        self._holder = directory / "timing.holder"
        self._words = holder_words
        self._tell = tell
        self._told: set[str] = set()
        self._patience_s = self._most_waiting_s = most_waiting_s

    @classmethod
    def of(cls, config: pytest.Config) -> MachineLock:
        """Return the lock for the session of ``config``, which tells on its terminal."""
        words = f"process {os.getpid()} (pytest in {config.invocation_params.dir})"
        return cls(lock_directory(), words, terminal_of(config))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, or go on without it; whoever holds it already does not wait."""
        lock = self._take()
        try:
            yield
        finally:
            if lock is not None:
                _held_here.discard(self._path)
                with contextlib.suppress(OSError):
                    self._holder.unlink()  # before the lock: it would be that of the next one
                lock.release()

    def _take(self) -> BaseFileLock | None:
        """Return the lock, which is now ours; None when it is to be done without."""
        if self._path in _held_here:
            return None
        try:
            from filelock import FileLock, Timeout  # noqa: PLC0415 (it costs an import, and only who times needs it)

            _prepare(self._directory)
            lock = FileLock(self._path)
            try:
                acquire_natively(lock, 0)
            except Timeout:
                if not self._wait_for(lock):
                    return None
        except _NoLockError as error:
            self._say(f"other sessions may time at the same time: {error}")
            return None
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            why = f"{self._directory} cannot be used: {reason(error)}"
            self._say(f"other sessions may time at the same time: {why}: make it writable, or set TMPDIR")
            return None
        _held_here.add(self._path)
        with contextlib.suppress(OSError):  # who waits is told less
            self._holder.write_text(f"{os.getpid()}\n{self._words}", encoding="utf-8", errors="replace")
        return lock

    def _wait_for(self, lock: BaseFileLock) -> bool:
        """Return whether ``lock``, which another process holds, became free."""
        from filelock import Timeout  # noqa: PLC0415 (as above)

        pid, words = self._present_holder()
        if pid is not None and pid in _ancestors():  # it waits for what it times: this session
            return False
        if self._patience_s:
            self._say(f"waiting for {words}, which is timing on this machine; {_OFF}")
        try:
            acquire_natively(lock, self._patience_s)
        except Timeout:
            minutes = f"{self._most_waiting_s / 60:g} minutes"
            self._say(f"waited {minutes} for {words}: this session now times beside it")
            self._patience_s = 0.0
            return False
        return True

    def _present_holder(self) -> tuple[int | None, str]:
        """Return the process that holds the lock, and what it calls itself."""
        try:
            text = self._holder.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has just taken the lock
            text = ""
        pid, _, words = text.partition("\n")
        known = pid.isascii() and pid.isdigit()
        return int(pid) if known else None, shorten(printable(words), _SHOWN_CHARACTERS) or "another process"

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def lock_directory() -> Path:
    """Return where the locks of this user on this machine are."""
    try:
        user = str(os.getuid())
    except AttributeError:  # pragma: no cover - Windows
        user = re.sub(r"[^A-Za-z0-9._-]", "_", getpass.getuser())
    return Path(tempfile.gettempdir()) / f"pytest-goref-{user}"


def terminal_of(config: pytest.Config) -> Callable[[str], None]:
    """Return what writes a line of its own on the terminal of a session, if there is one."""

    def tell(text: str) -> None:
        reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"goref: {printable(text)}")
            reporter.flush()

    return tell


def _prepare(directory: Path) -> None:
    """Make ``directory`` for this user alone.

    Raises:
        _NoLockError: it is not a directory of this user.

    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()  # in a directory for all, a link may lead anywhere
    if not stat.S_ISDIR(found.st_mode):
        raise _NoLockError(f"{directory} is not a directory: remove it, or set TMPDIR")
    if hasattr(os, "getuid"):
        if found.st_uid != os.getuid():
            raise _NoLockError(f"{directory} belongs to another user: have it removed, or set TMPDIR")
        if found.st_mode & 0o077:
            directory.chmod(0o700)


def _ancestors() -> Iterator[int]:
    """Yield the processes that this one descends from; outside of Linux only its parent."""
    pid = os.getppid()
    while pid > 0:
        yield pid
        try:
            status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            pid = int(status.rpartition(")")[2].split()[1])  # the name before it may hold anything
        except (OSError, ValueError, IndexError):
            return
