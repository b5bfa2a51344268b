"""What a tool has recorded of a process turned into what the test has allocated.

All allocations and deallocations come one after the other, each with its thread and its stack. What belongs
to the test is decided once for each stack of each thread; its peak is the most that it held itself, whatever
else the process held at that moment.
"""

from __future__ import annotations

import threading
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pytest_goref.profilers.allocations import Allocations, Numbers, Stem

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from pytest_goref.profilers.allocations import AllocationNames, Part, RawFrame

    _Key = tuple[int, int]

_INTERPRETER_BYTES: Final = 16 * 2**10
"""What the interpreter maps for its own stack: how often depends on how deep the runner stands in it."""

_DEEP: Final = 200
"""How far above the place where tracking began no runner goes by itself, only what a test calls."""

_SHOWN: Final = 63
"""How many frames of such a stack are read: reading all would take the square of the depth of a recursion."""

_STARTING: Final = ("start", threading.__file__)
"""The function that allocates what the interpreter needs for a new thread."""

_MOST_CHANGES: Final = 1_000_000


class Record(Protocol):
    """One allocation or deallocation, as memray tells it."""

    @property
    def address(self) -> int:
        """Where."""

    @property
    def allocator(self) -> int:
        """Which function of C was called."""

    @property
    def size(self) -> int:
        """How much, in bytes."""

    @property
    def tid(self) -> int:
        """The thread, by a number that no other thread of the process ever has."""

    @property
    def stack_id(self) -> int:
        """A number that equal stacks share."""

    def stack_trace(self, max_stacks: int | None = None) -> list[RawFrame]:
        """Return the innermost frames, innermost first."""


class Allocators(NamedTuple):
    """The functions of C that are told apart, as the tool numbers them.

    Attributes:
        freeing: give memory back.
        mapping: maps pages.
        clearing: give memory that is all zero.

    """

    freeing: Container[int]
    mapping: int
    clearing: Container[int]


class Threads:
    """Which threads are the test's: its own, and those that begin meanwhile.

    Left out are those that ran before, such as what an earlier test has left behind or what serves a wider
    fixture, those that these begin, and those that Python does not know. Before a thread calls anything, the
    interpreter maps memory for its stack; whoever begins it with ``threading`` has allocated its state right
    before, and waits until it runs.

    Args:
        own: the thread of the test.

    Attributes:
        of_test: those whose allocations count.
        is_mixed: whether the test and another thread began threads at the same moment.

    """

    def __init__(self, own: int) -> None:
        self.of_test = {own}
        self._seen: set[int] = set()
        self._starting: set[int] = set()
        self.is_mixed = False

    def starts(self, thread: int) -> None:
        """Note that ``thread`` begins another one."""
        self._starting.add(thread)

    def see(self, thread: int) -> None:
        """Note that ``thread`` has allocated."""
        self._seen.add(thread)

    def begins(self, thread: int) -> None:
        """Note that ``thread`` calls its first function; it is new unless it has allocated before."""
        if thread in self._seen:
            return
        self._seen.add(thread)
        starting, self._starting = self._starting, set()
        by_test = starting & self.of_test
        if by_test:
            self.of_test.add(thread)
            self.is_mixed = self.is_mixed or by_test != starting


class _Held:
    """What each stack holds in the end, and at the moment when all together held most."""

    def __init__(self) -> None:
        self.now: defaultdict[int, int] = defaultdict(int)
        self.at_peak: dict[int, int] = {}
        self.numbers = array("q")
        self.changes = array("q")

    def settle(self, peak_at: int) -> None:
        """Apply the changes that were noted.

        Args:
            peak_at: after how many of them most was held, 0 when that was before.

        """
        self._apply(self.numbers[:peak_at], self.changes[:peak_at])
        if peak_at:
            self.at_peak = dict(self.now)
        self._apply(self.numbers[peak_at:], self.changes[peak_at:])
        del self.numbers[:], self.changes[:]

    def _apply(self, numbers: Iterable[int], changes: Iterable[int]) -> None:
        now = self.now
        for number, change in zip(numbers, changes, strict=True):
            now[number] += change


