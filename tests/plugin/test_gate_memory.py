"""Allocations, measured by memray in processes that nothing traces."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import Project, closing_line

from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    LEFT_BYTES,
    PEAK_BYTES,
    SITE_BYTES,
    SITE_COUNT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.model import Metric, Record, Samples

pytest_plugins = ("plugin_project",)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memray does not run on Windows")

MEMORY: Final = "--goref-passes=memory"
_TOTALS: Final = (ALLOCATION_COUNT, ALLOCATED_BYTES, PEAK_BYTES, LEFT_BYTES)
_SHOP: Final = """
def lines(number):
    return [f"line {n} of the bill" for n in range(number)]

class Bill:
    def total(self):
        return sum(len(line) for line in lines(1000))
"""
_TEST: Final = """
import pytest
import shop

@pytest.mark.profile
def test_empty():
    pass

@pytest.mark.profile
def test_bill():
    assert shop.Bill().total() > 1000
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.write({"shop.py": _SHOP, "test_it.py": _TEST})
    return project


def write_test(project: Project, body: str, marker: str = "pytest.mark.profile") -> None:
    """Write one marked test that does ``body``, line by line."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    project.write({"test_it.py": f"import pytest\n\n@{marker}\ndef test_it(tmp_path):\n{lines}"})


def record(project: Project, name: str = "test_it") -> Record:
    (found,) = (result.record for key, result in project.last_results().items() if key.name == name)
    assert found is not None
    return found


def totals(project: Project, name: str = "test_it") -> Mapping[Metric, Samples]:
    measurements = record(project, name).measurements
    return {metric: measurements[metric][""] for metric in _TOTALS if metric in measurements}


def test_an_empty_test_allocates_nothing(shop: Project) -> None:
    assert shop.run_apart("--goref", MEMORY).ret == 0
    assert totals(shop, "test_empty") == dict.fromkeys(_TOTALS, (0,))


def test_fresh_processes_measure_the_same_alone_and_in_the_suite(shop: Project) -> None:
    seen = []
    for args in ((), ("-k", "test_bill"), ("-k", "test_bill", "-p", "no:cacheprovider")):
        assert shop.run_apart("--goref", "--goref-rounds=1", *args).ret == 0
        seen.append(record(shop, "test_bill").measurements)
    for other in seen[1:]:
        assert all(seen[0][metric] == other[metric] for metric in (*_TOTALS, SITE_COUNT, SITE_BYTES))
    assert seen[0][ALLOCATION_COUNT][""] > (1000,)
    assert "shop.py:lines" in {site.split(".<locals>")[0] for site in seen[0][SITE_BYTES]}


def test_two_percent_more_allocations_are_found(shop: Project) -> None:
    assert shop.run_apart("--goref-save=main", MEMORY).ret == 0
    unchanged = shop.run_apart("--goref-compare=main", MEMORY)
    assert unchanged.ret == 0
    assert "0 regressed" in closing_line(unchanged)
    shop.replace("shop.py", "lines(1000)", "lines(1025)")
    regressed = shop.run_apart("--goref-compare=main", MEMORY)
    regressed.assert_outcomes(passed=1, failed=1)
    assert "1 regressed" in closing_line(regressed)
    regressed.stdout.re_match_lines([r"goref: allocation_count \d+ -> \d+ .*, compared with baseline main"])


_LIMITED: Final = """
import pytest

@pytest.mark.profile(max_peak="1 MiB")
def test_too_high():
    bytearray(2 * 2**20)

@pytest.mark.profile(max_peak="3 MiB")
def test_high():
    bytearray(2 * 2**20)

@pytest.mark.profile(max_allocations=100)
def test_too_many():
    kept = [object() for _ in range(200)]

@pytest.mark.profile(max_allocations=0)
def test_none():
    pass
