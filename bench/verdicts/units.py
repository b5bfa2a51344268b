"""The workloads: units of work that tests repeat, 12 to tune the rule with and 12 others to report.

A unit takes some 25 to 70 us of a common machine, and 100 of them make a test. Five more are five more
units that are really done, not a time that is multiplied.
"""

from __future__ import annotations

import array
import csv
import hashlib
import heapq
import io
import itertools
import json
import re
import select
import socket
import sqlite3
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG = "".join(
    f"2024-05-01 12:{minute:02} INFO order {minute * 7919} total 67.89 EUR\n" for minute in range(20)
)
ORDER = re.compile(r"order (\d+) total (\d+\.\d+)")
ROWS = [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(20)]
NUMBERS = [number * 7919 % 10_007 for number in range(300)]
CELLS = [number * 7919 + 1_000_003 for number in range(400_000)]
PART = len(CELLS) // 80
TABLE = array.array("q", range(1_000_000))
STEP = len(TABLE) // 80
TEXT = "".join(f"word {number * 7919 % 4001} and " for number in range(80)).encode()
LINES = "".join(f"{number},name {number},{number / 7:.3f},yes\n" for number in range(80))
PLACES = itertools.count()
CONNECTION = sqlite3.connect(":memory:")
CONNECTION.execute("create table item (id integer primary key, name text, size integer)")
CONNECTION.executemany(
    "insert into item values (?, ?, ?)", ((n, f"n {n}", n * 31 % 97) for n in range(5_000))
)
READER, WRITER = socket.socketpair()
WAIT_S = 0.000_01


@dataclass(frozen=True)
class Point:
    """A small object that compares and hashes by value."""

    x: int
    y: int


class Account:
    """Something with a method, a property and attributes."""

    def __init__(self) -> None:
        self.balance = 0
        self.moves = 0

    @property
    def mean(self) -> float:
        """The mean of what was added."""
        return self.balance / max(1, self.moves)

    def add(self, amount: int) -> int:
        """Add ``amount``."""
        self.balance += amount
        self.moves += 1
        return self.balance


def arithmetic() -> int:
    """Integers and a loop."""
    total = 1
    for number in range(450):
        total = (total * 31 + number) % 65_521
    return total


def dictionaries() -> int:
    """Dictionaries with text as keys."""
    counts: dict[str, int] = {}
    for number in NUMBERS[:150]:
        key = f"k{number % 40}"
        counts[key] = counts.get(key, 0) + number
    return len(counts)


def sorting() -> int:
    """Sorting with a key in Python."""
    return len(sorted(NUMBERS, key=lambda number: -number % 1009))


def matching() -> int:
    """Regular expressions: C that allocates little."""
    return sum(int(order) for _ in range(4) for order, _total in ORDER.findall(LOG))


def documents() -> int:
    """JSON there and back."""
    return len(json.loads(json.dumps(ROWS)))


def objects() -> int:
    """Frozen objects that are made, hashed and compared."""
    return len({Point(number % 9, number % 7) for number in range(50)})


def calls() -> int:
    """Calls of methods."""
    account = Account()
    for number in range(500):
        account.add(number)
    return account.balance


def walking() -> int:
    """A part of a list that is larger than the first caches, each time the next one."""
    place = next(PLACES) % 80 * PART
    return sum(CELLS[place : place + PART : 2])


def hashing() -> str:
    """C that computes and allocates nothing."""
    return hashlib.sha256(TEXT * 60).hexdigest()


def compressing() -> int:
    """C with tables of its own."""
    return len(zlib.compress(TEXT * 3, 6))


def exceptions() -> int:
    """Exceptions that pass through a few frames."""
    caught = 0
    for number in range(60):
        try:
            _refuse(number, 3)
        except ValueError:
            caught += 1
    return caught


def _refuse(number: int, depth: int) -> int:
    if depth:
        return _refuse(number, depth - 1)
    raise ValueError(number)


def sleeping() -> int:
    """Waiting for a timer, and some work."""
    time.sleep(WAIT_S)
    return sum(number * number for number in range(150))


def big_integers() -> int:
    """Integers of some thousand bits."""
    product = 3**500
    for number in range(80):
        product = product * (number + 1_000_003) % (1 << 2203)
    return product


def strings() -> int:
    """Text that is formatted, joined, split and replaced."""
    text = ";".join(f"{number:05d}={number:x}" for number in range(90))
    return len(text.replace("=", ": ").upper().split(";"))


def sets() -> int:
    """Sets of text: their order differs by hash seed."""
    left = {str(number) for number in NUMBERS[:150]}
    right = {str(number * 3) for number in NUMBERS[:100]}
    return len(left & right) + len(left ^ right)


def queueing() -> int:
    """A heap of tuples."""
    heap: list[tuple[int, int]] = []
    for place, number in enumerate(NUMBERS[:110]):
        heapq.heappush(heap, (number, place))
    return sum(heapq.heappop(heap)[0] for _ in range(60))


def tables() -> int:
    """CSV, and text that becomes numbers."""
    return sum(int(float(size)) for _id, _name, size, _sold in csv.reader(io.StringIO(LINES)))


def attributes() -> float:
    """Attributes and a property."""
    account = Account()
    for _ in range(300):
        account.balance += 3
        account.moves += 1
    return sum(account.mean for _ in range(150))


def queries() -> int:
    """SQLite in memory."""
    row = CONNECTION.execute("select sum(size), max(name) from item where id between 40 and 400").fetchone()
    return int(row[0])


def generators() -> int:
    """Generators in a chain."""
    return sum(_every_other(number * 3 for number in range(500)))


def _every_other(numbers: Iterator[int]) -> Iterator[int]:
    for place, number in enumerate(numbers):
        if place % 2:
            yield number


def recursion() -> int:
    """Calls within calls."""
    return _fibonacci(14)


def _fibonacci(number: int) -> int:
    return number if number < 2 else _fibonacci(number - 1) + _fibonacci(number - 2)


def allocating() -> int:
    """Many small lists, all alive at once."""
    return len([[number, [number], (number, None)] for number in range(130)])


def copying() -> int:
    """A part of a table of 8 MB that is copied and summed, each time the next one."""
    place = next(PLACES) % 80 * STEP
    return sum(TABLE[place : place + STEP : 8])


def selecting() -> int:
    """Waiting for a file that never has anything, and some work."""
    ready, _, _ = select.select([READER], [], [], WAIT_S)
    return len(ready) + sum(number * 3 for number in range(200))


TUNED: dict[str, Callable[[], object]] = {
    unit.__name__: unit
    for unit in (
        arithmetic,
        dictionaries,
        sorting,
        matching,
        documents,
        objects,
        calls,
        walking,
        hashing,
        compressing,
        exceptions,
        sleeping,
    )
}
HELD_OUT: dict[str, Callable[[], object]] = {
    unit.__name__: unit
    for unit in (
        big_integers,
        strings,
        sets,
        queueing,
        tables,
        attributes,
        queries,
        generators,
        recursion,
        allocating,
        copying,
        selecting,
    )
}
SETS = {"tuned": TUNED, "held-out": HELD_OUT}
"""Each set by its name on the command line."""


def work(unit: Callable[[], object], amount: int) -> None:
    """Do ``amount`` units of work."""
    for _ in range(amount):
        unit()
