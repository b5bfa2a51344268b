"""The inside of a visit: it executes the tests that it is asked for, and keeps the journal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.errors import InvalidValueError
from pytest_goref.plugin.keys import key_of, key_of_nodeid
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.visits import JOURNAL, VISIT, VisitRequest

if TYPE_CHECKING:
    from collections.abc import Generator

_ON_DEATH_OF_PARENT: Final = 1
_ERROR: Final = re.compile(r"E +([A-Za-z_][\w.]*: .+)")
"""A line of a traceback that names an error."""


class Visitor:
    """The hooks of a process that is a visit.

    Args:
        request: what is asked for.
        journal: the file that says what happened.

    """

    def __init__(self, request: VisitRequest, journal: Path) -> None:
        self.request = request
        self._journal = journal
        self._process, self._parent = os.getpid(), os.getppid()
        self._unread: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Let the files of the tests be collected, whatever else the command line of the session named."""
        directory = session.config.invocation_params.dir
        paths = dict.fromkeys(key.path for key in self.request.keys)
        session.config.args = [_spelled(session.config.rootpath / path, directory) for path in paths]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note why a file could not be read."""
        if not report.passed:
            self._unread.add(key_of_nodeid(report.nodeid).path)
            self._note("unread", f"{report.nodeid}: {_error_of(report)}")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Select the tests, in the order asked for, after every other plugin has selected and ordered."""
        collected = list(items)
        yield
        found = {key_of(item): item for item in (*collected, *items)}
        wanted = [found[key] for key in self.request.keys if key in found]
        chosen = set(wanted)
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = wanted
        missing = (key for key in self.request.keys if key not in found and key.path not in self._unread)
        self._note("missing", [[key.path, key.name] for key in missing])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Stop, before the next execution of a test, when nobody is left who wants to know."""
        self._end_if_orphaned()

    def _end_if_orphaned(self) -> None:
        if os.getppid() != self._parent and os.getpid() == self._process:
            pytest.exit("the session that has started this visit has ended")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a test begins, unless nobody is left who wants to know."""
        self._end_if_orphaned()
        key = key_of_nodeid(nodeid)
        self._note("begin", key.path, key.name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand back what a test has measured."""
        text = getattr(report, REPORT_ATTRIBUTE, None)
        plain = json.loads(text) if isinstance(text, str) else None
        if isinstance(plain, dict) and "record" in plain:
            self._note("record", plain["record"], plain.get("profiles", []))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test has ended."""
        key = key_of_nodeid(nodeid)
        self._note("end", key.path, key.name)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Note that all has ended, and which code was imported."""
        files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
        self._note("done", int(session.exitstatus), sorted({file for file in files if isinstance(file, str)}))

    def _note(self, event: str, *values: object) -> None:
        """Write down at once what happened; a process that a test has forked does not."""
        if os.getpid() == self._process:
            with self._journal.open("a", encoding="ascii") as stream:
                stream.write(json.dumps([event, *values]) + "\n")


def _spelled(path: Path, directory: Path) -> str:
    """Return ``path`` as short as can be: pytest refuses a bracket, and the way to a project may have one."""
    try:
        return os.path.relpath(path, directory)
    except ValueError:  # on another drive
        return str(path)


def _error_of(report: pytest.CollectReport) -> str:
    """Return the line that says why a file was not read."""
    if isinstance(report.longrepr, tuple):  # of a file that is skipped: where, and why
        return report.longrepr[2]
    lines = [line for line in str(report.longrepr).splitlines() if line.strip()]
    errors = [match[1] for line in lines if (match := _ERROR.fullmatch(line))]
    return next(reversed([*lines[-1:], *errors]), "it cannot be read")


def take_visit() -> Visitor | None:
    """Return the hooks of this process if it is a visit, None when it is none; asked for once.

    What the tests of a visit start themselves is no visit.

    Raises:
        InvalidValueError: the variable names no request.

    """
    name = os.environ.pop(VISIT, None)
    if not name:
        return None
    file = Path(name)
    try:
        request = VisitRequest.from_text(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"environment variable {VISIT}: {name}: {error}; unset it") from None
    _end_with_parent()
    return Visitor(request, file.with_name(JOURNAL))


def _end_with_parent() -> None:
    """Let Linux end this process with its parent, even one whose test never comes back.

    Elsewhere a visit whose session was killed ends before its next execution. See prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only visits need it

        with contextlib.suppress(OSError, AttributeError):  # a C library that cannot be asked
            ctypes.CDLL(None).prctl(_ON_DEATH_OF_PARENT, int(signal.SIGKILL), 0, 0, 0)
