"""The timers that bench/tracker.py measures beside this package's: by hand, and those that are installed."""

from __future__ import annotations

import cProfile
import functools
import re
import shutil
import subprocess
import threading
from importlib.util import find_spec
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Loop = Callable[[], int]
    """Does its work ``LOOPS`` times and returns the nanoseconds that took."""

LOOPS = 1_000
HISTOGRAM = "prometheus_client Histogram.time()"
WRAPPER = "a wrapper with two clock readings"


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


def timed_by_hand(function: Callable[..., object]) -> Callable[..., object]:
    """Return the least that a decorator written in Python does to time a function."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        begin = perf_counter_ns()
        try:
            return function(*args, **kwargs)
        finally:
            perf_counter_ns() - begin

    return wrapper


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

    return {"a lock and a dict by hand": in_timer, WRAPPER: loop_over(timed_by_hand(bare))}


def statsd_loops() -> dict[str, Loop]:
    """Return a loop over statsd's timer, whose packets nobody receives."""
    from statsd import StatsClient  # noqa: PLC0415 - may not be installed

    client = StatsClient("127.0.0.1", 8125)

    def in_timer() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with client.timer("key"):
                pass
        return perf_counter_ns() - begin

    return {"statsd StatsClient.timer()": in_timer}


def codetiming_loops() -> dict[str, Loop]:
    """Return a loop over codetiming's timer."""
    from codetiming import Timer  # noqa: PLC0415 - may not be installed

    def in_timer() -> int:
        begin = perf_counter_ns()
        for _ in range(LOOPS):
            with Timer("key", logger=None):
                pass
        return perf_counter_ns() - begin

    return {"codetiming Timer": in_timer}


def profiled_call() -> int:
    """Loop over a call that cProfile sees."""
    profile = cProfile.Profile()
    begin = perf_counter_ns()
    profile.enable()
    for _ in range(LOOPS):
        bare()
    profile.disable()
    return perf_counter_ns() - begin


def peer_loops() -> dict[str, Loop]:
    """Return the loops over every peer that is installed."""
    loops: dict[str, Loop] = {"a call under cProfile": profiled_call}
    peers = {
        "prometheus_client": prometheus_loops,
        "opentelemetry.sdk": opentelemetry_loops,
        "statsd": statsd_loops,
        "codetiming": codetiming_loops,
    }
    for module, peer in peers.items():
        if find_spec(module.partition(".")[0]) and find_spec(module):
            loops |= peer()
        else:
            print(f"skipped: {module} is not installed")
    return loops


def go_results(checkout: Path) -> dict[str, float]:
    """Return the nanoseconds of each benchmark in a checkout of Go's goref; nothing without ``go``."""
    go = shutil.which("go")
    if go is None:
        print("skipped: go is not installed")
        return {}
    ran = subprocess.run(
        [go, "test", "-run=^$", "-bench=.", "-count=5", "./..."],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        last = (ran.stdout + ran.stderr).strip().splitlines()[-1:]
        print(f"skipped: go test failed in {checkout}: {' '.join(last)}")
    best: dict[str, float] = {}
    found = re.findall(r"^Benchmark(\S+)\s+\d+\s+([\d.]+) ns/op", ran.stdout, re.MULTILINE)
    for name, ns in found:
        best[f"Go {name}"] = min(float(ns), best.get(f"Go {name}", float("inf")))
    return best
