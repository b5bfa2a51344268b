"""Running a suite in a process of its own: how each test ended, and how long all of it took."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prepare import Suite

ABSENT: Final = ("-p", "no:goref")
"""The arguments of a session without the plugin."""
OFF: Final = ()
"""The arguments of a session in which the plugin is installed and does nothing."""

_RECORDER: Final = Path(__file__).parent / "recorder"
_ALWAYS: Final = ("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "suite_outcomes", "-q", "--no-header")
_FOREIGN: Final = ("PYTEST_", "COV_", "COVERAGE_", "PYTHON")
_LONGEST_S: Final = 3600.0
_SHOWN_CHARACTERS: Final = 3000
_NOT_RUN: Final = range(2, 6)
"""Exit statuses that say that not all tests were run: not all found, an error, wrong usage, none found."""

Phases = tuple[tuple[str, ...], ...]
"""Of each phase of a test: its name, its outcome, whether a failure was expected, and why it was skipped."""


class SuiteFailedError(Exception):
    """A session has not come to its end; the message is what it printed last."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a session of pytest has shown.

    Attributes:
        phases: of each test, by its node id.
        wall_s: elapsed time in seconds.
        cpu_s: CPU time of the process and its children in seconds.

    """

    phases: Mapping[str, Phases]
    wall_s: float
    cpu_s: float


def run(suite: Suite, arguments: Sequence[str]) -> Session:
    """Run the tests of ``suite`` and return what was seen.

    Args:
        suite: whose tests.
        arguments: for pytest, beside those that every session gets.

    Raises:
        SuiteFailedError: pytest did not run the tests to their end.

    """
    shutil.rmtree(suite.source / ".goref_cache", ignore_errors=True)  # every session begins alike
    outcomes = suite.source.parent / "outcomes.json"
    outcomes.unlink(missing_ok=True)
    command = [str(suite.python), "-m", "pytest", *_ALWAYS, *suite.project.arguments, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment |= {
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(_RECORDER),
        "SUITE_OUTCOMES": str(outcomes),
    }
    began, cpu = time.perf_counter(), _cpu_s()
    try:
        ended = subprocess.run(
            command,
            cwd=suite.source,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SuiteFailedError(f"not over after {_LONGEST_S:g} s") from None
    wall_s, cpu_s = time.perf_counter() - began, _cpu_s() - cpu
    if ended.returncode in _NOT_RUN or not outcomes.is_file():
        raise SuiteFailedError(f"exit status {ended.returncode}:\n{ended.stdout[-_SHOWN_CHARACTERS:]}")
    read = json.loads(outcomes.read_text(encoding="utf-8"))
    return Session({nodeid: tuple(map(tuple, phases)) for nodeid, phases in read.items()}, wall_s, cpu_s)


def _cpu_s() -> float:
    """Return the CPU time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
