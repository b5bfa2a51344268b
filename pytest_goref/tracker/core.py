"""The engine in pure Python: trackers, which begin references and take snapshots.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

import time

from pytest_goref.errors import InvalidValueError
from pytest_goref.tracker.ledger import (
    LIMIT_OF_RECORDED,
    UNCOUNTED,
    Ledger,
    RecordedRef,
    Recording,
    Ref,
    exact_str,
    switch,
)
from pytest_goref.tracker.snapshot import Snapshot

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar, overload

    from pytest_goref.tracker.recorder import Recorder

    P = ParamSpec("P")
    R = TypeVar("R")
    F = TypeVar("F", bound=Callable[..., Any])


class Tracker:
    """A scope of keys in a tree of scopes; safe to use from any thread.

    ``Tracker()`` makes an independent root; ``child`` makes the rest of a tree. A forked process goes on with
    a copy of every figure; references active at the fork are active in both and end in each on their own,
    those of threads that the child does not have never.

    Args:
        clock_ns: returns nanoseconds; durations are differences of two calls. Children inherit it.

    """

    __slots__ = (
        "__weakref__",
        "_children",
        "_clock_ns",
        "_ledgers",
        "_name",
        "_parent",
        "_recording",
        "_warned",
    )

    # A default, as freezegun replaces the functions of the time module in the globals of every module.
    def __init__(self, *, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock_ns = clock_ns
        self._name = ""
        self._parent: Tracker | None = None
        self._children: dict[str, Tracker] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._recording = Recording(None)
        self._warned: set[str] = set()

    @property
    def name(self) -> str:
        """The last part of the path; empty for a root."""
        return self._name

    @property
    def parent(self) -> Tracker | None:
        """The tracker this is a child of; None for a root."""
        return self._parent

    @property
    def path(self) -> tuple[str, ...]:
        """The names from the root, which has none, down to this tracker."""
        names = []
        node = self
        while node._parent:
            names.append(node._name)
            node = node._parent
        return tuple(reversed(names))

    @property
    def children(self) -> dict[str, Tracker]:
        """The children by name, as a copy."""
        return self._children.copy()

    def child(self, *path: str) -> Tracker:
        """Return the tracker at ``path`` below this one, made on first use; without a path this tracker.

        Raises:
            InvalidValueError: a name is empty.
            TypeError: a name is not a string.

        """
        node = self
        for part in path:
            name = exact_str(part, "the name of a scope")
            if not name:
                raise InvalidValueError(
                    f"the name of a scope must not be empty, got {path!r}; leave the part out"
                )
            node = node._children.get(name) or node._add_child(name)
        return node

    def _add_child(self, name: str) -> Tracker:
        child = Tracker(clock_ns=self._clock_ns)
        child._name = name
        child._parent = self
        child._recording = Recording(self._recording.recorder)
        if self._recording.recorder:
            child._recording.path = child.path
        return self._children.setdefault(name, child)

    def _ledger_of(self, key: str) -> Ledger:
        """Return the ledger of any valid key, made on first use."""
        key = exact_str(key, "the key of a reference")
        ledgers = self._ledgers
        return ledgers.get(key) or ledgers.setdefault(
            key, Ledger(key, self._clock_ns, self._warned, self._recording)
        )

    def ref(self, key: str) -> Ref:
        """Begin a use of ``key``; end it with ``deref()`` or use it as a context manager.

        Raises:
            TypeError: ``key`` is not a string.

        """
        if not switch.on:
            return UNCOUNTED
        try:
            ledger = self._ledgers[key]
        except (KeyError, TypeError):
            ledger = self._ledger_of(key)
        if ledger.key is not key and type(key) is not str:  # another type may compare as it pleases
            ledger = self._ledger_of(key)
        log = ledger.log
        if len(log) > ledger.limit:
            if ledger.limit == LIMIT_OF_RECORDED:
                return RecordedRef.begun(ledger)
            ledger.absorb()
        handle = Ref()  # what can fail stands before the begin is counted
        handle._ledger = ledger  # noqa: SLF001 - a constructor in Python would cost half as much again
        log.append(None)
        handle._started = [ledger.clock_ns()]  # noqa: SLF001 - as above
        return handle

    if TYPE_CHECKING:

        @overload
        def track(self, target: F) -> F: ...
        @overload
        def track(self, target: str | None = None) -> Callable[[F], F]: ...

    def track(self, target: F | str | None = None) -> F | Callable[[F], F]:
        """Count every call of a function: ``@track`` or ``@track("key")``.

        A call is active until it ends; that of a generator or coroutine from its first step to its last. The
        key is the function's module and qualified name unless given. While tracking is disabled, a function
        is returned as it is.

        Raises:
            TypeError: what is decorated is not a function, or the key is not a string.

        """
        from pytest_goref.tracker import decorate  # noqa: PLC0415 - few starts need inspect

        return decorate.track(self, target)

    @property
    def _is_on(self) -> bool:
        return switch.on

    def _timed(self, function: Callable[P, R], key: str) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not switch.on:
                return function(*args, **kwargs)
            try:
                ledger = self._ledgers[key]
            except KeyError:
                ledger = self._ledger_of(key)
            log = ledger.log
            if len(log) > ledger.limit:
                if ledger.limit == LIMIT_OF_RECORDED:
                    with RecordedRef.begun(ledger):
                        return function(*args, **kwargs)
                ledger.absorb()
            clock_ns = ledger.clock_ns
            started_ns = clock_ns()
            log.append(None)
            try:
                return function(*args, **kwargs)
            finally:
                log.append(clock_ns() - started_ns)

        return call

    def snapshot(self) -> Snapshot:
        """Return a copy of this tracker and its children that contains everything the caller did before."""
        ts_ns = time.time_ns()
        ledgers = self._ledgers.copy()
        logs = dict(zip(ledgers, [[*ledger.log] for ledger in ledgers.values()], strict=True))
        return Snapshot(logs, {name: child.snapshot() for name, child in self.children.items()}, ts_ns)

    def settle(self) -> None:
        """Sum up every event of this tracker and its children now, which ``ref`` does from time to time.

        What follows then takes the same steps, and the same memory, whatever came before.
        """
        for ledger in self._ledgers.copy().values():
            ledger.settle()
        for child in self.children.values():
            child.settle()

    def record(self, recorder: Recorder | None, /) -> None:
        """Keep the stamps of what begins and ends from now on in this tracker and its children.

        Args:
            recorder: a ``Recorder``; None stops recording.

        Raises:
            TypeError: it is something else.

        """
        if recorder is not None:
            from pytest_goref.tracker.recorder import Recorder  # noqa: PLC0415 - few programs record

            if not isinstance(recorder, Recorder):
                raise TypeError(f"a tracker records in a Recorder or in None, got {recorder!r}")
        self._recording.path = self.path
        self._recording.recorder = recorder
        for ledger in self._ledgers.copy().values():
            ledger.renew_limit()
        for child in self.children.values():
            child.record(recorder)

    def reset(self, *, recursive: bool = False) -> None:
        """Forget every figure of this tracker; references begun before count nowhere when they end.

        Args:
            recursive: reset the children too. The children themselves stay.

        """
        self._ledgers = {}  # whoever holds an old ledger writes where nobody reads
        if recursive:
            for child in self.children.values():
                child.reset(recursive=True)

    def __repr__(self) -> str:
        return f"<Tracker {'/'.join(self.path) or 'root'!r}>"


def enable() -> None:
    """Count references again, in every tracker; they are counted until ``disable`` is called."""
    switch.on = True


def disable() -> None:
    """Stop counting new references in every tracker; those that are active still end."""
    switch.on = False


def is_enabled() -> bool:
    """Return whether references are counted."""
    return switch.on
