"""Profilers around a session and inside of a test: both they and we stay right."""

from __future__ import annotations

import pstats
import subprocess
import sys
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_HEAD: Final = """
import faulthandler, gc, sys, threading, tracemalloc
import pytest
import pytest_goref

pytestmark = pytest.mark.profile

def work():
    pytest_goref.ref("work").deref()
    return [str(number) for number in range(50)]

def test_plain():
    assert work()
"""
_TOOLS: Final = """
def test_cprofile():
    import cProfile
    cProfile.Profile().runcall(work)

def test_profile():
    import profile
    profile.Profile().runcall(len, "abc")

def test_pyinstrument():
    from pyinstrument import Profiler
    with Profiler():
        work()

def test_sets_a_profiler():
    sys.setprofile(lambda *_: None)
    work()
    sys.setprofile(None)

def test_profiles_threads():
    before = threading.getprofile()
    threading.setprofile(lambda *_: None)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    threading.setprofile(before)

def test_tracemalloc():
    tracemalloc.start()
    kept = work()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken
    assert kept

def test_watches_the_collector():
    seen = []
    note = lambda *event: seen.append(event)
    gc.callbacks.append(note)
    gc.collect()
    gc.callbacks.remove(note)
    assert seen

def test_stops_the_collector():
    assert gc.isenabled()
    gc.disable()
    work()
    assert not gc.isenabled()
    gc.enable()

def test_dumps_later():
    faulthandler.dump_traceback_later(1000)
    work()
    faulthandler.cancel_dump_traceback_later()

@pytest.mark.skipif(sys.platform == "win32", reason="memray does not run there")
@pytest.mark.parametrize("number", [1, 2])
def test_memray(tmp_path, number):
    import memray
    with memray.Tracker(tmp_path / "capture.bin"):
        work()

@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring")
def test_monitors():
    tool = sys.monitoring.PROFILER_ID
    sys.monitoring.use_tool_id(tool, "mine")
    work()
    sys.monitoring.free_tool_id(tool)

def test_everything_is_as_before():
    assert sys.getprofile() is None
    assert sys.gettrace() is None
    assert threading.getprofile() is None
    assert gc.isenabled()
    assert not tracemalloc.is_tracing()
    if sys.version_info >= (3, 12):
        assert not any(sys.monitoring.get_tool(tool) for tool in (0, 1, 3, 4, 5))
"""
_PASSES: Final = ("--goref-passes=counts,memory", "--goref-fail=calls:0")


def test_a_test_may_use_any_tool_itself(project: Project) -> None:
    project.write({"test_it.py": _HEAD + _TOOLS})

    saved = project.run_apart("--goref-save=main", *_PASSES)
    compared = project.run_apart("--goref-compare=main", *_PASSES)

    count = 13 + (sys.version_info >= (3, 12))
    for result in (saved, compared):
        assert result.parseoutcomes()["passed"] == count
        assert "failed" not in result.parseoutcomes()
        assert "not repeatable" not in result.stdout.str()
        assert "a profiler failed" not in result.stdout.str()
    assert closing_line(compared).startswith(f"goref: {count} compared, 0 new, 0 missing, 0 incomparable")
    assert "0 regressed" in closing_line(compared)
    compared.stdout.fnmatch_lines(
        ["allocations are not measured: the test fails under memray (*No more than one*"]
    )


_AROUND: Final = {
    "cProfile": ("-m", "cProfile", "-o", "stats", "-m", "pytest"),
    "pyinstrument": ("-m", "pyinstrument", "-o", "page.html", "-r", "html", "-m", "pytest"),
    "memray": ("-m", "memray", "run", "-q", "-o", "capture.bin", "-m", "pytest"),
    "tracemalloc": ("-X", "tracemalloc=5", "-m", "pytest"),
    "dev": ("-X", "dev", "-m", "pytest"),
    "importtime": ("-X", "importtime", "-m", "pytest"),
    "optimized": ("-O", "-W", "ignore", "-m", "pytest"),
}
_HOLDERS: Final = {
    "cProfile": "a profiler (",
    "pyinstrument": "a profiler (pyinstrument)",
    "memray": "a profiler (memray)",
    "tracemalloc": "tracemalloc",
}


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    """The files of the baseline, once a test has saved it."""
    return {}


@pytest.fixture
def worked(project: Project, kept: dict[str, bytes]) -> Project:
    project.write({"test_it.py": _HEAD})
    if not kept:
        project.run_apart("--goref-save=main", *_PASSES)
        kept.update(project.baseline())
    project.put_baseline(kept)
    return project


@pytest.mark.parametrize("tool", _AROUND)
def test_a_session_under_a_tool_compares_what_it_can(worked: Project, tool: str) -> None:
    command = [sys.executable, *_AROUND[tool], "--goref-compare=main", *_PASSES]

    ended = subprocess.run(command, cwd=worked.path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed" in ended.stdout
    if tool in _HOLDERS:
        lines = [
            line for line in ended.stdout.splitlines() if line.startswith("allocations are not measured")
        ]
        assert len(lines) == 1
        assert f": {_HOLDERS[tool]}" in lines[0]
        assert lines[0].endswith("is active; run without it (1 test: test_it.py::test_plain)")


_PROFILED: Final = """
import cProfile
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    profile = cProfile.Profile()
    profile.enable()
    result = yield
    profile.disable()
    profile.dump_stats(item.name + ".prof")
    return result
"""


def test_a_profile_of_each_test_shows_one_execution(project: Project) -> None:
    # As pytest-profiling takes it.
    project.write({"test_it.py": _HEAD, "conftest.py": _PROFILED})

    result = project.run_apart("--goref", *_PASSES)

    result.assert_outcomes(passed=1)
    stats = pstats.Stats(str(project.path / "test_plain.prof")).stats  # type: ignore[attr-defined]
    calls = {name: numbers[1] for (file, _, name), numbers in stats.items() if file.endswith("test_it.py")}
    assert calls == {"test_plain": 1, "work": 1, **{name: 1 for name in calls if name.startswith("<")}}


def test_a_dump_of_stacks_is_for_one_execution(project: Project) -> None:
    body = "import time\nimport pytest\n\n@pytest.mark.profile\ndef test_it():\n    time.sleep(0.2)\n"
    project.write({"test_it.py": body})

    result = project.run_apart("--goref", COUNTS, "-o", "faulthandler_timeout=1", "--capture=sys")

    result.assert_outcomes(passed=1)
    assert "Timeout" not in result.stderr.str()
