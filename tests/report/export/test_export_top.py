from __future__ import annotations

from dataclasses import replace

from exported import ADD, CPU, DECODE, MEMORY, SLEEP, TEST

from pytest_goref.profile import CPU_VALUES, SAMPLES, TIME
from pytest_goref.quantity import Unit
from pytest_goref.report.export.top import (
    Taken,
    cells,
    difference,
    index_of,
    ranked,
    taken,
    total_per_execution,
)


def test_the_top_by_what_a_place_takes_itself() -> None:
    rows = ranked(taken(CPU.profile, TIME), cumulative=False)
    assert rows == [
        Taken("time.sleep", 5_000_000, 5_000_000),
        Taken("shop.py:Cart.add", 3_000_000, 10_000_000),
        Taken("shop.py:Cart.<lambda>", 2_000_000, 2_000_000),
        Taken("json.decoder", 1_500_000, 1_500_000),
        Taken("shop.py:<module>", 500_000, 500_000),
        Taken("tests/test_shop.py:test_cart", 0, 12_000_000),
    ]
    assert cells(rows[:2], 12_000_000, Unit.NANOSECOND) == [
        ("5.00 ms", "41.7%", "41.7%", "5.00 ms", "41.7%", "time.sleep"),
        ("3.00 ms", "25.0%", "66.7%", "10.0 ms", "83.3%", "shop.py:Cart.add"),
    ]


def test_the_top_by_all_that_a_place_calls() -> None:
    rows = ranked(taken(CPU.profile, SAMPLES), cumulative=True)
    assert [(row.place, row.cumulative) for row in rows[:3]] == [
        ("tests/test_shop.py:test_cart", 12),
        ("shop.py:Cart.add", 10),
        ("time.sleep", 5),
    ]


def test_shares_of_nothing_are_absent() -> None:
    assert cells([Taken("a", 0, 0)], 0, Unit.BYTE) == [("0 B", "-", "-", "0 B", "-", "a")]


def test_the_difference_is_that_of_one_execution() -> None:
    after = replace(
        CPU.profile,
        stacks={
            (TEST, ADD): (6, 6_000_000),
            (TEST, ADD, SLEEP): (5, 5_000_000),
            (TEST, SLEEP): (4, 4_000_000),
        },
        executions=4,
    )
    rows = ranked(difference(CPU.profile, after, TIME), cumulative=False)
    assert rows == [
        Taken("shop.py:Cart.<lambda>", -1_000_000, -1_000_000),
        Taken("json.decoder", -750_000, -750_000),
        Taken("shop.py:<module>", -250_000, -250_000),
        Taken("time.sleep", -250_000, -250_000),
        Taken("shop.py:Cart.add", 0, -2_250_000),
        Taken("tests/test_shop.py:test_cart", 0, -2_250_000),
    ]
    assert total_per_execution(CPU.profile, TIME) == 6_000_000
    assert total_per_execution(after, TIME) == 3_750_000


def test_changes_have_a_sign() -> None:
    rows = [Taken("a", 1_000_000, 2_000_000), Taken("b", -500_000, 0)]
    assert cells(rows, 2_000_000, Unit.NANOSECOND, signed=True) == [
        ("+1.00 ms", "+50.0%", "+50.0%", "+2.00 ms", "+100.0%", "a"),
        ("-500 us", "-25.0%", "+25.0%", "0 ns", "+0.0%", "b"),
    ]


def test_what_did_not_change_is_left_out() -> None:
    assert difference(MEMORY.profile, MEMORY.profile, 0) == []
    one = replace(CPU.profile, stacks={(TEST, DECODE): (1, 1)}, executions=0)
    assert difference(one, replace(one, executions=1), TIME) == []


def test_values_by_their_name() -> None:
    assert index_of(CPU_VALUES, "time") == TIME
    assert index_of(CPU_VALUES, "peak") is None
