"""What storing and reading the records of a large suite takes.

Run it with the interpreter in question: ``python bench/store.py``. It makes 10 000 records (100 modules of
100 tests; each 5 keys, 40 called functions, 20 rounds) in a temporary directory, and 1 000 that explain more
(20 modules of 50 tests; each 100 called functions, and 50 allocation sites with three numbers). Each step is
taken five times and the best counts, so that a busy machine disturbs little. It exits with 1 when a bar is
missed.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from pytest_goref.compare.accept import accept
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    CALLS,
    LEAKED_REFS,
    LEFT_BYTES,
    PEAK_BYTES,
    REFS,
    SITE_BYTES,
    SITE_COUNT,
    SITE_PEAK_BYTES,
)
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, Round, TestKey, Visit
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo, TestResult

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = 100
TESTS = 100
TURNS = 5
STORED_RUNS = 50
STORED_TESTS = 500
WRITTEN_BAR_S = 3.0
"""The most that appending to the history and saving a baseline may take together."""
LOADED_BAR_S = 2.0
"""The most that loading a baseline and decoding every entry may take."""
EXPLAINED_MODULES = 20
EXPLAINED_TESTS = 50
EXPLAINED_BAR_S = 0.3
"""The most that loading the baseline of the tests that explain more may take."""
EXPLAINED_BAR_BYTES = 10_000_000
"""The most that it may take on the disk."""
LIBRARY = (
    "json.encoder",
    "sqlite3.Connection.execute",
    "datetime.datetime.isoformat",
    "dict.setdefault",
    "len",
)
ENVIRONMENT = Environment("cpython-3.12", "x86_64 Linux (2 CPUs)", "0123456789ab")
RUN = RunInfo(None, "2024-05-01T12:00:00+00:00", "0" * 40, ENVIRONMENT, 0, True, ("",), "0.1.0")


def make_record(module: int, test: int) -> Record:
    """Return a record with numbers that differ from test to test."""
    rounds = tuple(
        Round(1_000_000 + 97 * test + number, 990_000 + number, number % 3) for number in range(20)
    )
    measurements = {
        REFS: {f"/dao/psql:query_{number}": (number + test,) for number in range(5)},
        CALLS: {
            f"shop/orders_{number}.py:Order.total_{module}": (7 * number + test,) for number in range(40)
        },
        LEAKED_REFS: {},
    }
    key = TestKey(f"tests/unit/test_module_{module:03}.py", f"test_{test}[{test}-value]")
    return Record(key, ENVIRONMENT, Mode.WARM, measurements, Visit(rounds))


def function_name(number: int) -> str:
    """Return the name of one of many functions: every other one belongs to the project."""
    if number % 2 == 0:
        return f"{LIBRARY[number % len(LIBRARY)]}_{number}"
    return f"shop/services/orders_{number % 7}.py:OrderService.total_{number}"


def make_explained_record(module: int, test: int) -> Record:
    """Return a record with as many functions and sites as a test of a web application has."""
    allocations = (ALLOCATION_COUNT, ALLOCATED_BYTES, PEAK_BYTES, LEFT_BYTES)
    sites = {function_name(3 * number + module): number for number in range(50)}
    measurements = {
        REFS: {f"/dao/psql:query_{number}": (number + test,) for number in range(5)},
        CALLS: {function_name(number + module): (7 * number + test,) for number in range(100)},
        LEAKED_REFS: {},
        **{metric: {"": (123_456 + test,)} for metric in allocations},
        SITE_COUNT: {name: (11 * number + test,) for name, number in sites.items()},
        SITE_BYTES: {name: (1733 * number + test,) for name, number in sites.items()},
        SITE_PEAK_BYTES: {name: (977 * number + test,) for name, number in sites.items()},
    }
    rounds = tuple(Round(1_000_000 + number, 990_000 + number, 0) for number in range(20))
    key = TestKey(f"tests/unit/test_module_{module:03}.py", f"test_{test}[{test}-value]")
    return Record(key, ENVIRONMENT, Mode.WARM, measurements, Visit(rounds))


def best_of(what: str, step: Callable[[], object], turns: int = TURNS) -> float:
    """Print what ``step`` takes at best and return it, in seconds."""
    taken: list[tuple[float, float]] = []
    for _ in range(turns):
        began_s, began_cpu_s = perf_counter(), process_time()
        step()
        taken.append((perf_counter() - began_s, process_time() - began_cpu_s))
    best_s, best_cpu_s = min(taken)
    print(f"  {what:<36}{best_s * 1000:>10.2f} ms{best_cpu_s * 1000:>10.2f} ms CPU")
    return best_s


def measure_large_suite(directory: Path, records: list[Record]) -> tuple[float, float]:
    """Store and load ``records``; return the seconds that writing and that loading took."""
    cache = CacheDirectory(directory / "large")
    history, baselines = History(cache.history), Baselines(cache)
    results = [TestResult(record.key, "passed", record) for record in records]
    entries = {record.key: BaselineEntry.from_record(record) for record in records}
    names = map(str, range(TURNS))

    def load() -> None:
        baseline = baselines.open("0")
        for key in entries:
            if baseline.get(key) is None:
                raise LookupError(key)

    appended_s = best_of("append a run to the history", lambda: history.append(RUN, results))
    saved_s = best_of("save a new baseline", lambda: baselines.save(next(names), entries))
    best_of("save it again, unchanged", lambda: baselines.save("0", entries))
    loaded_s = best_of("load a baseline, get every entry", load)
    best_of("load a run, all records", lambda: list(history.records(1)))
    print(f"  {'history, per run':<36}{cache.history.stat().st_size / TURNS / 2**20:>10.1f} MiB")
    size = sum(file.stat().st_size for file in (cache.baselines / "0").iterdir())
    print(f"  {'baseline':<36}{size / 2**20:>10.1f} MiB")
    return appended_s + saved_s, loaded_s


def measure_explained_suite(directory: Path) -> tuple[float, int]:
    """Store and load a baseline with sites; return the seconds that loading took, and its bytes."""
    cache = CacheDirectory(directory / "explained")
    baselines = Baselines(cache)
    places = [(module, test) for module in range(EXPLAINED_MODULES) for test in range(EXPLAINED_TESTS)]
    records = [make_explained_record(*place) for place in places]
    print(f"{len(records)} tests of 100 functions and 50 sites")
    names = map(str, range(TURNS))

    def save() -> None:
        baselines.save(next(names), {record.key: accept(record, None) for record in records})

    def load() -> None:
        baseline = baselines.open("0")
        for record in records:
            if baseline.get(record.key) is None:
                raise LookupError(record.key)

    best_of("accept and save a new baseline", save)
    loaded_s = best_of("load a baseline, get every entry", load)
    size_bytes = sum(file.stat().st_size for file in (cache.baselines / "0").iterdir())
    print(f"  {'baseline':<36}{size_bytes / 1e6:>10.2f} MB")
    return loaded_s, size_bytes


def measure_start(directory: Path, records: list[Record]) -> None:
    """Show that what a session does first does not grow with what is stored."""
    cache = CacheDirectory(directory / "start")
    history = History(cache.history, keep_runs=STORED_RUNS)
    results = [TestResult(record.key, "passed", record) for record in records]
    key, absent = records[0].key, TestKey(records[0].key.path, "test_that_never_passed")
    Baselines(cache).save("main", {record.key: BaselineEntry.from_record(record) for record in records})
    for stored in (1, STORED_RUNS):
        while (history.last_id() or 0) < stored:
            history.append(RUN, results)
        print(f"stored runs: {stored}, of {len(records)} tests")
        best_of("History() and Baselines()", lambda: (History(cache.history), Baselines(cache)), 100)
        best_of("Baselines.open", lambda: Baselines(cache).open("main"), 100)
        best_of("History.last_id", history.last_id, 100)
        best_of("History.record, of one test", partial(history.record, stored, key), 100)
        best_of("History.passed_record, of none", partial(history.passed_record, stored, absent), 100)


def judge(what: str, taken: float, bar: float, unit: str = "s") -> bool:
    """Print whether ``what`` took less than its bar and return it."""
    passed = taken < bar
    print(f"{'pass' if passed else 'MISS'}: {what}: {taken:.2f} {unit} (bar: {bar:g} {unit})")
    return passed


def main() -> int:
    """Measure and return the exit status."""
    print(f"{platform.python_implementation()} {platform.python_version()}, {MODULES * TESTS} tests")
    records = [make_record(module, test) for module in range(MODULES) for test in range(TESTS)]
    with tempfile.TemporaryDirectory() as directory:
        written_s, loaded_s = measure_large_suite(Path(directory), records)
        explained_s, explained_bytes = measure_explained_suite(Path(directory))
        measure_start(Path(directory), records[:STORED_TESTS])
    fast = [
        judge("history and baseline written", written_s, WRITTEN_BAR_S),
        judge("all entries loaded", loaded_s, LOADED_BAR_S),
        judge("all entries with sites loaded", explained_s, EXPLAINED_BAR_S),
        judge("size of the baseline with sites", explained_bytes / 1e6, EXPLAINED_BAR_BYTES / 1e6, "MB"),
    ]
    return 0 if all(fast) else 1


if __name__ == "__main__":
    sys.exit(main())
