"""What one tracked use costs, as a multiple of the two clock readings that no timer can do without.

Run it with the interpreter in question: ``python bench/tracker.py``, and with ``GOREF_ENGINE=python`` for the
other engine; ``--go DIR`` adds the benchmarks in a checkout of Go's goref. Everything is measured in turns in
one run, each shorter than a time slice, and the best of them counts, so that a busy machine disturbs little.
It exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from tracker_peers import (
    HISTOGRAM,
    LOOPS,
    WRAPPER,
    LockedTimer,
    bare,
    clock_pairs,
    go_results,
    handmade_loops,
    loop_over,
    peer_loops,
)

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracker_peers import Loop

TURNS = 600
PEER_TURNS = 60
"""Fewer: some peers take longer than a time slice, and leave other things in the caches."""
SNAPSHOT_TURNS = {100: 100, 1_000: 100, 100_000: 5}
"""How often a snapshot is taken, by the number of keys."""
USES_PER_KEY = 20
MOST_THREADS = 8


class Bars(NamedTuple):
    """The most that each thing may take, in clock pairs where nothing else is said."""

    with_block: float
    ref_deref: float
    decorator: float
    """A decorated call, as a part of a call of the least wrapper in Python."""
    disabled: float
    faster_than_histogram: float
    """How many times faster than prometheus_client's ``Histogram.time()`` a ``with`` must be."""
    snapshot: float
    """Of 1 000 keys that were all used since the last one."""
    span: float | None
    """What recording adds; None where it is shown and nothing was promised."""
    key_bytes: float | None


# A clock pair took 148 ns where the bars of snapshots (100 and 250 us) and of a span (60 ns) were set.
BARS = {
    "c": Bars(1.0, 0.85, 0.5, 0.5, 8.0, 100_000 / 148, 60 / 148, 400),
    "python": Bars(7.0, 5.5, 4.5, 2.0, 2.0, 250_000 / 148, None, None),
}


def own_loops(tracker: goref.Tracker) -> dict[str, Loop]:
    """Return the loops over this package's tracker, written as users write them."""

    def with_block() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with tracker.ref("with"):
                pass
        return perf_counter_ns() - begin

    def ref_deref() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            tracker.ref("ref").deref()
        return perf_counter_ns() - begin

    def disabled(loop: Loop) -> Loop:
        def run() -> int:
            goref.disable()
            try:
                return loop()
            finally:
                goref.enable()

        return run

    return {
        "with": with_block,
        "ref/deref": ref_deref,
        "decorated call": loop_over(tracker.track("decorator")(bare)),
        "bare call": loop_over(bare),
        "disabled with": disabled(with_block),
        "disabled ref/deref": disabled(ref_deref),
    }


def recording_loop() -> Loop:
    """Return the loop over ``with`` in a tracker that records."""
    tracker = goref.Tracker()
    tracker.record(goref.Recorder(LOOPS))
    return own_loops(tracker)["with"]


def best_ns(loops: dict[str, Loop], turns: int = TURNS) -> dict[str, float]:
    """Return the nanoseconds that one pass through each loop took at best."""
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(turns):
        for name, loop in loops.items():
            best[name] = min(best[name], loop() / LOOPS)
    return best


def snapshot_rows() -> Iterator[tuple[int, float, float]]:
    """Yield keys, and the nanoseconds to take a snapshot of them and to read all its figures."""
    for keys, turns in SNAPSHOT_TURNS.items():
        tracker = goref.Tracker()
        names = [f"package.module.function_{number}" for number in range(keys)]
        take_ns, read_ns = [], []
        for turn in range(turns):
            for name in names:  # what nothing happened to would be cheaper
                for _ in range(1 if turn else USES_PER_KEY):
                    tracker.ref(name).deref()
            begin = perf_counter_ns()
            snapshot = tracker.snapshot()
            taken = perf_counter_ns()
            sum(entry.count for _, _, entry in snapshot.walk())
            take_ns.append(taken - begin)
            read_ns.append(perf_counter_ns() - taken)
            del snapshot  # or the next one would be timed with what it takes to free this one
        yield keys, min(take_ns), min(read_ns)


def bytes_per_key(uses: int, keys: int = 1_000) -> float:
    """Return the bytes that a key takes after so many uses, its name apart, in a process that had none."""
    names = [f"package.module.function_{number}" for number in range(keys)]
    tracker = goref.Tracker()
    tracemalloc.start()
    for name in names:
        for _ in range(uses):
            tracker.ref(name).deref()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / keys


