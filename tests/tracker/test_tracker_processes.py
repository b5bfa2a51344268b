from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from tracker_engines import engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref
from pytest_goref.tracker import ledger

HYGIENE = """
import sys, threading
before = set(sys.modules)
import pytest_goref as goref
with goref.ref("key"):
    pass
goref.get_tracker("a").ref("key").deref()
later = goref.snapshot() - goref.snapshot()
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded), threading.active_count())
"""


def test_the_import_is_light_and_starts_no_thread() -> None:
    run = subprocess.run([sys.executable, "-S", "-c", HYGIENE], capture_output=True, text=True, check=True)
    *loaded, threads = run.stdout.split()
    assert set(loaded) <= {"__future__", "_bisect", "bisect", "math", "pytest_goref"}
    assert threads == "1"


def test_every_module_may_be_imported_before_pytest_rewrites_it() -> None:
    assert "PYTEST_DONT_REWRITE" in (goref.__doc__ or "")
    loaded = [module for name, module in sys.modules.items() if name.startswith("pytest_goref.tracker")]
    assert len(loaded) >= 5
    for module in (*loaded, sys.modules["pytest_goref.errors"]):
        assert "PYTEST_DONT_REWRITE" in (module.__doc__ or "")


def test_the_public_names() -> None:
    assert goref.__version__ == "0.1.0"
    for name in goref.__all__:
        assert hasattr(goref, name)
    assert goref.Tracker.__doc__
    assert goref.ref.__doc__


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_process_goes_on_counting() -> None:
    threads = threading.active_count()
    tracker = goref.Tracker()
    tracker.ref("key").deref()
    inherited = tracker.ref("key")
    # As if another thread absorbed a log at the moment of the fork. The engine in C has no lock.
    with ledger._absorption.lock:
        child = os.fork()
        if not child:
            status = 1
            try:
                for _ in range(5_000):
                    tracker.ref("key").deref()
                inherited.deref()
                figures = tracker.snapshot()["key"]
                short = goref.engine == "c" or len(tracker._ledgers["key"].log) < 300
                status = 0 if (figures.active, figures.count, short) == (0, 5_002, True) else 2
            finally:
                os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    figures = tracker.snapshot()["key"]
    assert (figures.active, figures.count) == (1, 1)
    assert threading.active_count() == threads
