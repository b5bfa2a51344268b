"""Tests that misbehave end as they do without measuring, and neither harm what is stored nor each other."""

from __future__ import annotations

import re
import sys
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.metrics import REFS
from pytest_goref.model import TestKey

pytest_plugins = ("plugin_project",)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="misbehaves with what Windows has not")

_MISBEHAVING: Final = """
import gc, os, resource, shutil, signal, sys, threading, time
import pytest
import pytest_goref

@pytest.fixture(scope="session", autouse=True)
def all_is_given_back(tmp_path_factory):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)

def nothing(*_):
    return None

def deeper(number):
    return number and deeper(number - 1)

def forever():
    return forever()

def opened():
    files = []
    try:
        while True:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return files

def test_sets_a_profiler():
    sys.setprofile(nothing)

def test_sets_a_profiler_for_threads():
    threading.setprofile(nothing)

def test_sets_a_tracer():
    sys.settrace(nothing)

def test_after_tracers():
    sys.settrace(None)
    sys.setprofile(None)
    threading.setprofile(None)

def test_closes_descriptors():
    os.close(1)
    os.close(2)

def test_after_descriptors():
    print("x")

def test_forgets_where_home_is():
    os.environ["HOME"] = os.environ["TMPDIR"] = "/nowhere"

def test_forgets_everything():
    os.environ.clear()

def test_after_environment():
    assert pytest_goref.ref("x").deref() is None

def test_deletes_the_cache(request):
    shutil.rmtree(request.config.rootpath / ".goref_cache", ignore_errors=True)

def test_removes_where_it_stands(tmp_path):
    os.chdir(tmp_path)
    tmp_path.rmdir()

def test_stands_nowhere():
    pass

def test_stands_again(request):
    os.chdir(request.config.rootpath)

def test_opens_all_files_there_are():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for file in opened():
        os.close(file)

KEPT = []

def test_keeps_all_files_open():
    KEPT.extend(opened())

def test_after_files():
    while KEPT:
        os.close(KEPT.pop())

def test_goes_deep():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 1000)
    deeper(limit)
    sys.setrecursionlimit(limit)

def test_goes_too_deep():
    with pytest.raises(RecursionError):
        forever()

def test_exits():
    sys.exit(3)

def test_exits_when_repeated(repeated=[]):
    repeated.append(1)
    if len(repeated) > 1:
        sys.exit(3)

def test_stops_collecting():
    gc.disable()
    gc.freeze()

def test_collects_again():
    assert not gc.isenabled()
    gc.unfreeze()
    gc.enable()

def test_ignores_signals():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)

def test_heeds_signals():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)

def test_stops_all_clocks(monkeypatch):
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: -5.0)
        monkeypatch.setattr(time, f"{name}_ns", lambda: -5)

def test_takes_a_gigabyte():
    assert len(bytearray(2**30)) == 2**30

def test_takes_it_in_pieces():
    for _ in range(20_000):
        bytearray(1000)

def test_leaves_a_process():
    child = os.fork()
    if not child:
        pytest_goref.ref("of.the.child").deref()
        os._exit(0)
    os.waitpid(child, 0)
"""
_OUTCOME: Final = re.compile(r"test_misbehaving\.py::(\w+) ([A-Z]+)")


def _ended(result: pytest.RunResult) -> list[tuple[str, str]]:
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    found = [match.groups() for line in result.outlines if (match := _OUTCOME.match(line))]
    assert len(found) == _MISBEHAVING.count("\ndef test_")
    return [(name, outcome) for name, outcome in found]


def test_what_tests_do_to_the_process_changes_no_outcome(project: Project) -> None:
    project.write({"test_misbehaving.py": _MISBEHAVING})
    plain = project.run_apart("-v", "-p", "no:cacheprovider")
    measured = project.run_apart(
        "-v", "-p", "no:cacheprovider", "--goref-all", "--goref-passes=counts,memory", "--goref-save=main"
    )

    assert _ended(measured) == _ended(plain)
    assert measured.ret == plain.ret
    measured_tests = {name for name, _ in _ended(plain)} - {"test_exits"}
    results = project.last_results()
    assert {key.name for key, ended in results.items() if ended.record} == measured_tests
    forked = results[TestKey("test_misbehaving.py", "test_leaves_a_process")].record
    assert forked is not None
    assert forked.measurements[REFS] == {}
    captures = (project.path / ".goref_cache" / "artifacts").rglob("*.memray")
    assert sum(capture.stat().st_size for capture in captures) < 5_000_000


