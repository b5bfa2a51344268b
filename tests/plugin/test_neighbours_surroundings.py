"""Odd surroundings, clocks and tools that a test or a session uses."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Final

import pytest
from neighbour_tests import counted, refs, timed, write_test
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project", "neighbour_tests")


_STOPPED: Final = """
import time
import pytest
import pytest_goref

@pytest.mark.profile(max_duration="1min")
@pytest.mark.parametrize("value", [0, -1, float("nan"), None])
def test_it(monkeypatch, value):
    for name in ("time", "perf_counter", "monotonic", "process_time", "thread_time"):
        for variant in (name, f"{name}_ns"):
            monkeypatch.setattr(time, variant, lambda: value)
    pytest_goref.ref("db.query").deref()
"""


def test_a_test_may_stop_its_clocks(project: Project) -> None:
    project.write({"test_it.py": _STOPPED})

    result = project.run_apart("--goref", "--goref-rounds=2")

    result.assert_outcomes(passed=4)
    assert closing_line(result) == "goref: 4 measured"
    assert list(refs(project).values()) == [{"db.query": (1,)}] * 4
    visits = [result.record and result.record.visit for result in project.last_results().values()]
    assert len(visits) == 4
    assert all(visits)


@pytest.mark.parametrize("library", ["freezegun", "time_machine"])
def test_a_test_may_freeze_time(project: Project, library: str) -> None:
    pytest.importorskip(library)
    freeze = "freezegun.freeze_time" if library == "freezegun" else "time_machine.travel"
    body = """
with FREEZE("2020-01-01"):
    assert time.time() // 10 == 157_783_680
    pytest_goref.ref("k").deref()
