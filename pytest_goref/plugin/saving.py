"""Timing what is to be saved: a baseline keeps rounds of fresh processes, several of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_goref.errors import GorefError
from pytest_goref.plugin.fresh import FreshProcesses, expected_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pytest_goref.model import TestKey, Visit
    from pytest_goref.plugin.progress import Progress
    from pytest_goref.plugin.results import Result, Results
    from pytest_goref.store.baseline import Baseline


class Saving:
    """Times the tests that a baseline is to hold.

    Args:
        visits: how many fresh processes are to have timed each test.
        progress: shows how many are done.
        head: the fresh processes.

    """

    def __init__(
        self,
        visits: int,
        progress: Callable[[int], AbstractContextManager[Progress]],
        head: FreshProcesses,
    ) -> None:
        self.visits = visits
        self._progress = progress
        self._head = head

    def time(self, results: Results, stored: Baseline | None) -> Iterator[str]:
        """Add to each result what fresh processes time; yield what the user should know.

        Args:
            results: of the session.
            stored: the baseline as it is, None when it is new.

        """
        missing = dict(self._missing(results, stored))
        total = max(missing.values(), default=0)
        if not total:
            return
        refused: dict[str, list[TestKey]] = {}
        with self._progress(total) as progress:
            for number in range(1, total + 1):
                waiting = {key: results.by_key[key] for key, count in missing.items() if count >= number}
                records = [result.record for result in waiting.values() if result.record is not None]
                once_ns = {key: result.once_ns for key, result in waiting.items()}
                progress.begin(number, len(records), expected_ns(records, once_ns))
                timed = self._head.time(records, number, once_ns)
                for key, visit in timed.visits.items():
                    _add(waiting[key], visit)
                for key, why in timed.refused.items():
                    refused.setdefault(why, []).append(key)
                    missing[key] = 0
                if timed.failure and not timed.visits and not timed.refused:
                    refused.setdefault(f"in a fresh process, {timed.failure}", []).extend(waiting)
                    break
        for why, keys in refused.items():
            tests = "1 test" if len(keys) == 1 else f"{len(keys)} tests"
            yield f"durations of {tests} are not saved whole: {why}: {keys[0].nodeid}"

    def _missing(self, results: Results, stored: Baseline | None) -> Iterator[tuple[TestKey, int]]:
        """Yield how many visits each test needs that will be saved."""
        from pytest_goref.compare.accept import visits_needed  # noqa: PLC0415 - only a session that saves needs it

        for key, result in results.by_key.items():
            if result.accepted and result.record is not None:
                try:
                    entry = stored.get(key) if stored else None
                except GorefError:  # saving will say so
                    continue
                yield key, visits_needed(result.record, entry, self.visits, is_untimed=result.is_untimed)


def _add(result: Result, visit: Visit) -> None:
    if result.record is not None:
        result.record = replace(result.record, fresh=(*result.record.fresh, visit))
