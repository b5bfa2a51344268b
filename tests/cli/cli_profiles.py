"""Stored profiles, for the tests of the commands that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli_cache import CliCache, key, passed, record

from pytest_goref.profile import CPU_VALUES, MEMORY_VALUES, Frame, ProfileKind, StackProfile
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run

if TYPE_CHECKING:
    from pathlib import Path

CART: Final = "tests/test_shop.py::test_cart"
EMPTY: Final = "tests/test_shop.py::test_empty"
_TEST: Final = Frame("tests/test_shop.py:test_cart", "/shop/tests/test_shop.py", "test_cart", 7)
_ADD: Final = Frame("shop.py:Cart.add", "/shop/shop.py", "Cart.add", 12)
_SLEEP: Final = Frame("time.sleep", "", "sleep", 0)


def cpu(*, slept_ns: int = 6_000_000, executions: int = 2) -> StackProfile:
    stacks = {(_TEST, _ADD): (2, 2_000_000), (_TEST, _ADD, _SLEEP): (6, slept_ns)}
    return StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, executions, 9_000_000, 9_000_000)


MEMORY: Final = StackProfile(
    ProfileKind.MEMORY, MEMORY_VALUES, {(_TEST, _ADD): (3072, 4096, 0, 3), (_TEST,): (1024, 1024, 64, 1)}
)


def artifacts(project: CliCache) -> Artifacts:
    return Artifacts(project.cache.artifacts)


def run_with(project: CliCache, *profiles: StackProfile, capture: Path | None = None) -> int:
    """Store a run of two tests, one of them with ``profiles``, and return its number."""
    number = project.run(passed(record(CART)), passed(record(EMPTY)))
    artifacts(project).put(owner_of_run(number), key(CART), profiles, capture)
    return number


def baseline_with(project: CliCache, *profiles: StackProfile) -> None:
    """Store the baseline ``main`` of two tests, one of them with ``profiles``."""
    project.save("main", record(CART), record(EMPTY))
    artifacts(project).put(owner_of_baseline("main"), key(CART), profiles)
