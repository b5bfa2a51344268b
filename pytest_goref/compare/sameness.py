"""Sameness: what a test is known to do as before, so that a change of its time needs another cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import aligned
from pytest_goref.compare.change import exceeds
from pytest_goref.compare.growth import growths
from pytest_goref.compare.obstacles import elsewhere
from pytest_goref.metrics import ALLOCATED_BYTES, ALLOCATION_COUNT, CALLS, DEFAULT_RULES, REFS

if TYPE_CHECKING:
    from pytest_goref.model import BaselineEntry, Metric, Record

SAME_CODE: Final = "same calls, same allocations, same code"
"""What ``sameness`` returns when no project function that ran has changed either."""


def sameness(record: Record, expected: BaselineEntry) -> str:
    """Return what is known to be as accepted: ``same calls, same allocations, same code``, "" for nothing.

    Each part is told only with those before it. Calls are the same when refs and calls were compared and are
    equal, allocations when they are within the default tolerance. The code is that of project functions in
    the thread of the test, so where other threads or an event loop ran nothing is said of it.

    Args:
        record: what was measured.
        expected: what is accepted for the test.

    """
    if not record.comparable or record.mode is not expected.mode:
        return ""
    if not all(_are_equal(metric, record, expected) for metric in (REFS, CALLS)):
        return ""
    if not all(_are_alike(metric, record, expected) for metric in (ALLOCATION_COUNT, ALLOCATED_BYTES)):
        return "same calls"
    # Calls were compared, so both sides are of one Python version, within which code compares.
    known = bool(record.code) and not record.concurrent
    return SAME_CODE if known and record.code == expected.code else "same calls, same allocations"


def _are_equal(metric: Metric, record: Record, expected: BaselineEntry) -> bool:
    """Return whether executions counted the same on both sides, for each subject."""
    if not _are_compared(metric, record, expected):
        return False
    before, after = aligned(metric, expected.measurements[metric], record.measurements[metric])
    subjects = before.keys() | after.keys()
    return all(set(before.get(name, (0,))) == set(after.get(name, (0,))) for name in subjects)


def _are_alike(metric: Metric, record: Record, expected: BaselineEntry) -> bool:
    """Return whether both sides differ by no more than is accepted by default."""
    if not _are_compared(metric, record, expected):
        return False
    tolerance = DEFAULT_RULES[metric].tolerance
    return not any(
        exceeds(abs(growth.delta), growth.before or 0, tolerance)
        for growth in growths(metric, expected.measurements[metric], record.measurements[metric])
    )


def _are_compared(metric: Metric, record: Record, expected: BaselineEntry) -> bool:
    both = metric in record.measurements and metric in expected.measurements
    return both and elsewhere(metric, record, expected) is None
