"""Beside plugins that freeze or limit time, clocks and dates of ours are the true ones, and nothing hangs."""

from __future__ import annotations

import datetime as dt
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.model import Mode

pytest_plugins = ("plugin_project",)

_FREEZING: Final = {
    "freezegun": ("import freezegun\n", "freezegun.freeze_time('2001-02-03')"),
    "time_machine": ("import time_machine\n", "time_machine.travel('2001-02-03', tick=False)"),
}
_FROZEN: Final = """
import datetime, time, unittest
import pytest

@pytest.fixture
def frozen():
    with FREEZE as travelled:
        yield travelled

@pytest.fixture(scope="session", autouse=AUTO)
def frozen_session():
    with FREEZE:
        yield

@pytest.fixture
def today():
    return datetime.date.today().isoformat()

def test_fixture(frozen):
    assert datetime.date.today().isoformat() == "2001-02-03"
    assert time.time() == 981158400.0

@FREEZE
def test_function():
    assert datetime.date.today().isoformat() == "2001-02-03"

@FREEZE
class TestUnit(unittest.TestCase):
    def test_class(self):
        assert datetime.date.today().isoformat() == "2001-02-03"

def test_after(today):
    assert (today == "2001-02-03") == AUTO
"""


@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("library", _FREEZING)
def test_frozen_time_freezes_neither_clocks_nor_dates_of_ours(
    project: Project, library: str, *, session: bool
) -> None:
    head, freeze = _FREEZING[library]
    project.write({"test_it.py": head + _FROZEN.replace("FREEZE", freeze).replace("AUTO", str(session))})
    result = project.run_apart("--goref", "--goref-all", "--goref-rounds=2", "--goref-passes=time,counts")
    run_id = project.history.last_id()
    (info,) = (run for run in project.history.runs() if run.id == run_id)
    records = [ended.record for ended in project.last_results().values() if ended.record]

    result.assert_outcomes(passed=4)
    assert {record.mode for record in records} == {Mode.WARM}
    assert all(0 < taken.wall_ns < 10**11 for r in records if r.visit for taken in r.visit.rounds)
    assert dt.datetime.fromisoformat(info.started_at).year > 2020


_MARKED: Final = """
import datetime
import pytest

@pytest.mark.time_machine("2001-02-03")
def test_it(time_machine):
    assert datetime.date.today().isoformat() == "2001-02-03"
    time_machine.move_to("2002-02-03")
    assert datetime.date.today().isoformat() == "2002-02-03"
"""


def test_a_marked_test_travels_in_every_execution(project: Project) -> None:
    project.write({"test_it.py": _MARKED})
    result = project.run_apart("-p", "time_machine", "--goref", "--goref-all", COUNTS)
    result.assert_outcomes(passed=1)
    assert "not repeatable" not in result.stdout.str()


_LIMITED: Final = """
import signal, threading, time
import pytest

RUNS = []

@pytest.mark.profile
def test_passes():
    pass

@pytest.mark.profile
def test_later():
    RUNS.append(1)
    if len(RUNS) > 1 and HANGS:
        time.sleep(100)

@pytest.mark.profile
def test_slow():
    time.sleep(100 if SLOW else 0)

def test_nothing_is_armed():
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
"""
_TIMEOUT: Final = ("-p", "timeout")
_UNLIMITED: Final = "@pytest.mark.timeout(0)\ndef test_nothing"


def _limited(project: Project, *, hangs: bool, slow: bool) -> None:
    text = _LIMITED.replace("HANGS", str(hangs)).replace("SLOW", str(slow))
    project.write({"test_it.py": text.replace("def test_nothing", _UNLIMITED)})


def test_a_test_that_hangs_when_repeated_is_stopped(project: Project) -> None:
    _limited(project, hangs=True, slow=False)
    result = project.run_apart("--goref", COUNTS, *_TIMEOUT, "--timeout=1")
    result.assert_outcomes(passed=4)
    (told,) = (line for line in result.outlines if "Timeout" in line)
    assert "test_it.py::test_later" in told
    assert closing_line(result) == "goref: 3 measured"


@pytest.mark.parametrize("method", ["signal", "thread"])
@pytest.mark.parametrize("func_only", ["true", "false"])
def test_limits_of_tests_that_keep_them_are_not_noticed(
    project: Project, method: str, func_only: str
) -> None:
    _limited(project, hangs=False, slow=False)
    args = (*_TIMEOUT, "--timeout=30", f"--timeout-method={method}", f"-otimeout_func_only={func_only}")
    result = project.run_apart("--goref", COUNTS, *args)
    result.assert_outcomes(passed=4)
    assert closing_line(result) == "goref: 3 measured"


def test_a_test_that_exceeds_its_limit_fails_as_ever(project: Project) -> None:
    _limited(project, hangs=False, slow=True)
    result = project.run_apart("--goref", COUNTS, *_TIMEOUT, "--timeout=1", "--timeout-method=signal")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E * Failed: Timeout (>1.0s) from pytest-timeout."])


def test_a_thread_that_stops_a_test_ends_the_session_as_ever(project: Project) -> None:
    _limited(project, hangs=False, slow=True)
    args = (*_TIMEOUT, "--timeout=1", "--timeout-method=thread")
    plain, measured = project.run_apart(*args), project.run_apart("--goref", COUNTS, *args)
    assert measured.ret == plain.ret == 1
    assert "Timeout" in measured.stdout.str() + measured.stderr.str()


_SLOWED: Final = """
import time
import pytest

RUNS = []

@pytest.mark.profile
def test_it():
    RUNS.append(1)
    time.sleep(0.3 if len(RUNS) == 1 else 1.2)
"""


@pytest.mark.parametrize("func_only", ["true", "false"])
def test_a_profiler_may_slow_a_test_down_beyond_its_limit(project: Project, func_only: str) -> None:
    project.write({"test_it.py": _SLOWED})
    args = (*_TIMEOUT, "--timeout=1", "--timeout-method=thread", f"-otimeout_func_only={func_only}")
    result = project.run_apart("--goref", "--goref-passes=memory", *args)
    result.assert_outcomes(passed=1)
    assert closing_line(result) == "goref: 1 measured"


_PREPARED: Final = """
import time
from pytest_goref.profilers.memory import MemoryProfiler

def prepare(self, before=MemoryProfiler.prepare):
    time.sleep(1.2)
    before(self)

MemoryProfiler.prepare = prepare
"""


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_what_is_prepared_before_a_test_is_no_time_of_it(project: Project, method: str) -> None:
    _limited(project, hangs=False, slow=False)
    project.write({"conftest.py": _PREPARED})
    args = (*_TIMEOUT, "--timeout=1", f"--timeout-method={method}")
    result = project.run_apart("--goref", "--goref-passes=memory", *args)
    result.assert_outcomes(passed=4)
    assert closing_line(result) == "goref: 3 measured"
