"""Profiles that are exported in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pytest_goref.profile import CPU_VALUES, MEMORY_VALUES, Frame, ProfileKind, StackProfile
from pytest_goref.report.export.profiled import Profiled

SOURCE: Final = Path(__file__).with_name("shop_source.txt")
TEST: Final = Frame("tests/test_shop.py:test_cart", "/shop/tests/test_shop.py", "test_cart", 7)
ADD: Final = Frame("shop.py:Cart.add", str(SOURCE), "Cart.add", 2)
ADD_LATER: Final = ADD._replace(line=3)
MODULE: Final = Frame("shop.py:<module>", str(SOURCE), "(module)", 1)
LAMBDA: Final = Frame("shop.py:Cart.<lambda>", str(SOURCE), "Cart.<lambda>", 3)
SLEEP: Final = Frame("time.sleep", "", "sleep", 0)
DECODE: Final = Frame("json.decoder", "/python/json/decoder.py", "JSONDecoder.decode", 337)

NODEID: Final = "tests/test_shop.py::test_cart[ü;1]"
CPU: Final = Profiled(
    NODEID,
    StackProfile(
        ProfileKind.CPU,
        CPU_VALUES,
        {
            (TEST, ADD): (3, 3_000_000),
            (TEST, ADD_LATER, SLEEP): (5, 5_000_000),
            (TEST, ADD_LATER, LAMBDA): (2, 2_000_000),
            (TEST, DECODE): (1, 1_500_000),
            (TEST, MODULE): (1, 500_000),
        },
        executions=2,
        elapsed_ns=13_000_000,
        covered_ns=12_500_000,
    ),
)
MEMORY: Final = Profiled(
    NODEID,
    StackProfile(
        ProfileKind.MEMORY,
        MEMORY_VALUES,
        {(TEST, ADD): (2048, 4096, 0, 3), (TEST, ADD_LATER): (0, 1024, 0, 1), (TEST,): (64, 64, 64, 1)},
    ),
)
EMPTY: Final = Profiled(NODEID, StackProfile(ProfileKind.CPU, CPU_VALUES, {}))
SAMPLED: Final = (CPU, MEMORY, EMPTY)
