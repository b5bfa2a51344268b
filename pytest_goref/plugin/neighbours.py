"""The neighbours: other plugins, tools and people that execute or measure the same tests.

Where one of them executes a test, this plugin only looks on; where one holds a hook that a pass needs, that
pass is not taken. Each time one line says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.plugin.passes import CPU, MEMORY, PASSES, TIME
from pytest_goref.profilers.watcher import debugger, watcher

if TYPE_CHECKING:
    import pytest

_REPEATS_ITSELF: Final = (
    "counts, calls, allocations and durations are not measured: "
    "the benchmark fixture decides how often the code runs"
)
_OPTIONS: Final = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "setuponly": "--setup-only",
    "setupshow": "--setup-show",
    "setupplan": "--setup-plan",
    "forked": "--forked",
}
"""Options with which a person looks at a test that is executed, or a child process executes it."""
_FLAKY: Final = "_flaky_max_runs"
"""What the decorator of flaky leaves on functions and classes."""
_RERUN_OPTIONS: Final = ("reruns", "force_flaky")
"""An option each of pytest-rerunfailures and of flaky."""
_ABSENT: Final = object()
_BENCHMARK_FIXTURES: Final = frozenset({"benchmark", "benchmark_weave", "codspeed_benchmark"})
_BENCHMARK_MARKERS: Final = frozenset({"benchmark", "codspeed_benchmark"})
_NOT_UNDER_OTHERS: Final = (
    (TIME, "durations are not measured"),
    (MEMORY, "allocations are not measured"),
    (CPU, "no CPU profile"),
)
"""Passes that cannot be taken while something else watches the program."""
UNTIMED_UNDER_XDIST: Final = "durations are not judged under xdist (-n): other tests run at the same time"


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Those of a session: what its tests have in common is asked for once.

    Attributes:
        looking: the option with which a person looks on, or another process executes, "" for none.
        rerunning: the option that lets every failed test be executed again, "" for none.
        reruns: whether something executes tests again that are marked for it.
        forks: whether pytest-forked is there, which executes tests in child processes.
        codspeed: whether pytest-codspeed is on.
        coverage: whether pytest-cov is there.
        distributed: whether this is a worker of xdist.

    """

    looking: str
    rerunning: str
    reruns: bool
    forks: bool
    codspeed: bool
    coverage: bool
    distributed: bool

    @classmethod
    def of(cls, config: pytest.Config) -> Neighbours:
        """Return the neighbours in the session of ``config``, whose plugins are all there."""
        option = config.getoption
        return cls(
            next((flag for name, flag in _OPTIONS.items() if option(name, False)), ""),
            _rerunning(config),
            any(option(name, _ABSENT) is not _ABSENT for name in _RERUN_OPTIONS),
            option("forked", _ABSENT) is not _ABSENT,
            bool(option("codspeed", False)) or "CODSPEED_ENV" in os.environ,
            config.pluginmanager.has_plugin("_cov"),
            hasattr(config, "workerinput"),
        )

    def executing(self, item: pytest.Item) -> str:
        """Return what makes another plugin, or a person, execute this item; "" when nothing does."""
        if self.looking:
            return self.looking
        attached = debugger()
        if attached:
            return f"{attached} is attached"
        marked = self.codspeed or self.coverage or self.reruns or self.forks
        return (marked and self._executing_marked(item)) or self.rerunning

    def _executing_marked(self, item: pytest.Item) -> str:
        """Return which marker of this item makes another plugin execute it, "" for none."""
        markers = _markers(item)
        if self._repeats(markers):
            return "pytest-codspeed decides how often it runs"
        if self.forks and "forked" in markers:
            return "marked forked"
        if self.coverage and ("no_cover" in markers or "no_cover" in getattr(item, "fixturenames", ())):
            return "no_cover: pytest-cov stops and starts around it"  # so nothing else can
        of_code = getattr(item, "function", None), getattr(item, "cls", None)
        if self.reruns and ("flaky" in markers or any(hasattr(code, _FLAKY) for code in of_code)):
            return "marked flaky"
        return ""

    def skipped_passes(self, item: pytest.Item, *, debugged: bool) -> dict[str, str]:
        """Return the passes that cannot be taken, and why, "" where it is told anyway."""
        if not _BENCHMARK_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            return dict.fromkeys(PASSES, _REPEATS_ITSELF)
        if self.codspeed and self._repeats(_markers(item)):
            return dict.fromkeys(PASSES, "")
        if debugged:
            return {TIME: ""}
        skipped = {}
        if holder := watcher():  # it looks away while a test is repeated, and yet it has changed the process
            skipped = {
                name: f"{what}: {holder} is active; run without it" for name, what in _NOT_UNDER_OTHERS
            }
        if self.distributed:
            skipped[TIME] = UNTIMED_UNDER_XDIST
        return skipped

    def _repeats(self, markers: frozenset[str]) -> bool:
        """Return whether pytest-codspeed, which is on, calls a test as often as it likes."""
        return self.codspeed and not _BENCHMARK_MARKERS.isdisjoint(markers)


def _markers(item: pytest.Item) -> frozenset[str]:
    """Return the names of all markers of an item, its own and those of its class and module."""
    return frozenset(mark.name for mark in item.iter_markers())


def _rerunning(config: pytest.Config) -> str:
    """Return which option lets pytest-rerunfailures or flaky execute failed items again, "" for none."""
    option = config.getoption
    if option("force_flaky", False):
        return "--force-flaky"
    try:
        configured = config.getini("reruns")
    except (ValueError, KeyError):  # pytest-rerunfailures is not there
        configured = None
    forced, asked = option("force_reruns", None), option("reruns", None)
    reruns = next((number for number in (forced, asked, configured) if number is not None), 0)
    return "--reruns" if str(reruns) not in {"", "0"} else ""
