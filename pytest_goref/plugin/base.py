"""The base: the revision that a session compares with, in its worktree, measured by fresh processes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.errors import GorefError, InvalidValueError
from pytest_goref.plugin.fresh import seed_of
from pytest_goref.plugin.import_roots import (
    ForeignCodeError,
    ProjectFiles,
    check_modules,
    import_roots,
    loaded_files,
)
from pytest_goref.plugin.keys import is_unstable, key_of
from pytest_goref.plugin.passes import COUNTS, ON_DEMAND, PASSES
from pytest_goref.plugin.settings import is_measured, read_request
from pytest_goref.plugin.visits import VisitRequest, VisitResult
from pytest_goref.store.worktree import ignored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_goref.model import Record, TestKey
    from pytest_goref.plugin.invocation import Invocation
    from pytest_goref.plugin.settings import Settings
    from pytest_goref.store.worktree import Worktree

_SECOND_NS: Final = 1_000_000_000
_LIMIT_NS: Final = 600 * _SECOND_NS
_LIMIT_PER_TEST_NS: Final = 60 * _SECOND_NS
"""How long the first visit may take: what the tests take is not known before."""
_MOST_NAMED: Final = 5
_INI_FILES: Final = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_CONFIGURES_PYTEST: Final = re.compile(r"^\[(?:pytest|tool:pytest|tool\.pytest\b.*)\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured.

    Attributes:
        keys: the tests.
        passes: those that any of them takes.

    """

    keys: tuple[TestKey, ...]
    passes: tuple[str, ...]

    @classmethod
    def of(cls, items: Iterable[pytest.Item], settings: Settings) -> Wanted:
        """Return what a session measures of ``items``."""
        keys: dict[TestKey, None] = {}
        passes: set[str] = set()
        for item in items:
            key = key_of(item)
            if not is_measured(item, settings) or not isinstance(item, pytest.Function) or is_unstable(key):
                continue
            with contextlib.suppress(InvalidValueError):  # its marker is wrong, so it will fail
                passes.update(read_request(item, settings).passes)
                keys[key] = None
        taken = tuple(name for name in PASSES if name in passes and name not in ON_DEMAND)
        return cls(tuple(keys), taken or (COUNTS,))


@dataclass(slots=True)
class Measured:
    """What fresh processes brought back.

    Attributes:
        records: of the tests that were measured.
        missing: tests that are not there.
        obstacles: why others were not measured.
        failure: why nothing was brought back, "" when something was.

    """

    records: dict[TestKey, Record] = field(default_factory=dict)
    missing: set[TestKey] = field(default_factory=set)
    obstacles: dict[TestKey, str] = field(default_factory=dict)
    failure: str = ""

    def take(self, keys: tuple[TestKey, ...], result: VisitResult) -> tuple[TestKey, ...]:
        """Take over what became of ``keys``; return those that are worth another process."""
        self.records.update(result.records)
        self.missing.update(result.missing)
        if not (self.records or self.missing or result.culprit):
            self.failure = result.failure
        open_ = [key for key in keys if key not in self.records and key not in self.missing]
        if result.culprit in open_:
            self.obstacles[result.culprit] = result.failure
            return tuple(key for key in open_ if key != result.culprit)
        self.obstacles.update((key, result.failure or _obstacle(key, result)) for key in open_)
        return ()


