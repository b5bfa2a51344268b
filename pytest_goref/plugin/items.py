"""The hooks that measure items; they run wherever tests run, on xdist workers too, and write nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.errors import InvalidValueError
from pytest_goref.plugin.keys import is_unstable, key_of, spelling_of
from pytest_goref.plugin.measurement import ItemMeasurement, Plan
from pytest_goref.plugin.passes import PASSES
from pytest_goref.plugin.process_state import ProcessState
from pytest_goref.plugin.protocol import Held, execute_measured, failed_silently
from pytest_goref.plugin.settings import Settings, is_measured, read_request
from pytest_goref.profilers.tasks import code_of_coroutine
from pytest_goref.profilers.watcher import watcher

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_goref.plugin.conclusion import Conclusion, Judging
    from pytest_goref.plugin.pass_context import Tools
    from pytest_goref.plugin.region import Region

Hold = Callable[["Conclusion", Callable[[str], None]], None]
"""Keeps what is known of a test, and what logs its reports when its verdict is known."""

_WIDEST: Final = 100
_REPEATS_ITSELF: Final = (
    "counts, calls and durations are not measured: the benchmark fixture decides how often the code runs"
)
_UNTIMED_UNDER_XDIST: Final = "durations are not measured under xdist (-n): other tests run at the same time"


class ItemHooks:
    """Measures the items that ask for it, one after the other.

    Args:
        settings: of the session.
        tools: the profilers of the session.
        judging: how verdicts are reached.
        hold: keeps a test that must wait for its verdict, and what then logs its reports.
        prepare: by the name of a pass, what must have happened before a test that it measures is executed.

    """

    def __init__(
        self,
        settings: Settings,
        tools: Tools,
        judging: Judging,
        hold: Hold,
        prepare: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self._hold = hold
        self._prepare = prepare
        self._settings = settings
        self._tools = tools
        self._judging = judging
        self._current: ItemMeasurement | None = None
        self._item: pytest.Item | None = None
        self._wrong_marker = ""

    def region(self) -> Region | None:
        """Return the region in which a test is executing now."""
        return self._current.region if self._current else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Execute a measured item, unless another plugin has to."""
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
        key = key_of(item)
        try:
            request = read_request(item, self._settings)
        except InvalidValueError as error:
            self._wrong_marker = f"{key.nodeid}: {error}"
            return None
        if is_unstable(key):
            if not self._settings.all_tests:
                self._wrong_marker = (
                    f"{key.nodeid}: its id holds a memory address, so no baseline can know it again; "
                    "give its parameters ids (pytest.param(..., id=...))"
                )
            return None
        looked_on = _executed_by_others(item)
        skipped = _skipped_passes(item, debugged=bool(looked_on))
        code = code_of_coroutine(getattr(item, "function", None))
        if request.repeat and not looked_on:
            self._prepare_for(set(request.passes) - skipped.keys())
        plan = Plan(
            key,
            request,
            once=looked_on,
            skipped=skipped,
            driven=not looked_on,
            code=code,
            spelling=spelling_of(key, self._settings.rootdir, item.config.invocation_params.dir),
            width=_failure_width(item.config),
        )
        return ItemMeasurement(plan, self._tools, self._judging)

    def _prepare_for(self, passes: set[str]) -> None:
        state = ProcessState.save()
        for name in self._prepare.keys() & passes:
            self._prepare[name]()
        state.restore()  # what memray loads draws a random number

    def _measurement_of(self, item: pytest.Item) -> ItemMeasurement | None:
        return self._current if self._item is item else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Refuse a test whose marker is wrong; the others run."""
        if self._wrong_marker:
            pytest.fail(self._wrong_marker, pytrace=False)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure around the whole call, for items whose function pytest does not call itself."""
        __tracebackhide__ = True
        measurement = self._measurement_of(item)
        with contextlib.ExitStack() as stack:
            if measurement is not None and not measurement.plan.driven:
                stack.enter_context(measurement.first())
            if measurement is not None and measurement.region and not _calls_function(item):
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
        if looking_on and call.excinfo is None and not failed_silently(item):
            measurement.execute_once(measurement.plan.once)
            failure = measurement.conclude(may_wait=False)
            if failure:
                failed = pytest.CallInfo.from_call(lambda: pytest.fail(failure, pytrace=False), when="call")
                call.excinfo = failed.excinfo
        report = yield
        measurement.attach(report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice subtests: they report while the test is running, so it cannot be repeated quietly."""
        if self._current is not None and self._current.region is not None and report.when == "call":
            self._current.subreports += 1


def _failure_width(config: pytest.Config) -> int:
    """Return how wide the text of a failure may be: as the terminal, if it is one; a log has room."""
    if config.pluginmanager.getplugin("terminalreporter") is None:
        return _WIDEST
    writer = config.get_terminal_writer()
    return min(_WIDEST, writer.fullwidth) if writer.hasmarkup else _WIDEST


def _is_python(item: pytest.Item) -> bool:
    """Return whether the item is a test function; nothing else can be measured."""
    return isinstance(item, pytest.Function)


def _calls_function(item: pytest.Item) -> bool:
    """Return whether the item's function is called by ``pytest_pyfunc_call``; unittest calls its own."""
    unittest = sys.modules.get("unittest")
    cls = getattr(item, "cls", None)
    return not (unittest and isinstance(cls, type) and issubclass(cls, unittest.TestCase))


def _executed_by_others(item: pytest.Item) -> str:
    """Return what makes another plugin, or a person, execute this item; "" when nothing does."""
    option = item.config.getoption
    for flag in ("usepdb", "trace"):
        if option(flag, False):
            return "--pdb" if flag == "usepdb" else "--trace"
    for flag in ("setuponly", "setupshow", "setupplan"):
        if option(flag, False):
            return f"--{flag.replace('setup', 'setup-')}"
    if item.get_closest_marker("flaky") is not None:
        return "marked flaky"
    return "--reruns" if option("reruns", 0) or option("force_flaky", False) else ""


def _skipped_passes(item: pytest.Item, *, debugged: bool) -> dict[str, str]:
    """Return the passes that cannot be taken, and why, "" where it is told anyway."""
    if "benchmark" in getattr(item, "fixturenames", ()):
        return dict.fromkeys(PASSES, _REPEATS_ITSELF)
    if hasattr(item.config, "workerinput"):
        return {"time": _UNTIMED_UNDER_XDIST}
    tracer = watcher()
    if tracer:
        return {"time": f"durations are not measured: {tracer} is active"}
    return {"time": ""} if debugged else {}
