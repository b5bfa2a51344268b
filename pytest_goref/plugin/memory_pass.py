"""The ``memory`` pass: one execution under memray, three where threads or an event loop take turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.model import Problem, ProblemKind
from pytest_goref.plugin.region import Region

if TYPE_CHECKING:
    from pytest_goref.plugin.pass_context import PassContext
    from pytest_goref.plugin.region import Execution

_CONCURRENT_TIMES: Final = 3
"""How often a test is executed whose allocations vary with who comes first."""


def memory_pass(context: PassContext) -> None:
    """Execute under memray; refs are not counted.

    Raises:
        NotRepeatableError: the test failed, and not only under memray.

    """
    times, taken = 1, 0
    while taken < times:
        execution = context.undisturbed(
            lambda: context.execute(Region((context.tools.memory,), clock=context.tools.clock))
        )
        if execution.failure:
            _give_up(context, execution)
            return
        context.collected.add(execution)
        taken += 1
        times = _CONCURRENT_TIMES if execution.concurrent else times


def _give_up(context: PassContext, execution: Execution) -> None:
    """Say that the test fails under memray, unless it fails without it too."""
    execution.drop_capture()
    context.collected.add(context.run())
    text = f"allocations are not measured: the test fails under memray ({execution.failure})"
    context.collected.note(Problem(ProblemKind.SKIPPED, text))
