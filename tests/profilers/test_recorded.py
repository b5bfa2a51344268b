"""What is made of the records of a process: which threads count, the peak of the test, deep recursions."""

from __future__ import annotations

import itertools
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import pytest_goref.profilers.memory as memory_module
from pytest_goref.metrics import ALLOCATION_COUNT, OTHER, SITE_BYTES, SITE_PEAK_BYTES
from pytest_goref.profilers import recorded
from pytest_goref.profilers.allocations import AllocationNames, Numbers, Stem
from pytest_goref.profilers.memory import MemoryProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.recorded import Allocators, Reading, Threads

if TYPE_CHECKING:
    from pytest_goref.profilers.allocations import RawFrame

ALLOCATE, CLEAR, MAP, FREE = range(4)
_ALLOCATORS: Final = Allocators({FREE}, MAP, {CLEAR})
_ROOT: Final = "/project"
_OWN, _OTHER, _NEW = 1, 2, 3
_STEM: Final = (("<module>", f"{_ROOT}/run.py"), ("main", pytest.__file__))
_OUTER: Final = (("main", pytest.__file__, 5), ("<module>", f"{_ROOT}/run.py", 1))
_TEST: Final = (("test_it", f"{_ROOT}/test_a.py", 3), *_OUTER)
_WORK: Final = (("work", f"{_ROOT}/app.py", 1), ("run", threading.__file__, 1))
_START: Final = ("start", threading.__file__, 9)


@dataclass
class FakeRecord:
    """One allocation or deallocation."""

    size: int
    address: int
    frames: tuple[RawFrame, ...] = _TEST
    tid: int = _OWN
    allocator: int = ALLOCATE

    @property
    def stack_id(self) -> int:
        return hash(self.frames)

    def stack_trace(self, max_stacks: int | None = None) -> list[RawFrame]:
        assert max_stacks is not None  # else memray leaves some out
        return list(self.frames[:max_stacks])


def freed(address: int, tid: int = _OWN) -> FakeRecord:
    return FakeRecord(0, address, (), tid, FREE)


def begins(tid: int) -> FakeRecord:
    return FakeRecord(16 * 2**10, 1_000 + tid, (), tid, MAP)


def starts(tid: int, *outer: RawFrame) -> FakeRecord:
    return FakeRecord(300, 2_000 + tid, (_START, *outer), tid, CLEAR)


def reading() -> Reading:
    names = AllocationNames(Places(Path(_ROOT)))
    return Reading(names, Stem(_STEM), _OWN, _ALLOCATORS, ("mark", "/own.py"))


def sums(*records: FakeRecord) -> tuple[dict[str, Numbers], bool]:
    """Return the numbers of each site, and whether the test is concurrent."""
    seen = reading().read(records)
    return {stack[-1].place: numbers for stack, numbers in seen.stacks.items()}, seen.concurrent


def test_the_peak_is_that_of_the_test_whatever_others_hold() -> None:
    found, concurrent = sums(
        FakeRecord(100, 1),
        freed(1),
        FakeRecord(1_000_000, 2, _WORK, _OTHER),
        FakeRecord(60, 3),
        freed(2, _OTHER),
        FakeRecord(5_000, 4, _OUTER),
    )
    assert found == {"test_a.py:test_it": Numbers(100, 160, 60, 2)}
    assert not concurrent