"""


def test_a_limit_needs_no_baseline(project: Project) -> None:
    project.write({"test_it.py": _LIMITED})
    done = project.run_apart("--goref", MEMORY)
    done.assert_outcomes(passed=2, failed=2)
    done.stdout.re_match_lines(
        [r"goref: peak_bytes 2\.00 MiB, limit 1\.00 MiB.*", r"goref: allocation_count \d+, limit 100.*"]
    )
    failed = {key.name for key, result in project.last_results().items() if result.outcome == "failed"}
    assert failed == {"test_too_high", "test_too_many"}


def test_a_limit_of_a_test_that_runs_once_is_not_checked(project: Project) -> None:
    write_test(project, "pass", 'pytest.mark.profile(repeat=False, max_peak="1 MB")')
    done = project.run_apart("--goref", "--goref-strict", MEMORY)
    assert done.ret == 0
    assert not totals(project)


def test_threads_make_a_test_concurrent(project: Project) -> None:
    write_test(
        project, "import threading\nthread = threading.Thread(target=list)\nthread.start()\nthread.join()"
    )
    assert project.run_apart("--goref", MEMORY).ret == 0
    assert record(project).concurrent


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import memray\nwith memray.Tracker(tmp_path / 'x'): pass", "the test fails under memray"),
        ("import sys\nsys.setprofile(None)", "the test itself sets a profiler, so that stacks were missed"),
    ],
)
def test_a_test_that_objects_keeps_the_rest(project: Project, body: str, why: str) -> None:
    write_test(project, body)
    done = project.run_apart("--goref", "--goref-passes=memory,time", "--goref-rounds=1")
    assert done.ret == 0
    assert [p.text for p in record(project).problems if why in p.text]
    assert not totals(project)
    assert record(project).visit is not None


def test_a_profiler_that_is_on_is_a_reason(project: Project) -> None:
    project.write({"conftest.py": "import sys\nsys.setprofile(lambda *_: None)\n"})
    write_test(project, "pass")
    done = project.run_apart("--goref", MEMORY)
    assert done.ret == 0
    why = "allocations are not measured: a profiler (conftest) is active; run without it"
    done.stdout.fnmatch_lines([f"*{why} (1 test*"])


def test_another_allocator_is_a_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    write_test(project, "pass")
    done = project.run_apart("--goref", MEMORY)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*the allocator is malloc, not Python's own*"])


def test_memray_is_loaded_only_when_it_is_needed(project: Project) -> None:
    project.write(
        {"conftest.py": "import sys\ndef pytest_unconfigure():\n    assert 'memray' not in sys.modules\n"}
    )
    write_test(project, "pass")
    assert project.run_apart("--goref", "--goref-passes=counts,time", "--goref-rounds=1").ret == 0


_WATCHER: Final = """
import pytest

class Manager:
    def __init__(self):
        self.seen = []

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem):
        self.seen.append(pyfuncitem.name)
        return (yield)

def pytest_configure(config):
    config.pluginmanager.register(Manager(), "memray_manager")

def pytest_unconfigure(config):
    print(config.pluginmanager.get_plugin("memray_manager").seen)
"""


def test_what_pytest_memray_registers_sees_one_execution(shop: Project) -> None:
    shop.write({"conftest.py": _WATCHER})
    done = shop.run_apart("--goref", MEMORY, "-s")
    assert done.ret == 0
    assert "['test_empty', 'test_bill']" in done.stdout.str()
    assert totals(shop, "test_empty")[ALLOCATION_COUNT] == (0,)


@pytest.mark.skipif(not importlib.util.find_spec("pytest_memray"), reason="pytest-memray is not installed")
def test_pytest_memray_gives_the_same_results(shop: Project) -> None:
    def reported(*args: str) -> list[str]:
        lines = shop.run_apart("-p", "memray", "--memray", *args).outlines
        begin = next(number for number, line in enumerate(lines) if "MEMRAY REPORT" in line)
        return [line for line in lines[begin:] if "Total" in line or "Allocation results" in line]

    assert reported() == reported("--goref")
    assert totals(shop, "test_empty")[ALLOCATION_COUNT] == (0,)