class Base:
    """A revision in its worktree, where fresh processes measure it.

    Args:
        worktree: the revision.
        invocation: how a fresh process is started for the session's own code.

    Attributes:
        copied: modules of the session that git ignores, and the worktree has got.

    Raises:
        GorefError: the revision has no such directory as the session's.

    """

    def __init__(self, worktree: Worktree, invocation: Invocation) -> None:
        self._worktree = worktree
        self._files = ProjectFiles(worktree.revision.top)
        found = map(worktree.mapped, import_roots(self._files, sys.path, sys.modules, sys.meta_path))
        self._roots = [root for root in found if root is not None and root.is_dir()]
        self._rootdir = worktree.mapped(invocation.rootdir) or worktree.top
        if not self._rootdir.is_dir():
            inner = self._rootdir.relative_to(worktree.top).as_posix()
            raise GorefError(f"{worktree.revision.words} has no directory {inner}")
        self.copied = self._copy_ignored()
        directory = worktree.mapped(invocation.directory)
        there = invocation.at(
            self._rootdir,
            directory if directory and directory.is_dir() else self._rootdir,
            self._inifile(invocation.inifile),
            self._python_path(invocation.environment.get("PYTHONPATH", "")),
        )
        # Which tests are measured is for the session to say: they need not be marked in the revision.
        self._invocation = replace(there, options=(*there.options, "--goref-all"))

    def _copy_ignored(self) -> tuple[str, ...]:
        """Copy loaded modules that are made, not committed: a version file, an extension built in place."""
        loaded = (self._files.find(file) for _, file in loaded_files(sys.modules))
        places = {file: self._worktree.mapped(file) for file in loaded if file is not None}
        absent = [file for file, place in places.items() if place and not place.exists()]
        copied = []
        for file in ignored(self._worktree.revision.top, absent):
            place = places[file]
            if place is not None and place.parent.is_dir():
                shutil.copy2(file, place)
                copied.append(file.relative_to(self._worktree.revision.top).as_posix())
        return tuple(copied)

    def _inifile(self, inifile: Path | None) -> Path:
        """Return what configures pytest in the revision; without any, pytest would find the session's own."""
        mapped = inifile and (self._worktree.mapped(inifile) or inifile)
        standard = [self._rootdir / name for name in _INI_FILES]
        for file in [mapped, *standard] if mapped else standard:
            if file.is_file() and _configures_pytest(file):
                return file
        empty = self._rootdir / "pytest.ini"
        empty.touch()
        return empty

    def _python_path(self, inherited: str) -> tuple[Path, ...]:
        """Return where modules are looked for first: the project's roots, and the rest of PYTHONPATH."""
        entries = (Path(entry).absolute() for entry in inherited.split(os.pathsep) if entry)
        return (*self._roots, *(entry for entry in entries if self._files.find(os.fspath(entry)) is None))

    def visit(self, request: VisitRequest, limit_ns: int) -> VisitResult:
        """Measure tests of the revision in a fresh process; one that ran other code has failed.

        Args:
            request: which tests, and what of them.
            limit_ns: how long it may take.

        """
        try:
            return self._checked(request, limit_ns)
        except ForeignCodeError as error:
            return VisitResult(failure=str(error))

    def _checked(self, request: VisitRequest, limit_ns: int) -> VisitResult:
        result = self._invocation.visit(request, limit_ns)
        top = self._worktree.top
        places = dict.fromkeys((*self._roots, top, top / "src", self._rootdir, self._rootdir / "src"))
        check_modules(result.modules, self._files, self._worktree, places)
        return result

    def measure(self, wanted: Wanted) -> Measured:
        """Measure tests of the revision for the first time.

        Raises:
            GorefError: nothing was brought back, or it is not of the revision.

        """
        measured = measure(wanted, self._checked)
        if measured.failure:
            words = self._worktree.revision.words
            raise GorefError(f"nothing could be measured in {words}: {measured.failure}")
        return measured


def measure(wanted: Wanted, visit: Callable[[VisitRequest, int], VisitResult]) -> Measured:
    """Measure tests, in as many fresh processes as it takes because one of them ends a process.

    Args:
        wanted: what to measure.
        visit: starts a fresh process and waits for it, for so many nanoseconds at most.

    """
    measured = Measured()
    left = wanted.keys
    while left:
        limit_ns = _LIMIT_NS + _LIMIT_PER_TEST_NS * len(left)
        left = measured.take(left, visit(VisitRequest(left, wanted.passes, seed_of(1)), limit_ns))
    return measured


def _obstacle(key: TestKey, result: VisitResult) -> str:
    """Return why a process that ended well has brought back nothing of a test that is there."""
    told = (text for text in result.unread if text.startswith((f"{key.path}:", f"{key.path}/")))
    return next(told, "it fails or is skipped")


def _configures_pytest(file: Path) -> bool:
    """Return whether pytest takes ``file`` for its settings; it takes any with a name of its own."""
    if file.name not in _INI_FILES or file.name.endswith("pytest.ini"):
        return True
    return _CONFIGURES_PYTEST.search(file.read_text(encoding="utf-8", errors="replace")) is not None
