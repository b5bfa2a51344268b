from __future__ import annotations

import asyncio
import gc
import sys
import threading
from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING

import pytest
from pages import fresh_pages

from pytest_goref.errors import GorefError
from pytest_goref.metrics import GC_COLLECTIONS, GC_PAUSE, RSS_GROWTH, RSS_PEAK
from pytest_goref.profilers.memstats import MemoryStats, MemoryWatch
from pytest_goref.profilers.resident import ResidentMemory

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20
STATS = MemoryStats(
    rss_bytes=10,
    peak_rss_bytes=20,
    live_blocks=30,
    gc_collections=40,
    gc_pause_ns=50,
    threads=6,
    tasks=7,
)


def test_a_difference_may_be_below_zero_and_keeps_what_is_not_known() -> None:
    later = MemoryStats(11, 18, 33, 40, 55, 5, 9)
    assert later - STATS == MemoryStats(1, -2, 3, 0, 5, -1, 2)
    unknown = replace(STATS, rss_bytes=None, peak_rss_bytes=None, gc_pause_ns=None)
    for difference in (unknown - STATS, STATS - unknown):
        assert difference == MemoryStats(None, None, 0, 0, None, 0, 0)


def test_figures_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        STATS.threads = 3  # type: ignore[misc]


def test_before_is_known_at_once_and_the_rest_when_the_block_has_ended() -> None:
    with MemoryWatch("load") as watch:
        assert watch.before.live_blocks > 0
        with pytest.raises(GorefError, match=r"the block of memstats\('load'\) has not ended.*call stop\(\)"):
            _ = watch.after
        kept = [object() for _ in range(100_000)]
    assert watch.difference == watch.after - watch.before
    assert watch.difference.live_blocks > len(kept) // 2  # a collection may have freed others


def test_stopping_ends_the_block_once() -> None:
    ended: list[MemoryWatch] = []
    watch = MemoryWatch(ended=ended.append)
    with pytest.raises(GorefError, match=r"the block of memstats\(\) has not ended"):
        _ = watch.difference
    difference = watch.stop()
    after = watch.after
    assert watch.stop() is not None
    assert watch.stop() == difference == watch.difference
    assert watch.after is after
    assert ended == [watch]


def test_the_block_ends_when_it_fails() -> None:
    before = list(gc.callbacks)
    with pytest.raises(LookupError), MemoryWatch() as watch:
        raise LookupError
    assert watch.difference.threads == 0
    assert gc.callbacks == before


def test_collections_and_threads_of_the_block() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    gc.collect()
    gc.disable()
    try:
        with MemoryWatch() as watch:
            gc.collect()
            gc.collect()
            thread.start()
    finally:
        gc.enable()
        over.set()
        thread.join()
    assert watch.difference.gc_collections == 2
    assert watch.before.gc_pause_ns == 0
    assert watch.difference.gc_pause_ns is not None
    assert watch.difference.gc_pause_ns > 0
    assert watch.difference.threads == 1
    assert (watch.before.tasks, watch.after.tasks) == (0, 0)  # no loop runs here


def test_tasks_of_the_block() -> None:
    async def load() -> MemoryWatch:
        with MemoryWatch() as watch:
            task = asyncio.create_task(asyncio.sleep(0))
        await task
        return watch

    watch = asyncio.run(load())
    assert (watch.before.tasks, watch.after.tasks) == (1, 2)


def test_without_asyncio_there_are_no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "asyncio")
    assert MemoryWatch().stop().tasks == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets the peak of a process")
def test_the_peak_of_the_block_and_of_the_blocks_in_it() -> None:
    with MemoryWatch() as outer:
        with fresh_pages(64 * MIB):
            pass
        with MemoryWatch() as inner:
            pass
    assert outer.difference.peak_rss_bytes is not None
    assert outer.difference.peak_rss_bytes > 60 * MIB
    assert inner.difference.peak_rss_bytes is not None
    assert inner.difference.peak_rss_bytes < 30 * MIB


def test_a_callback_that_was_removed_tells_no_pause(tmp_path: Path) -> None:
    before = list(gc.callbacks)
    with MemoryWatch(memory=ResidentMemory(tmp_path)) as watch:
        gc.callbacks.clear()
    gc.callbacks[:] = before
    assert watch.difference.gc_pause_ns is None
    assert watch.figures() == {GC_COLLECTIONS: watch.difference.gc_collections}


def test_what_is_stored_is_not_below_zero(tmp_path: Path) -> None:
    (tmp_path / "clear_refs").touch()
    status = tmp_path / "status"
    status.write_text("VmHWM: 9 kB\nVmRSS: 9 kB\n", encoding="ascii")
    with MemoryWatch(memory=ResidentMemory(tmp_path)) as watch:
        status.write_text("VmHWM: 12 kB\nVmRSS: 4 kB\n", encoding="ascii")
    figures = watch.figures()
    assert figures.pop(GC_PAUSE) >= 0
    assert figures.pop(GC_COLLECTIONS) >= 0
    assert figures == {RSS_GROWTH: 0, RSS_PEAK: 12 * 1024}
