from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import pytest_goref.profilers.memory as memory_module
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    LEFT_BYTES,
    OTHER,
    PEAK_BYTES,
    SITE_BYTES,
    SITE_COUNT,
    SITE_PEAK_BYTES,
)
from pytest_goref.profile import MEMORY_VALUES, Frame, ProfileKind
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.allocations import AllocationNames, Allocations, Numbers, Stem
from pytest_goref.profilers.heap import QuietHeap
from pytest_goref.profilers.memory import MemoryProfiler
from pytest_goref.profilers.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable

memray = pytest.importorskip("memray")

_HERE = Path(__file__)
_MIB = 2**20


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure although coverage may be on: its allocations are in files that are not this one."""
    monkeypatch.setattr(memory_module, "watcher", lambda: "")


@pytest.fixture
def profiler(tmp_path: Path) -> MemoryProfiler:
    return MemoryProfiler(Places(_HERE.parent), tmp_path)


def measured(profiler: MemoryProfiler, function: Callable[[], object]) -> Observation:
    running = profiler.start()
    try:
        function()
    finally:
        observation = running.stop()
    return observation


def here(name: str) -> str:
    return f"{_HERE.name}:{name}"


class Shelf:
    def fill(self) -> list[bytearray]:
        def one() -> bytearray:
            return bytearray(_MIB)

        return [one() for _ in range(3)]


def test_an_allocation_is_counted_at_the_function_that_makes_it(profiler: MemoryProfiler) -> None:
    seen = measured(profiler, lambda: Shelf().fill())
    site = here("Shelf.fill.<locals>.one")
    assert seen.counted[SITE_COUNT][site] >= 3
    for metric in (SITE_BYTES, SITE_PEAK_BYTES):
        assert 3 * _MIB <= seen.counted[metric][site] < 3.1 * _MIB
    assert 3 * _MIB <= seen.counted[PEAK_BYTES][""] < 3.1 * _MIB
    assert seen.counted[LEFT_BYTES][""] < _MIB
    assert not seen.concurrent


def test_what_is_freed_counts_in_the_total_but_not_in_the_peak(profiler: MemoryProfiler) -> None:
    def waste() -> None:
        for _ in range(10):
            bytearray(_MIB)

    seen = measured(profiler, waste)
    assert 10 * _MIB <= seen.counted[ALLOCATED_BYTES][""] < 10.1 * _MIB
    assert _MIB <= seen.counted[PEAK_BYTES][""] < 1.1 * _MIB


def test_the_peak_of_a_test_that_keeps_little_is_its_own(profiler: MemoryProfiler) -> None:
    def little() -> None:
        for _ in range(100):
            bytearray(50)

    assert 50 <= measured(profiler, little).counted[PEAK_BYTES][""] < 1000


def test_what_stays_is_left(profiler: MemoryProfiler) -> None:
    kept: list[bytearray] = []
    seen = measured(profiler, lambda: kept.append(bytearray(_MIB)))
    assert _MIB <= seen.counted[LEFT_BYTES][""] < 1.1 * _MIB


def test_what_a_collection_frees_is_not_left(profiler: MemoryProfiler) -> None:
    def cycle() -> None:
        kept: list[object] = [bytearray(_MIB)]
        kept.append(kept)

    assert measured(profiler, cycle).counted[LEFT_BYTES][""] < _MIB


def test_code_that_allocates_the_same_gives_the_same_numbers(profiler: MemoryProfiler) -> None:
    def work() -> None:
        sorted(str(number) for number in range(500))

    measured(profiler, work)  # the first time something runs, the interpreter prepares for the next
    first, second = (measured(profiler, work).counted for _ in range(2))
    if sys.gettrace() is None:
        assert first == second
    assert first[ALLOCATION_COUNT][""] > 500


def test_stacks_begin_at_the_function_that_is_measured(profiler: MemoryProfiler) -> None:
    seen = measured(profiler, Shelf().fill)
    profile = seen.profile
    assert profile is not None
    assert (profile.kind, profile.values) == (ProfileKind.MEMORY, MEMORY_VALUES)
    heaviest = max(profile.stacks, key=lambda stack: profile.stacks[stack][1])
    assert [frame.place for frame in heaviest if "<listcomp>" not in frame.place] == [
        here("Shelf.fill"),
        here("Shelf.fill.<locals>.one"),
    ]
    assert heaviest[0].file == str(_HERE)
    assert profile.total(1) == seen.counted[ALLOCATED_BYTES][""]


def test_the_capture_is_a_file_of_memray(profiler: MemoryProfiler, tmp_path: Path) -> None:
    seen = measured(profiler, Shelf().fill)
    assert seen.capture is not None
    assert tmp_path in seen.capture.parents
    assert memray.FileReader(seen.capture).metadata.peak_memory >= 3 * _MIB


def test_captures_in_a_directory_of_others_are_theirs_to_remove(tmp_path: Path) -> None:
    profiler = MemoryProfiler(Places(_HERE.parent), tmp_path)
    seen = measured(profiler, Shelf().fill)
    del profiler
    gc.collect()
    assert seen.capture is not None
    assert seen.capture.is_file()


def test_captures_that_nobody_has_moved_go_with_the_profiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    profiler = MemoryProfiler(Places(_HERE.parent))
    measured(profiler, Shelf().fill)
    assert list(tmp_path.iterdir())
    del profiler
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_threads_and_event_loops_make_it_concurrent(profiler: MemoryProfiler) -> None:
    def in_thread() -> None:
        thread = threading.Thread(target=Shelf().fill)
        thread.start()
        thread.join()

    async def main() -> None:
        Shelf().fill()

    threaded = measured(profiler, in_thread)
    looped = measured(profiler, lambda: asyncio.run(main()))
    for seen in (threaded, looped):
        assert seen.concurrent
        assert seen.counted[SITE_BYTES][here("Shelf.fill.<locals>.one")] >= 3 * _MIB
        assert not any(site.startswith("memray") for site in seen.counted[SITE_COUNT])


def test_what_watches_the_program_holds_it(profiler: MemoryProfiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "watcher", lambda: "a profiler")
    with pytest.raises(
        ProfilerUnavailableError, match=r"^allocations are not measured: a profiler is active$"
    ):
        profiler.start()


def test_a_system_without_memray(profiler: MemoryProfiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "memray", None)
    with pytest.raises(
        ProfilerUnavailableError, match="allocations are not measured: memray is not installed"
    ):
        profiler.start()


def test_another_tracker_holds_it(profiler: MemoryProfiler, tmp_path: Path) -> None:
    frozen = gc.get_freeze_count()
    with (
        memray.Tracker(tmp_path / "theirs.bin"),
        pytest.raises(ProfilerUnavailableError, match=r"memray does not start \(No more than one Tracker"),
    ):
        profiler.start()
    assert gc.get_freeze_count() == frozen
    assert measured(profiler, Shelf().fill).counted[ALLOCATION_COUNT][""] >= 3


@pytest.mark.parametrize("left", [None, lambda *_: None])
def test_a_test_that_sets_a_profiler_is_noticed(profiler: MemoryProfiler, left: Any) -> None:
    running = profiler.start()
    sys.setprofile(left)
    bytearray(1)
    with pytest.raises(ProfilerUnavailableError, match="the test itself sets a profiler"):
        running.stop()
    assert sys.getprofile() is None


def test_a_damaged_capture_is_a_reason(profiler: MemoryProfiler, monkeypatch: pytest.MonkeyPatch) -> None:
    class Damaged:
        def __init__(self, _name: Path) -> None:
            raise OSError("broken")

    running = profiler.start()
    monkeypatch.setattr(memray, "FileReader", Damaged)
    with pytest.raises(ProfilerUnavailableError, match=r"cannot be read \(broken\)$"):
        running.stop()


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("python_allocator", "malloc", "the allocator is malloc, not Python's own"),
        ("end_time", None, "memray could not write all of its file"),
    ],
)
def test_numbers_that_would_not_compare(
    profiler: MemoryProfiler, monkeypatch: pytest.MonkeyPatch, field: str, value: object, why: str
) -> None:
    class Odd(memray.FileReader):  # type: ignore[name-defined, misc]
        @property
        def metadata(self) -> Any:
            metadata = super().metadata
            odd = value if value is not None else metadata.start_time.replace(year=1999)
            setattr(metadata, field, odd)
            return metadata

    running = profiler.start()
    monkeypatch.setattr(memray, "FileReader", Odd)
    with pytest.raises(ProfilerUnavailableError, match=why):
        running.stop()


def test_a_heap_that_the_application_has_frozen_stays_so() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        heap = QuietHeap()
        heap.give_back()
        assert gc.get_freeze_count() >= frozen - 100  # objects may die, but all are not given back
    finally:
        gc.unfreeze()


# What follows needs no memray: stacks as it gives them, innermost frame first.

_ROOT = "/project"
_TEST = ("test_it", f"{_ROOT}/test_a.py", 3)
_RUNNER = ("pytest_pyfunc_call", pytest.__file__, 9)
_BEGUN_IN = (("<module>", f"{_ROOT}/run.py"), ("main", pytest.__file__))
_OUTER = (("main", pytest.__file__, 5), ("<module>", f"{_ROOT}/run.py", 1))


class Stack(NamedTuple):
    """What was allocated from one stack of one thread; 1 is the thread of the test."""

    frames: tuple[tuple[str, str, int], ...]
    thread: int
    numbers: Numbers


def gathered(*stacks: Stack) -> Allocations:
    names, stem, seen = AllocationNames(Places(Path(_ROOT)), ["/own.py"]), Stem(_BEGUN_IN), Allocations()
    for stack in stacks:
        part = names.part(stack.frames, stem if stack.thread == 1 else None)
        if part is not None:
            seen.add(part, stack.numbers)
    return seen


def raw(*frames: tuple[str, str, int], thread: int = 1, count: int = 1) -> Stack:
    return Stack(frames, thread, Numbers(10 * count, 20 * count, 5 * count, count))


def place_and_function(names: AllocationNames, frame: tuple[str, str, int]) -> tuple[str, str]:
    part = names.part([frame], Stem(()))
    assert part is not None
    return part.stack[0].place, part.stack[0].function


@pytest.mark.parametrize(
    "frames",
    [
        (),
        _OUTER,
        (_RUNNER, *_OUTER),
        (("stop", "/own.py", 1), _RUNNER, *_OUTER),
        (("iscoroutinefunction", "/usr/lib/inspect.py", 1), _RUNNER, *_OUTER),
        (("__set__", str(Path(memray.__file__)), 1), _TEST, _RUNNER, *_OUTER),
    ],
)
def test_what_the_runner_allocates_is_left_out(frames: tuple[tuple[str, str, int], ...]) -> None:
    none = gathered(raw(*frames))
    assert none.counted()[ALLOCATION_COUNT] == {"": 0}
    assert not none.stacks


def test_runner_frames_above_and_below_the_test_are_cut() -> None:
    seen = gathered(raw(("raises", pytest.__file__, 7), _TEST, _RUNNER, *_OUTER, count=2))
    (stack,) = seen.stacks
    assert stack == (Frame("test_a.py:test_it", f"{_ROOT}/test_a.py", "test_it", 3),)
    assert seen.counted() == {
        ALLOCATION_COUNT: {"": 2},
        ALLOCATED_BYTES: {"": 40},
        PEAK_BYTES: {"": 20},
        LEFT_BYTES: {"": 10},
        SITE_COUNT: {"test_a.py:test_it": 2},
        SITE_BYTES: {"test_a.py:test_it": 40},
        SITE_PEAK_BYTES: {"test_a.py:test_it": 20},
    }


def test_stacks_that_are_equal_once_cut_are_one() -> None:
    seen = gathered(raw(_TEST, _RUNNER, *_OUTER), raw(_TEST, *_OUTER, count=2))
    assert list(seen.stacks.values()) == [Numbers(30, 60, 15, 3)]


@pytest.mark.parametrize(
    ("frames", "sites"),
    [
        ((("work", f"{_ROOT}/app.py", 1), ("run", threading.__file__, 1)), ["app.py:work"]),
        ((("run", threading.__file__, 1),), ["threading"]),
        ((), [OTHER]),
        ((_RUNNER,), []),
        ((("read", "/usr/lib/python/site-packages/execnet/__init__.py", 1),), ["__init__"]),
    ],
)
def test_what_other_threads_allocate(frames: tuple[tuple[str, str, int], ...], sites: list[str]) -> None:
    seen = gathered(raw(*frames, thread=2))
    assert list(seen.counted()[SITE_COUNT]) == sites


def test_the_thread_that_talks_to_the_controller_is_left_out(tmp_path: Path) -> None:
    places = Places(Path(_ROOT))
    module = tmp_path / "execnet" / "gateway.py"
    sys.path.insert(0, str(tmp_path))
    try:
        part = AllocationNames(places).part([("read", str(module), 1)], None)
    finally:
        sys.path.remove(str(tmp_path))
    assert part is None


def test_importing_an_event_loop_is_not_running_one() -> None:
    file = asyncio.base_events.__file__
    assert not gathered(raw(("<module>", file, 1), _TEST, *_OUTER)).concurrent
    assert gathered(raw(("_run_once", file, 1), _RUNNER, *_OUTER)).concurrent


def test_functions_of_one_name_are_told_apart_by_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(
        "class A:\n    def run(self):\n        def run():\n            return []\n        return run()\n"
        "class B:\n    def run(self):\n        return []\n",
        encoding="utf-8",
    )
    names = AllocationNames(Places(tmp_path))
    lines = {5: "A.run", 4: "A.run.<locals>.run", 8: "B.run", 99: "run"}
    for line, qualified in lines.items():
        seen = place_and_function(names, ("run", str(file), line))
        assert seen == (f"app.py:{qualified}", qualified)


@pytest.mark.parametrize("source", [None, b"def f(:\n", b"\x00"])
def test_code_without_readable_source_keeps_the_bare_name(tmp_path: Path, source: bytes | None) -> None:
    file = tmp_path / "app.py"
    if source is not None:
        file.write_bytes(source)
    place, _ = place_and_function(AllocationNames(Places(tmp_path)), ("f", str(file), 1))
    assert place == "app.py:f"


def test_the_code_of_a_module_is_called_so() -> None:
    (stack,) = gathered(raw(("<module>", f"{_ROOT}/app.py", 1), *_OUTER)).stacks
    assert stack[0].function == "(module)"


def test_sites_and_stacks_are_bounded_and_their_sums_are_kept() -> None:
    frames = [(f"f{number}", f"{_ROOT}/app.py", number) for number in range(600)]
    seen = gathered(*(raw(frame, *_OUTER, count=number + 1) for number, frame in enumerate(frames)))
    total = sum(range(601))
    sites = seen.counted()[SITE_COUNT]
    assert len(sites) == 51
    assert sites["app.py:f599"] == 600
    assert sum(sites.values()) == total
    profile = seen.profile()
    assert len(profile.stacks) == 501
    assert profile.total(3) == total
    assert profile.total(1) == 20 * total


def test_a_deep_recursion_is_cut_in_its_middle() -> None:
    deep = [("f", f"{_ROOT}/app.py", 1)] * 200
    (stack,) = gathered(raw(*deep, *_OUTER)).profile().stacks
    assert len(stack) == 64
    assert stack[32].place == OTHER
