"""The check of regressions against other hash seeds, before they fail a test.

It is left out where the seed of the session is fixed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.seeds import is_suspect, without_seed_effects
from pytest_goref.errors import GorefError
from pytest_goref.model import Problem, ProblemKind, Record
from pytest_goref.plugin.passes import COUNTS, MEMORY
from pytest_goref.plugin.visits import VisitRequest, VisitResult
from pytest_goref.profilers.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import TestKey
    from pytest_goref.store.reference import Reference
    from pytest_goref.verdict import Verdict

_SEEDS: Final = (1, 2)
_PASSES: Final = (COUNTS, MEMORY)
"""What the order of iteration may change."""
_SECOND_NS: Final = 1_000_000_000
_SHORTEST_LIMIT_NS: Final = 30 * _SECOND_NS
_LIMIT_PER_TEST: Final = 20
_MOST_NS: Final = 120 * _SECOND_NS
"""What all visits of a session may take together: when many tests regress, few of them do by chance."""


class _NotVisitedError(GorefError):
    """A visit brought no record; the message says what became of it."""


def is_seed_random() -> bool:
    """Return whether the hashes of text differ between this process and others."""
    if not sys.flags.hash_randomization:
        return False
    ignored = sys.flags.ignore_environment or sys.flags.isolated
    return bool(ignored) or os.environ.get("PYTHONHASHSEED", "random") in ("", "random")


class SeedCheck:
    """Checks regressions against other hash seeds.

    Args:
        visit: measures tests in a fresh process, for so many nanoseconds at most.

    """

    def __init__(self, visit: Callable[[VisitRequest, int], VisitResult]) -> None:
        self._visit = visit
        self._left_ns = _MOST_NS

    def checked(
        self, record: Record, verdict: Verdict, reference: Reference, rules: Rules, test_ns: int
    ) -> tuple[Record, Verdict]:
        """Return ``record`` and ``verdict``, which tells no regression that the hash seed explains.

        Args:
            record: what was measured in this process.
            verdict: the verdict on it.
            reference: what it was compared with.
            rules: tolerance and severity of each metric.
            test_ns: how long the test took once.

        """
        if not is_suspect(verdict) or self._left_ns <= 0:
            return record, verdict
        expected = reference.get(record.key)
        began_ns = SYSTEM_CLOCK.wall_ns()
        limit_ns = max(_SHORTEST_LIMIT_NS, _LIMIT_PER_TEST * test_ns)
        try:
            by_seed = {seed: self._record(record.key, seed, limit_ns) for seed in _SEEDS}
        except _NotVisitedError as error:
            text = f"whether numbers differ by hash seed is not known: executed in a fresh process, {error}"
            problem = Problem(ProblemKind.SKIPPED, text)
            return replace(record, problems=(*record.problems, problem)), verdict
        finally:
            self._left_ns -= SYSTEM_CLOCK.wall_ns() - began_ns
        alike = all(other.comparable and other.mode is record.mode for other in by_seed.values())
        if expected is None or not alike:
            return record, verdict
        return record, without_seed_effects(verdict, expected, rules, by_seed)

    def _record(self, key: TestKey, seed: int, limit_ns: int) -> Record:
        result = self._visit(VisitRequest((key,), _PASSES, str(seed)), limit_ns)
        if key in result.records:
            return result.records[key]
        if key in result.missing and not result.failure:
            raise _NotVisitedError("it is not found")
        raise _NotVisitedError(result.failure or "it does not pass")
