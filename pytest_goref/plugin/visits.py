"""Visits: a test measured again in a fresh process with a fixed hash seed.

A regression is checked in this way before it fails a test, unless the seed of the session is fixed. A visit
measures one test, compares with nothing, writes nothing but a file for whoever asked for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.seeds import is_suspect, without_seed_effects
from pytest_goref.errors import GorefError
from pytest_goref.model import Problem, ProblemKind, Record
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.passes import PASSES
from pytest_goref.profilers.clock import SYSTEM_CLOCK
from pytest_goref.store.codec import record_from_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import TestKey
    from pytest_goref.plugin.settings import Settings
    from pytest_goref.store.reference import Reference
    from pytest_goref.verdict import Verdict

VISIT: Final = "GOREF_VISIT"
"""The environment variable that makes a session a visit: the file for what it measures."""

_SEEDS: Final = (1, 2)
_PASSES: Final = ("counts", "memory")
"""What the order of iteration may change."""
_SECOND_NS: Final = 1_000_000_000
_SHORTEST_LIMIT_NS: Final = 30 * _SECOND_NS
_LIMIT_PER_TEST: Final = 20
_MOST_NS: Final = 120 * _SECOND_NS
"""What all visits of a session may take together: when many tests regress, few of them do by chance."""
_OF_THIS_PROCESS: Final = (
    "PYTEST_ADDOPTS",
    "PYTEST_CURRENT_TEST",
    "PYTEST_XDIST_TESTRUNUID",
    "PYTEST_XDIST_WORKER",
    "PYTEST_XDIST_WORKER_COUNT",
)
"""Environment variables that are not for a visit."""


class VisitError(GorefError):
    """A visit brought nothing back; the message says what became of it."""


def is_seed_random() -> bool:
    """Return whether the hashes of text differ between this process and others."""
    if not sys.flags.hash_randomization:
        return False
    ignored = sys.flags.ignore_environment or sys.flags.isolated
    return bool(ignored) or os.environ.get("PYTHONHASHSEED", "random") in ("", "random")


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a visit is started: with the options of this session that decide how tests are found and executed.

    Attributes:
        options: of pytest, for every visit.
        rootdir: what the paths of tests start from.
        directory: where pytest was started.
        environment: as it was when the session began.

    """

    options: tuple[str, ...]
    rootdir: Path
    directory: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, config: pytest.Config, settings: Settings) -> Invocation:
        """Return the invocation for the tests of a session."""
        option = config.getoption
        plugins = [name for name in option("plugins", []) if name not in ("no:terminal", "no:cacheprovider")]
        options = ["-q", "-p", "no:cacheprovider", *(part for name in plugins for part in ("-p", name))]
        options += [f"--rootdir={settings.rootdir}", f"--import-mode={option('importmode', 'prepend')}"]
        if config.inipath is not None:
            options += ["-c", str(config.inipath)]
        for text in option("override_ini", None) or ():
            options += ["-o", text]
        # What an ini file adds to every command may write reports or start workers.
        options += ["-o", "addopts=", "--goref", *(["--goref-all"] if settings.all_tests else [])]
        passes = [name for name in PASSES if name in _PASSES and name in settings.request.passes]
        options += [f"--goref-passes={','.join(passes or _PASSES)}"]
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
        return cls(tuple(options), settings.rootdir, config.invocation_params.dir, inherited)

    def visit(self, key: TestKey, seed: int, limit_ns: int) -> Record:
        """Return what the test ``key`` measures in a fresh process.

        Args:
            key: the test.
            seed: for the hashes of text.
            limit_ns: how long it may take.

        Raises:
            VisitError: it took too long, died, or brought nothing back.

        """
        with tempfile.TemporaryDirectory(prefix="goref-visit-") as name:
            file = Path(name) / "record.json"
            test = f"{self.rootdir / key.path}::{key.name}"
            environment = {**self.environment, VISIT: str(file), "PYTHONHASHSEED": str(seed)}
            try:
                ended = subprocess.run(  # noqa: S603 - the interpreter and the options of this session
                    [sys.executable, "-m", "pytest", *self.options, test],
                    cwd=self.directory,
                    env=environment,
                    # Not pipes: what the test itself has started may hold them open.
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=limit_ns / _SECOND_NS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise VisitError(f"it took more than {limit_ns // _SECOND_NS} s") from None
            except OSError as error:
                raise VisitError(f"it could not be started ({error})") from None
            try:
                record = record_from_plain(json.loads(file.read_bytes()))
            except (OSError, ValueError):
                raise VisitError(f"pytest ended with status {ended.returncode}") from None
        if record.key != key:
            raise VisitError(f"it measured {record.key.nodeid}")
        return record


class Visits:
    """Checks regressions against other hash seeds.

    Args:
        invocation: how a visit is started.

    """

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._left_ns = _MOST_NS

    def checked(
        self, record: Record, verdict: Verdict, reference: Reference, rules: Rules, test_ns: int
    ) -> tuple[Record, Verdict]:
        """Return ``record`` and ``verdict``, which tells no regression that the hash seed explains.

        Args:
            record: what was measured in this process.
            verdict: the verdict on it.
            reference: what it was compared with.
            rules: tolerance and severity of each metric.
            test_ns: how long the test took once.

        """
        if not is_suspect(verdict) or self._left_ns <= 0:
            return record, verdict
        expected = reference.get(record.key)
        began_ns = SYSTEM_CLOCK.wall_ns()
        limit_ns = max(_SHORTEST_LIMIT_NS, _LIMIT_PER_TEST * test_ns)
        try:
            by_seed = {seed: self._invocation.visit(record.key, seed, limit_ns) for seed in _SEEDS}
        except VisitError as error:
            text = f"whether numbers differ by hash seed is not known: executed in a fresh process, {error}"
            problem = Problem(ProblemKind.SKIPPED, text)
            return replace(record, problems=(*record.problems, problem)), verdict
        finally:
            self._left_ns -= SYSTEM_CLOCK.wall_ns() - began_ns
        alike = all(other.comparable and other.mode is record.mode for other in by_seed.values())
        if expected is None or not alike:
            return record, verdict
        return record, without_seed_effects(verdict, expected, rules, by_seed)


class VisitHooks:
    """The hook of a process that is a visit.

    Args:
        file: where the record goes.

    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand back what the test has measured."""
        text = getattr(report, REPORT_ATTRIBUTE, None)
        plain = json.loads(text).get("record") if isinstance(text, str) else None
        if plain is not None:
            self._file.write_text(json.dumps(plain), encoding="utf-8")


def take_visit_file() -> Path | None:
    """Return the file that this session is a visit for, None when it is none; asked for once.

    What the tests of a visit start themselves is no visit.
    """
    name = os.environ.pop(VISIT, None)
    return Path(name) if name else None
