"""Temporary directories: each execution has one of its own, and the user finds that of the first."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_NAME: Final = "goref-temporary"
_MODULE: Final = "_pytest.tmpdir"
"""Of pytest's own fixture ``tmp_path``; another one may return a directory that is not to vanish."""
_LINK: Final = "current"
"""How the name of the link ends that leads to the last directory of those that are numbered."""


class TemporaryDirectories:
    """Notices the directories that ``tmp_path`` makes, and removes those of further executions.

    Thirty executions would leave thirty directories, and what a test writes there fills the disk.
    """

    def __init__(self) -> None:
        self._further = False
        self._first: Path | None = None
        self._made: list[Path] = []

    @classmethod
    def watch(cls, config: pytest.Config) -> None:
        """Begin to notice, unless that is so already; only a session that repeats tests has to."""
        if not config.pluginmanager.has_plugin(_NAME):
            config.pluginmanager.register(cls(), _NAME)

    @classmethod
    def of(cls, config: pytest.Config) -> TemporaryDirectories:
        """Return those that were registered."""
        found = config.pluginmanager.get_plugin(_NAME)
        assert isinstance(found, cls)  # noqa: S101 - whoever repeats a test has registered them
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Take note of a directory."""
        __tracebackhide__ = True
        value = yield
        if (
            fixturedef.argname == "tmp_path"
            and fixturedef.func.__module__ == _MODULE
            and isinstance(value, Path)
        ):
            if self._further:
                self._made.append(value)
            else:
                self._first = value
        return value

    @contextlib.contextmanager
    def removed(self) -> Iterator[None]:
        """Remove, at the end of a further execution, the directory that it was given."""
        self._further = True
        try:
            yield
        finally:
            self._further = False
            while self._made:
                self._remove(self._made.pop())

    def _remove(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        first = self._first
        if first is None or first.parent != directory.parent:
            return
        with contextlib.suppress(OSError):  # not every file system has links
            for link in _links(directory):
                if link.is_symlink() and link.readlink() == directory:
                    link.unlink()
                    link.symlink_to(first)


def _links(directory: Path) -> Iterator[Path]:
    """Yield the links that may lead to ``directory``: its name may end with digits before its number."""
    stem = directory.name
    while stem and stem[-1].isdigit():
        stem = stem[:-1]
        yield directory.with_name(f"{stem}{_LINK}")
