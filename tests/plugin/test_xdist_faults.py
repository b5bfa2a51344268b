"""A worker of xdist that dies costs the test that was running, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_DYING: Final = """
import os, signal, pathlib, threading
import pytest
import pytest_goref

def die():
    how = os.environ.get("HOW", "")
    if how == "exit":
        os._exit(0)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        with pathlib.Path("waiting").open("w"):
            threading.Event().wait()

@pytest.fixture
def in_setup():
    if os.environ.get("WHERE") == "setup":
        die()

@pytest.mark.profile
@pytest.mark.parametrize("number", range(8))
def test_before(number):
    pytest_goref.ref("key").deref()

@pytest.mark.profile
def test_dying(in_setup):
    pytest_goref.ref("key").deref()
    if os.environ.get("WHERE") == "call":
        die()

@pytest.mark.profile
@pytest.mark.parametrize("number", range(8))
def test_after(number):
    pytest_goref.ref("key").deref()
"""


@pytest.fixture
def dying(project: Project) -> Project:
    """A project in which one test of 17 may end its process; all are saved as they should be."""
    project.write({"test_dying.py": _DYING})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    return project


def outcomes(project: Project) -> dict[str, str]:
    """Return how the tests of the last run have ended."""
    return {key.name: result.outcome for key, result in project.last_results().items()}


def is_complete(project: Project) -> bool:
    """Return whether the history says that the last run left nothing out."""
    (run,) = (run for run in project.history.runs() if run.id == project.history.last_id())
    return run.complete


@pytest.mark.parametrize("where", ["setup", "call"])
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_dead_worker_loses_the_running_test(
    dying: Project, where: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", where)
    monkeypatch.setenv("HOW", how)

    result = dying.run_apart("-n2", COUNTS, "--goref-save=again", "--goref-compare=main")

    result.assert_outcomes(passed=16, failed=1)
    line = closing_line(result)
    assert line.startswith("goref: 16 compared, 0 new, 0 missing")
    assert "(not compared: 1 failed), saved to again: 16 entries written" in line
    ended = outcomes(dying)
    assert ended.pop("test_dying") == "failed"
    assert list(ended.values()) == ["passed"] * 16
    assert not is_complete(dying)
    expected = {name: json.loads(data)["tests"] for name, data in dying.baseline().items()}
    for tests in expected.values():
        del tests["test_dying"]
    assert {name: json.loads(data)["tests"] for name, data in dying.baseline("again").items()} == expected
    assert not list(dying.path.glob("**/goref-*"))


def test_a_worker_that_is_not_replaced_makes_no_test_missing(
    dying: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "call")
    monkeypatch.setenv("HOW", "exit")

    result = dying.run_apart("-n1", "--max-worker-restart=0", COUNTS, "--goref-compare=main")

    result.assert_outcomes(passed=8, failed=1)
    assert "0 missing" in closing_line(result)
    assert closing_line(result).endswith("(not compared: 1 failed, 8 not selected)")
    assert outcomes(dying)["test_dying"] == "failed"
    assert not is_complete(dying)


@pytest.mark.parametrize("when", ["start", "collection"])
def test_workers_that_die_before_their_first_test_store_nothing(
    dying: Project, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dying.baseline()
    hook = "pytest_sessionstart(session)" if when == "start" else "pytest_itemcollected(item)"
    dying.write(
        {
            "conftest.py": f"import os\ndef {hook}:\n"
            "    if 'PYTEST_XDIST_WORKER' in os.environ:\n        os._exit(3)\n"
        }
    )

    result = dying.run_apart("-n2", "--max-worker-restart=1", COUNTS, "--goref-save=main")

    assert result.ret != 0
    assert "Traceback" not in "\n".join(line for line in result.outlines if "goref" in line)
    assert dying.baseline() == before
    assert len(dying.history.runs()) == 1


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_at_a_failure_keeps_what_has_ended(dying: Project, option: str) -> None:
    dying.replace("test_dying.py", "def test_dying(in_setup):", "def test_dying(in_setup):\n    assert 0\n")

    result = dying.run_apart("-n2", option, COUNTS, "--goref-save=again")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    ended = outcomes(dying)
    assert ended["test_dying"] == "failed"
    (content,) = dying.baseline("again").values()
    assert set(json.loads(content)["tests"]) == {name for name, how in ended.items() if how == "passed"}
    assert not is_complete(dying)


def _interrupted(session: subprocess.Popen[bytes]) -> str:
    """Interrupt a session; return what it prints until nobody is left who could write."""
    os.killpg(session.pid, signal.SIGINT)
    try:
        return session.communicate(timeout=60)[0].decode()
    except subprocess.TimeoutExpired:  # an interrupt that meets a finalizer is lost: Python drops it
        os.killpg(session.pid, signal.SIGINT)
        return session.communicate(timeout=60)[0].decode()


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are of POSIX")
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_interrupted_session_leaves_nothing_behind(
    dying: Project, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "call")
    monkeypatch.setenv("HOW", "wait")
    arguments = (workers, "-p", "no:cacheprovider", "--goref-passes=counts,memory", "--goref-compare=main")
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=dying.path,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as session:
        try:
            while not (dying.path / "waiting").exists():
                assert session.poll() is None
                time.sleep(0.01)
            output = _interrupted(session)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session.pid, signal.SIGKILL)
    assert session.returncode == pytest.ExitCode.INTERRUPTED, output

    assert output.count("goref: ") == 1
    assert "0 missing" in output
    assert "test_dying" not in outcomes(dying)
    assert not is_complete(dying)
    assert list(Path(os.environ["TMPDIR"]).glob("goref*")) == []
