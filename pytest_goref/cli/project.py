"""The project that a command is about: its cache directory, and what can be named in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import CacheError, HistoryError
from pytest_goref.report.text import printable
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo

if TYPE_CHECKING:
    from pytest_goref.model import TestKey

_CACHE: Final = ".goref_cache"
_RUN: Final = re.compile(r"run:(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Project:
    """Where a command looks.

    Attributes:
        directory: where the command was started; the paths of files are relative to it.
        cache: what pytest runs have stored.

    """

    directory: Path
    cache: CacheDirectory

    @property
    def baselines(self) -> Baselines:
        """The baselines."""
        return Baselines(self.cache)

    @property
    def history(self) -> History:
        """The stored runs."""
        return History(self.cache.history)

    def last_run(self) -> int:
        """Return the number of the last run.

        Raises:
            HistoryError: there is none, or the history cannot be read.

        """
        last = self.history.last_id()
        if last is None:
            raise HistoryError(f"{self.cache.history}: no run is stored yet: make one with pytest --goref")
        return last

    def run_named(self, text: str) -> int | None:
        """Return the number of the run that ``last`` or ``run:N`` names; None when ``text`` is neither.

        Raises:
            HistoryError: there is no such run, or the history cannot be read.

        """
        if text == "last":
            return self.last_run()
        match = _RUN.fullmatch(text)
        if match is None:
            return None
        number = int(match[1])
        self.history.run(number)
        return number


def find_project(cache: str | None, directory: Path | None = None) -> Project:
    """Return the project around ``directory``.

    Args:
        cache: the cache directory; None to look for it upwards from ``directory``.
        directory: where the command was started; None for the current directory.

    Raises:
        CacheError: there is no cache directory.

    """
    here = directory or Path.cwd()
    if cache is not None:
        return Project(here, CacheDirectory(_checked(here / cache)))
    for parent in (here, *here.parents):
        if (parent / _CACHE).is_dir():
            return Project(here, CacheDirectory(parent / _CACHE))
    raise CacheError(
        f"no {_CACHE} in {here} or above: run pytest --goref in the project first, "
        f"or name the directory with --cache DIR"
    )


def covers(run: RunInfo, path: str) -> bool:
    """Return whether ``run`` would have found every test of the file at ``path``."""
    return run.complete and any(root in ("", path) or path.startswith(f"{root}/") for root in run.scope)


def nodeid(key: TestKey) -> str:
    """Return the node id of ``key`` as it is printed."""
    return printable(key.nodeid)


def _checked(root: Path) -> Path:
    if not root.is_dir():
        raise CacheError(f"{root}: no such directory: --cache takes the {_CACHE} of a project")
    if not any((root / name).exists() for name in ("baselines", "history.db", "CACHEDIR.TAG")):
        raise CacheError(f"{root}: holds neither baselines nor runs: --cache takes the {_CACHE} of a project")
    return root
