"""The project that a command is about: its cache directory, and what can be named in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import CacheError, HistoryError, InvalidValueError
from pytest_goref.report.text import printable
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_goref.model import TestKey

_CACHE: Final = ".goref_cache"
_MOST_NAMES: Final = 5
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
        CacheError: there is no cache directory, or it is a link to something else.

    """
    here = directory or Path.cwd()
    if cache is not None:
        return Project(here, CacheDirectory(_checked(here / cache)))
    for parent in (here, *here.parents):
        if (parent / _CACHE).is_dir():
            found = CacheDirectory(parent / _CACHE)
            found.check_links()
            return Project(here, found)
    raise CacheError(
        f"no {_CACHE} in {here} or above: run pytest --goref in the project first, "
        f"or name the directory with --cache DIR"
    )


def test_named(text: str, words: str, keys: Iterable[TestKey]) -> TestKey:
    """Return the test that ``text`` names, as its node id is or as it is printed.

    Args:
        text: a node id, or a part of it that no other test has.
        words: what holds the tests, as it is called in messages.
        keys: the tests.

    Raises:
        InvalidValueError: none is named, or several are.

    """
    known = tuple(keys)
    exact = [key for key in known if key.nodeid == text] or [key for key in known if nodeid(key) == text]
    found = exact or [key for key in known if text in key.nodeid or text in nodeid(key)]
    if not found:
        raise InvalidValueError(f"{words} holds no test {text!r}: goref show without TEST lists them")
    if len(found) > 1:
        names = [nodeid(key) for key in found[:_MOST_NAMES]]
        more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
        raise InvalidValueError(
            f"{text!r} names {len(found)} tests of {words}: {', '.join(names)}{more}: "
            f"write more of the node id"
        )
    return found[0]


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
