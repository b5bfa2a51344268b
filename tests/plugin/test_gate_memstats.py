"""``goref.memstats``: the same for the test whether anything is measured or not; named blocks are stored."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.metrics import (
    GC_COLLECTIONS,
    GC_PAUSE,
    METRICS,
    MINOR_FAULTS,
    REFS,
    RSS_GROWTH,
    RSS_PEAK,
    WALL_TIME,
)
from pytest_goref.model import Group, Record, TestKey

if TYPE_CHECKING:
    from plugin_project import Project

pytest_plugins = ("plugin_project",)

TIME: Final = ("--goref-passes=time", "--goref-rounds=3")

_TESTS: Final = """
import gc
import pytest

@pytest.mark.profile
def test_block(goref):
    gc.collect()  # what others have left is not part of it
    with goref.memstats("load") as load:
        gc.collect()
        rows = [object() for _ in range(5000)]
    assert load.difference.live_blocks >= 5000
    assert load.difference.gc_collections >= 1
    assert load.after.threads == load.before.threads

@pytest.mark.profile
def test_stop(goref):
    watch = goref.memstats("again")
    assert watch.stop() == watch.after - watch.before
    goref.memstats("again").stop()

@pytest.mark.profile
def test_unnamed(goref):
    with goref.memstats():
        gc.collect()

@pytest.mark.profile
def test_forgets(goref):
    goref.memstats("forgotten")
    goref.memstats()
"""
_NAMES: Final = {
    "test_block": {"load"},
    "test_stop": {"again", "again #2"},
    "test_unnamed": set[str](),
    "test_forgets": set[str](),
}


def _record(project: Project, name: str) -> Record:
    record = project.last_results()[TestKey("test_it.py", name)].record
    assert record is not None
    return record


@pytest.mark.parametrize("args", [(), ("--no-goref",), ("--goref", "--goref-passes=counts")], ids=" ".join)
def test_it_works_whatever_is_measured(project: Project, args: tuple[str, ...]) -> None:
    project.write({"test_it.py": _TESTS})
    callbacks = list(gc.callbacks)
    project.run(*args).assert_outcomes(passed=4)
    assert gc.callbacks == callbacks  # what a test has not ended, the tear-down has


def test_named_blocks_are_stored_beside_the_rounds(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    assert project.run_untraced("--goref", *TIME).ret == 0
    for name, blocks in _NAMES.items():
        measurements = _record(project, name).measurements
        assert {s for s in measurements[RSS_GROWTH] if s} == blocks
        generations = {f"generation {number}" for number in range(3)}
        assert measurements[GC_COLLECTIONS].keys() - generations == blocks
    collected = _record(project, "test_block").measurements[GC_COLLECTIONS]["load"]
    assert min(collected) >= 1
    assert len(collected) in (1, 3)  # one for each round, or one that never changed


def test_figures_under_a_profiler_are_not_stored(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    assert project.run("--goref", "--goref-passes=counts").ret == 0
    measurements = _record(project, "test_block").measurements
    assert not [metric for metric in measurements if metric.group is Group.RUNTIME]
    assert REFS in measurements


def test_every_round_has_runtime_figures(project: Project) -> None:
    project.write(
        {"test_it.py": "import pytest\n@pytest.mark.profile\ndef test_it():\n    [[] for _ in range(9)]\n"}
    )
    assert project.run_untraced("--goref", *TIME).ret == 0
    measurements = _record(project, "test_it").measurements
    on_this_system = {RSS_GROWTH, RSS_PEAK, MINOR_FAULTS} & measurements.keys()
    assert measurements.keys() == {GC_COLLECTIONS, GC_PAUSE} | on_this_system
    if RSS_PEAK in on_this_system:
        assert min(measurements[RSS_PEAK][""]) > 2**20


def test_runtime_figures_are_neither_judged_nor_saved(project: Project) -> None:
    loads = "import pytest\n@pytest.mark.profile\ndef test_it():\n    bytearray({})\n"
    project.write({"test_it.py": loads.format(1)})
    assert project.run_untraced("--goref-save=main", "--goref-visits=1", *TIME).ret == 0
    figures = [metric.name for metric in METRICS.values() if metric.group is Group.RUNTIME]
    (saved,) = project.baseline().values()
    assert not [name for name in figures if name in saved.decode()]
    project.write({"test_it.py": loads.format(64 * 2**20)})
    result = project.run_untraced(
        "--goref-compare=main", "--goref-strict", *TIME, f"--goref-warn={WALL_TIME.name}:off"
    )
    assert not [line for line in result.outlines for name in figures if name in line]
