"""Executing a test more than once, with the outcome, the report and the fixtures of executing it once.

The first execution is the test as it is and decides the outcome; its call report is held while quiet
executions follow, each with set-up, call and tear-down of the function-scoped fixtures, while wider fixtures
stay. Between executions the item is torn down as if a copy of it came next; only the last tear-down sees the
real next item, and so does that of a test that is executed once. When the verdict has to wait for fresh
processes, the reports of call and tear-down wait too.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol

import pytest

from pytest_goref.plugin.examples import only_drawn
from pytest_goref.plugin.phases import Phase, has_passed, joined, merged, reason
from pytest_goref.plugin.protocol import ItemState, drop_request, renew_request, renew_spent_request
from pytest_goref.plugin.quiet import quiet
from pytest_goref.plugin.temporary import TemporaryDirectories
from pytest_goref.plugin.time_limit import TimeLimit

if TYPE_CHECKING:
    import contextlib

    from pytest_goref.plugin.region import Execution, Region

_When = Literal["setup", "call", "teardown"]
_INTERRUPTS: Final = (pytest.exit.Exception, KeyboardInterrupt)
"""What ends a session; pytest lets these through too."""

Execute = Callable[["Region"], "Execution"]
"""Executes the test once more, quietly, under the given region."""


class Measurement(Protocol):
    """What the protocol asks of whoever measures an item."""

    @property
    def may_repeat(self) -> bool:
        """Whether further executions may follow the first one."""
        ...

    def first(self) -> contextlib.AbstractContextManager[None]:
        """Surround the call of the first execution."""
        ...

    def settled(self) -> None:
        """Take note that the first execution has been torn down."""
        ...

    def entered(self, region: Region) -> contextlib.AbstractContextManager[None]:
        """Surround the call of a quiet execution."""
        ...

    def repeat(self, execute: Execute) -> None:
        """Execute the test as often as is wanted."""
        ...

    def conclude(self, *, may_wait: bool) -> str | None:
        """Judge; return the text with which the test fails, "" when it does not, None when that must wait."""
        ...

    def attach(self, report: pytest.TestReport) -> None:
        """Put what was measured on the call report."""
        ...


class Held:
    """The reports of a test whose verdict is not known yet; what the session learns of its end waits too.

    Args:
        item: the test, torn down.
        log: logs the reports, given the text with which the test fails.

    """

    def __init__(self, item: pytest.Item, log: Callable[[str], None]) -> None:
        self.item = item
        self._log = log

    def release(self, failure: str) -> None:
        """Log the reports.

        Args:
            failure: the text with which the test fails, "" when it does not.

        """
        try:
            self._log(failure)
        finally:
            _finish(self.item)


def execute_measured(
    item: pytest.Item, nextitem: pytest.Item | None, measurement: Measurement
) -> Held | None:
    """Execute ``item`` as pytest's own protocol would, and as often as ``measurement`` wants.

    Returns:
        The reports that wait for the verdict; None when all are logged.

    """
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    log = None
    try:
        log = _Protocol(item, nextitem, measurement).run()
    finally:
        if log is None:
            drop_request(item)
    if log is not None:
        return Held(item, log)
    _finish(item)
    return None


def _finish(item: pytest.Item) -> None:
    """Let go of the item, whose reports are all logged."""
    drop_request(item)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _serves(collector: pytest.Collector | None, item: pytest.Item) -> bool:
    """Return whether ``item`` lies in ``collector``."""
    return item.parent is collector or collector in item.listchain()


class _Protocol:
    """One item on its way through all its executions."""

    def __init__(self, item: pytest.Item, nextitem: pytest.Item | None, measurement: Measurement) -> None:
        self._item = item
        self._hook = item.ihook  # looked up once: that walks through every conftest.py
        self._nextitem = nextitem
        self._measurement = measurement
        # Tear-downs that plain pytest does not have see a copy; the only one sees what it would there.
        siblings = nextitem is not None and nextitem is not item and nextitem.parent is item.parent
        self._between = nextitem if siblings and not measurement.may_repeat else copy.copy(item)
        self._repeated = 0

    def run(self) -> Callable[[str], None] | None:
        """Execute the item and log its reports; return what logs them later when the verdict must wait."""
        item, hook = self._item, self._hook
        renew_spent_request(item)
        if self._measurement.may_repeat:
            self._initial = ItemState.save(item)
        if not self._log(*self._phase("setup", partial(hook.pytest_runtest_setup, item=item))).passed:
            self._teardown()
            return None
        with self._measurement.first():
            called = self._phase("call", partial(hook.pytest_runtest_call, item=item))
        if not has_passed(called[1]):
            self._log(*called)
            self._teardown()
            return None
        return self._after_first(called)

    def _after_first(self, called: Phase) -> Callable[[str], None] | None:
        """Tear down the first execution, execute quietly, judge, and log the held reports."""
        item = self._item
        after_call = ItemState.save(item)
        try:
            teardown = self._call("teardown", self._teardown_hook(self._between))
            after_teardown = ItemState.save(item)
            self._measurement.settled()
            if self._measurement.may_repeat:
                TimeLimit.of(item.config).lift(item)
            if teardown.excinfo is None:
                self._measurement.repeat(self._execute_quietly)
        except _INTERRUPTS:
            after_call.restore(item)
            self._log(*called)
            raise
        # A test whose tear-down fails has failed already: nobody should wait to hear of it.
        failure = self._measurement.conclude(may_wait=teardown.excinfo is None)
        if failure is not None:
            if failure or self._repeated:
                after_call.restore(item)
            self._log_call(called, failure)
            if failure or self._repeated:
                after_teardown.restore(item)
            self._log(*self._torn_down(teardown, after_call))
            return None
        after_teardown.restore(item)
        torn_down = self._torn_down(teardown, after_call)
        finished = ItemState.save(item)

        def log(failure: str) -> None:
            after_call.restore(item)
            self._log_call(called, failure)
            finished.restore(item)
            self._log(*torn_down)

        return log

    def _log_call(self, called: Phase, failure: str) -> None:
        """Log the report of the call, or one of the failure that the verdict is."""
        call, report = called
        if failure:
            verdict = self._call("call", lambda: pytest.fail(failure, pytrace=False))
            verdict.start, verdict.stop, verdict.duration = call.start, call.stop, call.duration
            call, report = verdict, self._hook.pytest_runtest_makereport(item=self._item, call=verdict)
        self._measurement.attach(report)
        self._log(call, report)

    def _torn_down(self, teardown: pytest.CallInfo[None], after_call: ItemState) -> Phase:
        """Tear down what is wider than the item and does not serve the next one; return all of it."""
        item = self._item
        nextitem = self._real_nextitem()
        if nextitem is None or not _serves(item.parent, nextitem):
            # pytest's logging plugin expects the keys that the first tear-down has removed.
            for key, value in after_call.stash.items():
                item.stash.setdefault(key, value)
            wider = self._call("teardown", self._teardown_hook(nextitem))
            teardown = joined(teardown, wider)
        report = self._hook.pytest_runtest_makereport(item=item, call=teardown)
        report.sections = merged(report.sections)
        return teardown, report

    def _teardown(self) -> None:
        """Tear down as pytest does, in one step."""
        self._log(*self._phase("teardown", self._teardown_hook(self._real_nextitem())))

    def _real_nextitem(self) -> pytest.Item | None:
        session = self._item.session
        # A session that is about to stop tears everything down, or errors there would go unseen.
        return None if session.shouldfail or session.shouldstop else self._nextitem

    def _teardown_hook(self, nextitem: pytest.Item | None) -> Callable[[], None]:
        return partial(self._hook.pytest_runtest_teardown, item=self._item, nextitem=nextitem)

    def _call(self, when: _When, function: Callable[[], None]) -> pytest.CallInfo[None]:
        return pytest.CallInfo.from_call(function, when=when, reraise=_INTERRUPTS)

    def _phase(self, when: _When, function: Callable[[], None]) -> Phase:
        """Execute one phase; return its call and its report."""
        call = self._call(when, function)
        return call, self._hook.pytest_runtest_makereport(item=self._item, call=call)

    def _log(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> pytest.TestReport:
        """Log a report and tell whoever looks into failures about it, as pytest does."""
        hook = self._hook
        hook.pytest_runtest_logreport(report=report)
        failure = call.excinfo
        if (
            failure
            and not hasattr(report, "wasxfail")
            and not isinstance(failure.value, pytest.skip.Exception)
        ):
            hook.pytest_exception_interact(node=self._item, call=call, report=report)
        return report

    def _execute_quietly(self, region: Region) -> Execution:
        """Execute the item once more: nothing is logged, and what it does to the item is undone."""
        item, hook, process = self._item, self._hook, os.getpid()
        self._initial.restore(item)
        drop_request(item)
        renew_request(item)
        temporary, limit = TemporaryDirectories.of(item.config), TimeLimit.of(item.config)
        self._repeated += 1
        with quiet(item.config, self._repeated), temporary.removed(), limit.again(item), only_drawn(item):
            call, report = self._phase("setup", partial(hook.pytest_runtest_setup, item=item))
            if report.passed:
                with self._measurement.entered(region):
                    call, report = self._phase("call", partial(hook.pytest_runtest_call, item=item))
            if os.getpid() != process:  # forked by the test, and returned: the session is its parent's
                os._exit(0 if report.passed else 1)
            # Fixtures may want the report of the call; nobody but collectors of reports wants this one.
            torn = self._call("teardown", self._teardown_hook(self._between))
        failure = "" if has_passed(report) else reason(call, report.outcome)
        return region.execution(failure or (reason(torn, "failed") if torn.excinfo else ""))
