"""Profilers: one module each, behind one small protocol.

``start()`` returns a running thing and ``stop()`` turns it into a finished one: two types for two moments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pytest_goref.errors import GorefError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_goref.model import Metric, Round
    from pytest_goref.profile import StackProfile

__all__ = ["Observation", "Profiler", "ProfilerUnavailableError", "Running"]


class ProfilerUnavailableError(GorefError):
    """A profiler cannot run now; the message says what holds it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one profiler saw in one execution.

    Attributes:
        counted: metric -> subject -> value. A metric with no subjects was measured and saw nothing.
        round: the times of the execution, from a clock.
        profile: where its time or memory went.
        capture: a file in the profiler's own format, for its own pages; the receiver owns it.
        callers: for each subject of ``calls`` the function that called it most, where that is not the runner.
        concurrent: whether threads or an event loop were seen.
        code: fingerprint of the code of all project functions that ran, "" where it is not known.

    """

    counted: Mapping[Metric, Mapping[str, int]] = field(default_factory=dict)
    round: Round | None = None
    profile: StackProfile | None = None
    capture: Path | None = None
    callers: Mapping[str, str] = field(default_factory=dict)
    concurrent: bool = False
    code: str = ""


class Running(Protocol):
    """A profiler that is measuring."""

    def stop(self) -> Observation:
        """Stop measuring and return what was seen."""
        ...


class Profiler(Protocol):
    """A way to measure one execution of a test."""

    def start(self) -> Running:
        """Start measuring.

        Raises:
            ProfilerUnavailableError: something else holds what it needs.

        """
        ...