def in_fresh_process(call: str) -> float:
    """Return what a function of this module returns in a process of its own."""
    program = f"import tracker; print(tracker.{call})"
    here = Path(__file__).parent
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=here, capture_output=True, text=True, check=True
    )
    return float(ran.stdout)


def in_threads(use: Callable[[], object], threads: int, uses: int = 40_000) -> float:
    """Return the nanoseconds of the clock on the wall per use while so many threads share the uses."""

    def work() -> None:
        barrier.wait()
        for _ in range(uses // threads):
            use()

    best = float("inf")
    for _ in range(3):
        barrier = threading.Barrier(threads + 1)
        started = [threading.Thread(target=work) for _ in range(threads)]
        for thread in started:
            thread.start()
        barrier.wait()
        begin = perf_counter_ns()
        for thread in started:
            thread.join()
        best = min(best, (perf_counter_ns() - begin) / uses)
    return best


def thread_rows() -> Iterator[tuple[int, float, float]]:
    """Yield numbers of threads, and what a use costs with this tracker and with a lock and a dict by hand."""
    tracker = goref.Tracker()
    timer = LockedTimer()

    def own() -> None:
        with tracker.ref("key"):
            pass

    def by_hand() -> None:
        with timer.time("key"):
            pass

    for threads in (1, 2, 4, MOST_THREADS):
        yield threads, in_threads(own, threads), in_threads(by_hand, threads)


def verdicts(ns: dict[str, float], snapshot_ns: float, key_bytes: float) -> Iterator[tuple[bool, str]]:
    """Yield whether each bar is met, and the line that says so."""
    bars = BARS[goref.engine]
    pair_ns = ns["clock pair"]
    figures = {
        "with, in clock pairs": (ns["with"] / pair_ns, bars.with_block),
        "ref/deref, in clock pairs": (ns["ref/deref"] / pair_ns, bars.ref_deref),
        f"decorated call, of {WRAPPER}": (ns["decorated call"] / ns[WRAPPER], bars.decorator),
        "disabled with, in clock pairs": (ns["disabled with"] / pair_ns, bars.disabled),
        "snapshot of 1000 keys, in clock pairs": (snapshot_ns / pair_ns, bars.snapshot),
        "recording a span, in clock pairs": ((ns["recorded with"] - ns["with"]) / pair_ns, bars.span),
        "bytes of a key after 1000 uses": (key_bytes, bars.key_bytes),
    }
    for name, (figure, most) in figures.items():
        if most is not None:
            yield figure <= most, f"{name}: {figure:.2f}, at most {most:.2f}"
    if HISTOGRAM in ns:
        factor, least = ns[HISTOGRAM] / ns["with"], bars.faster_than_histogram
        yield factor >= least, f"with, against {HISTOGRAM}: {factor:.2f} times as fast, at least {least:.2f}"


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--go", type=Path, metavar="DIR", help="a checkout of Go's goref to measure too")
    checkout: Path | None = parser.parse_args().go
    version = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"
    print(f"{version}, the engine in {goref.engine}")
    loops = {"clock pair": clock_pairs, **own_loops(goref.Tracker()), "recorded with": recording_loop()}
    ns = best_ns(loops | handmade_loops()) | best_ns(peer_loops(), PEER_TURNS)
    for name, one_ns in (ns | (go_results(checkout) if checkout else {})).items():
        print(f"{name:40} {one_ns:8.0f} ns {one_ns / ns['clock pair']:7.2f} clock pairs")
    for threads, own_ns, by_hand_ns in thread_rows():
        print(f"with in {threads} threads: {own_ns:8.0f} ns; a lock and a dict by hand: {by_hand_ns:8.0f} ns")
    snapshots_ns = {}
    for keys, take_ns, read_ns in snapshot_rows():
        print(f"snapshot of {keys:7} keys: {take_ns / 1e3:9.0f} us; reading all: {read_ns / 1e3:9.0f} us")
        snapshots_ns[keys] = take_ns
    key_bytes = {uses: in_fresh_process(f"bytes_per_key({uses})") for uses in (1, 1_000)}
    for uses, size in key_bytes.items():
        print(f"memory of a key after {uses:4} uses: {size:6.0f} bytes")
    results = list(verdicts(ns, snapshots_ns[1_000], key_bytes[1_000]))
    for met, line in results:
        print(f"{'pass' if met else 'MISS'}  {line}")
    return 0 if all(met for met, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
