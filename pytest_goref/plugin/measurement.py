"""Measuring one item: the first execution, the passes after it, the record and its verdict."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pytest_goref.environment import current_environment
from pytest_goref.metrics import CPU_TIME, REFS
from pytest_goref.model import Mode, Problem, ProblemKind, Record, Severity, TestKey
from pytest_goref.plugin.conclusion import Conclusion, Judging
from pytest_goref.plugin.neighbours import UNTIMED_UNDER_XDIST
from pytest_goref.plugin.parcels import Parcel, Parcels
from pytest_goref.plugin.pass_context import Collected, NotRepeatableError, PassContext, Tools
from pytest_goref.plugin.passes import COUNTS, PASSES, TIME
from pytest_goref.plugin.process_state import COVERAGE, ProcessState
from pytest_goref.plugin.region import Execution, Region
from pytest_goref.profilers.clock import ClockProfiler
from pytest_goref.profilers.watcher import unwatched
from pytest_goref.store.profile_codec import profile_to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

    import pytest

    from pytest_goref.plugin.executions import Execute
    from pytest_goref.plugin.request import Request
    from pytest_goref.profilers.leaks import RunningLeaks

REPORT_ATTRIBUTE: Final = "goref"
"""The attribute of a test report that carries what was measured, as JSON text."""

_SHORTEST_EXPLAINED_NS: Final = 20_000
"""Shorter rounds are mostly the cost of timing them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with one test.

    Attributes:
        key: the test.
        request: what is asked for.
        once: why it is executed once although more was asked for, "" when it is not.
        skipped: passes that this session cannot take, and why, "" where ``once`` says it.
        driven: whether this plugin executes the test; if not, it only looks on.
        code: of the test's function, when that is a coroutine.
        drawn: whether Hypothesis draws examples for the test.
        spelling: how pytest names the test where it was started.
        width: the most characters of a line of what a failure says.

    """

    key: TestKey
    request: Request
    once: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)
    driven: bool = True
    code: CodeType | None = None
    drawn: bool = False
    spelling: str = ""
    width: int = 100

    @property
    def may_repeat(self) -> bool:
        """Whether the test may be executed more than once."""
        return self.request.repeat and self.driven and not self.once

    @property
    def is_untimed(self) -> bool:
        """Whether rounds were asked for that a worker of xdist does not take."""
        return TIME in self.request.passes and self.skipped.get(TIME) == UNTIMED_UNDER_XDIST


class ItemMeasurement:
    """One test being measured, from its set-up to its report.

    Args:
        plan: what is to be done.
        tools: the profilers of the session.
        judging: how the verdict is reached.
        parcels: takes what goes on reports.

    """

    def __init__(self, plan: Plan, tools: Tools, judging: Judging, parcels: Parcels) -> None:
        self.region: Region | None = None
        self.subreports = 0
        self.debugged = False
        self.plan = plan
        self._tools = replace(tools, leaks=tools.leaks.of(plan.code)) if plan.code else tools
        self._judging = judging
        self._parcels = parcels
        self._label = ""
        self._process = os.getpid()
        # Only who executes a test again has to give back what it changes, and finding out takes time.
        self._before = self._in_test = ProcessState.save() if plan.may_repeat else None
        self._first = Execution()
        self._window: RunningLeaks | None = None
        self._collected = Collected()
        self._record: Record | None = None
        self.conclusion: Conclusion | None = None

    @property
    def may_repeat(self) -> bool:
        """Whether further executions may follow the first one."""
        return self.plan.may_repeat

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Measure the first execution: its time, its refs, and from its call on what it leaves behind."""
        if self._before is not None:
            self._in_test = ProcessState.save()
        region = Region((self._tools.refs, ClockProfiler(self._tools.clock)))
        self._window = window = self._tools.leaks.start()
        with self.entered(region), contextlib.closing(window):
            yield
        self._first = region.execution()

    @contextlib.contextmanager
    def entered(self, region: Region) -> Iterator[None]:
        """Let ``region`` be the one that surrounds the test's function."""
        self.region = region
        try:
            yield
        finally:
            self.region = None

    def settled(self) -> None:
        """Take note of what the first execution, now torn down, has left behind."""
        if self._before is not None and self._in_test is not None:
            self._before = self._before.with_lasting(self._in_test, ProcessState.save())
        if self._window is not None:
            self._first.counted.update(self._window.stop().counted)

    def repeat(self, execute: Execute) -> None:
        """Take the passes that were asked for, and make the record."""
        once = self.plan.once or (self.debugged and "it stopped in a debugger") or ""
        once = once or (self.subreports and "subtests cannot be repeated quietly") or ""
        before = self._before
        if os.getpid() != self._process:  # the test has forked, and this is the child, which came back
            return
        if once or before is None or self._first.round is None:
            self.execute_once(once)
            return
        after = ProcessState.save()
        unmeasured = before.without(COVERAGE)  # coverage knows the first execution, of child processes too

        def execute_afresh(region: Region) -> Execution:
            unmeasured.restore_surroundings()
            return execute(region)

        try:
            self._record = unwatched(lambda: self._warm(execute_afresh))
        except NotRepeatableError as error:
            text = f"it passed once and failed when repeated ({error})"
            self._record = self._cold(Problem(ProblemKind.NOT_REPEATABLE, text))
        finally:
            after.restore()

    def execute_once(self, reason: str) -> None:
        """Make the record of a test that is not repeated, for ``reason`` unless that was asked for."""
        problems = []
        if reason:
            problems.append(Problem(ProblemKind.ONCE, reason))
        if self._first.round is None:
            text = "nothing was measured: whoever runs this test leaves no place to measure it"
            problems.append(Problem(ProblemKind.SKIPPED, text))
        self._record = self._cold(*problems)

    def _warm(self, execute: Execute) -> Record:
        collected = self._collected
        plan, first = self.plan, self._first
        taken = self._taken()
        context = PassContext(
            execute=execute,
            tools=self._tools,
            collected=collected,
            first_ns=first.round.wall_ns if first.round else 0,
            rounds=plan.request.rounds,
            count_refs=COUNTS in taken,
            timed=TIME in taken,
            drawn=plan.drawn,
        )
        for name in taken:
            PASSES[name](context)
        if self._needs_explanation():
            for name in plan.request.on_demand:
                PASSES[name](replace(context, on_demand=True))
        return self._made(Mode.WARM)

    def _needs_explanation(self) -> bool:
        """Return whether durations were taken whose difference to later ones is to be explained."""
        visit, rule = self._collected.visit(), self.plan.request.rules.rule(CPU_TIME)
        if visit is None or rule.severity is Severity.OFF or not self._judging.saved:
            return False
        return min(timed.wall_ns for timed in visit.rounds) >= _SHORTEST_EXPLAINED_NS

    def _taken(self) -> list[str]:
        """Return the passes that are asked for and can be taken, in the order in which they are."""
        wanted = set(self.plan.request.passes) - self.plan.skipped.keys()
        return [name for name in PASSES if name in wanted]

    def _cold(self, *problems: Problem) -> Record:
        """Return the record of the first execution alone."""
        first, taken = self._first, self._taken()
        timed = first.round if TIME in taken else None
        counted = first.counted if COUNTS in taken else {}
        self._collected.drop_capture()
        self._collected = collected = Collected()
        collected.note(*problems)
        if timed is not first.round or counted is not first.counted:
            first = replace(first, round=timed, counted=counted)
        collected.add(first)
        return self._made(Mode.COLD)

    def _made(self, mode: Mode) -> Record:
        collected = self._collected
        for name, why in self.plan.skipped.items():
            if why and name in self.plan.request.passes:
                collected.note(Problem(ProblemKind.SKIPPED, why))
        return Record(
            key=self.plan.key,
            environment=current_environment(),
            mode=mode,
            measurements=collected.measurements(),
            visit=collected.visit(),
            problems=tuple(collected.problems),
            concurrent=collected.concurrent,
            code=collected.code,
            draws=collected.times(REFS) if self.plan.drawn and not collected.calls_repeat else 0,
        )

    def conclude(self, *, may_wait: bool) -> str | None:
        """Judge the record.

        Args:
            may_wait: whether a suspect may wait for fresh processes.

        Returns:
            The text with which the test fails, "" when it does not, None when fresh processes have to tell.

        """
        if self._record is None:
            return ""
        first_ns = self._first.round.wall_ns if self._first.round else 0
        self.conclusion = conclusion = Conclusion(self.plan, self._judging, self._record, self._collected)
        if self.plan.driven:
            conclusion.check_seeds(first_ns)
        return None if may_wait and conclusion.must_wait else conclusion.text()

    def attach(self, report: pytest.TestReport) -> None:
        """Put key, record and verdict on a report, as one text that survives any transport."""
        if report.when == "call" and self.conclusion is not None:
            parcel = Parcel(
                self.plan.key,
                self.conclusion.record,
                self.conclusion.verdict,
                [profile_to_plain(profile) for profile in self._collected.profiles()],
                self._collected.capture,
                self.plan.is_untimed,
            )
            text = self._parcels.send(parcel)
        else:
            text = self._label = self._label or self._parcels.send(Parcel(self.plan.key))
        setattr(report, REPORT_ATTRIBUTE, text)
