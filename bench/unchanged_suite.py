"""Tests of different kinds that never change, unless the environment asks for a little more work.

All but one do the same in every session; that one iterates a set.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import sqlite3
import string
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import Callable

MORE_USES = int(os.environ.get("MORE_USES", "0"))
"""How many uses of a key each test adds to its 100."""
MORE_ALLOCATIONS: dict[str, int] = json.loads(os.environ.get("MORE_ALLOCATIONS", "{}"))
"""How many allocations a test adds, by its name."""


def measured(test: Callable[[], None]) -> Callable[[], None]:
    """Return ``test`` with what every test of this file does beside its work."""

    @pytest.mark.profile
    @functools.wraps(test)
    def run() -> None:
        for _ in range(100 + MORE_USES):
            with goref.ref("unit"):
                pass
        more = [object() for _ in range(MORE_ALLOCATIONS.get(test.__name__, 0))]
        test()
        del more

    return run


@dataclass(frozen=True, slots=True)
class Point:
    """A small object."""

    x: int
    name: str


@functools.cache
def squares(number: int) -> tuple[int, ...]:
    """Return what is worth remembering."""
    return tuple(index * index for index in range(number))


@measured
def test_arithmetic() -> None:
    """Numbers too large to be kept ready."""
    assert len({number: number**3 for number in range(2_000)}) == 2_000


@measured
def test_strings() -> None:
    """Strings that are built, split and joined."""
    words = [f"word-{number}" for number in range(2_000)]
    assert "-".join(words).count("-") == 3_999


@measured
def test_json() -> None:
    """Objects made by C code, with names that are remembered while it works."""
    rows = [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(300)]
    assert json.loads(json.dumps(rows, indent=1)) == rows


@measured
def test_sqlite() -> None:
    """A data base in memory."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table item (id integer primary key, name text)")
    connection.executemany("insert into item values (?, ?)", ((n, f"name {n}") for n in range(300)))
    for number in range(300):
        assert connection.execute("select name from item where id = ?", (number,)).fetchone()
    connection.close()


@measured
def test_regex() -> None:
    """Patterns that the module caches, and some for this test alone."""
    text = "order 12345 total 67.89 EUR\n" * 300
    assert len(re.findall(r"order (\d+) total (\d+\.\d+)", text)) == 300
    assert all(re.search(rf"order \d{{{number}}}", text) for number in range(1, 6))


@measured
def test_dictionaries() -> None:
    """Dictionaries and sets with keys whose hashes differ between sessions; none is iterated."""
    seen: set[str] = set()
    groups: dict[str, list[int]] = {}
    for number in range(2_000):
        seen.add(f"key {number}")
        groups.setdefault(f"group {number % 97}", []).append(number)
    assert len(seen | {"key 1"}) == 2_000
    assert sum(map(len, groups.values())) == 2_000


@measured
def test_sets_with_an_order() -> None:
    """Sets that are sorted before anything depends on their order."""
    letters = {letter * count for letter in string.ascii_letters for count in range(1, 30)}
    assert len(",".join(sorted(letters))) > len(letters)
    assert Counter(map(len, sorted(letters)))[1] == 52


@measured
def test_cache() -> None:
    """Results that the first execution has left in a cache."""
    assert sum(len(squares(number)) for number in range(200)) == 19_900
    assert len([object() for _ in range(1_000)]) == 1_000


@measured
def test_objects() -> None:
    """Objects of a class of the project, and their representations."""
    points = [Point(number, f"p{number}") for number in range(1_000)]
    assert len({repr(point) for point in points}) == 1_000


@measured
def test_exceptions() -> None:
    """Exceptions with their tracebacks."""
    ordered: OrderedDict[int, str] = OrderedDict()
    for number in range(500):
        try:
            ordered[number] = str(ordered[number])
        except KeyError as error:
            ordered[number] = repr(error)
    assert len(ordered) == 500


@measured
def test_import() -> None:
    """A class that is made anew, and a module that the first execution has loaded."""
    import decimal  # noqa: PLC0415 - the point of this test

    for number in range(40):
        kind = type(f"Kind{number}", (), {"value": decimal.Decimal(number)})
        assert kind().value + 1 == number + 1
    assert len([object() for _ in range(1_000)]) == 1_000


@measured
def test_iterates_a_set() -> None:
    """A set whose order, and with it the work until something is found, differs between sessions."""
    for name in {f"name {number}" for number in range(40)}:
        with goref.ref("look"):
            pass
        if name == "name 7":
            break


@measured
def test_gather() -> None:
    """An event loop with many tasks."""

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def main() -> int:
        return sum(await asyncio.gather(*(work(number) for number in range(300))))

    assert asyncio.run(main()) == 44_850


@measured
def test_threads() -> None:
    """Threads that allocate."""
    results: list[int] = []

    def work() -> None:
        results.append(len([f"{number}" for number in range(1_000)]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1_000] * 4
