"""What one tracked use costs, as a multiple of the two clock readings that no timer can do without.

Run it with the interpreter in question: ``python bench/tracker.py``. Everything is measured in turns in one
run, each turn shorter than a time slice, and the best of the turns counts, so that a busy machine disturbs
little. It exits with 1 when a bar is missed.
"""

from __future__ import annotations

import platform
import sys
import threading
import tracemalloc
from importlib.util import find_spec
from time import perf_counter_ns
from typing import TYPE_CHECKING

import pytest_goref as goref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Loop = Callable[[], int]
    """Does its work ``LOOPS`` times and returns the nanoseconds that took."""

LOOPS = 1_000
TURNS = 200
SNAPSHOT_TURNS = 15
SNAPSHOT_KEYS = (100, 1_000, 100_000)
USES_PER_KEY = 20
HISTOGRAM = "prometheus_client Histogram.time()"
BARS = {"with": 7.0, "ref/deref": 5.5, "decorator": 4.5}
"""The most clock pairs that may be taken."""
FASTER_THAN_PROMETHEUS = 2.0
"""How many times faster than ``Histogram.time()`` a ``with`` must be."""


def bare() -> None:
    """Do nothing, which is what the decorator's overhead is measured over."""


def loop_over(call: Callable[[], object]) -> Loop:
    """Return a loop that calls ``call``."""

    def loop() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            call()
        return perf_counter_ns() - begin

    return loop


def clock_pairs() -> int:
    """Loop over two readings of the clock."""
    begin = perf_counter_ns()
    for _ in range(LOOPS):
        perf_counter_ns()
        perf_counter_ns()
    return perf_counter_ns() - begin


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


class LockedTimer:
    """The timer one writes by hand: a lock and a dictionary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[str, list[int]] = {}

    def time(self, key: str) -> LockedTimer.Use:
        """Return a context manager that times one use of ``key``."""
        return LockedTimer.Use(self, key)

    def add(self, key: str, duration_ns: int) -> None:
        """Count one use that took ``duration_ns``."""
        with self._lock:
            figures = self._figures.setdefault(key, [0, 0])
            figures[0] += 1
            figures[1] += duration_ns

    class Use:
        """One use of a key."""

        def __init__(self, timer: LockedTimer, key: str) -> None:
            self._timer = timer
            self._key = key

        def __enter__(self) -> None:
            self._begin_ns = perf_counter_ns()

        def __exit__(self, *_: object) -> None:
            self._timer.add(self._key, perf_counter_ns() - self._begin_ns)


def prometheus_loops() -> dict[str, Loop]:
    """Return loops over prometheus_client's two timers."""
    from prometheus_client import CollectorRegistry, Histogram, Summary  # noqa: PLC0415 - may not be installed

    registry = CollectorRegistry()
    summary = Summary("summary", "bench", registry=registry)
    histogram = Histogram("histogram", "bench", registry=registry)

    def in_summary() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with summary.time():
                pass
        return perf_counter_ns() - begin

    def in_histogram() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with histogram.time():
                pass
        return perf_counter_ns() - begin

    return {"prometheus_client Summary.time()": in_summary, HISTOGRAM: in_histogram}


def opentelemetry_loops() -> dict[str, Loop]:
    """Return a loop over OpenTelemetry's spans, which go nowhere."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - may not be installed

    tracer = TracerProvider().get_tracer("bench")

    def in_span() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with tracer.start_as_current_span("key"):
                pass
        return perf_counter_ns() - begin

    return {"OpenTelemetry start_as_current_span": in_span}


def handmade_loops() -> dict[str, Loop]:
    """Return a loop over the timer one writes by hand."""
    timer = LockedTimer()

    def in_timer() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with timer.time("key"):
                pass
        return perf_counter_ns() - begin

    return {"a lock and a dict by hand": in_timer}


def peer_loops() -> dict[str, Loop]:
    """Return the loops over every peer that is installed."""
    loops = handmade_loops()
    for module, peer in (("prometheus_client", prometheus_loops), ("opentelemetry.sdk", opentelemetry_loops)):
        if find_spec(module.partition(".")[0]) and find_spec(module):
            loops |= peer()
        else:
            print(f"skipped: {module} is not installed")
    return loops


def best_ns(loops: dict[str, Loop]) -> dict[str, float]:
    """Return the nanoseconds that one pass through each loop took at best."""
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(TURNS):
        for name, loop in loops.items():
            best[name] = min(best[name], loop() / LOOPS)
    return best


def tracker_of(keys: int) -> goref.Tracker:
    """Return a tracker of so many keys, each used a few times."""
    tracker = goref.Tracker()
    for number in range(keys):
        for _ in range(USES_PER_KEY):
            tracker.ref(f"package.module.function_{number}").deref()
    return tracker


def snapshot_rows() -> Iterator[tuple[int, float, float]]:
    """Yield keys, and the microseconds to take a snapshot of them and to read all its figures."""
    for keys in SNAPSHOT_KEYS:
        tracker = tracker_of(keys)
        take_ns, read_ns = [], []
        for _ in range(SNAPSHOT_TURNS):
            begin = perf_counter_ns()
            snapshot = tracker.snapshot()
            taken = perf_counter_ns()
            sum(entry.count for _, _, entry in snapshot.walk())
            take_ns.append(taken - begin)
            read_ns.append(perf_counter_ns() - taken)
        yield keys, min(take_ns) / 1_000, min(read_ns) / 1_000


def bytes_per_key(uses: int, keys: int = 1_000) -> float:
    """Return the bytes that a key takes after so many uses, its name apart."""
    names = [f"package.module.function_{number}" for number in range(keys)]
    tracker = goref.Tracker()
    tracemalloc.start()
    for name in names:
        for _ in range(uses):
            tracker.ref(name).deref()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / keys


def verdicts(pairs: dict[str, float]) -> Iterator[tuple[bool, str]]:
    """Yield whether each bar is met, and the line that says so."""
    for name, bar in BARS.items():
        yield pairs[name] <= bar, f"{name}: {pairs[name]:.2f} clock pairs, at most {bar}"
    peer = pairs.get(HISTOGRAM)
    if peer is not None:
        factor = peer / pairs["with"]
        bar = FASTER_THAN_PROMETHEUS
        yield (
            factor >= bar,
            f"with: {factor:.2f} times as fast as prometheus_client's Histogram, at least {bar}",
        )


def main() -> int:
    """Measure, print, and return the exit status."""
    print(f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}")
    loops = {"clock pair": clock_pairs, **own_loops(goref.Tracker()), **peer_loops()}
    best = best_ns(loops)
    best["decorator"] = best["decorated call"] - best["bare call"]
    pairs = {name: ns / best["clock pair"] for name, ns in best.items()}
    for name, ns in best.items():
        print(f"{name:40} {ns:8.0f} ns {pairs[name]:7.2f} clock pairs")
    for keys, take_us, read_us in snapshot_rows():
        print(f"snapshot of {keys:7} keys: {take_us:9.0f} us; reading every figure: {read_us:9.0f} us")
    for uses in (1, 1_000):
        print(f"memory of a key after {uses:4} uses: {bytes_per_key(uses):6.0f} bytes")
    results = list(verdicts(pairs))
    for met, line in results:
        print(f"{'pass' if met else 'MISS'}  {line}")
    return 0 if all(met for met, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
