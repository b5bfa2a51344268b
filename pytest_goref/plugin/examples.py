"""Hypothesis in further executions: they draw examples, and neither look into failures nor keep any.

A profiler slows a test down. An example that exceeds its deadline for that would be a failure to Hypothesis:
it would look for a smaller one, for minutes, and store it to be tried first in the next session. And examples
that earlier sessions have stored would be counted in this one.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_OF_FUNCTION: Final = "_hypothesis_internal_use_settings"
"""Where ``given`` looks for the settings of a test; nothing public changes them once it is defined."""
_OF_MACHINE: Final = "settings"
"""Where a state machine's test case looks for them."""
_INTO_FAILURES: Final = frozenset({"shrink", "explain"})
"""Phases that find out more about a failure."""


@contextlib.contextmanager
def only_drawn(item: pytest.Item) -> Iterator[None]:
    """Let a Hypothesis test have no deadline, health check, database and search for smaller examples."""
    function, cls = getattr(item, "function", None), getattr(item, "cls", None)
    hypothesis = sys.modules.get("hypothesis")
    if hypothesis is None or not getattr(function, "is_hypothesis_test", False):
        yield
        return
    holder, name = (function, _OF_FUNCTION) if hasattr(function, _OF_FUNCTION) else (cls, _OF_MACHINE)
    present = getattr(holder, name, None)
    if not isinstance(present, hypothesis.settings):
        yield
        return
    with _set(holder, name, _drawing(present, hypothesis)):
        yield


def _drawing(present: Any, hypothesis: Any) -> object:  # noqa: ANN401 - theirs, and installed with tests alone
    """Return settings by which a test draws as by the present ones."""
    return hypothesis.settings(
        present,
        deadline=None,
        database=None,
        phases=[phase for phase in present.phases if phase.name not in _INTO_FAILURES],
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
    )


@contextlib.contextmanager
def _set(holder: object, name: str, value: object) -> Iterator[None]:
    """Give an attribute a value for a while; one that is inherited is inherited again afterwards."""
    own, kept = name in vars(holder), getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        if own:
            setattr(holder, name, kept)
        else:
            delattr(holder, name)
