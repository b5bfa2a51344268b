"""Profiles for tests: a fixed one of each kind, and a strategy for any."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from pytest_goref.profile import CPU_VALUES, MEMORY_VALUES, Frame, ProfileKind, StackProfile

MOST: Final = 2**63 - 1
TEST: Final = Frame("tests/test_shop.py:test_cart", "/shop/tests/test_shop.py", "test_cart", 7)
ADD: Final = Frame("shop.py:Cart.add", "/shop/shop.py", "Cart.add", 12)
MODULE: Final = Frame("shop.py:<module>", "/shop/shop.py", "(module)", 3)
SLEEP: Final = Frame("time.sleep", "", "sleep", 0)
DECODE: Final = Frame("json.decoder", "/python/json/decoder.py", "JSONDecoder.decode", 337)

CPU: Final = StackProfile(
    ProfileKind.CPU,
    CPU_VALUES,
    {
        (TEST, ADD): (3, 3_000_000),
        (TEST, ADD, SLEEP): (5, 5_000_000),
        (TEST, DECODE): (1, 1_500_000),
        (TEST, MODULE): (1, 500_000),
    },
    executions=2,
    elapsed_ns=11_000_000,
    covered_ns=10_500_000,
)
MEMORY: Final = StackProfile(
    ProfileKind.MEMORY,
    MEMORY_VALUES,
    {(TEST, ADD): (2048, 4096, 0, 3), (TEST,): (0, 64, 64, 1)},
)

_texts = st.text(max_size=6)
_numbers = st.integers(0, MOST)
_frames = st.builds(Frame, _texts, _texts, _texts, _numbers)


@st.composite
def profiles(draw: st.DrawFn) -> StackProfile:
    """Return any profile."""
    kind, values = draw(st.sampled_from([(ProfileKind.CPU, CPU_VALUES), (ProfileKind.MEMORY, MEMORY_VALUES)]))
    frames = draw(st.lists(_frames, min_size=1, max_size=5))
    stacks = st.lists(st.sampled_from(frames), max_size=5).map(tuple)
    numbers = st.tuples(*[_numbers] * len(values))
    weighted = draw(st.dictionaries(stacks, numbers, max_size=5))
    return StackProfile(kind, values, weighted, draw(_numbers), draw(_numbers), draw(_numbers))
