from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from timed_visits import visit, visits

from pytest_goref.compare.durations import Timing, confirmed
from pytest_goref.compare.rules import Rules
from pytest_goref.compare.slowdown import Opinion
from pytest_goref.compare.suspects import MOST_VISITS, Suspect, look

if TYPE_CHECKING:
    from pytest_goref.model import Visit

RULES = Rules.default()
MS = 1_000_000
STORED = visits(6, 5 * MS, parse=50_000)


def suspect(*subjects: str, stored: tuple[Visit, ...] = STORED) -> Suspect:
    timings = confirmed(STORED, (visit(99, 9 * MS, parse=90_000),), RULES)
    return Suspect([timing for timing in timings if timing.subject in subjects], RULES, stored)


def opinion(timings: tuple[Timing, ...]) -> Opinion:
    (timing,) = timings
    return timing.decision.opinion


def looks(*suspects: Suspect, times_ns: int, first: int = 50, count: int = 1) -> None:
    for number in range(count):
        for one in suspects:
            one.add(visit(first + number, times_ns, parse=times_ns // 100))
        look(suspects)


def test_what_did_not_change_is_cleared_by_its_first_visit() -> None:
    one = suspect("")
    looks(one, times_ns=5 * MS)
    assert (opinion(one.timings), one.is_open) == (Opinion.CLEAR, False)


def test_what_was_cleared_stays_so() -> None:
    one = suspect("")
    looks(one, times_ns=5 * MS)
    looks(one, times_ns=9 * MS, count=8)
    assert opinion(one.timings) is Opinion.CLEAR


def test_a_change_is_established_at_the_first_look_and_not_before() -> None:
    one = suspect("")
    looks(one, times_ns=6 * MS, count=5)
    assert (opinion(one.timings), one.is_open) == (Opinion.OPEN, True)
    looks(one, times_ns=6 * MS, first=60)
    assert (opinion(one.timings), one.is_open) == (Opinion.SLOWER, False)


def test_only_the_subjects_in_doubt_are_decided() -> None:
    one = suspect("parse")
    looks(one, times_ns=6 * MS, count=6)
    assert [timing.subject for timing in one.timings] == ["parse"]
    assert opinion(one.timings) is Opinion.SLOWER


def test_many_suspects_need_more_evidence() -> None:
    """Six against six fully apart have p = 0.002: among 40 that is not enough, among one it is."""
    slow, others = suspect(""), [suspect("") for _ in range(39)]
    for number in range(6):
        slow.add(visit(50 + number, 6 * MS))
        for one in others:
            one.add(visit(50 + number, 5 * MS))
        look([slow, *others])
    assert (opinion(slow.timings), slow.is_open) == (Opinion.OPEN, True)
    for number in range(6, 8):
        slow.add(visit(50 + number, 6 * MS))
        look([slow, *others])
    assert opinion(slow.timings) is Opinion.SLOWER


def test_what_is_convicted_together_helps_each_other() -> None:
    """Benjamini and Hochberg bound the share of false ones among the convicted, not their number."""
    slow = [suspect("") for _ in range(40)]
    looks(*slow, times_ns=6 * MS, count=6)
    assert {opinion(one.timings) for one in slow} == {Opinion.SLOWER}


def test_a_conviction_of_an_earlier_look_still_counts() -> None:
    first, second = suspect(""), suspect("")
    looks(first, times_ns=6 * MS, count=6)
    looks(first, second, times_ns=6 * MS, first=60, count=6)
    assert (opinion(first.timings), opinion(second.timings)) == (Opinion.SLOWER, Opinion.SLOWER)
    assert len(first.after) == MOST_VISITS


def test_after_the_last_look_nothing_is_open() -> None:
    one = suspect("", stored=(*STORED[:2], visit(3, 9 * MS)))
    for number in range(MOST_VISITS):
        one.add(visit(50 + number, 6 * MS + number % 2 * MS))
        look([one])
    assert not one.is_open
    assert opinion(one.timings) is Opinion.OPEN


def test_pairs_are_compared_with_each_other() -> None:
    """Each pair is taken at another speed of the machine: only the difference within a pair tells."""
    one = suspect("", stored=())
    for number in range(8):
        one.add(visit(50 + number, 6 * MS), visit(70 + number, 5 * MS))
        look([one])
    assert opinion(one.timings) is Opinion.SLOWER


@pytest.mark.parametrize("subjects", [(), ("",)])
def test_a_test_without_open_subjects_needs_no_visit(subjects: tuple[str, ...]) -> None:
    assert suspect(*subjects).is_open is bool(subjects)
