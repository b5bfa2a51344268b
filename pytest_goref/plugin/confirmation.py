"""Confirmation: tests that look slower wait, and are timed in fresh processes after the last test.

The visits of all suspects are spread in time: each process times all of them, one after the other. With a
worktree of another commit, each visit is one of a pair, in an order that is drawn and balanced.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.compare.suspects import MOST_VISITS, Suspect, look
from pytest_goref.plugin.fresh import Timed, expected_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from pytest_goref.model import TestKey
    from pytest_goref.plugin.conclusion import Conclusion
    from pytest_goref.plugin.fresh import FreshProcesses
    from pytest_goref.plugin.progress import Progress

_STOPPED: Final = "the session was stopped before fresh processes could tell"
_FRUITLESS: Final = 2
"""So many visits in a row that bring nothing back are enough."""


@dataclass(slots=True)
class _Waiting:
    """A test that waits for its verdict.

    Attributes:
        release: logs its reports, given the text with which it fails.
        conclusion: what follows so far.
        suspect: its durations in doubt.
        why_open: why it is timed no more although its verdict is open.
        is_concluded: whether the verdict follows from what fresh processes have timed.

    """

    release: Callable[[str], None]
    conclusion: Conclusion
    suspect: Suspect
    why_open: str = ""
    is_concluded: bool = False

    @property
    def key(self) -> TestKey:
        return self.conclusion.record.key

    @property
    def is_open(self) -> bool:
        return self.suspect.is_open and not self.why_open

    def conclude(self, why_open: str) -> None:
        """Let the verdict follow from what fresh processes have timed."""
        fresh = tuple(self.suspect.after)
        complete = len(fresh) == MOST_VISITS
        why = "" if complete else self.why_open or why_open
        self.conclusion.confirm(fresh, self.suspect.timings, why)
        self.is_concluded = True


class Confirmation:
    """Keeps suspects until the tests have ended, and lets fresh processes tell.

    Args:
        progress: shows how many visits are done.
        head: fresh processes that time the present code.
        base: fresh processes that time the code compared with; None when that was timed when it was stored.

    """

    def __init__(
        self,
        progress: Callable[[int], contextlib.AbstractContextManager[Progress]],
        head: FreshProcesses,
        base: FreshProcesses | None = None,
    ) -> None:
        self._progress = progress
        self._head = head
        self._base = base
        self._waiting: list[_Waiting] = []

    def hold(self, conclusion: Conclusion, release: Callable[[str], None]) -> None:
        """Keep a test until fresh processes have told.

        Args:
            conclusion: what follows so far.
            release: logs its reports, given the text with which it fails.

        """
        record, expected, rules = conclusion.record, conclusion.expected, conclusion.plan.request.rules
        suspects = conclusion.suspects
        stored = expected.visits[record.environment.fingerprint] if suspects and expected else ()
        suspect = Suspect(suspects, rules, () if self._base else stored)
        self._waiting.append(_Waiting(release, conclusion, suspect))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Confirm after the last test, and report what was held, whatever happens."""
        try:
            result = yield
            self._confirm()
            self._conclude("")
            self._explain()
        finally:
            self._conclude(_STOPPED)
            self._release()
        return result

    def _release(self) -> None:
        """Report what was held, in the order of the tests; a hook of others that raises costs no report."""
        held, self._waiting = self._waiting, []
        with contextlib.ExitStack() as stack:
            for one in reversed(held):
                stack.callback(one.release, one.conclusion.text())

    def _conclude(self, why_open: str) -> None:
        """Let the verdicts follow that are not final yet."""
        for one in self._waiting:
            if not one.is_concluded:
                one.conclude(why_open)

    def _confirm(self) -> None:
        """Time the suspects until none is open, or nothing comes back."""
        fruitless = 0
        with self._progress(MOST_VISITS) as progress:
            for number, base_first in enumerate(_orders(MOST_VISITS), start=1):
                waiting = [one for one in self._waiting if one.is_open]
                if not waiting:
                    break
                records = [one.conclusion.record for one in waiting]
                progress.begin(number, len(waiting), expected_ns(records) * (2 if self._base else 1))
                failure = self._visit(waiting, number, base_first=base_first)
                look([one.suspect for one in self._waiting])
                fruitless = fruitless + 1 if failure else 0
                if fruitless == _FRUITLESS:
                    for one in waiting:
                        one.why_open = one.why_open or f"in a fresh process, {failure}"

    def _visit(self, waiting: Sequence[_Waiting], number: int, *, base_first: bool) -> str:
        """Time ``waiting`` once, in a pair of processes if there is a base; return why nothing came back."""
        records = [one.conclusion.record for one in waiting]
        timed: dict[bool, Timed] = {}
        for is_base in (base_first, not base_first) if self._base else (False,):
            processes = self._base if is_base and self._base else self._head
            timed[is_base] = processes.time(records, number)
        brought = False
        for one in waiting:
            after = timed[False].visits.get(one.key)
            before = timed[True].visits.get(one.key) if self._base else None
            if after is not None and (before is not None or not self._base):
                one.suspect.add(after, before)
                brought = True
            one.why_open = next((t.refused[one.key] for t in timed.values() if one.key in t.refused), "")
        failures = [t.failure for t in timed.values() if t.failure]
        return "" if brought else "; ".join(failures)

    def _explain(self) -> None:
        """Look where the time of the slower tests goes, on both sides where one was not looked at before."""
        slower = [one for one in self._waiting if one.conclusion.wants_profile]
        if not slower:
            return
        records = [one.conclusion.record for one in slower]
        after = self._head.profile(records)
        before = self._base.profile(records) if self._base else {}
        for one in slower:
            one.conclusion.add_profiles(after.get(one.key), before.get(one.key))


def _orders(number: int) -> list[bool]:
    """Return for each pair whether the base comes first: drawn, and balanced in every two pairs."""
    generator = random.SystemRandom()  # not the generator that tests seed
    orders: list[bool] = []
    while len(orders) < number:
        first = generator.random() < 0.5  # noqa: PLR2004 - one half
        orders += [first, not first]
    return orders[:number]
