"""The figures of one key, and the histogram they keep.

The histogram has a bucket for each value below 16 ns, and above that 8 of equal width for each doubling.
A bucket is at most an eighth of its values wide, so its middle is within 6.25 % of them. Durations of 63 bits
fill at most 488 buckets, and only buckets that were hit take memory.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil

from pytest_goref.errors import InvalidValueError

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Figures = tuple[int, int, int, int | None, int | None]
    """Active, count, duration, minimum and maximum; the last two are None while the count is zero."""

_NOTHING: Figures = (0, 0, 0, None, None)
_NO_BUCKETS: Mapping[int, int] = {}
_NS_PER_MS = 1_000_000


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """Return the smallest and the largest duration, in nanoseconds, that ``bucket`` holds."""
    octave = max(0, bucket // 8 - 1)
    step = bucket - octave * 8
    return step << octave, ((step + 1) << octave) - 1


def _middle_of(bucket: int) -> int:
    low, high = bucket_bounds(bucket)
    return (low + high) // 2


def _filled(buckets: Mapping[int, int], durations_ns: list[int]) -> dict[int, int]:
    """Return ``buckets`` with sorted durations, zero or more, added."""
    filled = dict(buckets)
    start = 0
    while start < len(durations_ns):
        shortest = durations_ns[start]
        octave = shortest.bit_length() - 4 if shortest > 15 else 0  # noqa: PLR2004 - one bucket for each up to 15
        step = shortest >> octave
        end = bisect_left(durations_ns, (step + 1) << octave, start)
        bucket = octave * 8 + step
        filled[bucket] = filled.get(bucket, 0) + end - start
        start = end
    return filled


def _durations_among(events: list[Any]) -> list[int]:
    """Return the durations among ``events``, sorted."""
    try:
        if 2 * events[::2].count(None) == len(events) > 2:  # noqa: PLR2004 - of one item, None could be sorted
            return sorted(events[1::2])  # begin, end, begin, end: the common case, in half the time
    except TypeError:  # there was a begin where an end is usual, and it could not be sorted
        pass
    return sorted([event for event in events if event is not None])


class Entry:
    """What is known of one key at one moment; immutable. Trackers make entries, users only read them.

    In a difference of snapshots the figures are those of the time in between: ``count``, ``duration`` and
    ``average`` are exact; ``active`` is by how much the number of running references grew, never below zero;
    ``min`` and ``max`` are exact where the window set a new extreme, else within 6.25 %.
    """

    __slots__ = ("_buckets", "_figures", "_origin")

    def __init__(
        self,
        figures: Figures = _NOTHING,
        buckets: Mapping[int, int] = _NO_BUCKETS,
        origin: object = None,
    ) -> None:
        self._figures = figures
        self._buckets = buckets
        self._origin = origin  # a reset starts a new one: figures of two origins are not comparable

    @property
    def active(self) -> int:
        """How many references are running."""
        return self._figures[0]

    @property
    def count(self) -> int:
        """How many references ended."""
        return self._figures[1]

    @property
    def duration(self) -> int:
        """The sum of all durations, in nanoseconds."""
        return self._figures[2]

    @property
    def min(self) -> int | None:
        """The shortest duration in nanoseconds, None while nothing ended."""
        return self._figures[3]

    @property
    def max(self) -> int | None:
        """The longest duration in nanoseconds, None while nothing ended."""
        return self._figures[4]

    @property
    def average(self) -> float | None:
        """The mean duration in nanoseconds, None while nothing ended."""
        return self.duration / self.count if self.count else None

    def percentile(self, q: float) -> int | None:
        """Return a duration, within 6.25 %, that ``q`` percent of the durations do not exceed.

        Args:
            q: from 0 (the minimum) to 100 (the maximum); 50 is the median.

        Returns:
            Nanoseconds, by the nearest-rank definition, or None while nothing ended.

        Raises:
            InvalidValueError: ``q`` is not between 0 and 100.

        """
        if not 0 <= q <= 100:  # noqa: PLR2004 - per cent
            raise InvalidValueError(f"percentile must be between 0 and 100, got {q!r}")
        if self.min is None or self.max is None:
            return None
        rank = max(1, ceil(q * self.count / 100))
        if rank == 1:
            return self.min
        if rank >= self.count:
            return self.max
        return self._within_extremes(_middle_of(self._bucket_at(rank)))

    def _bucket_at(self, rank: int) -> int:
        buckets = iter(sorted(self._buckets))
        bucket = seen = 0
        while seen < rank:
            bucket = next(buckets)
            seen += self._buckets[bucket]
        return bucket

    def after(self, events: list[int | None]) -> Entry:
        """Return the entry once ``events`` happened: None for a begin, nanoseconds for an end."""
        if not events:
            return self
        durations_ns = _durations_among(events)
        active, count, duration, shortest, longest = self._figures
        active += len(events) - 2 * len(durations_ns)
        if not durations_ns:
            return Entry((active, count, duration, shortest, longest), self._buckets, self._origin)
        if durations_ns[0] < 0:  # a clock that went back
            durations_ns = [max(0, duration_ns) for duration_ns in durations_ns]
        shortest = durations_ns[0] if shortest is None else min(shortest, durations_ns[0])
        longest = durations_ns[-1] if longest is None else max(longest, durations_ns[-1])
        figures = (active, count + len(durations_ns), duration + sum(durations_ns), shortest, longest)
        return Entry(figures, _filled(self._buckets, durations_ns), self._origin)

    def since(self, earlier: Entry) -> Entry:
        """Return what happened between ``earlier`` and this entry of the key; everything after a reset."""
        if earlier._origin is not self._origin:
            return self
        active = max(0, self.active - earlier.active)
        count = self.count - earlier.count
        if count <= 0 or self.min is None or self.max is None:
            return Entry((active, 0, 0, None, None), origin=self._origin)
        duration = self.duration - earlier.duration
        past = earlier._buckets
        buckets = {
            bucket: count - past.get(bucket, 0)
            for bucket, count in self._buckets.items()
            if count != past.get(bucket)
        }
        if count == 1:
            return Entry((active, 1, duration, duration, duration), buckets, self._origin)
        shortest, longest = self.min, self.max
        if shortest == earlier.min:
            shortest = self._within_extremes(_middle_of(min(buckets)))
        if longest == earlier.max:
            longest = self._within_extremes(_middle_of(max(buckets)))
        return Entry((active, count, duration, shortest, longest), buckets, self._origin)

    def _within_extremes(self, duration_ns: int) -> int:
        return max(self.min or 0, min(duration_ns, self.max or 0))

    def to_dict(self) -> dict[str, int | float]:
        """Return the figures in goref's JSON shape: ``duration`` in nanoseconds, ``avgMsec`` 0 at first."""
        average_ms = self.duration / (_NS_PER_MS * self.count) if self.count else 0
        return {"active": self.active, "count": self.count, "duration": self.duration, "avgMsec": average_ms}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self._figures == other._figures and self._buckets == other._buckets

    def __hash__(self) -> int:
        return hash(self._figures)

    def __repr__(self) -> str:
        return f"Entry(active={self.active}, count={self.count}, duration={self.duration})"
