"""What the engine writes: the log of each key, and the references that end in it.

A log is a list. Its first item is an ``Entry`` with the totals; behind it stand the events since: None for a
begin, a duration for an end. To begin or to end a reference is one ``append``, which is atomic with and
without the GIL, so nothing is lost and nobody waits. Once a log is long it is absorbed: totals that include
the events replace them in one slice assignment. Whoever copies a log sees a moment that existed.

The copy is ``[*log]``: while Python 3.11 makes ``log[:]`` it may collect garbage, and so run other code,
after it measured the list and before it reads it.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from pytest_goref.tracker.aside import warn_of_second_end
from pytest_goref.tracker.entry import Entry

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from pytest_goref.tracker.recorder import Recorder

_FIRST_LIMIT = 32
_LAST_LIMIT = 256
LIMIT_OF_RECORDED = -1
"""Every log is longer: recording costs nothing where nobody records, as only long logs are looked at."""


def exact_str(text: str, what: str) -> str:
    """Return ``text`` as no subclass of str, which may compare as it pleases.

    Raises:
        TypeError: it is none at all.

    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, got {type(text).__name__}; convert it with str()")
    return str.__str__(text)


class Switch:
    """Whether references are counted: a slot and not a function, as every call reads it."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = True


class _Absorption:
    """The right to absorb logs, one thread at a time."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Free the right in a child process: the thread that had it in the parent is not there."""
        self.lock = allocate_lock()


switch = Switch()
_absorption = _Absorption()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_absorption.renew)


class Recording:
    """Where the references of one tracker are recorded."""

    __slots__ = ("path", "recorder")

    def __init__(self, recorder: Recorder | None) -> None:
        self.recorder = recorder
        self.path: tuple[str, ...] = ()


class Ledger:
    """The log of one key and what is needed to write it."""

    __slots__ = ("clock_ns", "key", "limit", "log", "recording", "warned")

    def __init__(self, key: str, clock_ns: Callable[[], int], warned: set[str], recording: Recording) -> None:
        self.key = key
        self.clock_ns = clock_ns
        self.log: list[Any] = [Entry(origin=object())]
        self.limit = LIMIT_OF_RECORDED if recording.recorder else _FIRST_LIMIT
        self.recording = recording
        self.warned = warned

    def renew_limit(self) -> None:
        """Look at the log before each use when it is recorded, and when it is long otherwise."""
        self.limit = LIMIT_OF_RECORDED if self.recording.recorder else _LAST_LIMIT

    def absorb(self) -> None:
        """Replace the events by totals that include them, unless a thread is doing so already.

        It never waits: it may run in a signal handler or a finalizer that interrupted another absorption.
        """
        lock = _absorption.lock
        if not lock.acquire(blocking=False):
            return
        try:
            events = [*self.log]
            head = events.pop(0)
            self.log[: len(events) + 1] = [head.after(events)]
            if self.limit != LIMIT_OF_RECORDED:
                self.limit = min(2 * self.limit, _LAST_LIMIT)  # only a busy key has a long log
        finally:
            lock.release()

    def settle(self) -> None:
        """Absorb now, and have the next absorption wait as long as it ever does."""
        self.renew_limit()
        if len(self.log) > 1:
            self.absorb()


class Ref:
    """One started use of a key; ``Tracker.ref`` makes them.

    End it with ``deref()`` or by leaving a ``with`` block, in any thread or task, once. What comes later (a
    second ``deref()``, leaving a block whose reference was ended inside or before it) changes nothing and
    warns, once for each key of a tracker. A reference that is dropped without an end stays active.
    """

    __slots__ = ("_ledger", "_started")

    _ledger: Ledger
    _started: list[int]  # emptied by whoever ends the reference: pop() gives it to one thread only

    def deref(self) -> None:
        """End the reference.

        Warns:
            DoubleDerefWarning: It was ended before; nothing changed.

        """
        try:
            started_ns = self._started.pop()
        except IndexError:
            self._warn_of_second_end()
            return
        ledger = self._ledger
        ledger.log.append(ledger.clock_ns() - started_ns)

    def __enter__(self) -> Ref:  # noqa: PYI034 - typing.Self would cost every start of pytest milliseconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:  # as in deref(): calling it would cost more than it does
            started_ns = self._started.pop()
        except IndexError:
            if error is None:  # else the warning, made an error, would hide the real one
                self._warn_of_second_end()
            return
        ledger = self._ledger
        ledger.log.append(ledger.clock_ns() - started_ns)

    def _warn_of_second_end(self) -> None:
        ledger = self._ledger
        if ledger.key not in ledger.warned:
            warn_of_second_end(ledger.key, ledger.warned, stacklevel=4)


class RecordedRef(Ref):
    """A reference whose stamps are kept."""

    __slots__ = ()

    @classmethod
    def begun(cls, ledger: Ledger) -> RecordedRef:
        """Begin a use of the key of ``ledger``."""
        if len(ledger.log) > _LAST_LIMIT:
            ledger.absorb()
        handle = cls()
        handle._ledger = ledger
        ledger.log.append(None)
        handle._started = [ledger.clock_ns()]
        return handle

    def deref(self) -> None:
        """End the reference and keep its stamps."""
        if not self._end():
            self._warn_of_second_end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._end() and error is None:
            self._warn_of_second_end()

    def _end(self) -> bool:
        try:
            started_ns = self._started.pop()
        except IndexError:
            return False
        ledger = self._ledger
        ended_ns = ledger.clock_ns()
        ledger.log.append(ended_ns - started_ns)
        recording = ledger.recording
        if recorder := recording.recorder:
            recorder.add(recording.path, ledger.key, started_ns, ended_ns)
        return True


class Uncounted(Ref):
    """What ``ref`` returns while tracking is disabled: it does nothing, any number of times."""

    __slots__ = ()

    def deref(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        pass


UNCOUNTED = Uncounted()
