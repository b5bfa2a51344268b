"""Suspects: durations that one process could not clear, on their way through the looks of fresh processes.

A suspect is cleared at any time and convicted at a look only. Convicting many at once is guarded by the
procedure of Benjamini and Hochberg (1995) over all durations that were ever suspect in the session: who does
not pass it stays a suspect until the next look.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.durations import Timing, confirmed
from pytest_goref.compare.slowdown import LOOKS, Opinion
from pytest_goref.compare.statistics import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import Visit

MOST_VISITS: Final = LOOKS[-1]
"""How often a suspect is timed in a fresh process at most."""

_FALSE_RATE: Final = 0.05
"""Of all durations that are convicted in a session, this share may be unchanged."""
_CONVICTED: Final = (Opinion.SLOWER, Opinion.FASTER)


class Suspect:
    """The durations of one test that are in doubt.

    Args:
        timings: what the process of the session says of them.
        rules: tolerance and severity of each metric.
        stored: visits of the accepted code; empty when they are taken in pairs with the others.

    """

    def __init__(self, timings: Iterable[Timing], rules: Rules, stored: Sequence[Visit] = ()) -> None:
        self._last = {timing.subject: timing for timing in timings}
        self._rules = rules
        self._paired = not stored
        self._before = list(stored)
        self._open = set(self._last)
        self.after: list[Visit] = []

    @property
    def is_open(self) -> bool:
        """Whether another visit could decide something."""
        return bool(self._open) and len(self.after) < MOST_VISITS

    @property
    def timings(self) -> tuple[Timing, ...]:
        """What is known of each duration now."""
        return tuple(self._last.values())

    def add(self, after: Visit, before: Visit | None = None) -> None:
        """Add a visit of the present code and, in a pair, the one of the accepted code."""
        self.after.append(after)
        if before is not None:
            self._before.append(before)

    def reconsider(self) -> Iterator[Timing]:
        """Yield what the visits so far say of each duration that is still open."""
        for timing in confirmed(self._before, self.after, self._rules, paired=self._paired):
            if timing.subject in self._open:
                self._last[timing.subject] = timing
                yield timing

    def settle(self, timing: Timing) -> None:
        """Take ``timing`` for final."""
        self._open.discard(timing.subject)

    def doubt(self, timing: Timing) -> None:
        """Leave open what would be convicted if it were the only suspect."""
        self._last[timing.subject] = replace(timing, decision=replace(timing.decision, opinion=Opinion.OPEN))

    def is_settled(self, timing: Timing) -> bool:
        """Return whether ``timing`` is final."""
        return timing.subject not in self._open


def look(suspects: Sequence[Suspect]) -> None:
    """Clear and convict as far as the visits of all ``suspects`` of a session allow."""
    candidates: list[tuple[Suspect, Timing]] = []
    for suspect in suspects:
        for timing in tuple(suspect.reconsider()):
            if timing.decision.opinion is Opinion.CLEAR:
                suspect.settle(timing)
            elif timing.decision.opinion in _CONVICTED:
                candidates.append((suspect, timing))
    if not candidates:
        return
    others = [_p_value(suspect, timing) for suspect in suspects for timing in suspect.timings]
    p_values = [timing.decision.p_value for _, timing in candidates]
    # The candidates are among the others, as open: so the number of hypotheses stays that of all suspects.
    for _ in candidates:
        others.remove(1.0)
    stands = benjamini_hochberg([*p_values, *others], _FALSE_RATE)
    for (suspect, timing), convicted in zip(candidates, stands, strict=False):
        if convicted:
            suspect.settle(timing)
        else:
            suspect.doubt(timing)


def _p_value(suspect: Suspect, timing: Timing) -> float:
    """Return the p-value of a conviction that is final; all else counts as unchanged."""
    convicted = suspect.is_settled(timing) and timing.decision.opinion in _CONVICTED
    return timing.decision.p_value if convicted else 1.0
