"""Visits: fresh processes that measure many tests each, and hand back plain data.

What is asked for travels as a file that an environment variable names. What happens is written to a journal
while it happens, so that a process that dies loses the test that was running and nothing else. A visit
judges nothing, and writes nothing but its journal.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.errors import GorefError, InvalidValueError
from pytest_goref.model import TestKey
from pytest_goref.report.text import printable, shorten
from pytest_goref.store.codec import record_from_plain
from pytest_goref.store.profile_codec import profile_from_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_goref.model import Record
    from pytest_goref.profile import StackProfile

VISIT: Final = "GOREF_VISIT"
"""The environment variable that makes a session a visit: the file with what is asked for."""

JOURNAL: Final = "journal.jsonl"
"""The name of the journal, beside that file: a JSON list in each line, that begins with what happened."""

_SECOND_NS: Final = 1_000_000_000
_BROKEN: Final = (2, 3, 4)
"""Statuses of a session that did not execute all of its tests: interrupted, internal error, usage error."""
_TELLING: Final = (
    re.compile(r"(Fatal Python error: .+)"),
    re.compile(r"INTERNALERROR> ([\w.]+: .+)"),
    re.compile(r"!+ (.+?) !+"),
)
"""Which lines of an output tell why pytest ended, the most telling ones first."""
_USAGE_ERROR: Final = re.compile(r"(?:ERROR: |.*: error: )(.+)")
"""The same before any test has begun: later, a test may have printed it."""
_TOLD_CHARACTERS: Final = 200
_READ_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class VisitRequest:
    """What a fresh process is to measure.

    Attributes:
        keys: the tests, in the order in which they are executed.
        passes: names of those that may be taken, of each test those that it asks for itself.
        seed: for the hashes of text, as ``PYTHONHASHSEED`` has it.

    """

    keys: tuple[TestKey, ...]
    passes: tuple[str, ...]
    seed: str

    def to_text(self) -> str:
        """Return the request as JSON."""
        tests = [[key.path, key.name] for key in self.keys]
        return json.dumps({"tests": tests, "passes": self.passes, "seed": self.seed})

    @classmethod
    def from_text(cls, text: str) -> VisitRequest:
        """Return the request that ``text`` holds.

        Raises:
            InvalidValueError: it holds none.

        """
        try:
            plain = json.loads(text)
            keys = tuple(TestKey(str(path), str(name)) for path, name in plain["tests"])
            return cls(keys, tuple(map(str, plain["passes"])), str(plain["seed"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidValueError(f"this is no request for a visit ({error})") from None


@dataclass(frozen=True, slots=True)
class VisitResult:
    """What a fresh process has brought back.

    Attributes:
        records: what was measured; a test that did not pass has no record.
        failure: what became of the process, in a sentence, "" when it ended well.
        culprit: the test that was being executed when the process ended, None when there is none.
        modules: files of the modules that were imported; empty when the process did not end well.
        missing: tests that were not found, in files that were read.
        unread: what files could not be read, each with its error behind a colon.
        profiles: where time and memory of a test went, at most one profile of each kind.

    """

    records: Mapping[TestKey, Record] = field(default_factory=dict)
    failure: str = ""
    culprit: TestKey | None = None
    modules: tuple[str, ...] = ()
    missing: frozenset[TestKey] = frozenset()
    unread: tuple[str, ...] = ()
    profiles: Mapping[TestKey, tuple[StackProfile, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class _Journal:
    """What a journal says so far."""

    records: dict[TestKey, Record] = field(default_factory=dict)
    profiles: dict[TestKey, tuple[StackProfile, ...]] = field(default_factory=dict)
    missing: set[TestKey] = field(default_factory=set)
    running: TestKey | None = None
    unread: list[str] = field(default_factory=list)
    status: int | None = None
    modules: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> _Journal:
        journal = cls()
        content = file.read_bytes() if file.exists() else b""
        for line in content.splitlines():
            with suppress(GorefError, ValueError, TypeError, LookupError):  # cut off when the process died
                journal._take(*json.loads(line))
        return journal

    def _take(self, event: str, *values: Any) -> None:  # noqa: ANN401 - any JSON
        if event == "record":
            record, profiles = record_from_plain(values[0]), tuple(map(profile_from_plain, values[1]))
            self.records[record.key], self.profiles[record.key] = record, profiles
        elif event == "begin":
            self.running = TestKey(*values)
        elif event == "end":
            self.running = None
        elif event == "missing":
            self.missing.update(TestKey(*value) for value in values[0])
        elif event == "unread":
            self.unread.append(str(values[0]))
        elif event == "done":
            self.status, self.modules = int(values[0]), tuple(values[1])


def run_visit(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], request_file: Path, limit_ns: int
) -> VisitResult:
    """Run a visit in a process group of its own, which ends with it.

    Args:
        command: that starts it.
        directory: where.
        environment: of the process.
        request_file: what is asked for; journal and output are put beside it.
        limit_ns: how long it may take.

    """
    output = request_file.with_name("output.txt")
    with output.open("wb") as stream:
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter and the options of this session
                command,
                cwd=directory,
                env={**environment, VISIT: str(request_file)},
                # Not pipes: what the tests themselves have started may hold them open.
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return VisitResult(failure=f"it could not be started ({error})")
    try:
        ended = process.wait(limit_ns / _SECOND_NS)
    except subprocess.TimeoutExpired:
        ended = None
    finally:
        _end_group(process)
    journal = _Journal.read(request_file.with_name(JOURNAL))
    return VisitResult(
        records=journal.records,
        failure=_failure(journal, ended, output, limit_ns),
        culprit=journal.running,
        modules=journal.modules,
        missing=frozenset(journal.missing),
        unread=tuple(journal.unread),
        profiles=journal.profiles,
    )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process, and what it has left running."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(journal: _Journal, ended: int | None, output: Path, limit_ns: int) -> str:
    """Return what became of a visit, "" when it ended well."""
    if journal.status is not None and journal.status not in _BROKEN:
        nothing = not journal.records and journal.running is None and journal.unread
        return f"its tests cannot be collected ({_told(journal.unread[0])})" if nothing else ""
    if ended is None:
        return f"it took more than {limit_ns // _SECOND_NS} s"
    line = _telling_line(output, begun=journal.running is not None or bool(journal.records))
    return f"pytest ended with {_status_in_words(ended)}{f' ({line})' if line else ''}"


def _status_in_words(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def _telling_line(output: Path, *, begun: bool) -> str:
    """Return the last line of an output that tells why pytest ended, "" when there is none.

    Args:
        output: the file.
        begun: whether a test has begun; after that any other line may be anything.

    """
    with output.open("rb") as stream:
        stream.seek(max(0, output.stat().st_size - _READ_BYTES))
        text = stream.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern in _TELLING if begun else (*_TELLING, _USAGE_ERROR):
        found = [match for line in lines if (match := pattern.fullmatch(line))]
        if found:
            return _told(f"{'ERROR: ' if pattern is _USAGE_ERROR else ''}{found[-1][1]}")
    return "" if begun or not lines else _told(lines[-1])


def _told(line: str) -> str:
    """Return a foreign line as it can stand in a sentence."""
    return shorten(printable(line), _TOLD_CHARACTERS)
