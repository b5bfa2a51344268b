from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import REFS
from pytest_goref.model import Environment, Mode, Record, TestKey
from pytest_goref.plugin.visits import JOURNAL, VISIT, VisitRequest, VisitResult, run_visit
from pytest_goref.profile import CPU_VALUES, Frame, ProfileKind, StackProfile
from pytest_goref.store.codec import record_to_plain
from pytest_goref.store.profile_codec import profile_to_plain

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 1_000_000_000
A, B = TestKey("test_a.py", "test_a"), TestKey("test_b.py", "test_b[ü\n'\"]")
PROFILE = StackProfile(ProfileKind.CPU, CPU_VALUES, {(Frame("a.py::b", "/a.py", "b", 1),): (1, 2)})
HANG = "import threading; threading.Event().wait()"


def measured(key: TestKey) -> Record:
    return Record(key, Environment("cpython-3.12", "words", "here"), Mode.WARM, {REFS: {"look": (3,)}})


def begin(key: TestKey) -> list[object]:
    return ["begin", key.path, key.name]


def end(key: TestKey) -> list[object]:
    return ["end", key.path, key.name]


def record(key: TestKey) -> list[object]:
    return ["record", record_to_plain(measured(key)), [profile_to_plain(PROFILE)]]


def brought(*keys: TestKey, failure: str = "", **others: Any) -> VisitResult:
    """Return the result of a visit that has measured the tests ``keys``."""
    profiles = dict.fromkeys(keys, (PROFILE,))
    return VisitResult({key: measured(key) for key in keys}, failure, profiles=profiles, **others)


def visit(tmp_path: Path, code: str, *events: list[object], limit_ns: int = 300 * SECOND_NS) -> VisitResult:
    """Run ``code`` as a visit whose journal says ``events``."""
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (tmp_path / JOURNAL).write_text(lines, encoding="ascii")
    command = [sys.executable, "-I", "-c", code]
    return run_visit(command, tmp_path, dict(os.environ), tmp_path / "request.json", limit_ns)


@given(st.lists(st.builds(TestKey, st.text(), st.text())), st.lists(st.text()), st.text())
def test_a_request_survives_as_text(keys: list[TestKey], passes: list[str], seed: str) -> None:
    request = VisitRequest(tuple(keys), tuple(passes), seed)
    text = request.to_text()
    assert text.isascii()
    assert VisitRequest.from_text(text) == request


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"tests": [["a"]], "passes": [], "seed": "1"}', "3"])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="this is no request for a visit"):
        VisitRequest.from_text(text)


def test_a_process_is_told_what_is_asked_for(tmp_path: Path) -> None:
    code = f"import os, pathlib; pathlib.Path('told').write_text(os.environ[{VISIT!r}])"
    visit(tmp_path, code)
    assert (tmp_path / "told").read_text() == str(tmp_path / "request.json")


def test_a_journal_is_brought_back(tmp_path: Path) -> None:
    events = [begin(A), record(A), end(A), begin(B), record(B), end(B), ["done", 0, ["/a.py", "/b.py"]]]
    result = visit(tmp_path, "", ["missing", [["gone.py", "t"]]], *events)
    gone = frozenset([TestKey("gone.py", "t")])
    assert result == brought(A, B, modules=("/a.py", "/b.py"), missing=gone)


@pytest.mark.parametrize("status", [0, 1, 5, 77])
def test_a_session_that_came_to_its_end_has_not_failed(tmp_path: Path, status: int) -> None:
    assert visit(tmp_path, "", begin(A), end(A), ["done", status, []]) == VisitResult()


@pytest.mark.parametrize("status", [2, 3, 4])
def test_a_session_that_stopped_early_has_failed(tmp_path: Path, status: int) -> None:
    code = f"print('!!!!! _pytest.outcomes.Exit: enough !!!!!'); raise SystemExit({status})"
    result = visit(tmp_path, code, begin(A), ["done", status, []])
    assert result.failure == f"pytest ended with status {status} (_pytest.outcomes.Exit: enough)"
    assert result.culprit == A


