"""Bad luck, many times: sessions killed while they save, saves at once, interrupts, and a history of 1 GB.

Run it with the interpreter in question: ``python bench/faults.py [kills] [pairs] [interrupts] [history]``;
without a word it does all four. It exits with 1 when anything was lost.

kills
    100 times a session that saves 60 tests in four files is killed (SIGKILL) at a random moment, nine in ten
    of them after its last test, when it writes. A baseline has a file for each test module, and each file is
    replaced as a whole: after the kill every file must hold the bytes from before or those from after, the
    history must open and hold whole runs, and the next save must bring the baseline up to date and leave no
    temporary file in it.
pairs
    20 times two sessions save into one baseline at once, from nothing: each measures 30 tests, half of them
    in a file that the other one writes too; every second time one of them has two workers of xdist. All 60
    tests and both runs must be there, and the files be those of one session that saves all.
interrupts
    40 times a session is interrupted (SIGINT) at a random moment of its passes. It must end with pytest's
    status, the profilers must be off, and what had finished must be in the history.
history
    50 runs that take 1 GB, and then one more that keeps 50, and one more that keeps 5.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Final

from pytest_goref.environment import current_environment
from pytest_goref.metrics import CALLS, REFS
from pytest_goref.model import Mode, Record, TestKey
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo, TestResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

KILLS = 100
PAIRS = 20
INTERRUPTS = 40
HISTORY_BYTES = 1_000_000_000
RUNS = 50
TESTS_OF_RUN = 2000
_PLUGINS: Final = (
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "-p",
    "no:xdist",
    "-p",
    "no:anyio",
    "-p",
    "no:asyncio",
)
_SAVE: Final = ("--goref-save=main", "--goref-passes=counts")
_MODULE: Final = """
import os, pytest
import pytest_goref

@pytest.mark.profile
@pytest.mark.parametrize("number", range({count}))
def test_it(number):
    for _ in range(int(os.environ.get("STEPS", "1"))):
        pytest_goref.ref(f"step.{{number}}").deref()
"""
_CONFTEST: Final = """
import gc, json, os, pathlib, sys
import pytest

def pytest_collection_finish():
    pathlib.Path(os.environ.get("BEGUN", os.devnull)).write_text("x")

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    pathlib.Path(os.environ.get("SAVING", os.devnull)).write_text("x")

def pytest_unconfigure(config):
    pathlib.Path(os.environ.get("SAVED", os.devnull)).write_text("x")
    file = os.environ.get("STATE")
    if file:
        import memray
        state = [repr(sys.getprofile()), gc.isenabled(), gc.get_freeze_count() < 2000]
        with memray.Tracker(f"{file}.{os.getpid()}"):
            pass
        pathlib.Path(file).write_text(json.dumps(state))
