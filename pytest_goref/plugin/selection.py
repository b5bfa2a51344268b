"""Which tests a session collected, selected and measures, and which part of the project it looked at.

A test that is in a baseline and not in the run is missing only where the run looked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_goref.model import TestKey
from pytest_goref.plugin.keys import key_of, key_of_nodeid
from pytest_goref.plugin.settings import Settings, is_measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(slots=True)
class Selection:
    """What became of the collected tests.

    Attributes:
        collected: when something is compared, every test that was found, also when it was deselected later.
        selected: those that were left to be executed.
        measured: those of them that are to be measured.
        unread: paths of files that failed or were skipped as a whole, so that their tests are unknown.

    """

    collected: set[TestKey] = field(default_factory=set)
    selected: set[TestKey] = field(default_factory=set)
    measured: set[TestKey] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)

    def to_plain(self) -> dict[str, list[object]]:
        """Return plain data that an xdist worker can send."""
        tests: list[object] = [
            [key.path, key.name, (key in self.selected) + (key in self.measured)]
            for key in sorted(self.collected | self.selected)
        ]
        unread: list[object] = [*sorted(self.unread)]
        return {"tests": tests, "unread": unread}

    def add_plain(self, plain: Mapping[str, Sequence[Any]]) -> None:
        """Add what a worker has sent."""
        self.unread.update(plain["unread"])
        for path, name, level in plain["tests"]:
            key = TestKey(str(path), str(name))
            self.collected.add(key)
            if level:
                self.selected.add(key)
            if level == 2:  # noqa: PLR2004 - selected and measured, as to_plain adds it up
                self.measured.add(key)


class SelectionHooks:
    """Watches the collection of a session.

    Args:
        settings: of the session.
        selection: filled by the hooks.

    """

    def __init__(self, settings: Settings, selection: Selection) -> None:
        self._settings = settings
        self._selection = selection

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file whose tests are not known."""
        if not report.passed:
            self._selection.unread.add(key_of_nodeid(report.nodeid).path)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the tests that are left, and which of them are measured."""
        for item in session.items:
            key = key_of(item)
            self._selection.collected.add(key)
            self._selection.selected.add(key)
            if is_measured(item, self._settings):
                self._selection.measured.add(key)


class ComparisonHooks(SelectionHooks):
    """Watches the collection of a session that compares: only that asks which tests are gone."""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note a test that was found."""
        self._selection.collected.add(key_of(item))


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the project that a command line names.

    Attributes:
        paths: POSIX paths relative to rootdir, "" for all of it; files and directories named as a whole.
        narrowed: why not all tests of these paths were selected, "" when they were.

    """

    paths: tuple[str, ...]
    narrowed: str

    @classmethod
    def of(cls, config: pytest.Config) -> Scope:
        """Return the scope of a session."""
        paths = set()
        partial = ""
        for argument in config.args:
            path, double_colon, _ = argument.partition("::")
            if double_colon:
                partial = "single tests were named"
                continue
            relative = _relative(config.invocation_params.dir / path, config.rootpath)
            if relative is not None:
                paths.add(relative)
        return cls(tuple(sorted(paths)), _narrowing(config) or partial)

    def covers(self, path: str) -> bool:
        """Return whether every test of the file at ``path`` would have been found."""
        return any(root in ("", path) or path.startswith(f"{root}/") for root in self.paths)


def _relative(path: Path, rootdir: Path) -> str | None:
    """Return ``path`` as written in node ids, None when it lies outside of rootdir."""
    try:
        relative = path.resolve().relative_to(rootdir.resolve()).as_posix()
    except ValueError:
        return None
    return "" if relative == "." else relative


def _narrowing(config: pytest.Config) -> str:
    """Return which option leaves tests out before they are collected or selected, "" for none."""
    options = {
        "lf": "--lf",
        "stepwise": "--stepwise",
        "ignore": "--ignore",
        "ignore_glob": "--ignore-glob",
        "deselect": "--deselect",
        "keyword": "-k",
        "markexpr": "-m",
        "pyargs": "--pyargs",
    }
    for name, flag in options.items():
        if config.getoption(name, None):
            return flag
    return ""
