"""Plugins that measure a test themselves decide how often it runs, and their results are as ever."""

from __future__ import annotations

import re
import sys
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_WHY: Final = (
    "counts, calls, allocations and durations are not measured: "
    "the benchmark fixture decides how often the code runs"
)
_BENCHMARKS: Final = """
import pytest

pytestmark = pytest.mark.profile

def note(name):
    with open("log.txt", "a") as file:
        file.write(name + "\\n")

@pytest.fixture
def noted(request):
    note(request.node.name)

def test_fixture(noted, benchmark):
    assert benchmark(sum, [1, 2]) == 3

def test_pedantic(noted, benchmark):
    assert benchmark.pedantic(sum, args=([1, 2],), rounds=3, iterations=2) == 3

class TestClass:
    @pytest.mark.benchmark(group="of a class", min_rounds=2, max_time=0.01)
    def test_in_class(self, noted, benchmark):
        assert benchmark(sum, [1, 2]) == 3

def test_without():
    note("test_without")
"""
_THREE: Final = ["test_fixture", "test_pedantic", "test_in_class"]


@pytest.mark.parametrize(
    "option", ["--benchmark-min-rounds=2", "--benchmark-only", "--benchmark-skip", "--benchmark-disable"]
)
def test_benchmarks_are_as_ever(project: Project, option: str) -> None:
    project.write({"test_it.py": _BENCHMARKS})
    options = ("-p", "benchmark", "--benchmark-max-time=0.01", "--benchmark-warmup=off", option)

    plain = project.run_apart(*options)
    log = project.log()
    measured = project.run_apart("--goref", COUNTS, *options)

    assert measured.parseoutcomes() == plain.parseoutcomes()
    assert [name for name in project.log() if name in _THREE] == [name for name in log if name in _THREE]
    shown = "benchmark: " in plain.stdout.str()
    assert ("benchmark: " in measured.stdout.str()) is shown
    lines = [line for line in measured.outlines if line.startswith(_WHY)]
    ran = option != "--benchmark-skip"
    assert lines == ([f"{_WHY} (3 tests: test_it.py::test_fixture, ...)"] if ran else [])


# As pytest-codspeed does, which cannot be installed beside pytest-benchmark: it wraps what executes the item.
_CODSPEED: Final = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--codspeed", action="store_true")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if item.config.getoption("codspeed") and item.get_closest_marker("benchmark"):
        execute = item.runtest

        def measured():
            for _ in range(7):
                execute()

        item.runtest = measured

def pytest_configure(config):
    config.addinivalue_line("markers", "benchmark: of codspeed")

@pytest.fixture
def codspeed_benchmark():
    return lambda function: [function() for _ in range(5)]
"""
_MARKED: Final = """
import pytest

def note(name):
    with open("log.txt", "a") as file:
        file.write(name + "\\n")

@pytest.mark.profile
@pytest.mark.benchmark
def test_marked():
    note("marked")

@pytest.mark.profile
def test_fixture(codspeed_benchmark):
    codspeed_benchmark(lambda: note("fixture"))
"""


def test_codspeed_decides_when_it_is_on(project: Project) -> None:
    project.write({"conftest.py": _CODSPEED, "test_it.py": _MARKED})

    result = project.run("--goref", COUNTS, "--codspeed")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "1 test executed once (pytest-codspeed decides how often it runs): test_it.py::test_marked",
            f"{_WHY} (1 test: test_it.py::test_fixture)",
        ]
    )
    assert project.log() == ["marked"] * 7 + ["fixture"] * 5


def test_codspeed_that_is_off_changes_nothing(project: Project) -> None:
    project.write({"conftest.py": _CODSPEED, "test_it.py": _MARKED})

    result = project.run("--goref", COUNTS)

    result.assert_outcomes(passed=2)
    assert "pytest-codspeed decides" not in result.stdout.str()
    log = project.log()
    assert log.count("marked") > 7
    assert log.count("fixture") == 5


_LIMITS: Final = """
import pytest

KEPT = []

@pytest.mark.profile
@pytest.mark.limit_memory("1 MB")
def test_over():
    return bytearray(4 * 2**20) and None

@pytest.mark.profile
@pytest.mark.limit_memory("100 MB")
def test_within():
    KEPT.append([str(number) for number in range(100)])

@pytest.mark.profile
@pytest.mark.limit_leaks("10 KB")
def test_leaks():
    KEPT.append(bytearray(2**20))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memray does not run there")
def test_limits_of_pytest_memray_hold_as_ever(project: Project) -> None:
    project.write({"test_it.py": _LIMITS})

    def failures(*args: str) -> list[str]:
        result = project.run_apart("-p", "memray", "--memray", *args)
        result.assert_outcomes(passed=1, failed=2)
        told = [
            line
            for line in result.outlines
            if re.match(r"FAILED|E |Test is using|Test was limited|Test", line)
        ]
        return [re.sub(r"[\d.]+[KM]i?B out", "N out", line) for line in told]

    assert failures("--goref-save=main", "--goref-passes=counts,memory") == failures()
    again = project.run_apart("-p", "memray", "--goref-compare=main", "--goref-passes=counts,memory")
    assert closing_line(again).startswith("goref: 1 compared")
    assert closing_line(again).endswith("0 regressed, 0 improved (not compared: 2 failed)")
