"""Obstacles: why metrics that are accepted cannot be compared with what was measured now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_goref.model import ProblemKind
from pytest_goref.quantity import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_goref.model import BaselineEntry, Group, Measurements, Metric, Record

_PART: Final = re.compile(r"[;,] ")


def obstacles(
    record: Record, expected: BaselineEntry, before: Measurements, after: Measurements
) -> Mapping[Metric, str]:
    """Return for each judged metric of ``before`` that does not compare one sentence that says why.

    Metrics of a group that share the obstacle share the sentence: a pass that was not taken is told once.

    Args:
        record: what was measured, with the problems that may explain it.
        expected: what is accepted for the test.
        before: the accepted numbers, durations among them.
        after: the measured numbers, durations among them.

    """
    by_group: dict[Group, list[Metric]] = {}
    for metric in sorted((m for m in before if m.judged), key=lambda m: m.name):
        by_group.setdefault(metric.group, []).append(metric)
    reasons: dict[Metric, str] = {}
    for metrics in by_group.values():
        missing = [metric for metric in metrics if metric not in after]
        if missing:
            reasons.update(dict.fromkeys(missing, not_measured(missing, _named(missing, metrics), record)))
        foreign: dict[tuple[str, str], list[Metric]] = {}
        for metric in metrics:
            if metric in after and (places := elsewhere(metric, record, expected)):
                foreign.setdefault(places, []).append(metric)
        for (then, now), some in foreign.items():
            text = f"{_named(some, metrics)} of {then} and {now} do not compare"
            reasons.update(dict.fromkeys(some, text))
    return reasons


def elsewhere(metric: Metric, record: Record, expected: BaselineEntry) -> tuple[str, str] | None:
    """Return where both numbers of ``metric`` come from when they do not compare for that, else None."""
    environment = record.environment
    if metric.native and expected.platform and expected.platform != environment.platform:
        return expected.platform, environment.platform
    if not metric.portable and expected.python != environment.python:
        return expected.python, environment.python
    return None


def fingerprint_change(stored: Iterable[str], here: str) -> str:
    """Return what tells this machine from the most similar of others: ``CPU A -> CPU B``.

    Args:
        stored: fingerprints as ``environment`` writes them, at least one; parts end with ``;`` or ``,``.
        here: the fingerprint of this machine.

    """
    parts_here = _PART.split(here)
    parts_there = max(
        (_PART.split(one) for one in sorted(stored)),
        key=lambda parts: sum(part in parts_here for part in parts),
    )
    there = ", ".join(part for part in parts_there if part not in parts_here)
    now = ", ".join(part for part in parts_here if part not in parts_there)
    return f"{there or 'unknown'} -> {now or 'unknown'}"


def not_measured(metrics: Sequence[Metric], name: str, record: Record) -> str:
    """Return the sentence that says that ``metrics``, called ``name``, were not measured, and why."""
    words = {word for metric in metrics for word in (metric.name, metric.group.value)}
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, sorted(words)))})\b")
    texts = (p.text for p in record.problems if p.kind is ProblemKind.SKIPPED and pattern.search(p.text))
    several = len(metrics) > 1 or metrics[0].unit is Unit.COUNT
    return ": ".join((f"{name} {'were' if several else 'was'} not measured in this run", *texts))


def _named(metrics: Sequence[Metric], of_group: Iterable[Metric]) -> str:
    """Return what to call ``metrics``: their group when they are all that is accepted of it."""
    if len(metrics) > 1 and metrics == list(of_group):
        return str(metrics[0].group.value)
    return ", ".join(metric.name for metric in metrics)
