from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import fresh_pages

from pytest_goref.metrics import GC_COLLECTIONS, GC_PAUSE, MINOR_FAULTS, RSS_GROWTH, RSS_PEAK
from pytest_goref.model import Group
from pytest_goref.profilers.garbage import Garbage, GarbageWindow
from pytest_goref.profilers.resident import RESIDENT_MEMORY, Resident, ResidentMemory
from pytest_goref.profilers.runtime import RuntimeProfiler, garbage_figures, resident_figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 2**20
STATUS = "Name:\tpython\nVmPeak:\t  99999 kB\nVmHWM:\t{peak:8d} kB\nVmRSS:\t{rss:8d} kB\nThreads:\t1\n"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets the peak of a process")


class System:
    """What the system keeps about a process, in a directory; its peak is begun anew by a person."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.reset = directory / "clear_refs"
        self.reset.touch()

    def tells(self, rss_kib: int, peak_kib: int) -> None:
        text = STATUS.format(rss=rss_kib, peak=peak_kib)
        (self.directory / "status").write_text(text, encoding="ascii")

    def resets(self) -> bool:
        """Return whether the peak was begun anew since this was last asked."""
        asked = self.reset.read_text(encoding="ascii")
        self.reset.write_text("", encoding="ascii")
        return asked == "5"


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_a_window_tells_memory_and_peak(system: System) -> None:
    system.tells(rss_kib=1000, peak_kib=1000)
    window = ResidentMemory(system.directory).window()
    assert system.resets()
    assert window.before == Resident(1000 * 1024, 1000 * 1024)
    system.tells(rss_kib=1200, peak_kib=5000)
    assert window.end() == Resident(1200 * 1024, 5000 * 1024)


def test_a_peak_that_another_window_forgets_is_kept(system: System) -> None:
    memory = ResidentMemory(system.directory)
    system.tells(rss_kib=10, peak_kib=10)
    outer = memory.window()
    system.tells(rss_kib=20, peak_kib=900)
    inner = memory.window()
    system.tells(rss_kib=30, peak_kib=40)
    assert inner.end().peak_rss_bytes == 40 * 1024
    assert outer.end().peak_rss_bytes == 900 * 1024


def test_a_window_that_has_ended_takes_no_notes(system: System) -> None:
    memory = ResidentMemory(system.directory)
    system.tells(rss_kib=10, peak_kib=10)
    window = memory.window()
    window.end()
    system.tells(rss_kib=10, peak_kib=700)
    memory.window()
    system.tells(rss_kib=10, peak_kib=20)
    assert window.end().peak_rss_bytes == 20 * 1024


def test_without_a_reset_there_is_no_peak(system: System) -> None:
    system.tells(rss_kib=10, peak_kib=900)
    system.reset.unlink()
    system.reset.mkdir()  # cannot be written to
    window = ResidentMemory(system.directory).window()
    assert window.before == Resident(10 * 1024, None)
    assert window.end() == Resident(10 * 1024, None)


@pytest.mark.parametrize("text", ["", "VmRSS: many kB\n", "VmHWM:\t 12 MB\n"])
def test_a_system_that_tells_nothing_of_the_kind(system: System, text: str) -> None:
    (system.directory / "status").write_text(text, encoding="ascii")
    assert ResidentMemory(system.directory).window().end() == Resident(None, None)


def test_a_system_that_keeps_no_such_files(tmp_path: Path) -> None:
    assert ResidentMemory(tmp_path / "nowhere").window().end() == Resident(None, None)


@given(rss_kib=st.integers(0, 2**40), peak_kib=st.integers(0, 2**40), noise=st.text("abcVm:\t 1\n"))
def test_whatever_else_the_system_tells(
    tmp_path_factory: pytest.TempPathFactory, rss_kib: int, peak_kib: int, noise: str
) -> None:
    directory = tmp_path_factory.mktemp("process")
    text = f"{noise}\n{STATUS.format(rss=rss_kib, peak=peak_kib)}{noise}"
    (directory / "status").write_text(text, encoding="ascii")
    assert ResidentMemory(directory).read() == Resident(rss_kib * 1024, peak_kib * 1024)


@ON_LINUX
def test_the_true_peak_of_this_process() -> None:
    window = RESIDENT_MEMORY.window()
    with fresh_pages(64 * MIB):
        pass
    before, after = window.before, window.end()
    assert before.rss_bytes is not None
    assert after.rss_bytes is not None
    assert after.peak_rss_bytes is not None
    assert after.peak_rss_bytes - before.rss_bytes > 60 * MIB
    assert after.peak_rss_bytes - after.rss_bytes > 60 * MIB


@ON_LINUX
def test_a_later_window_does_not_see_an_earlier_peak() -> None:
    with fresh_pages(64 * MIB):
        pass
    peak_bytes = RESIDENT_MEMORY.window().end().peak_rss_bytes
    rss_bytes = RESIDENT_MEMORY.read().rss_bytes
    assert peak_bytes is not None
    assert rss_bytes is not None
    assert peak_bytes - rss_bytes < 30 * MIB


class Ticks:
    """A clock that goes on by one at each reading."""

    now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 1
        return self.now_ns


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Let nothing be collected but by a test itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_collections_are_counted_and_timed_by_generation() -> None:
    window = GarbageWindow(Ticks())
    gc.collect(0)
    gc.collect(0)
    gc.collect(2)
    assert window.end() == Garbage({0: 2, 2: 1}, {0: 2, 2: 1})


@pytest.mark.usefixtures("no_collection")
def test_only_collections_in_the_window_count() -> None:
    window = GarbageWindow(Ticks())
    garbage = window.end()
    gc.collect()
    assert garbage == Garbage({}, {})


@pytest.mark.usefixtures("no_collection")
def test_the_callbacks_of_others_stay() -> None:
    def of_another(phase: str, info: dict[str, int]) -> None: ...

    before = list(gc.callbacks)
    gc.callbacks.append(of_another)
    try:
        window = GarbageWindow()
        assert gc.callbacks[:-1] == [*before, of_another]
        window.end()
        assert gc.callbacks == [*before, of_another]
    finally:
        gc.callbacks[:] = before


@pytest.mark.usefixtures("no_collection")
def test_without_its_callback_collections_still_count() -> None:
    before = list(gc.callbacks)
    window = GarbageWindow()
    gc.callbacks.clear()
    gc.collect(1)
    garbage = window.end()
    gc.callbacks[:] = before
    assert garbage == Garbage({1: 1}, None)
    assert garbage_figures(garbage) == {GC_COLLECTIONS: {"generation 1": 1}}


@pytest.mark.usefixtures("no_collection")
def test_a_window_that_begins_within_a_collection() -> None:
    windows = []

    def begin(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            windows.append(GarbageWindow(Ticks()))

    gc.callbacks.insert(0, begin)
    try:
        gc.collect(0)
    finally:
        gc.callbacks.remove(begin)
    (window,) = windows
    assert sum((window.end().pauses_ns or {}).values()) <= 1


@pytest.mark.usefixtures("no_collection")
def test_the_figures_of_a_round(system: System) -> None:
    faults = iter([70, 75])
    system.tells(rss_kib=1000, peak_kib=1000)
    running = RuntimeProfiler(ResidentMemory(system.directory), lambda: next(faults)).start()
    gc.collect(1)
    system.tells(rss_kib=1500, peak_kib=4000)
    counted = dict(running.stop().counted)
    pauses = counted.pop(GC_PAUSE)
    assert counted == {
        GC_COLLECTIONS: {"generation 1": 1},
        RSS_GROWTH: {"": 500 * 1024},
        RSS_PEAK: {"": 4000 * 1024},
        MINOR_FAULTS: {"": 5},
    }
    assert list(pauses) == ["generation 1"]


@pytest.mark.usefixtures("no_collection")
def test_what_cannot_be_told_is_left_out(tmp_path: Path) -> None:
    running = RuntimeProfiler(ResidentMemory(tmp_path), lambda: None).start()
    assert running.stop().counted == {GC_COLLECTIONS: {}, GC_PAUSE: {}}


def test_memory_that_shrank_did_not_grow() -> None:
    assert resident_figures(Resident(10, 10), Resident(4, 12)) == {RSS_GROWTH: {"": 0}, RSS_PEAK: {"": 12}}
    assert resident_figures(Resident(10, None), Resident(None, None)) == {}


@pytest.mark.usefixtures("no_collection")
def test_what_prepares_a_round_is_not_part_of_it(tmp_path: Path) -> None:
    before = gc.get_stats()[2]["collections"]
    running = RuntimeProfiler(ResidentMemory(tmp_path), prepare=gc.collect).start()
    assert running.stop().counted[GC_COLLECTIONS] == {}
    assert gc.get_stats()[2]["collections"] == before + 1


def test_all_of_them_explain_and_none_is_judged() -> None:
    counted = RuntimeProfiler().start().stop().counted
    assert {metric.group for metric in counted} == {Group.RUNTIME}
    assert not [metric for metric in counted if metric.judged or metric.accepted]


def test_touching_pages_first_is_counted() -> None:
    running = RuntimeProfiler().start()
    with fresh_pages(64 * MIB):
        counted = running.stop().counted
    if MINOR_FAULTS in counted:  # Windows does not count them
        assert counted[MINOR_FAULTS][""] > 0
