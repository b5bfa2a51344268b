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

LEAKED_THREADS: Final = Metric("leaked_threads", Group.LEAKS, Unit.COUNT, Exactness.EXACT)
"""Threads started by the test and still alive after its tear-down; subject: name and function it began in."""

LEAKED_TASKS: Final = Metric("leaked_tasks", Group.LEAKS, Unit.COUNT, Exactness.EXACT, portable=False)
"""asyncio tasks begun by the test, pending when its function ended and not finished by its tear-down;
subject: their coroutine. Measured for tests that are coroutines, from Python 3.12 on."""

ALLOCATION_COUNT: Final = Metric(
    "allocation_count", Group.ALLOCATIONS, Unit.COUNT, Exactness.REPEATABLE, portable=False, native=True
)
"""How often the test allocated memory, freed or not; no subject."""

ALLOCATED_BYTES: Final = Metric(
    "allocated_bytes", Group.ALLOCATIONS, Unit.BYTE, Exactness.REPEATABLE, portable=False, native=True
)
"""The sum of all allocations of the test; no subject."""

PEAK_BYTES: Final = Metric(
    "peak_bytes", Group.ALLOCATIONS, Unit.BYTE, Exactness.REPEATABLE, portable=False, native=True
)
"""The most that was allocated by the test at one moment; no subject."""

LEFT_BYTES: Final = Metric(
    "left_bytes", Group.ALLOCATIONS, Unit.BYTE, Exactness.REPEATABLE, portable=False, native=True
)
"""What the test allocated and had not freed when its function had ended; no subject."""

SITE_COUNT: Final = Metric(
    "site_count", Group.SITES, Unit.COUNT, Exactness.REPEATABLE, portable=False, native=True, judged=False
)
"""Allocations by site; subject: the function that allocates, named as for ``calls``."""

SITE_BYTES: Final = Metric(
    "site_bytes", Group.SITES, Unit.BYTE, Exactness.REPEATABLE, portable=False, native=True, judged=False
)
"""Bytes allocated by site."""

SITE_PEAK_BYTES: Final = Metric(
    "site_peak_bytes", Group.SITES, Unit.BYTE, Exactness.REPEATABLE, portable=False, native=True, judged=False
)
"""Bytes by site at the moment when most was allocated."""

GC_COLLECTIONS: Final = Metric(
    "gc_collections", Group.RUNTIME, Unit.COUNT, Exactness.NOISY, judged=False, accepted=False
)
"""Garbage collections in a timed round; subject: the generation, or the name given to ``goref.memstats``."""

GC_PAUSE: Final = Metric(
    "gc_pause", Group.RUNTIME, Unit.NANOSECOND, Exactness.NOISY, judged=False, accepted=False
)
"""Time of the garbage collections in a timed round; subject: as for ``gc_collections``."""

RSS_GROWTH: Final = Metric(
    "rss_growth", Group.RUNTIME, Unit.BYTE, Exactness.NOISY, judged=False, accepted=False
)
"""By how much the resident memory of the process grew in a timed round, 0 when it shrank; no subject, or the
name given to ``goref.memstats``."""

RSS_PEAK: Final = Metric("rss_peak", Group.RUNTIME, Unit.BYTE, Exactness.NOISY, judged=False, accepted=False)
"""The most resident memory of the process in a timed round, where the system tells; subject: as for
``rss_growth``."""

MINOR_FAULTS: Final = Metric(
    "minor_faults", Group.RUNTIME, Unit.COUNT, Exactness.NOISY, judged=False, accepted=False
)
"""Pages that a timed round touched first; no subject."""

OTHER: Final = "(other)"
"""The subject that stands for all those that a baseline does not name."""

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        REFS,
        ALLOCATION_COUNT,
        ALLOCATED_BYTES,
        PEAK_BYTES,
        LEFT_BYTES,
        CALLS,
        CPU_TIME,
        WALL_TIME,
        LEAKED_REFS,
        LEAKED_THREADS,
        LEAKED_TASKS,
        SITE_COUNT,
        SITE_BYTES,
        SITE_PEAK_BYTES,
        GC_COLLECTIONS,
        GC_PAUSE,
        RSS_GROWTH,
        RSS_PEAK,
        MINOR_FAULTS,
    )
}
"""Every metric by its name."""

DEFAULT_RULES: Final[Mapping[Metric, Rule]] = {
    REFS: Rule(Tolerance(), Severity.FAIL),
    ALLOCATION_COUNT: Rule(Tolerance(0.01, 16), Severity.FAIL),
    ALLOCATED_BYTES: Rule(Tolerance(0.01, 4 * 2**10), Severity.FAIL),
    PEAK_BYTES: Rule(Tolerance(0.05, 64 * 2**10), Severity.FAIL),
    LEFT_BYTES: Rule(Tolerance(0.05, 64 * 2**10), Severity.WARN),
    CALLS: Rule(Tolerance(0.05, 8), Severity.WARN),
    CPU_TIME: Rule(Tolerance(0.10), Severity.WARN),
    WALL_TIME: Rule(Tolerance(0.10), Severity.WARN),
    LEAKED_REFS: Rule(Tolerance(), Severity.FAIL),
    LEAKED_THREADS: Rule(Tolerance(), Severity.WARN),
    LEAKED_TASKS: Rule(Tolerance(), Severity.WARN),
}
"""The rule of each judged metric when neither option, ini nor marker sets one."""


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