_COMING_BACK: Final = """
import os
import pytest
import pytest_goref

def test_before():
    pass

def test_forks():
    child = os.fork()
    if not child:
        pytest_goref.ref("of.the.child").deref()
        {leave}
    assert os.waitpid(child, 0)

def test_after():
    pass
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("leave", ["return", "raise SystemExit(0)", "raise AssertionError"])
def test_a_forked_child_that_comes_back_neither_measures_nor_writes(project: Project, leave: str) -> None:
    project.write({"test_it.py": _COMING_BACK.replace("{leave}", leave)})
    plain = project.run_apart("-p", "no:cacheprovider")
    measured = project.run_apart(
        "-p", "no:cacheprovider", "--goref-all", "--goref-save=main", "--goref-visits=0", "--goref-rounds=1"
    )

    assert measured.ret == plain.ret == pytest.ExitCode.OK
    assert closing_line(measured).startswith("goref: 3 measured, saved to main: 3 entries written")
    assert "of.the.child" not in "".join(data.decode() for data in project.baseline().values())
    assert len(project.history.runs()) == 1
    assert len(project.last_results()) == 3


def test_processes_of_the_standard_library_count_for_themselves(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import concurrent.futures, multiprocessing
import pytest
import pytest_goref

def work(number):
    pytest_goref.ref("of.the.child").deref()
    return number

@pytest.mark.profile(repeat=False)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pool(method):
    pytest_goref.ref("of.the.parent").deref()
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert list(pool.map(work, [1, 2])) == [1, 2]
    process = context.Process(target=work, args=(3,))
    process.start()
    process.join()
    assert process.exitcode == 0
"""
        }
    )

    project.run_apart("--goref", COUNTS, "-p", "no:cacheprovider").assert_outcomes(passed=3)

    for ended in project.last_results().values():
        assert ended.record is not None
        assert ended.record.measurements[REFS] == {"of.the.parent": (1,)}


@pytest.mark.parametrize("execution", [1, 2])
def test_a_test_that_ends_the_process_damages_nothing(project: Project, execution: int) -> None:
    healthy = "import pytest\n\n@pytest.mark.profile\ndef test_it():\n    pass\n"
    project.write({"test_it.py": healthy})
    project.run("--goref-save=main", COUNTS).assert_outcomes(passed=1)
    before = project.baseline()
    leaving = f"""
    test_it.times = getattr(test_it, 'times', 0) + 1
    test_it.times < {execution} or os._exit(9)
"""
    project.write({"test_it.py": "import os\n" + healthy + leaving})

    assert project.run_apart("--goref-save=main", COUNTS).ret == 9

    assert project.baseline() == before
    assert len(project.history.runs()) == 1
    project.write({"test_it.py": healthy})
    result = project.run("--goref-compare=main", COUNTS)
    assert closing_line(result).startswith("goref: 1 compared, 0 new")


def test_threads_that_go_on_fail_no_later_test(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import threading
import pytest
import pytest_goref

STOP = threading.Event()

def work():
    while not STOP.wait(0.0005):
        pytest_goref.ref("in.the.background").deref()

@pytest.mark.profile
@pytest.mark.parametrize("daemon", [True, False])
def test_leaves_a_thread(daemon):
    threading.Thread(target=work, daemon=daemon).start()

@pytest.mark.profile
@pytest.mark.parametrize("number", range(5))
def test_later(number):
    pytest_goref.ref("of.the.test").deref()
    sum(range(20_000))

def test_last():
    STOP.set()
"""
        }
    )
    options = (COUNTS, "-p", "no:cacheprovider")
    project.run("--goref-save=main", *options).assert_outcomes(passed=8)

    for _ in range(2):
        project.run("--goref-compare=main", *options).assert_outcomes(passed=8)
