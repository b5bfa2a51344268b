"""The hooks that measure items; they run wherever tests run, on xdist workers too, and write nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.errors import InvalidValueError
from pytest_goref.plugin.executions import Held, execute_measured
from pytest_goref.plugin.interrupts import none_dropped
from pytest_goref.plugin.keys import is_unstable, key_of, spelling_of
from pytest_goref.plugin.measurement import ItemMeasurement, Plan
from pytest_goref.plugin.neighbours import Neighbours
from pytest_goref.plugin.phases import fail
from pytest_goref.plugin.process_state import ProcessState
from pytest_goref.plugin.protocol import failed_silently
from pytest_goref.plugin.settings import Settings, gates_durations, is_measured, read_request
from pytest_goref.plugin.temporary import TemporaryDirectories
from pytest_goref.plugin.time_limit import TimeLimit
from pytest_goref.profilers.tasks import code_of_coroutine

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_goref.plugin.conclusion import Conclusion, Judging
    from pytest_goref.plugin.parcels import Parcels
    from pytest_goref.plugin.pass_context import Tools
    from pytest_goref.plugin.region import Region

Hold = Callable[["Conclusion", Callable[[str], None]], None]
"""Keeps what is known of a test, and what logs its reports when its verdict is known."""

_WIDEST: Final = 100
_NO_GATE_UNDER_XDIST: Final = (
    "its marker lets it fail when it is slower (fail=), but durations are not judged under xdist (-n), "
    "as workers slow each other down: use -n0"
)


class ItemHooks:
    """Measures the items that ask for it, one after the other.

    Args:
        settings: of the session.
        tools: the profilers of the session.
        judging: how verdicts are reached.
        hold: keeps a test that must wait for its verdict, and what then logs its reports.
        parcels: takes what goes on reports.

    """

    def __init__(
        self,
        settings: Settings,
        tools: Tools,
        judging: Judging,
        hold: Hold,
        parcels: Parcels,
    ) -> None:
        self._parcels = parcels
        self._hold = hold
        self._settings = settings
        self._tools = tools
        self._judging = judging
        self._current: ItemMeasurement | None = None
        self._item: pytest.Item | None = None
        self._wrong_marker = ""
        self._failing: tuple[pytest.TestReport, str] | None = None
        self._process = os.getpid()
        self._neighbours: Neighbours | None = None
        self._width: int | None = None

    def region(self) -> Region | None:
        """Return the region in which a test is executing now."""
        return self._current.region if self._current else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Execute a measured item, unless another plugin has to."""
        with none_dropped():
            return self._execute(item, nextitem)

    def _execute(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        self._current, self._item = self._begin(item), item
        if self._current is None or not self._current.plan.driven:
            return None
        measurement = self._current
        held = execute_measured(item, nextitem, measurement)
        if held is not None and measurement.conclusion is not None:
            self._hold(measurement.conclusion, partial(self._release, measurement, held))
        self._current = self._item = None
        return True

    def _release(self, measurement: ItemMeasurement, held: Held, failure: str) -> None:
        """Log the reports of a test that had to wait for its verdict."""
        self._current, self._item = measurement, held.item
        try:
            held.release(failure)
        finally:
            self._current = self._item = None

    def _begin(self, item: pytest.Item) -> ItemMeasurement | None:
        self._wrong_marker = ""
        if not is_measured(item, self._settings) or not _is_python(item):
            return None
        if os.getpid() != self._process:  # forked by a test, and returned: only the parent measures
            return None
        key = key_of(item)
        try:
            request = read_request(item, self._settings)
        except InvalidValueError as error:
            self._wrong_marker = f"{key.nodeid}: {error}"
            return None
        if self._settings.compare and hasattr(item.config, "workerinput") and gates_durations(request.rules):
            self._wrong_marker = f"{key.nodeid}: {_NO_GATE_UNDER_XDIST}"
            return None
        if is_unstable(key):
            if not self._settings.all_tests:
                self._wrong_marker = (
                    f"{key.nodeid}: its id holds a memory address, so no baseline can know it again; "
                    "give its parameters ids (pytest.param(..., id=...))"
                )
            return None
        neighbours = self._neighbours = self._neighbours or Neighbours.of(item.config)
        looked_on = neighbours.executing(item)
        skipped = neighbours.skipped_passes(item, debugged=bool(looked_on))
        code = code_of_coroutine(getattr(item, "function", None))
        if request.repeat and not looked_on:
            TemporaryDirectories.watch(item.config)
            with TimeLimit.of(item.config).suspended(item):
                self._prepare_for(set(request.passes) - skipped.keys())
        plan = Plan(
            key,
            request,
            once=looked_on,
            skipped=skipped,
            driven=not looked_on,
            code=code,
            drawn=bool(getattr(getattr(item, "function", None), "is_hypothesis_test", False)),
            spelling=spelling_of(key, self._settings.rootdir, item.config.invocation_params.dir),
            width=self._failure_width(item.config),
        )
        return self._measuring(plan)

    def _failure_width(self, config: pytest.Config) -> int:
        """Return how wide the text of a failure may be: as the terminal, if it is one; a log has room."""
        if self._width is None:
            self._width = _WIDEST
            if config.pluginmanager.has_plugin("terminalreporter"):
                writer = config.get_terminal_writer()
                self._width = min(_WIDEST, writer.fullwidth) if writer.hasmarkup else _WIDEST
        return self._width

    def _measuring(self, plan: Plan) -> ItemMeasurement:
        return ItemMeasurement(plan, self._tools, self._judging, self._parcels)

    def _prepare_for(self, passes: set[str]) -> None:
        state = ProcessState.save()
        for name in self._tools.prepare.keys() & passes:
            self._tools.prepare[name]()
        state.restore()  # what memray loads draws a random number

    def _measurement_of(self, item: pytest.Item) -> ItemMeasurement | None:
        return self._current if self._item is item else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Refuse a test whose marker is wrong; the others run. Begin afresh when others execute one again."""
        if self._wrong_marker:
            pytest.fail(self._wrong_marker, pytrace=False)
        if self._current is not None and not self._current.plan.driven:
            self._current, self._failing = self._measuring(self._current.plan), None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure around the whole call, for items whose function pytest does not call itself."""
        __tracebackhide__ = True
        measurement = self._measurement_of(item)
        if measurement is None or (measurement.plan.driven and _calls_function(item)):
            return (yield)
        with contextlib.ExitStack() as stack:
            if not measurement.plan.driven:
                stack.enter_context(measurement.first())
            if measurement.region and not _calls_function(item):
                stack.enter_context(measurement.region)
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Measure as close around the test's function as can be."""
        __tracebackhide__ = True
        measurement = self._measurement_of(pyfuncitem)
        region = measurement.region if measurement else None
        if region is None or region.entered:
            return (yield)
        with region:
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge what others execute, and name the test on each of its reports."""
        measurement = self._measurement_of(item)
        if measurement is None:
            return (yield)
        looking_on = not measurement.plan.driven and call.when == "call"
        failure = ""
        if looking_on and call.excinfo is None and not failed_silently(item):
            measurement.execute_once(measurement.plan.once)
            failure = measurement.conclude(may_wait=False) or ""
        report = yield
        measurement.attach(report)
        if failure and os.getpid() != self._process:  # a child process, which hands its reports over
            fail(report, failure)
        elif failure:
            self._failing = report, failure
        elif call.when == "teardown" and report.failed:
            self._failing = None  # it has failed already, and may be executed again for that
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Let a test that others execute fail, now that they do not execute it again; notice subtests.

        A verdict is no chance failure: who executes failed tests again is not to wash it away. Subtests
        report while the test is running, so it cannot be repeated quietly.
        """
        if self._failing is not None and self._failing[0] is report:
            fail(*self._failing)
        if self._current is not None and self._current.region is not None and report.when == "call":
            self._current.subreports += 1

    def pytest_enter_pdb(self) -> None:
        """Notice ``breakpoint()`` and the like: nobody wants to meet it again in every execution."""
        if self._current is not None:
            self._current.debugged = True


def _is_python(item: pytest.Item) -> bool:
    """Return whether the item is a test function; nothing else can be measured."""
    return isinstance(item, pytest.Function)


def _calls_function(item: pytest.Item) -> bool:
    """Return whether the item's function is called by ``pytest_pyfunc_call``; unittest calls its own."""
    if not isinstance(item.parent, pytest.Class):
        return True
    unittest = sys.modules.get("unittest")
    cls = getattr(item, "cls", None)
    return not (unittest and isinstance(cls, type) and issubclass(cls, unittest.TestCase))