"""
_OFF: Final = ["None", True, True]
"""No profile function, garbage is collected, and nothing is kept out of that."""


class Suite:
    """A project of its own whose tests do ``STEPS`` steps each."""

    def __init__(self, directory: Path, modules: Mapping[str, int]) -> None:
        self.directory = directory
        self.cache = CacheDirectory(directory / ".goref_cache")
        directory.mkdir()
        (directory / "pytest.ini").write_text("[pytest]\n")
        (directory / "conftest.py").write_text(_CONFTEST)
        for name, count in modules.items():
            (directory / name).write_text(_MODULE.format(count=count))

    def start(self, *args: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a session."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *_PLUGINS, *args],
            cwd=self.directory,
            env={**os.environ, **environment},
            stdout=(self.directory / "output.txt").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *args: str, **environment: str) -> int:
        """Run a session and return its status."""
        return self.start(*args, **environment).wait()

    def baseline(self) -> dict[str, bytes]:
        """Return all that is in the directory of the baseline."""
        directory = self.cache.baselines / "main"
        return {file.name: file.read_bytes() for file in directory.iterdir()} if directory.is_dir() else {}

    def runs(self) -> list[int]:
        """Return how many results each run has, oldest first; each record is read."""
        history = History(self.cache.history)
        return [len(list(history.results(run.id or 0))) for run in reversed(history.runs())]


def kills(directory: Path) -> Iterator[str]:
    """Kill sessions that save; yield what was lost."""
    modules = {f"test_{letter}.py": 15 for letter in "abcd"}
    suite = Suite(directory / "kills", modules)
    states: list[dict[str, bytes]] = []
    durations: list[tuple[float, float]] = []
    flag, end = suite.directory / "saving", suite.directory / "saved"
    for first in (1, 2):
        began = perf_counter()
        for file in (flag, end):
            file.unlink(missing_ok=True)
        process = suite.start(*_SAVE, STEPS=str(first), SAVING=str(flag), SAVED=str(end))
        saving_s = _until_there(flag, process) - began
        durations.append((saving_s, _until_there(end, process) - began))
        process.wait()
        states.append(suite.baseline())
    whole_s = max(whole for _, whole in durations)
    writing_s = max(whole - saving for saving, whole in durations)
    before, mixed, lost, leftovers, torn = 1, 0, 0, 0, 0
    for number in range(KILLS):
        steps = 1 - before
        flag.unlink(missing_ok=True)
        process = suite.start(*_SAVE, STEPS=str(steps + 1), SAVING=str(flag))
        if number % 10:
            _until_there(flag, process)
            sleep(random.uniform(0, writing_s))  # noqa: S311 - no secret
        else:
            sleep(random.uniform(0, whole_s))  # noqa: S311 - no secret
        process.kill()
        lost += process.wait() != 0
        after = suite.baseline()
        old = [after.get(name) == data for name, data in states[before].items()]
        new = [after.get(name) == data for name, data in states[steps].items()]
        if not all(a or b for a, b in zip(old, new, strict=True)):
            yield f"kill {number}: a file of the baseline is neither old nor new"
        mixed += not (all(old) or all(new))
        leftovers += len(after) - len(modules)
        if set(suite.runs()) != {60}:
            torn += 1
            yield f"kill {number}: the history holds a part of a run: {suite.runs()}"
        if suite.run(*_SAVE, STEPS=str(steps + 1)) or suite.baseline() != states[steps]:
            yield f"kill {number}: the next save does not bring the baseline up to date"
        before = steps
    print(
        f"kills: {KILLS} sessions, {lost} ended by it, nine in ten in the last {writing_s * 1000:.0f} ms; "
        f"{mixed} baselines had files of both sides, {leftovers} temporary files were left and then removed, "
        f"{torn} histories were torn"
    )


def _until_there(flag: Path, process: subprocess.Popen[bytes]) -> float:
    """Return when ``flag`` appeared."""
    while not flag.exists() and process.poll() is None:
        sleep(0.0005)
    return perf_counter()


def pairs(directory: Path) -> Iterator[str]:
    """Let two sessions save at once; yield what was lost."""
    names = {"test_a.py": 15, "test_b.py": 15, "test_shared.py": 30}
    alone = Suite(directory / "pair-alone", names)
    alone.run(*_SAVE)
    for number in range(PAIRS):
        workers = ("-p", "xdist", "-n2") if number % 2 else ()
        suite = Suite(directory / f"pair-{number}", names)
        first = [f"test_shared.py::test_it[{n}]" for n in range(15)]
        second = [f"test_shared.py::test_it[{n}]" for n in range(15, 30)]
        both = [
            suite.start(*_SAVE, "test_a.py", *first),
            suite.start(*_SAVE, *workers, "test_b.py", *second),
        ]
        if [process.wait() for process in both] != [0, 0]:
            yield f"pair {number}: a session failed: {(suite.directory / 'output.txt').read_text()}"
        baseline = Baselines(suite.cache).open("main")
        if len([key for key in baseline.keys() if baseline.get(key)]) != 60:  # noqa: SIM118 - no mapping
            yield f"pair {number}: {len(list(baseline.keys()))} of 60 tests are in the baseline"
        if suite.baseline() != alone.baseline():
            yield f"pair {number}: the baseline is not that of one session that saves all"
        if suite.runs() != [30, 30]:
            yield f"pair {number}: the history holds {suite.runs()}, not two runs of 30 tests"
    print(f"pairs: {PAIRS} times two sessions saved at once, half of them with one under xdist")


def interrupts(directory: Path) -> Iterator[str]:
    """Interrupt sessions in their passes; yield what was wrong."""
    suite = Suite(directory / "interrupts", {"test_a.py": 200})
    state, begun = suite.directory / "state.json", suite.directory / "begun"
    kept = 0
    for number in range(INTERRUPTS):
        for file in (state, begun):
            file.unlink(missing_ok=True)
        before = len(suite.runs())
        passes = "--goref-passes=counts,memory,time,cpu"
        process = suite.start("--goref", passes, STATE=str(state), BEGUN=str(begun), STEPS="50")
        _until_there(begun, process)
        sleep(random.uniform(0.0, 2.0))  # noqa: S311 - no secret
        process.send_signal(signal.SIGINT)
        status = process.wait()
        output = (suite.directory / "output.txt").read_text()
        if status != 2:
            yield f"interrupt {number}: status {status}: {output[-2000:]}"
        elif not state.exists() or json.loads(state.read_text()) != _OFF:
            left = state.read_text() if state.exists() else "no state"
            yield f"interrupt {number}: a profiler is still on: {left}: {output[-2000:]}"
        kept += len(suite.runs()) - before
    if "INTERNALERROR" in (suite.directory / "output.txt").read_text():
        yield "interrupts: INTERNALERROR"
    print(f"interrupts: {INTERRUPTS} sessions, {kept} of them in the history")


def history(directory: Path) -> Iterator[str]:
    """Fill a history, then let runs go; yield what took too long."""
    file = directory / "history" / "history.db"
    CacheDirectory(file.parent).ensure()
    calls = {
        f"shop/orders.py:Order.method_{n}": (n,) for n in range(HISTORY_BYTES // RUNS // TESTS_OF_RUN // 62)
    }
    environment = current_environment()
    results = [
        TestResult(
            key, "passed", Record(key, environment, Mode.WARM, {REFS: {"db.query": (n,)}, CALLS: calls})
        )
        for n, key in enumerate(TestKey(f"tests/test_{n % 50}.py", f"test_{n}") for n in range(TESTS_OF_RUN))
    ]
    run = RunInfo(None, "2024-05-01T12:00:00+00:00", "", environment, 0, True, ("",), "0.1.0")
    for _ in range(RUNS):
        History(file).append(run, results)
    full_bytes = file.stat().st_size
    for keep_runs in (50, 5, 5, 5):
        began = perf_counter()
        History(file, keep_runs=keep_runs).append(run, results)
        took_s = perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        log = file.with_name("history.db-wal")
        log_bytes = log.stat().st_size if log.exists() else 0
        print(
            f"history: of {full_bytes / 1e6:.0f} MB, one run more that keeps {keep_runs}: {took_s:.1f} s, "
            f"the file then has {file.stat().st_size / 1e6:.0f} MB, its log "
            f"{log_bytes / 1e6:.0f} MB; the process at most {peak:.0f} MB"
        )
        if len(History(file).runs()) != keep_runs:
            yield f"history: {len(History(file).runs())} runs are kept, not {keep_runs}"


PROOFS: Final[Mapping[str, Callable[[Path], Iterator[str]]]] = {
    "kills": kills,
    "pairs": pairs,
    "interrupts": interrupts,
    "history": history,
}


def main() -> int:
    """Do what the command line names; return the status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else a job in the background ignores it
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for word in sys.argv[1:] or PROOFS:
            for text in PROOFS[word](Path(name)):
                print(text, flush=True)
                wrong.append(text)
    print(f"{len(wrong)} lost or wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
