"""What a run is compared with: a baseline, a stored run, a file, or a revision."""

from __future__ import annotations

import collections
import os
import re
from typing import TYPE_CHECKING, Final, Protocol

from pytest_goref.errors import GorefError, HistoryError, InvalidValueError
from pytest_goref.model import BaselineEntry, TestKey
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.store.baseline import Baseline, Baselines, open_file, validate_name
from pytest_goref.store.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_goref.profile import ProfileKind, StackProfile
    from pytest_goref.store.cache import CacheDirectory
    from pytest_goref.store.worktree import Revision

GIT: Final = "git:"
"""What the name of a revision begins with."""
_RUN: Final = re.compile(r"run:(\d{1,18})", re.ASCII)


class Reference(Protocol):
    """Accepted entries, by test."""

    @property
    def words(self) -> str:
        """What it is called in messages, for example ``baseline main``."""
        ...

    @property
    def spelling(self) -> str:
        """What ``open_reference`` takes to open it again, whatever has been stored in the meantime."""
        ...

    def get(self, key: TestKey) -> BaselineEntry | None:
        """Return what is accepted for a test, None when nothing is."""
        ...

    def profile(self, key: TestKey, kind: ProfileKind) -> StackProfile | None:
        """Return where a test spent what is accepted, None when that is not known here."""
        ...

    def tests(self) -> Iterable[TestKey]:
        """Return every test that has an entry."""
        ...


class BaselineReference:
    """A baseline, by its name or from a file.

    Args:
        baseline: where the entries are.
        words: what it is called.
        spelling: its name, or the absolute path of the file.
        artifacts: where its profiles are; None for a file, which comes without.

    """

    def __init__(
        self, baseline: Baseline, words: str, spelling: str, artifacts: Artifacts | None = None
    ) -> None:
        self.words = words
        self.spelling = spelling
        self._baseline = baseline
        self._artifacts = artifacts

    def get(self, key: TestKey) -> BaselineEntry | None:
        """Return what is accepted for ``key``, None when nothing is."""
        return self._baseline.get(key)

    def profile(self, key: TestKey, kind: ProfileKind) -> StackProfile | None:
        """Return where ``key`` spent what is accepted; None when the baseline was made elsewhere."""
        if self._artifacts is None:
            return None
        return self._artifacts.get(owner_of_baseline(self.spelling), key, kind)

    def tests(self) -> Iterable[TestKey]:
        """Return every test of the baseline."""
        return self._baseline.keys()


class RunReference:
    """A stored run: of each test what it measured when the test last passed, no later than in that run.

    A test that regressed in the run is compared with what it did before, or the second run would be green.

    Args:
        history: the stored runs.
        run_id: which of them.
        artifacts: where their profiles are.

    """

    def __init__(self, history: History, run_id: int, artifacts: Artifacts) -> None:
        self.words = f"run {run_id}"
        self.spelling = f"run:{run_id}"
        self._history = history
        self._run_id = run_id
        self._artifacts = artifacts

    def get(self, key: TestKey) -> BaselineEntry | None:
        """Return what was measured of ``key``, None when nothing comparable was."""
        record = self._history.passed_record(self._run_id, key)
        return BaselineEntry.from_record(record) if record is not None and record.comparable else None

    def profile(self, key: TestKey, kind: ProfileKind) -> StackProfile | None:
        """Return where ``key`` spent what ``get`` returns, None when it was not profiled."""
        passed = self._history.passed_run(self._run_id, key)
        return None if passed is None else self._artifacts.get(owner_of_run(passed), key, kind)

    def tests(self) -> Iterable[TestKey]:
        """Return every test that the run measured."""
        return self._history.measured_keys(self._run_id)


