from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_goref.metrics import ALLOCATION_COUNT, REFS
from pytest_goref.model import Problem, ProblemKind
from pytest_goref.plugin.memory_pass import memory_pass
from pytest_goref.plugin.pass_context import Collected, NotRepeatableError, PassContext, Tools
from pytest_goref.plugin.passes import COUNTS, MEMORY, PASSES
from pytest_goref.profilers import Observation
from pytest_goref.profilers.leaks import LeaksProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.refs import RefsProfiler
from pytest_goref.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_goref.plugin.region import Execution, Region


@dataclass
class FakeMemory:
    """A profiler that sees one allocation more every time, and writes a file."""

    directory: Path
    concurrent: bool = False
    started: int = 0

    def start(self) -> FakeMemory:
        self.started += 1
        return self

    def stop(self) -> Observation:
        capture = self.directory / f"{self.started}.bin"
        capture.touch()
        return Observation(
            {ALLOCATION_COUNT: {"": self.started}}, capture=capture, concurrent=self.concurrent
        )


@dataclass
class FakeTest:
    """A test that fails in some executions."""

    memory: FakeMemory
    fails: Callable[[bool], bool] = lambda _watched: False
    executions: list[bool] = field(default_factory=list)

    def execute(self, region: Region) -> Execution:
        before = self.memory.started
        with region:
            pass
        watched = self.memory.started > before
        self.executions.append(watched)
        return region.execution("call failed: no" if self.fails(watched) else "")

    def context(self) -> PassContext:
        refs = RefsProfiler(Tracker())
        leaks = LeaksProfiler(refs, Places(Path.cwd()))
        tools = Tools(refs, leaks, self.memory, memory=self.memory, cpu=self.memory)
        return PassContext(self.execute, tools, Collected(), 1_000, None, count_refs=True, timed=True)


def captures(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def test_allocations_are_taken_right_after_counts() -> None:
    names = list(PASSES)
    assert names.index(MEMORY) == names.index(COUNTS) + 1
    assert PASSES[MEMORY] is memory_pass


def test_one_execution_is_enough(tmp_path: Path) -> None:
    test = FakeTest(FakeMemory(tmp_path))
    context = test.context()
    memory_pass(context)
    assert test.executions == [True]
    assert context.collected.measurements() == {ALLOCATION_COUNT: {"": (1,)}}
    assert context.collected.capture == tmp_path / "1.bin"
    assert context.collected.times(REFS) == 0


def test_a_concurrent_test_is_executed_three_times_and_keeps_one_capture(tmp_path: Path) -> None:
    test = FakeTest(FakeMemory(tmp_path, concurrent=True))
    context = test.context()
    memory_pass(context)
    assert test.executions == [True] * 3
    assert context.collected.measurements() == {ALLOCATION_COUNT: {"": (1, 2, 3)}}
    assert context.collected.concurrent
    assert captures(tmp_path) == ["3.bin"]


def test_a_test_that_fails_only_under_memray_keeps_everything_else(tmp_path: Path) -> None:
    test = FakeTest(FakeMemory(tmp_path), fails=lambda watched: watched)
    context = test.context()
    memory_pass(context)
    assert test.executions == [True, False]
    text = "allocations are not measured: the test fails under memray (call failed: no)"
    assert context.collected.problems == [Problem(ProblemKind.SKIPPED, text)]
    assert ALLOCATION_COUNT not in context.collected.measurements()
    assert captures(tmp_path) == []


def test_a_test_that_fails_anyway_is_not_repeatable(tmp_path: Path) -> None:
    test = FakeTest(FakeMemory(tmp_path), fails=lambda _watched: True)
    with pytest.raises(NotRepeatableError, match=r"^call failed: no$"):
        memory_pass(test.context())
    assert captures(tmp_path) == []
