"""Tests of different kinds, whose cost under each pass ``passes.py`` measures; it copies this file."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
from dataclasses import dataclass

import pytest

pytestmark = pytest.mark.profile


@dataclass(frozen=True, slots=True)
class Point:
    """A small object."""

    x: int
    y: int


def step(number: int) -> int:
    """Return a number that depends on ``number``: a call, and little work."""
    return number * 3 % 7


def test_arithmetic() -> None:
    """A loop of pure Python."""
    total = 0
    for number in range(240_000):
        total += number * number % 7
    assert total > 0


def test_calls() -> None:
    """Many calls of a small function."""
    assert sum(step(number) for number in range(150_000)) > 0


def test_strings() -> None:
    """Many small strings."""
    words = [f"word {number}" for number in range(60_000)]
    assert len(" ".join(words).upper().split("WORD")) == 60_001


def test_json() -> None:
    """C code that builds many objects."""
    rows = [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(6_000)]
    assert json.loads(json.dumps(rows)) == rows


def test_sqlite() -> None:
    """Many small queries."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table item (id integer primary key, name text)")
    connection.executemany("insert into item values (?, ?)", ((n, f"name {n}") for n in range(5_000)))
    for number in range(5_000):
        assert connection.execute("select name from item where id = ?", (number,)).fetchone()
    connection.close()


def test_regex() -> None:
    """C code that allocates little."""
    text = "2024-05-01 12:00:00 INFO order 12345 total 67.89 EUR\n" * 20_000
    assert len(re.findall(r"order (\d+) total (\d+\.\d+)", text)) == 20_000


def test_objects() -> None:
    """Many small objects of a class of the project."""
    points = [Point(number, -number) for number in range(40_000)]
    assert sum(point.x + point.y for point in points) == 0


def test_gather() -> None:
    """An event loop with many tasks."""

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def main() -> int:
        return sum(await asyncio.gather(*(work(number) for number in range(2_500))))

    assert asyncio.run(main()) == 3_123_750


def test_threads() -> None:
    """Threads that compute."""
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(sum(range(250_000)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