""".strip().replace("FREEZE", freeze)
    write_test(project, body, head=f"import time\nimport {library}\nimport pytest_goref")

    result = project.run_apart("--goref-save=main", "--goref-rounds=2", "--goref-visits=0")

    result.assert_outcomes(passed=1)
    assert closing_line(result).startswith("goref: 1 measured, saved to main: 1 entry written")
    (record,) = (result.record for result in project.last_results().values())
    assert record is not None
    assert record.visit is not None
    assert all(0 < taken.wall_ns < 10**11 for taken in record.visit.rounds)
    assert refs(project) == {"test_it": {"k": (1,)}}


@pytest.mark.parametrize("then", ["", "\nos.rmdir(os.getcwd())"])
def test_a_test_may_change_the_directory(project: Project, then: str) -> None:
    body = f'here = str(tmp_path / "here")\nos.makedirs(here, exist_ok=True)\nos.chdir(here){then}'
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = "import os\nimport pytest\n\n@pytest.mark.profile\n"
    project.write({"test_it.py": f"{head}def test_it(tmp_path):\n{lines}"})
    if sys.platform == "win32" and then:
        pytest.skip("a directory in use cannot be removed")

    saved = project.run_apart("--goref-save=main", COUNTS)
    compared = project.run_apart("--goref-compare=main", COUNTS, "-n1")

    saved.assert_outcomes(passed=1)
    assert closing_line(saved).startswith("goref: 1 measured, saved to main: 1 entry written")
    assert closing_line(compared).startswith("goref: 1 compared")


_PROFILERS: Final = {
    "cProfile": ("import cProfile", "with cProfile.Profile():\n    pytest_goref.ref('k').deref()"),
    "profile": ("import profile", "profile.Profile().runcall(len, 'abc')\npytest_goref.ref('k').deref()"),
    "sys.setprofile": (
        "import sys",
        "sys.setprofile(lambda *_: None)\npytest_goref.ref('k').deref()\nsys.setprofile(None)",
    ),
    "sys.settrace": (
        "import sys",
        "sys.settrace(lambda *_: None)\npytest_goref.ref('k').deref()\nsys.settrace(None)",
    ),
}


@pytest.mark.parametrize("tool", _PROFILERS)
def test_a_test_may_use_a_profiler_itself(project: Project, tool: str) -> None:
    head, body = _PROFILERS[tool]
    write_test(project, body, head=f"{head}\nimport pytest_goref")

    result = project.run_apart("--goref-save=main", "--goref-rounds=2", "--goref-visits=0")

    result.assert_outcomes(passed=1)
    assert refs(project) == {"test_it": {"k": (1,)}}
    assert timed(project)
    told = [line for line in result.outlines if line.startswith(("calls are ", "calls were "))]
    assert len(told) <= 1
    assert bool(told) is not bool(counted(project, "test_it", "calls"))


def test_a_session_under_a_profiler_counts_refs(marked: Project) -> None:
    command = [sys.executable, "-m", "cProfile", "-o", "stats", "-m", "pytest", "--goref", "--goref-rounds=1"]

    ended = subprocess.run(command, cwd=marked.path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout
    (told,) = (line for line in ended.stdout.splitlines() if line.startswith("durations are not measured"))
    assert "rofile) is active" in told
    assert refs(marked)["test_one"] == {"db.query": (1,)}
    assert not timed(marked)


@pytest.mark.skipif(importlib.util.find_spec("coverage") is None, reason="needs coverage")
def test_coverage_stops_the_clock_and_nothing_else(marked: Project) -> None:
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "--goref"]

    ended = subprocess.run(command, cwd=marked.path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("durations are not measured"))
    assert line.endswith("(2 tests: test_it.py::test_one, ...)")
    assert refs(marked)["test_one"] == {"db.query": (1,)}
    assert counted(marked, "test_one", "calls")
    assert not timed(marked)


def test_coverage_counts_what_runs_without_it(marked: Project) -> None:
    pytest.importorskip("coverage")
    marked.run_apart("--goref-save=main", COUNTS)
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        "-m",
        "pytest",
        "--goref-compare=main",
        "--goref-strict",
    ]

    ended = subprocess.run(
        [*command, "--goref-fail=calls:0"], cwd=marked.path, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout
    assert "2 compared, 0 new, 0 missing, 0 incomparable" in ended.stdout


def test_a_time_limit_is_that_of_one_execution(project: Project) -> None:
    pytest.importorskip("pytest_timeout")
    write_test(project, "import time\ntime.sleep(0.04)")

    result = project.run_apart("--goref", "--goref-rounds=30", "-p", "timeout", "--timeout=1")

    result.assert_outcomes(passed=1)
    assert closing_line(result) == "goref: 1 measured"
    assert timed(project)


def test_a_benchmark_fixture_decides_itself_how_often_code_runs(project: Project) -> None:
    # As that of pytest-benchmark and pytest-codspeed does: another number of times in every run.
    fixture = """
import itertools, os
import pytest

@pytest.fixture
def benchmark():
    def repeat(function):
        for _ in range(int(os.environ["TIMES"])):
            function()
    with open("executed.txt", "a") as file:
        file.write("once\\n")
    return repeat
"""
    body = "benchmark(lambda: pytest_goref.ref('k').deref())"
    head = "import pytest\nimport pytest_goref\n\n@pytest.mark.profile\n"
    project.write({"conftest.py": fixture, "test_it.py": f"{head}def test_it(benchmark):\n    {body}\n"})

    results = []
    for times, option in ((3, "--goref-save=main"), (5, "--goref-compare=main")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TIMES", str(times))
            results.append(project.run(option))

    why = (
        "counts, calls, allocations and durations are not measured: "
        "the benchmark fixture decides how often the code runs"
    )
    for result in results:
        result.assert_outcomes(passed=1)
        assert result.outlines.count(f"{why} (1 test: test_it.py::test_it)") == 1
    assert project.log("executed.txt") == ["once", "once"]
    assert "0 compared, 0 new, 0 missing, 1 incomparable" in closing_line(results[1])