class GitReference:
    """What a revision does; whoever runs its tests fills it in.

    Args:
        revision: which.

    """

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.words = revision.words
        self.spelling = f"{GIT}{revision.commit}"
        self._entries: dict[TestKey, BaselineEntry] = {}
        self._obstacles: dict[TestKey, str] = {}

    def fill(self, entries: Iterable[BaselineEntry], obstacles: Mapping[TestKey, str]) -> None:
        """Take over what was measured.

        Args:
            entries: of the tests that were.
            obstacles: why others, which the revision has, were not.

        """
        self._entries.update((entry.key, entry) for entry in entries)
        self._obstacles.update(obstacles)

    def get(self, key: TestKey) -> BaselineEntry | None:
        """Return what ``key`` does in the revision, None when the revision has no such test.

        Raises:
            GorefError: it was not measured; the message says why.

        """
        if key in self._obstacles:
            raise GorefError(self._obstacles[key])
        return self._entries.get(key)

    def profile(self, key: TestKey, kind: ProfileKind) -> StackProfile | None:  # noqa: ARG002 - as of any other
        """Return None: revisions are not profiled."""
        return None

    def tests(self) -> Iterable[TestKey]:
        """Return every test that was measured."""
        return tuple(self._entries)


def open_reference(text: str, cache: CacheDirectory, directory: Path) -> Reference:
    """Return what ``--goref-compare=text`` means.

    Args:
        text: the name of a baseline, ``last``, ``run:N``, or the path of a file.
        cache: where baselines and history are.
        directory: what a relative path starts from.

    Raises:
        InvalidValueError: ``text`` means nothing.
        BaselineError: the baseline is missing or damaged.
        HistoryError: there is no such run, or the history cannot be read.

    """
    history, artifacts = History(cache.history), Artifacts(cache.artifacts)
    run = _RUN.fullmatch(text)
    if run:
        return RunReference(history, history.run(int(run[1])).id or 0, artifacts)
    if text == "last":
        last = history.last_id()
        if last is None:
            raise HistoryError("there is no run to compare with yet: make one with pytest --goref")
        return RunReference(history, last, artifacts)
    if text.startswith(GIT):
        raise InvalidValueError(f"{text!r} has to be measured: pytest --goref-compare={text}")
    if text.startswith("run:"):
        raise InvalidValueError(f"{text!r} is neither a baseline, nor last, nor run:N, nor a file")
    return _open_baseline(text, cache, directory / text)


def _open_baseline(text: str, cache: CacheDirectory, path: Path) -> Reference:
    baselines = Baselines(cache)
    try:
        named = baselines.exists(validate_name(text))
    except InvalidValueError as error:
        if not _exists(path):
            raise InvalidValueError(f"{error}; and there is no file of that name") from None
        named = False
    if not named and _exists(path):
        return BaselineReference(open_file(path), f"file {text}", str(path.absolute()))
    return BaselineReference(baselines.open(text), f"baseline {text}", text, Artifacts(cache.artifacts))


def _exists(path: Path) -> bool:
    """Return whether ``path`` is there; one that may not be looked at, or is too long for a path, is not."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises


def check_readable(reference: Reference) -> None:
    """Read a baseline whole, or which tests a run has, so that damage is found before the first test.

    Raises:
        BaselineError: a file or an entry is damaged.
        HistoryError: the history is damaged.

    """
    tests = reference.tests()
    if isinstance(reference, BaselineReference):
        tests = filter(reference.get, tests)
    collections.deque(tests, maxlen=0)


def check_saveable(name: str, cache: CacheDirectory) -> None:
    """Make sure that the baseline ``name`` can be stored at the end of the session.

    Raises:
        InvalidValueError: the name is illegal.
        BaselineError: the baseline that is there is damaged, so that saving would lose entries.
        CacheError: the cache directory, or the directory of the baseline, cannot be written.

    """
    baselines = Baselines(cache)
    if baselines.exists(validate_name(name)):
        check_readable(BaselineReference(baselines.open(name), name, name))
    cache.check_writable(cache.baselines / name)
