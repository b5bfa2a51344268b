"""The neighbours: other plugins, tools and people that execute or measure the same tests.

Where one of them executes a test, this plugin only looks on; where one holds a hook that a pass needs, that
pass is not taken. Each time one line says so.
"""

from __future__ import annotations

import os
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
}
"""Options with which a person looks at a test that is executed."""
_FLAKY: Final = "_flaky_max_runs"
"""What the decorator of flaky leaves on functions and classes."""
_BENCHMARK_FIXTURES: Final = frozenset({"benchmark", "benchmark_weave", "codspeed_benchmark"})
_BENCHMARK_MARKERS: Final = ("benchmark", "codspeed_benchmark")
_NOT_UNDER_OTHERS: Final = (
    (TIME, "durations are not measured"),
    (MEMORY, "allocations are not measured"),
    (CPU, "no CPU profile"),
)
"""Passes that cannot be taken while something else watches the program."""
UNTIMED_UNDER_XDIST: Final = "durations are not judged under xdist (-n): other tests run at the same time"


def executed_by_others(item: pytest.Item) -> str:
    """Return what makes another plugin, or a person, execute this item; "" when nothing does."""
    option = item.config.getoption
    for name, flag in _OPTIONS.items():
        if option(name, False):
            return flag
    attached = debugger()
    if attached:
        return f"{attached} is attached"
    if _is_marked_for_codspeed(item):
        return "pytest-codspeed decides how often it runs"
    if _is_left_out_of_coverage(item):
        return "no_cover: pytest-cov stops and starts around it"
    return _executed_until_it_passes(item)


def _executed_until_it_passes(item: pytest.Item) -> str:
    """Return what makes pytest-rerunfailures or flaky execute a failed item again, "" when nothing does."""
    of_code = getattr(item, "function", None), getattr(item, "cls", None)
    if item.get_closest_marker("flaky") is not None or any(hasattr(code, _FLAKY) for code in of_code):
        return "marked flaky"
    option = item.config.getoption
    if option("force_flaky", False):
        return "--force-flaky"
    try:
        configured = item.config.getini("reruns")
    except (ValueError, KeyError):  # pytest-rerunfailures is not there
        configured = None
    forced, asked = option("force_reruns", None), option("reruns", None)
    reruns = next((number for number in (forced, asked, configured) if number is not None), 0)
    return "--reruns" if str(reruns) not in {"", "0"} else ""


def skipped_passes(item: pytest.Item, *, debugged: bool) -> dict[str, str]:
    """Return the passes that cannot be taken, and why, "" where it is told anyway."""
    if not _BENCHMARK_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return dict.fromkeys(PASSES, _REPEATS_ITSELF)
    if _is_marked_for_codspeed(item):
        return dict.fromkeys(PASSES, "")
    if debugged:
        return {TIME: ""}
    skipped = {}
    if holder := watcher():  # it looks away while a test is repeated, and yet it has changed the process
        skipped = {name: f"{what}: {holder} is active; run without it" for name, what in _NOT_UNDER_OTHERS}
    if hasattr(item.config, "workerinput"):
        skipped[TIME] = UNTIMED_UNDER_XDIST
    return skipped


def _is_marked_for_codspeed(item: pytest.Item) -> bool:
    """Return whether pytest-codspeed, which is on, calls the test as often as it likes."""
    if not (item.config.getoption("codspeed", False) or "CODSPEED_ENV" in os.environ):
        return False
    return any(item.get_closest_marker(name) is not None for name in _BENCHMARK_MARKERS)


def _is_left_out_of_coverage(item: pytest.Item) -> bool:
    """Return whether pytest-cov stops before the test and begins afresh after it, so nothing else can."""
    asked = item.get_closest_marker("no_cover") is not None or "no_cover" in getattr(item, "fixturenames", ())
    return asked and item.config.pluginmanager.has_plugin("_cov")
