"""What counting refs allocates is ours: it depends on how long they took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tracker_engines import engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref
from pytest_goref.metrics import ALLOCATION_COUNT
from pytest_goref.profilers import memory
from pytest_goref.profilers.allocations import AllocationNames, Stem
from pytest_goref.profilers.places import Places

if TYPE_CHECKING:
    from pathlib import Path


def test_stacks_that_end_in_the_tracker_are_left_out(tmp_path: Path) -> None:
    test = ("test_orders", str(tmp_path / "test_orders.py"), 3)
    tracker = ("ref", "/lib/tracker.py", 9)
    traced = ("query", str(tmp_path / "orders.py"), 5)
    names = AllocationNames(Places(tmp_path), tracker_files=[tracker[1]])
    stem = Stem([])
    assert names.part([test], stem) is not None
    assert names.part([tracker, test], stem) is None
    assert names.part([traced, tracker, test], stem) is not None


def test_refs_allocate_the_same_however_long_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("memray")
    # Coverage may be on: what it allocates for files that it does not measure is the same each time.
    monkeypatch.setattr(memory, "watcher", lambda: "")
    file = tmp_path / "using.py"
    file.write_text("def use(goref):\n    with goref.ref('unit'): pass\n", encoding="utf-8")
    namespace: dict[str, object] = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)  # noqa: S102 - project code
    use = namespace["use"]
    assert callable(use)
    profiler = memory.MemoryProfiler(Places(tmp_path), tmp_path)
    counted = set()
    for warm in (False, False, True, True, True, True):
        running = profiler.start()
        for _ in range(100):
            use(goref)
        number = running.stop().counted[ALLOCATION_COUNT][""]
        if warm:
            counted.add(number)
    assert len(counted) == 1
