"""Naming a profile on the command line: of which run or baseline, of which test, of what."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import REFERENCE
from pytest_goref.cli.project import Project, nodeid, test_named
from pytest_goref.errors import InvalidValueError
from pytest_goref.profile import ProfileKind
from pytest_goref.report.export.profiled import Profiled, main_value
from pytest_goref.report.export.top import index_of
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.store.reference import open_reference

if TYPE_CHECKING:
    from pytest_goref.model import TestKey
    from pytest_goref.profile import StackProfile

_MOST_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A run or a baseline whose profiles are looked at.

    Attributes:
        words: what it is called in messages.
        owner: of its artifacts, "" when it has none.
        keys: the tests that it holds.
        artifacts: all of them.

    """

    words: str
    owner: str
    keys: tuple[TestKey, ...]
    artifacts: Artifacts

    def profiled(self, test: str, kind: ProfileKind) -> Profiled:
        """Return a profile of the test that ``test`` names.

        Raises:
            InvalidValueError: no test, or more than one, is named, or it has no such profile.

        """
        key = test_named(test, self.words, self.keys)
        profile = self.artifacts.get(self.owner, key, kind) if self.owner else None
        if profile is None:
            raise InvalidValueError(
                f"{self.words} holds no {kind.value} profile of {nodeid(key)}: {self._why(key)}"
            )
        capture = self.artifacts.capture(self.owner, key) if kind is ProfileKind.MEMORY else None
        return Profiled(key.nodeid, profile, capture)

    def _why(self, key: TestKey) -> str:
        """Return what to do about a profile that is not there."""
        if not self.owner:
            return "profiles are kept with runs, and with baselines that were saved on this machine"
        if self.artifacts.notices:
            return self.artifacts.notices[0]
        others = [kind.value for kind in ProfileKind if self.artifacts.get(self.owner, key, kind)]
        if others:
            return f"there is one with --kind {others[0]}"
        return "take one with pytest --goref --goref-passes=cpu,memory"


def open_stored(project: Project, text: str) -> Stored:
    """Return the run, the baseline or the file that ``text`` names.

    Raises:
        InvalidValueError: ``text`` means nothing.
        BaselineError: the baseline is missing or damaged.
        HistoryError: there is no such run, or the history cannot be read.

    """
    artifacts = Artifacts(project.cache.artifacts)
    run = project.run_named(text)
    if run is not None:
        keys = tuple(project.history.measured_keys(run))
        return Stored(f"run {run}", owner_of_run(run), keys, artifacts)
    reference = open_reference(text, project.cache, project.directory)
    is_file = Path(reference.spelling).is_absolute()
    owner = "" if is_file else owner_of_baseline(reference.spelling)
    return Stored(reference.words, owner, tuple(reference.tests()), artifacts)


def declare_stored(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare what a command takes profiles from."""
    for name in names:
        parser.add_argument(f"in_{name.lower()}", metavar=name, help=REFERENCE)


def declare_profile(parser: argparse.ArgumentParser) -> None:
    """Declare of which test the profile is, and of what."""
    parser.add_argument("test", metavar="TEST", help="a node id, or a part of it that no other test has")
    parser.add_argument(
        "--kind",
        choices=[kind.value for kind in ProfileKind],
        default=ProfileKind.CPU.value,
        help="what was profiled: cpu, if not given",
    )


def declare_table(parser: argparse.ArgumentParser) -> None:
    """Declare what a table of a profile shows."""
    parser.add_argument(
        "--value",
        metavar="NAME",
        help="cpu: time or samples; memory: peak, total, left or allocations; the first, if not given",
    )
    parser.add_argument(
        "--cumulative", action="store_true", help="sort by what a place takes with all that it calls"
    )
    parser.add_argument(
        "-n", dest="rows", metavar="N", type=_positive, default=_MOST_ROWS, help="show at most N places (20)"
    )


def value_named(name: str | None, profile: StackProfile) -> int:
    """Return the index of the value that a table shows.

    Raises:
        InvalidValueError: the profile has none of that name.

    """
    if name is None:
        return main_value(profile)
    index = index_of(profile.values, name)
    if index is None:
        known = ", ".join(value.name for value in profile.values)
        raise InvalidValueError(f"--value: a {profile.kind.value} profile has no {name!r}; known: {known}")
    return index


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(2**63)) else 0
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number
