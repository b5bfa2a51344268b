"""Evaluates: what the product's rule and others say of the collected runs, visit by visit.

A comparison takes a baseline from 6 neighbouring blocks, the normal run from one later block, and fresh
visits from the blocks after that, as many as the rule asks for. The blocks form a ring, so that each is used
for everything. Unchanged are two sides with the same amount of work, whichever it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from collect import AMOUNTS, FEWEST_BLOCKS, STORED, STREAMS, UNCHANGED, Run, Stream, read
from peers import MANY, STATISTICS, is_best_beyond, is_beyond, is_significant

from pytest_goref.compare.durations import screened
from pytest_goref.compare.rules import Rules, parse_rule
from pytest_goref.compare.slowdown import FEWEST_VISITS, LOOKS, Opinion
from pytest_goref.compare.suspects import Suspect, look
from pytest_goref.model import BaselineEntry, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from collect import Collection

    from pytest_goref.model import Record, Visit

FRESH: Final = LOOKS[-1]
OURS: Final = "goref 5%"
"""The rule whose bars are the strictest."""
PAIRED: Final = "goref A/B"
"""How rules begin that compare pairs: these are two processes, made after visits of the base just before."""
SAME: Final = 0
"""The change of unchanged code; else it is in percent."""


@dataclass(frozen=True, slots=True)
class Window:
    """The blocks of one comparison.

    Attributes:
        age: how many blocks lie between the baseline and the run.
        stored: those of the baseline.
        normal: that of the run which is compared.
        fresh: those of fresh visits, in order.

    """

    age: int
    stored: tuple[int, ...]
    normal: int
    fresh: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """The runs of one comparison: of all workloads.

    Attributes:
        stored: the baseline.
        normal: the run which is compared.
        fresh: fresh visits of the code that is compared.
        base: fresh visits of the code that was stored, each from the block of its partner.

    """

    stored: tuple[Run, ...]
    normal: Run
    fresh: tuple[Run, ...]
    base: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a rule says of one test, and how many fresh visits it took."""

    opinion: Opinion
    visits: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What a rule says of one run; the counts are of tests.

    Attributes:
        rule: its name.
        change: what is really different, in percent.
        block: of the normal run.
        tests: how many were compared.
        slower: how many were told as slower.
        faster: how many were told as faster.
        left_open: how many were inconclusive.
        visits: how many fresh visits were made for them all.

    """

    rule: str
    change: int
    block: int
    tests: int
    slower: int
    faster: int
    left_open: int
    visits: int


JudgeRun = Callable[[Sides], Mapping[str, Told]]


def goref(sides: Sides, percent: int, *, paired: bool = False) -> dict[str, Told]:
    """Return what the product says, with ``--goref-fail=durations:PERCENT%``.

    With ``paired``, as it compares with a revision: few visits of the base for the screen, then pairs.
    """
    rules = Rules.default().with_changes([(Severity.FAIL, parse_rule(f"durations:{percent}%"))])
    stored = sides.stored[-FEWEST_VISITS:] if paired else sides.stored
    suspects: dict[str, Suspect] = {}
    for test, record in sides.normal.items():
        suspect = _suspect(record, tuple(_visit(run, test) for run in stored), rules, paired=paired)
        if suspect is not None:
            suspects[test] = suspect
    for base, fresh in zip(sides.base, sides.fresh, strict=True):
        waiting = [test for test, suspect in suspects.items() if suspect.is_open]
        if not waiting:
            break
        for test in waiting:
            suspects[test].add(_visit(fresh, test), _visit(base, test) if paired else None)
        look(list(suspects.values()))
    return {test: _told(suspects.get(test)) for test in sides.normal}


def _suspect(record: Record, stored: tuple[Visit, ...], rules: Rules, *, paired: bool) -> Suspect | None:
    """Return the test as a suspect, None when the normal run clears it."""
    entry = BaselineEntry(
        record.key, record.mode, record.environment.python, {}, {record.environment.fingerprint: stored}
    )
    timings = screened(record, entry, rules)
    doubtful = [timing for timing in timings if timing.decision.opinion is Opinion.OPEN]
    return Suspect(doubtful, rules, () if paired else stored) if doubtful else None


def _told(suspect: Suspect | None) -> Told:
    if suspect is None:
        return Told(Opinion.CLEAR)
    (timing,) = suspect.timings
    return Told(timing.decision.opinion, len(suspect.after))


def _visit(run: Run, test: str) -> Visit:
    visit = run[test].visit
    if visit is None:
        raise SystemExit(f"{test} was not timed")
    return visit


def _told_by(sides: Sides, is_slower: Callable[[Visit, Visit], bool]) -> dict[str, Told]:
    """Return what a rule says that compares one run with one other."""
    return {
        test: _plain(slower=is_slower(_visit(sides.stored[-1], test), _visit(sides.normal, test)))
        for test in sides.normal
    }


def best_of_many(sides: Sides, percent: float) -> dict[str, Told]:
    """Return what the best of some visits against the best of as many says."""
    after = (sides.normal, *sides.fresh)[:MANY]
    return {
        test: _plain(
            slower=is_best_beyond(
                [_visit(run, test) for run in sides.stored], [_visit(run, test) for run in after], percent
            )
        )
        for test in sides.normal
    }


def _plain(*, slower: bool) -> Told:
    return Told(Opinion.SLOWER if slower else Opinion.CLEAR)


RULES: Final[Mapping[str, JudgeRun]] = {
    OURS: partial(goref, percent=5),
    "goref 10%": partial(goref, percent=10),
    f"{PAIRED} 5%": partial(goref, percent=5, paired=True),
    **{
        f"{statistic}:{percent}%": partial(
            _told_by, is_slower=partial(is_beyond, statistic=statistic, percent=percent)
        )
        for statistic in STATISTICS
        for percent in (5, 10, 25)
    },
    "U test on rounds": partial(_told_by, is_slower=is_significant),
    f"best of {MANY} visits, 5%": partial(best_of_many, percent=5),
}
"""Every rule by its name."""


def windows(blocks: int, seed: int) -> Iterator[Window]:
    """Yield the blocks of the comparisons: a new baseline and an older one for each normal run."""
    draw = random.Random(seed)  # noqa: S311 - draws ages
    oldest = blocks - FEWEST_BLOCKS
    for normal in range(blocks):
        for age in (0, draw.randint(1, oldest)) if oldest else (0,):
            first = normal - age - STORED
            yield Window(
                age,
                tuple((first + place) % blocks for place in range(STORED)),
                normal,
                tuple((normal + place) % blocks for place in range(1, FRESH + 1)),
            )


def streams(change: int, window: Window) -> Iterator[tuple[Stream, Stream]]:
    """Yield which processes of the blocks are before and after when ``change`` percent differ."""
    one, other = (UNCHANGED, 0), (UNCHANGED, 1)
    if change == SAME:
        yield from ((stream, stream) for stream in STREAMS)
        yield from ((one, other), (other, one))
    else:
        yield (one if window.normal % 2 else other), (UNCHANGED + change, 0)


def _sides(collection: Collection, window: Window, before: Stream, after: Stream) -> Sides:
    blocks = collection.blocks
    return Sides(
        stored=tuple(blocks[number][before] for number in window.stored),
        normal=blocks[window.normal][after],
        fresh=tuple(blocks[number][after] for number in window.fresh),
        base=tuple(blocks[number][before] for number in window.fresh),
    )


def _judged(window: Window, collection: Collection) -> list[Tally]:
    """Return what every rule says of all comparisons in ``window``."""
    return [
        _tally(name, change, window.normal, rule(_sides(collection, window, before, after)))
        for change in (amount - UNCHANGED for amount in AMOUNTS)
        for before, after in streams(change, window)
        for name, rule in RULES.items()
        if not name.startswith(PAIRED) or (before != after and window.age == 0)
    ]


def _tally(rule: str, change: int, block: int, told: Mapping[str, Told]) -> Tally:
    opinions = [each.opinion for each in told.values()]
    return Tally(
        rule=rule,
        change=change,
        block=block,
        tests=len(opinions),
        slower=opinions.count(Opinion.SLOWER),
        faster=opinions.count(Opinion.FASTER),
        left_open=opinions.count(Opinion.OPEN),
        visits=sum(each.visits for each in told.values()),
    )


def evaluate(kept: Path, seed: int) -> list[Tally]:
    """Return what every rule says of all comparisons that ``kept`` offers; all processors work."""
    chosen = list(windows(len(read(kept).blocks), seed))
    with ProcessPoolExecutor() as pool:
        shares = [chosen[place::8] for place in range(8)]
        return [tally for tallies in pool.map(partial(_share, kept), shares) for tally in tallies]


def _share(kept: Path, chosen: list[Window]) -> list[Tally]:
    collection = read(kept)
    return [tally for window in chosen for tally in _judged(window, collection)]