class Reading:
    """Reads what was recorded in one execution of a test.

    Args:
        names: names the stacks and knows the runner's.
        stem: where tracking began.
        own: the thread of the test.
        allocators: as the tool numbers them.
        mark: function and file of what allocates when tracking is about to end.

    Attributes:
        marked: whether that was seen.
        threads: whose allocations count.

    """

    def __init__(
        self, names: AllocationNames, stem: Stem, own: int, allocators: Allocators, mark: tuple[str, str]
    ) -> None:
        self._names = names
        self._stem = stem
        self._own = own
        self._allocators = allocators
        self._mark = mark
        self._numbers: dict[_Key, int] = {}
        self._starting: set[_Key] = set()
        self._parts: list[tuple[int, Part]] = []
        self._held = _Held()
        self._count: list[int] = []
        self._total_bytes: list[int] = []
        self._handed_over = False
        self.threads = Threads(own)
        self.marked = False

    def read(self, records: Iterable[Record]) -> Allocations:
        """Return what the test has allocated."""
        self._add_all(records)
        gathered = Allocations(concurrent=self._handed_over)
        for number, (thread, part) in enumerate(self._parts):
            numbers = Numbers(
                self._held.at_peak.get(number, 0),
                self._total_bytes[number],
                self._held.now[number],
                self._count[number],
            )
            gathered.add(part, numbers)
            gathered.concurrent = gathered.concurrent or thread != self._own
        return gathered

    def _add_all(self, records: Iterable[Record]) -> None:
        """Go through all records, and find the moment when the test held most."""
        held = self._held
        note_number, note_change = held.numbers.append, held.changes.append
        now_bytes = most_bytes = peak_at = noted = 0
        for number, change in self._changes(records):
            now_bytes += change
            noted += 1
            note_number(number)
            note_change(change)
            if now_bytes > most_bytes:
                most_bytes, peak_at = now_bytes, noted
            if noted == _MOST_CHANGES:
                held.settle(peak_at)
                peak_at = noted = 0
        held.settle(peak_at)

    def _changes(self, records: Iterable[Record]) -> Iterator[tuple[int, int]]:
        """Yield by how much each record changes what which stack of the test holds; there may be millions."""
        freeing, mapping, clearing = self._allocators
        numbers, count, total_bytes, of_test = (
            self._numbers,
            self._count,
            self._total_bytes,
            self.threads.of_test,
        )
        live: dict[int, tuple[int, int]] = {}
        for record in records:
            allocator = record.allocator
            if allocator in freeing:
                freed = live.pop(record.address, None)
                if freed is not None:
                    if record.tid not in of_test:
                        self._handed_over = True
                    yield freed[0], -freed[1]
                continue
            key = record.tid, record.stack_id
            size_bytes = record.size
            if allocator == mapping and size_bytes == _INTERPRETER_BYTES:
                self._see_interpreter(record)
                continue
            number = numbers[key] if key in numbers else self._new(key, record)
            if allocator in clearing and key in self._starting:
                self.threads.starts(key[0])
            if number >= 0:
                count[number] += 1
                total_bytes[number] += size_bytes
                live[record.address] = number, size_bytes
                yield number, size_bytes

    def _see_interpreter(self, record: Record) -> None:
        """Take note of a thread that has not called anything yet; its memory is not the test's."""
        if not record.stack_trace(max_stacks=1):
            self.threads.begins(record.tid)

    def _new(self, key: _Key, record: Record) -> int:
        """Return the number of a stack that was not seen before, -1 when it does not count."""
        thread = key[0]
        self.threads.see(thread)
        most = self._stem.depth + _DEEP
        frames = record.stack_trace(max_stacks=most)
        if frames and frames[0][:2] == _STARTING:
            self._starting.add(key)
        if frames and frames[0][:2] == self._mark and thread == self._own:
            self.marked = True
        part = None
        if thread in self.threads.of_test:
            if len(frames) == most:
                part = self._names.deep_part(frames[:_SHOWN])
            else:
                part = self._names.part(frames, self._stem if thread == self._own else None)
        self._numbers[key] = number = -1 if part is None else len(self._parts)
        if part is not None:
            self._parts.append((thread, part))
            self._count.append(0)
            self._total_bytes.append(0)
        return number
