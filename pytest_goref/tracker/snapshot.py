"""Point-in-time copies of a tracker tree, their differences, and goref's JSON.

A snapshot copies, key by key, the running totals and the few events that are not yet in them; the figures are
worked out when they are read, so that taking a snapshot costs next to nothing.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping
    from typing import Any, TypeAlias

    from pytest_goref.tracker._speed import Copy
    from pytest_goref.tracker.entry import Entry

    Logs: TypeAlias = dict[str, list[Any]] | Copy
    """For each key an ``Entry`` and the events since: None for a begin, nanoseconds for an end."""

_NS_PER_US = 1000


class Snapshot:
    """A deep copy of a tracker and its children at one moment; immutable.

    It reads like a mapping from key to ``Entry``. Two snapshots are equal when all their figures are, at
    whatever times. ``later - earlier`` is a snapshot of what happened in between, see ``Entry``; keys to
    which nothing happened are left out; a key that was reset in between counts from the reset on.
    """

    __slots__ = ("_children", "_logs", "_ts_ns")

    def __init__(self, logs: Logs, children: dict[str, Snapshot] | None = None, ts_ns: int = 0) -> None:
        """Take over what a tracker copied.

        Args:
            logs: for each key an ``Entry`` and the events since; that of the C engine makes them when asked.
            children: the snapshots of the child trackers by name.
            ts_ns: when it was taken, in nanoseconds since 1970.

        """
        self._logs = logs
        self._children = children or {}
        self._ts_ns = ts_ns

    @property
    def ts(self) -> dt.datetime:
        """When this node was copied, in UTC."""
        from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - few snapshots need it, each start would pay

        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._ts_ns // _NS_PER_US)

    @property
    def data(self) -> Mapping[str, Entry]:
        """The entries of this node by key, read-only."""
        from types import MappingProxyType  # noqa: PLC0415 - few snapshots need it, each start would pay

        return MappingProxyType({key: self[key] for key in self._logs})

    @property
    def children(self) -> Mapping[str, Snapshot]:
        """The snapshots of the child trackers by name, read-only."""
        from types import MappingProxyType  # noqa: PLC0415 - few snapshots need it, each start would pay

        return MappingProxyType(self._children)

    def keys(self) -> list[str]:
        """Return the keys of this node."""
        return list(self._logs)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self._logs

    def __getitem__(self, key: str) -> Entry:
        log = self._logs[key]
        head, *events = [*log]
        entry: Entry = head.after(events)
        if events:
            log[:] = [entry]  # in one step, as another thread may be reading
        return entry

    def walk(self) -> Iterator[tuple[tuple[str, ...], str, Entry]]:
        """Yield (path, key, entry) for the whole subtree: own keys first, then the children, sorted by name.

        The path is relative to this snapshot: ``()`` for its own keys.
        """
        for key in sorted(self._logs):
            yield (), key, self[key]
        for name in sorted(self._children):
            for path, key, entry in self._children[name].walk():
                yield (name, *path), key, entry

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        if not isinstance(earlier, Snapshot):
            return NotImplemented
        if not self._logs and not self._children:
            return self
        logs = {key: [entry] for key, entry in self._changes_since(earlier) if entry.count or entry.active}
        nothing = Snapshot({})
        children = {
            name: child - earlier._children.get(name, nothing) for name, child in self._children.items()
        }
        return Snapshot(logs, children, self._ts_ns)

    def _changes_since(self, earlier: Snapshot) -> Iterator[tuple[str, Entry]]:
        past = earlier._logs
        for key in _touched(self._logs, past):
            yield key, self[key].since(earlier[key]) if key in past else self[key]

    def changed_since(self, earlier: Snapshot) -> int:
        """Return how many keys of the subtree something happened to; far quicker than a difference."""
        nothing = Snapshot({})
        return len(_touched(self._logs, earlier._logs)) + sum(
            child.changed_since(earlier._children.get(name, nothing))
            for name, child in self._children.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in goref's JSON shape; ``_children`` and ``data`` only where not empty."""
        shape: dict[str, Any] = {}
        if self._children:
            shape["_children"] = {name: self._children[name].to_dict() for name in sorted(self._children)}
        if self._logs:
            shape["data"] = {key: self[key].to_dict() for key in sorted(self._logs)}
        shape["ts"] = self.ts.isoformat().replace("+00:00", "Z")
        return shape

    def to_json(self, *, indent: int | None = None) -> str:
        """Return ``to_dict()`` as JSON text, on one line unless ``indent`` says otherwise."""
        import json  # noqa: PLC0415 - few snapshots need it, each start would pay

        return json.dumps(self.to_dict(), indent=indent)

    def __hash__(self) -> int:
        return hash((frozenset(self.data.items()), frozenset(self._children.items())))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self.data == other.data and self._children == other._children

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self._logs)} keys and {len(self._children)} children>"


def _touched(logs: Logs, past: Logs) -> list[str]:
    """Return the keys to which something happened since: only their figures are worked out."""
    if not isinstance(logs, dict):  # the engine in C compares its own
        return logs.touched_since(past)
    if not isinstance(past, dict):
        return [*logs]
    return [
        key
        for key, log in logs.items()
        if (before := past.get(key)) is None or before[0] is not log[0] or len(before) != len(log)
    ]
