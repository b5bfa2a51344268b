"""A cache directory filled through the store, and ``goref`` called on it, for the tests of the command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_goref.cli import main
from pytest_goref.environment import current_environment
from pytest_goref.metrics import CALLS, LEAKED_REFS, REFS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Measurements,
    Mode,
    Problem,
    Record,
    Round,
    TestKey,
    Visit,
)
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo, TestResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

ELSEWHERE = Environment("cpython-3.12", "x86_64 Linux, Example CPU (2 CPUs)", "Example CPU, 2 CPUs")
HERE = replace(current_environment(), python="cpython-3.12")


@dataclass(frozen=True, slots=True)
class Said:
    """What ``goref`` has said."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def refusal(self) -> str:
        """The one line on stderr of a command that was refused."""
        assert (self.status, self.out) == (4, "")
        assert self.err.startswith("goref: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        return self.err.removeprefix("goref: ").rstrip("\n")


def key(nodeid: str) -> TestKey:
    path, _, name = nodeid.partition("::")
    return TestKey(path, name)


def visit(
    *walls_ns: int, cpu_ns: int | None = None, timers: Mapping[str, tuple[int, ...]] | None = None
) -> Visit:
    rounds = tuple(Round(wall_ns, wall_ns if cpu_ns is None else cpu_ns, 0) for wall_ns in walls_ns)
    loops = {
        name: tuple(Round(ns * 100, ns * 100, 0, iterations=100) for ns in calls_ns)
        for name, calls_ns in (timers or {}).items()
    }
    return Visit(rounds, loops)


def numbers(refs: Mapping[str, int], calls: Mapping[str, int] | None = None) -> Measurements:
    made = {REFS: {name: (count,) for name, count in refs.items()}, LEAKED_REFS: {}}
    return made if calls is None else {**made, CALLS: {name: (count,) for name, count in calls.items()}}


def record(
    nodeid: str,
    measurements: Measurements | None = None,
    timed: Visit | None = None,
    problems: tuple[Problem, ...] = (),
    environment: Environment = ELSEWHERE,
) -> Record:
    measured = numbers({"db.query": 1}) if measurements is None else measurements
    return Record(key(nodeid), environment, Mode.WARM, measured, timed, problems)


def passed(made: Record) -> TestResult:
    return TestResult(made.key, "passed", made)


def failed(made: Record) -> TestResult:
    return TestResult(made.key, "failed", made)


def without_record(nodeid: str, outcome: str) -> TestResult:
    return TestResult(key(nodeid), outcome, None)


class CliCache:
    """The cache of a project in ``root``, and a terminal in which ``goref`` is called."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.cache = CacheDirectory(root / ".goref_cache")
        self.baselines = Baselines(self.cache)
        self.history = History(self.cache.history)
        self.cache.ensure()
        self._capsys = capsys

    def run(
        self,
        *results: TestResult,
        complete: bool = True,
        exit_status: int = 0,
        scope: tuple[str, ...] = ("",),
        commit: str = "0123456789abcdef",
        conditions: str = "",
    ) -> int:
        """Store a run and return its number."""
        started = "2025-01-31T12:34:56+01:00"
        run = RunInfo(None, started, commit, ELSEWHERE, exit_status, complete, scope, "0.1.0", conditions)
        return self.history.append(run, results)

    def save(self, name: str, *entries: Record | BaselineEntry) -> None:
        """Accept ``entries`` as they are."""
        made = [e if isinstance(e, BaselineEntry) else BaselineEntry.from_record(e) for e in entries]
        self.baselines.save(name, {entry.key: entry for entry in made})

    def entry(self, name: str, nodeid: str) -> BaselineEntry | None:
        return self.baselines.open(name).get(key(nodeid))

    def nodeids(self, name: str) -> list[str]:
        return [found.nodeid for found in self.baselines.open(name).keys()]  # noqa: SIM118 - no mapping

    def goref(self, *arguments: str) -> Said:
        self._capsys.readouterr()
        status = main(["--cache", str(self.cache.root), *arguments])
        captured = self._capsys.readouterr()
        return Said(status, captured.out, captured.err)
