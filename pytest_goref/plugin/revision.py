"""Comparing with a revision: it is measured before the first test, and its worktree stays until the last."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.compare.judge import judge, revised
from pytest_goref.compare.slowdown import FEWEST_VISITS
from pytest_goref.errors import GorefError, InvalidValueError
from pytest_goref.model import BaselineEntry
from pytest_goref.plugin.base import Base, Wanted, measure
from pytest_goref.plugin.fresh import FreshProcesses
from pytest_goref.plugin.machine_lock import terminal_of
from pytest_goref.plugin.passes import TIME
from pytest_goref.plugin.settings import executes_tests
from pytest_goref.plugin.visits import VisitResult
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.reference import GIT, GitReference
from pytest_goref.store.worktree import Worktree, has_changes, resolve
from pytest_goref.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import Record, TestKey, Visit
    from pytest_goref.plugin.invocation import Invocation
    from pytest_goref.plugin.settings import Settings
    from pytest_goref.plugin.visits import VisitRequest
    from pytest_goref.store.reference import Reference

_MOST_NAMED: Final = 5
_NOT_COMPARED: Final = (Outcome.NEW, Outcome.INCOMPARABLE)


def open_revision(text: str, config: pytest.Config) -> GitReference:
    """Return what ``--goref-compare=git:REV`` means; ``RevisionHooks`` fill it in.

    Args:
        text: as written.
        config: of the session.

    Raises:
        InvalidValueError: the tests are for workers of xdist.
        RevisionError: git or the repository is not there, or it has no such commit.

    """
    if config.getoption("dist", "no") != "no":
        raise InvalidValueError(f"--goref-compare={text} cannot be used with xdist workers (-n): use -n0")
    return GitReference(resolve(text.removeprefix(GIT), config.rootpath))


class Counterparts:
    """What the session's own code does in a fresh process, measured as the revision is.

    What a test allocates, and now and then what it counts, depends on what its process has done before, and
    on its hash seed. So the numbers that are judged are those of two processes that were started alike.
    """

    def __init__(self) -> None:
        self._records: dict[TestKey, Record] = {}

    def fill(self, records: Mapping[TestKey, Record]) -> None:
        """Take over what was measured."""
        self._records.update(records)

    def checked(
        self,
        record: Record,
        verdict: Verdict,
        reference: Reference,
        rules: Rules,
        test_ns: int,  # noqa: ARG002 - as for other checks
    ) -> tuple[Record, Verdict]:
        """Return ``record`` with the numbers of the fresh process, and the verdict on it.

        Args:
            record: what was measured in this process.
            verdict: the verdict on it.
            reference: what it was compared with.
            rules: tolerance and severity of each metric.
            test_ns: how long the test took once.

        """
        fresh = self._records.get(record.key)
        if fresh is None or verdict.outcome in _NOT_COMPARED or fresh.mode is not record.mode:
            return record, verdict
        alike = replace(
            record,
            measurements={**record.measurements, **fresh.measurements},
            problems=tuple(dict.fromkeys((*record.problems, *fresh.problems))),
            concurrent=record.concurrent or fresh.concurrent,
            draws=fresh.draws,
        )
        judged = judge(alike, reference.get(record.key), rules)
        limits = [finding for finding in verdict.findings if finding.outcome is Outcome.OVER_LIMIT]
        if not limits:
            return alike, judged
        found = {(f.metric, f.subject, f.outcome): f for f in (*limits, *judged.findings)}
        return alike, revised(judged, tuple(found.values()))


class RevisionHooks:
    """The hooks of a session that compares with a revision.

    Args:
        reference: filled in before the first test.
        settings: of the session.
        invocation: how a fresh process is started for the session's own code.
        lock: keeps other sessions of this machine from timing meanwhile.

    """

    def __init__(
        self,
        reference: GitReference,
        settings: Settings,
        invocation: Invocation,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._reference = reference
        self._settings = settings
        self._invocation = invocation
        self._lock = lock
        self._base: Base | None = None
        self.counterparts = Counterparts()

    def visit(self, request: VisitRequest, limit_ns: int) -> VisitResult:
        """Measure tests of the revision in a fresh process, as long as tests run."""
        if self._base is None:
            return VisitResult(failure=f"the worktree of {self._reference.words} is removed")
        return self._base.visit(request, limit_ns)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Measure the revision first; keep its worktree until all else that surrounds the tests has ended."""
        config = session.config
        stopped = session.testsfailed and not config.getoption("continue_on_collection_errors")
        wanted = Wanted.of(session.items, self._settings)
        if stopped or not wanted.keys or not executes_tests(config):
            return (yield)
        with contextlib.ExitStack() as stack:
            try:
                self._prepare(stack, config, wanted)
            except (GorefError, OSError) as error:
                raise pytest.UsageError(f"goref: {error}") from None
            return (yield)

    def _prepare(self, stack: contextlib.ExitStack, config: pytest.Config, wanted: Wanted) -> None:
        """Fill in the reference, in a worktree that stays until ``stack`` is closed."""
        words = self._reference.words
        changes = "; the working tree has uncommitted changes: they are compared too"
        _tell(
            config,
            f"measuring {_tests(len(wanted.keys))} in {words}"
            f"{changes if has_changes(self._reference.revision.top) else ''}",
        )
        cache = CacheDirectory(self._settings.cache)
        worktree = stack.enter_context(Worktree.made(self._reference.revision, cache))
        base = Base(worktree, self._invocation)
        with self._lock() if TIME in wanted.passes else contextlib.nullcontext():
            measured = base.measure(wanted)
        self._base = base
        stack.callback(setattr, self, "_base", None)
        obstacles = {key: f"not measured in {words}: {why}" for key, why in measured.obstacles.items()}
        self._reference.fill(self._entries(measured.records.values()), obstacles)
        if base.copied:
            names = ", ".join(base.copied)
            _tell(config, f"taken from the working tree for both sides, as git ignores them: {names}")
        again = Wanted(tuple(measured.records), tuple(p for p in wanted.passes if p != TIME))
        if again.passes:
            self.counterparts.fill(measure(again, self._invocation.visit).records)
        if measured.missing:
            named = ", ".join(key.nodeid for key in sorted(measured.missing)[:_MOST_NAMED])
            more = ", ..." if len(measured.missing) > _MOST_NAMED else ""
            _tell(config, f"new, as {words} has no such test ({len(measured.missing)}): {named}{more}")

    def _entries(self, records: Iterable[Record]) -> Iterator[BaselineEntry]:
        """Yield what the revision does; what was timed is timed again, as often as a screening needs."""
        timed = [record for record in records if record.visit is not None]
        visits: dict[TestKey, list[Visit]] = {r.key: [r.visit] for r in timed if r.visit}
        fresh = FreshProcesses(self.visit, self._lock)
        for number in range(2, FEWEST_VISITS + 1) if timed and self._settings.visits else ():
            for key, visit in fresh.time(timed, number).visits.items():
                visits[key].append(visit)
        for record in records:
            taken = tuple(visits.get(record.key, ()))
            yield BaselineEntry.from_record(replace(record, fresh=taken if self._settings.visits else ()))


def _tests(number: int) -> str:
    return "1 test" if number == 1 else f"{number} tests"


def _tell(config: pytest.Config, text: str) -> None:
    """Show a line, unless the session is quiet."""
    if config.get_verbosity() >= 0:
        terminal_of(config)(text)