@pytest.mark.parametrize("most", [1, 2, 3, 1_000])
def test_the_peak_does_not_depend_on_how_often_changes_are_summed_up(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(recorded, "_MOST_CHANGES", most)
    work = (("work", f"{_ROOT}/app.py", 1), *_TEST)
    found, _ = sums(FakeRecord(10, 1), FakeRecord(30, 2, work), freed(1), FakeRecord(5, 3), freed(2))
    assert found == {"test_a.py:test_it": Numbers(10, 15, 5, 2), "app.py:work": Numbers(30, 30, 0, 1)}


def test_a_thread_that_the_test_begins_counts() -> None:
    found, concurrent = sums(
        starts(_OWN, *_TEST),
        begins(_NEW),
        FakeRecord(7, 1, _WORK, _NEW),
        starts(_NEW, *_WORK),
        begins(9),
        FakeRecord(70, 2, _WORK, 9),
    )
    assert found["app.py:work"] == Numbers(77, 77, 77, 2)
    assert concurrent


def test_a_thread_that_one_from_before_begins_does_not_count() -> None:
    found, concurrent = sums(
        FakeRecord(5, 1, _WORK, _OTHER),
        starts(_OTHER, *_WORK),
        begins(_NEW),
        FakeRecord(7, 2, _WORK, _NEW),
        starts(_NEW, *_WORK),
        begins(9),
        FakeRecord(70, 3, _WORK, 9),
    )
    assert not found
    assert not concurrent


def test_a_thread_from_before_may_need_more_of_the_interpreter() -> None:
    more = FakeRecord(16 * 2**10, 5, _WORK, _OTHER, MAP)
    again = begins(_OTHER)
    found, _ = sums(
        starts(_OWN, *_TEST), more, FakeRecord(5, 1, _WORK, _OTHER), again, FakeRecord(5, 2, _WORK, _OTHER)
    )
    assert set(found) == {"threading"}  # what starting has allocated


def test_what_another_thread_frees_was_handed_over() -> None:
    found, concurrent = sums(FakeRecord(100, 1), freed(1, _OTHER), FakeRecord(60, 2))
    assert found == {"test_a.py:test_it": Numbers(100, 160, 60, 2)}
    assert concurrent


@pytest.mark.parametrize(("starting", "is_mixed"), [((_OWN,), False), ((_OTHER,), False), ((_OWN, 2), True)])
def test_threads_that_begin_at_the_same_moment_cannot_be_told_apart(
    starting: tuple[int, ...], *, is_mixed: bool
) -> None:
    threads = Threads(_OWN)
    for thread in starting:
        threads.starts(thread)
    threads.begins(_NEW)
    assert threads.is_mixed is is_mixed
    assert (_NEW in threads.of_test) is (_OWN in starting)


def test_a_thread_that_nobody_is_known_to_have_begun_does_not_count() -> None:
    found, _ = sums(begins(_NEW), FakeRecord(7, 1, _WORK, _NEW))
    assert not found


@pytest.mark.parametrize("file", [f"{_ROOT}/app.py", "/usr/lib/copy.py"])
def test_of_a_very_deep_stack_only_the_innermost_frames_are_named(file: str) -> None:
    deep = (("down", file, 1),) * 5_000
    seen = reading().read([FakeRecord(10, 1, (*deep, *_TEST)), FakeRecord(5, 2, (*deep[1:], *_TEST))])
    (stack,) = seen.stacks
    assert seen.counted()[ALLOCATION_COUNT] == {"": 2}
    assert len(stack) == 64
    assert stack[0].place == OTHER


def test_what_the_tracker_allocates_deep_down_is_left_out() -> None:
    names = AllocationNames(Places(Path(_ROOT)), tracker_files=["/tracker.py"])
    deep = (("down", f"{_ROOT}/app.py", 1),) * 5_000
    seen = Reading(names, Stem(_STEM), _OWN, _ALLOCATORS, ("mark", "/own.py")).read(
        [FakeRecord(10, 1, (("ref", "/tracker.py", 1), *deep, *_TEST))]
    )
    assert not seen.stacks


def test_a_stem_that_differs_once_is_told_apart() -> None:
    stem = Stem(_STEM)
    other = (("main", pytest.__file__, 7), ("<module>", f"{_ROOT}/other.py", 1))
    for frames, shared in ((_TEST, 2), (_TEST, 2), (other, 0), (_OUTER, 2), ((), 0)):
        assert list(stem.above(list(frames))) == list(frames[: len(frames) - shared])


# From here on with memray.


@pytest.fixture
def profiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryProfiler:
    pytest.importorskip("memray")
    # Coverage may be on: its allocations are in files that are not this one.
    monkeypatch.setattr(memory_module, "watcher", lambda: "")
    return MemoryProfiler(Places(Path(__file__).parent), tmp_path)


def churn(stop: threading.Event) -> None:
    for number in itertools.count():
        if stop.wait(0.0005):
            return
        bytearray(10_000 + 1_000 * (number % 50))


def test_a_thread_that_runs_already_is_no_part_of_it(profiler: MemoryProfiler) -> None:
    stop = threading.Event()
    before = threading.Thread(target=churn, args=[stop])
    before.start()

    def work() -> None:
        assert bytearray(500_000)
        before.join(0.02)

    own = threading.Thread(target=work)
    try:
        running = profiler.start()
        before.join(0.02)
        own.start()
        own.join()
        seen = running.stop()
    finally:
        stop.set()
        before.join()
    assert seen.concurrent
    here = f"{Path(__file__).name}:test_a_thread_that_runs_already_is_no_part_of_it.<locals>.work"
    for metric in (SITE_BYTES, SITE_PEAK_BYTES):
        assert seen.counted[metric][here] >= 500_000
        assert not [site for site in seen.counted[metric] if "churn" in site]


def test_a_recursion_5000_deep_is_read_in_no_time(profiler: MemoryProfiler) -> None:
    def down(left: int) -> int:
        kept = [left]
        return down(left - 1) + len(kept) if left else 0

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        running = profiler.start()
        down(5_000)
        seen = running.stop()
    finally:
        sys.setrecursionlimit(limit)
    (largest, size_bytes), *_ = sorted(seen.counted[SITE_BYTES].items(), key=lambda item: -item[1])
    assert largest.endswith("<locals>.down")
    assert size_bytes > 5_000 * 64
    assert seen.counted[ALLOCATION_COUNT][""] > 5_000
