"""The catalogue of metrics and the rule that applies to each when the user sets none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.model import Exactness, Group, Metric, Rule, Severity, Tolerance
from pytest_goref.quantity import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

REFS: Final = Metric("refs", Group.COUNTS, Unit.COUNT, Exactness.EXACT)
"""How often each tracked key was used; subject: the key, after its scope (``/dao/psql:query``)."""

CALLS: Final = Metric("calls", Group.CALLS, Unit.COUNT, Exactness.EXACT, portable=False)
"""Calls per function; subject: ``file.py:qualified.name``, a C function's dotted name, or a module."""

CPU_TIME: Final = Metric("cpu_time", Group.DURATIONS, Unit.NANOSECOND, Exactness.NOISY)
"""CPU time of a round, for tests that compute; no subject, or the name given to ``goref.measure``."""

WALL_TIME: Final = Metric("wall_time", Group.DURATIONS, Unit.NANOSECOND, Exactness.NOISY)
"""Elapsed time of a round, for tests that wait; no subject."""

LEAKED_REFS: Final = Metric("leaked_refs", Group.LEAKS, Unit.COUNT, Exactness.EXACT)
"""References begun by the test and still active after its tear-down; subject: the key."""

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric for metric in (REFS, CALLS, CPU_TIME, WALL_TIME, LEAKED_REFS)
}
"""Every metric by its name."""

DEFAULT_RULES: Final[Mapping[Metric, Rule]] = {
    REFS: Rule(Tolerance(), Severity.FAIL),
    CALLS: Rule(Tolerance(0.05, 8), Severity.WARN),
    CPU_TIME: Rule(Tolerance(0.10), Severity.WARN),
    WALL_TIME: Rule(Tolerance(0.10), Severity.WARN),
    LEAKED_REFS: Rule(Tolerance(), Severity.FAIL),
}
"""The rule of each metric when neither option, ini nor marker sets one."""


def subject_of_key(path: tuple[str, ...], key: str) -> str:
    r"""Return the subject of ``key`` in the tracker at ``path``: ``db.query``, or ``/dao/psql:query``.

    Different (path, key) pairs give different subjects: in a scope's name ``/``, ``:`` and ``\`` are escaped
    with a backslash, and a root key that is empty or looks like a scoped one is written after an empty scope,
    ``/:key``.
    """
    if path:
        escaped = (part.replace("\\", "\\\\").replace("/", "\\/").replace(":", "\\:") for part in path)
        return f"/{'/'.join(escaped)}:{key}"
    return f"/:{key}" if not key or (key.startswith("/") and ":" in key) else key
