"""The controller: gathers results, writes history and baseline, and tells the user. Only it writes."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_goref import __version__
from pytest_goref.environment import current_commit, current_environment
from pytest_goref.errors import GorefError
from pytest_goref.plugin.artifacts import ProfileKeeper
from pytest_goref.plugin.results import Results
from pytest_goref.plugin.selection import Scope, Selection
from pytest_goref.plugin.settings import executes_tests
from pytest_goref.plugin.telling import summarize
from pytest_goref.profilers.conditions import conditions
from pytest_goref.report.summary import Saved
from pytest_goref.report.terminal import render_summary
from pytest_goref.report.text import printable
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo, TestResult

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from pytest_goref.model import BaselineEntry, TestKey
    from pytest_goref.plugin.parcels import Parcels
    from pytest_goref.plugin.saving import Saving
    from pytest_goref.plugin.settings import Settings
    from pytest_goref.store.reference import Reference


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a session is for, beside measuring.

    Attributes:
        settings: of the session.
        reference: what is compared with, None when nothing is.
        accepted: every test that has an entry there; read once, as files may change while tests run.
        selection: which tests were collected; filled while they are.

    """

    settings: Settings
    reference: Reference | None
    accepted: tuple[TestKey, ...]
    selection: Selection


class Controller:
    """The hooks of the process that writes; under xdist the one that executes no tests.

    Args:
        purpose: what the session is for.
        saving: times what is to be saved.
        scratch: where profilers put their files, in this process and in workers.
        parcels: those that this process sends.

    """

    def __init__(self, purpose: Purpose, saving: Saving, scratch: Path, parcels: Parcels) -> None:
        self._purpose = purpose
        self._saving = saving
        self._keeper = ProfileKeeper(CacheDirectory(purpose.settings.cache), scratch)
        self._results = Results(parcels)
        self._notes: list[str] = []
        self._errors: list[str] = []
        self._saved: Saved | None = None
        self._run_id: int | None = None
        self._missing: tuple[TestKey, ...] = ()
        self._scope = Scope((), "")
        self._workers_lost = False
        self._was_cut_short = True  # until the last test has ended, with none that took its worker along
        self._process = os.getpid()
        self._conditions = conditions()  # before this session is a load itself
        self._began = dt.datetime.now(dt.UTC).astimezone()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what a test has measured."""
        self._results.add(report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Time what is to be saved, after the last test and when all suspects are confirmed."""
        try:
            result = yield
            self._was_cut_short = self._workers_lost
        finally:
            self._results.lose(self._purpose.selection.measured)
        name = self._purpose.settings.save
        if name:
            baselines = Baselines(CacheDirectory(self._purpose.settings.cache))
            stored = baselines.open(name) if baselines.exists(name) else None
            self._notes.extend(self._saving.time(self._results, stored))
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - a class of xdist
        """Tell an xdist worker what to compare with, as which run was the last one is known only here."""
        node.workerinput["goref_scratch"] = str(self._keeper.scratch)
        if self._purpose.reference is not None:
            node.workerinput["goref_compare"] = self._purpose.reference.spelling

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:  # noqa: ANN401 - a class of xdist
        """Take over which tests an xdist worker has collected, or that it ended before its time."""
        self._workers_lost = self._workers_lost or error is not None
        sent = getattr(node, "workeroutput", {}).get("goref_selection")
        if sent is not None:  # a worker that crashed has sent nothing
            self._purpose.selection.add_plain(sent)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write, and let missing tests fail a strict session."""
        if not executes_tests(session.config) or os.getpid() != self._process:
            return  # a child that a test has forked, and that came back, writes nothing
        self._scope = Scope.of(session.config)
        self._missing = self._find_missing()
        if self._missing and self._purpose.settings.strict and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._purpose.settings.save:
            self._save_or_fail(session)
        self._notes.extend(self._spoiled())
        if self._results.by_key:
            self._remember_if_possible(session)
            self._leave_profiles(session)

    def _find_missing(self) -> tuple[TestKey, ...]:
        """Return the tests that are accepted, were looked for, and are gone or no longer marked."""
        selection = self._purpose.selection
        if not selection.collected and self._was_cut_short:
            return ()  # no worker was left to say what it had collected
        missing = []
        for key in self._purpose.accepted:
            looked_for = (
                not self._scope.narrowed and self._scope.covers(key.path) and key.path not in selection.unread
            )
            gone = looked_for and key not in selection.collected
            unmarked = key in selection.selected and key not in selection.measured
            if gone or unmarked:
                missing.append(key)
        return tuple(missing)

    def _spoiled(self) -> Iterator[str]:
        """Tell what spoils durations, when some were judged or saved."""
        settings, spoilers = self._purpose.settings, self._conditions.spoilers
        records = (result.record for result in self._results.by_key.values())
        timed = any(record is not None and record.visit is not None for record in records)
        if timed and spoilers and (settings.save or settings.compare):
            yield f"durations vary more than they have to: {'; '.join(spoilers)}"

    def _save_or_fail(self, session: pytest.Session) -> None:
        """Save, which the user has asked for; when that is not possible the session fails."""
        try:
            self._save()
        except (GorefError, OSError) as error:
            self._fail(session, f"baseline {self._purpose.settings.save} was not saved: {error}")

    def _remember_if_possible(self, session: pytest.Session) -> None:
        """Add the run to the history; when that is not possible the user is told."""
        try:
            self._remember(session)
        except (GorefError, OSError) as error:
            self._notes.append(f"this run is not in the history: {error}")

    def _leave_profiles(self, session: pytest.Session) -> None:
        """Export profiles, which the user has asked for, then keep them, which moves their captures."""
        settings = self._purpose.settings
        if settings.export is not None:
            failed = list(self._keeper.export(self._results, settings.export))
            self._fail(session, *failed)
        baseline = self._saved.name if self._saved else ""
        limit_bytes = settings.artifacts_limit_bytes
        self._notes.extend(self._keeper.keep(self._results, self._run_id, baseline, limit_bytes))

    def _fail(self, session: pytest.Session, *errors: str) -> None:
        """Let the session fail because something that was asked for was not done."""
        self._errors.extend(errors)
        if errors and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def _save(self) -> None:
        """Merge what passed into the baseline."""
        from pytest_goref.compare.accept import accept  # noqa: PLC0415 - only a session that saves needs it

        name = self._purpose.settings.save
        baselines = Baselines(CacheDirectory(self._purpose.settings.cache))
        stored = baselines.open(name) if baselines.exists(name) else None
        changes: dict[TestKey, BaselineEntry] = {}
        for key, result in self._results.by_key.items():
            if result.accepted and result.record is not None:
                entry = stored.get(key) if stored else None
                changes[key] = accept(result.record, entry, self._purpose.settings.visits)
        saved = baselines.save(name, changes)
        self._saved = Saved(name, saved.new + saved.changed, saved.unchanged)

    def _remember(self, session: pytest.Session) -> None:
        """Append the run to the history."""
        cache = CacheDirectory(self._purpose.settings.cache)
        cache.ensure()
        history = History(cache.history)
        run = RunInfo(
            id=None,
            started_at=self._began.isoformat(timespec="seconds"),
            commit=current_commit(self._purpose.settings.rootdir),
            environment=current_environment(),
            exit_status=int(session.exitstatus),
            complete=not (
                self._scope.narrowed
                or session.shouldstop
                or session.shouldfail
                or self._was_cut_short
                or self._purpose.selection.unread
            ),
            scope=self._scope.paths,
            plugin_version=__version__,
            conditions=self._conditions.words,
        )
        results = (TestResult(key, r.outcome, r.record) for key, r in self._results.by_key.items())
        try:
            self._run_id = history.append(run, results)
        finally:
            self._notes.extend(history.notices)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the summary."""
        config = terminalreporter.config
        if not executes_tests(config) or os.getpid() != self._process:
            return
        summary = summarize(self._results, self._purpose, self._missing, self._saved, tuple(self._notes))
        lines = render_summary(summary, config.get_verbosity(), config.get_terminal_writer().fullwidth)
        for error in self._errors:  # however quiet the session is: they are why it fails
            terminalreporter.write_line(f"goref: {printable(error)}", red=True)
        for line in lines:
            terminalreporter.write_line(line)