def test_a_process_that_dies_loses_its_running_test(tmp_path: Path) -> None:
    code = "import os; print('ERROR: not why', flush=True); os._exit(0)"
    result = visit(tmp_path, code, begin(A), record(A), end(A), begin(B))
    assert result == brought(A, failure="pytest ended with status 0", culprit=B)


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
@pytest.mark.parametrize(("number", "words"), [(9, "signal SIGKILL"), (40, "signal 40")])
def test_a_signal_is_named(tmp_path: Path, number: int, words: str) -> None:
    result = visit(tmp_path, f"import os; os.kill(os.getpid(), {number})", begin(A))
    assert result == VisitResult({}, f"pytest ended with {words}", A)


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    code = f"open({JOURNAL!r}, 'a').write('[\"record\", {{\"key\"')"
    result = visit(tmp_path, code, begin(A), record(A), end(A), begin(B), ["later"], ["record"], [])
    assert (set(result.records), result.culprit) == ({A}, B)


def test_a_process_that_says_nothing_has_failed(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).touch()
    assert visit(tmp_path, "print(' the end ')").failure == "pytest ended with status 0 (the end)"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("ERROR: usage: x\nx: error: unrecognized: --foo\n  inifile: a", "ERROR: unrecognized: --foo"),
        ("ERROR: no such file\n\n", "ERROR: no such file"),
        ("INTERNALERROR> Traceback:\nINTERNALERROR> a.b.Error: c\nINTERNALERROR>   x", "a.b.Error: c"),
        ("ERROR: x\nFatal Python error: Aborted\n\nThread", "Fatal Python error: Aborted"),
        ("one\ntwo \x1b[31m\n", "two \\x1b[31m"),
        ("x" * 1000, "x" * 99 + "..." + "x" * 98),
        ("\n", ""),
    ],
)  # fmt: skip
def test_the_telling_line_is_told(tmp_path: Path, output: str, told: str) -> None:
    result = visit(tmp_path, f"print({output!r}); raise SystemExit(4)")
    assert result.failure == f"pytest ended with status 4{f' ({told})' if told else ''}"


def test_what_could_not_be_read_is_told_when_it_was_all(tmp_path: Path) -> None:
    events: list[list[object]] = [["unread", "test_a.py: ImportError: no x"], ["unread", "test_b.py: second"]]
    unread = ("test_a.py: ImportError: no x", "test_b.py: second")
    result = visit(tmp_path, "", *events, ["done", 1, []])
    failure = "its tests cannot be collected (test_a.py: ImportError: no x)"
    assert result == VisitResult(failure=failure, unread=unread)
    result = visit(tmp_path, "", *events, begin(B), end(B), record(B), ["done", 1, []])
    assert result == brought(B, unread=unread)


def test_a_process_that_hangs_is_ended(tmp_path: Path) -> None:
    result = visit(tmp_path, HANG, begin(A), record(A), end(A), begin(B), limit_ns=2)
    assert result == brought(A, failure="it took more than 0 s", culprit=B)


def test_a_process_that_hangs_after_its_end_has_not_failed(tmp_path: Path) -> None:
    assert visit(tmp_path, HANG, begin(A), end(A), ["done", 0, []], limit_ns=2) == VisitResult()


def test_a_process_that_cannot_start_is_told(tmp_path: Path) -> None:
    result = run_visit([str(tmp_path / "no-python")], tmp_path, {}, tmp_path / "request.json", SECOND_NS)
    assert result.failure.startswith("it could not be started (")


@pytest.mark.skipif(sys.platform == "win32", reason="has no process groups")
def test_what_a_visit_has_left_running_ends_with_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    child = f"alive = open('alive', 'w'); print(flush=True); {HANG}"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
"""
    visit(tmp_path, code, ["done", 0, []])
    ended, _, _ = select.select([alive], [], [], 30)
    assert ended
    assert os.read(alive, 1) == b""
    os.close(alive)


def test_an_interrupt_ends_the_visit_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    wait = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if process in started:
            return wait(process, timeout)
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        visit(tmp_path, HANG)
    assert started[0].returncode
