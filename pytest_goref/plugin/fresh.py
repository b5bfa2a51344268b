"""Fresh processes that time tests, one at a time, while no other session of this machine does."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pytest_goref.plugin.passes import CPU, TIME
from pytest_goref.plugin.visits import VisitRequest, VisitResult
from pytest_goref.profile import ProfileKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pytest_goref.model import Record, TestKey, Visit
    from pytest_goref.profile import StackProfile

_SECOND_NS: Final = 1_000_000_000
_START_NS: Final = _SECOND_NS
"""What it takes to start Python and pytest, and to collect, as a first guess."""
_ROUNDS_OF_SLOW_TESTS: Final = 5
_LIMIT_BEYOND: Final = 20
_SHORTEST_LIMIT_NS: Final = 30 * _SECOND_NS


@dataclass(frozen=True, slots=True)
class Timed:
    """What one fresh process has timed.

    Attributes:
        visits: the rounds of each test that it timed.
        refused: why tests need not be tried again.
        failure: what became of the process, "" when it ended well.

    """

    visits: Mapping[TestKey, Visit] = field(default_factory=dict)
    refused: Mapping[TestKey, str] = field(default_factory=dict)
    failure: str = ""


class FreshProcesses:
    """Times tests in fresh processes.

    Args:
        visit: starts one and waits for it, for so many nanoseconds at most.
        lock: keeps other sessions of this machine from timing meanwhile.

    """

    def __init__(
        self,
        visit: Callable[[VisitRequest, int], VisitResult],
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._visit = visit
        self._lock = lock

    def profile(self, records: Sequence[Record]) -> Mapping[TestKey, StackProfile]:
        """Return where the time of tests goes, of those for which it can be told."""
        request = VisitRequest(tuple(record.key for record in records), (CPU,), seed_of(1))
        limit_ns = max(_SHORTEST_LIMIT_NS, _LIMIT_BEYOND * expected_ns(records))
        result = self._visit(request, limit_ns)
        return {
            key: profile
            for key, profiles in result.profiles.items()
            for profile in profiles
            if profile.kind is ProfileKind.CPU
        }

    def time(
        self, records: Sequence[Record], number: int, once_ns: Mapping[TestKey, int] = MappingProxyType({})
    ) -> Timed:
        """Time tests in one process.

        Args:
            records: what the session measured of each; it tells how long they take.
            number: of the visit, from 1: it chooses the hash seed, so that equal numbers have equal seeds.
            once_ns: how long one execution of a test takes, for those that were not timed.

        """
        keys = tuple(record.key for record in records)
        request = VisitRequest(keys, (TIME,), seed_of(number))
        limit_ns = max(_SHORTEST_LIMIT_NS, _LIMIT_BEYOND * expected_ns(records, once_ns))
        with self._lock():
            result = self._visit(request, limit_ns)
        visits = {key: record.visit for key, record in result.records.items() if record.visit is not None}
        return Timed(visits, dict(_refused(keys, result)), result.failure)


def seed_of(number: int) -> str:
    """Return the hash seed of a fresh process by its number, from 1: each has its own, unless it is fixed."""
    seed = os.environ.get("PYTHONHASHSEED", "random")
    return str(number) if seed in ("", "random") else seed


def expected_ns(records: Iterable[Record], once_ns: Mapping[TestKey, int] = MappingProxyType({})) -> int:
    """Return about how long a fresh process takes to time the tests of ``records``.

    Args:
        records: what the session measured.
        once_ns: how long one execution of a test takes, for those that were not timed.

    """
    # Warm-ups, set-ups and tear-downs, kernels and collections of garbage take about as long again.
    return _START_NS + 2 * sum(_rounds_ns(record, once_ns.get(record.key, 0)) for record in records)


def _rounds_ns(record: Record, once_ns: int) -> int:
    """Return how long the rounds of a test take; workers of xdist take none, so that it is a guess there."""
    if record.visit is not None:
        return sum(timed.wall_ns for timed in record.visit.rounds)
    return max(_SECOND_NS, _ROUNDS_OF_SLOW_TESTS * once_ns)


def _refused(keys: Iterable[TestKey], result: VisitResult) -> Iterator[tuple[TestKey, str]]:
    for key in keys:
        record = result.records.get(key)
        if key == result.culprit:
            yield key, f"in a fresh process, {result.failure}"
        elif key in result.missing:
            yield key, "it is not found in a fresh process"
        elif record is not None and record.visit is None:
            problems = "; ".join(problem.text for problem in record.problems)
            yield key, f"a fresh process did not time it{f' ({problems})' if problems else ''}"
        elif unread := next((text for text in result.unread if text.startswith(key.path)), ""):
            yield key, f"in a fresh process its file cannot be read ({unread})"
        elif record is None and not result.failure:
            yield key, "it does not pass in a fresh process"
