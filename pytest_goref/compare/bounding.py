"""Bounding: what a baseline keeps of a test that calls thousands of functions, and how that still compares.

The subjects that matter most keep their names; the others are one, ``OTHER``, with their sum. Before a sum is
compared the other side is folded in the same way, so that unchanged code has equal sums.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Final

from pytest_goref.metrics import OTHER
from pytest_goref.model import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from pytest_goref.model import Measurements, Metric, Samples


def bounded(measurements: Measurements) -> Measurements:
    """Return what a baseline stores of ``measurements``.

    These are the metrics that it accepts, with the subjects that matter most by name: project functions
    before others, the most called first; and the sites where most was allocated.
    """
    return {
        metric: _bounded(subjects, *_BOUNDS[metric.group]) if metric.group in _BOUNDS else subjects
        for metric, subjects in measurements.items()
        if metric.accepted
    }


def aligned(
    metric: Metric, before: Mapping[str, Samples], after: Mapping[str, Samples]
) -> tuple[Mapping[str, Samples], Mapping[str, Samples]]:
    """Return both sides of ``metric``, folded alike: what a bounded side does not name is ``OTHER``."""
    if metric.group not in _BOUNDS or (OTHER not in before and OTHER not in after):
        return before, after
    sides = [side.keys() for side in (before, after) if OTHER in side]
    named = set.intersection(*map(set, sides))
    return _folded(before, named), _folded(after, named)


def _bounded(
    subjects: Mapping[str, Samples], most: int, importance: Callable[[str, Samples], tuple[bool, int, str]]
) -> Mapping[str, Samples]:
    if len(subjects) <= most:
        return subjects
    names = sorted(subjects.keys() - {OTHER}, key=lambda name: importance(name, subjects[name]))
    return _folded(subjects, frozenset(names[:most]))


def _folded(subjects: Mapping[str, Samples], named: Container[str]) -> Mapping[str, Samples]:
    kept: dict[str, Samples] = {}
    rest: list[Samples] = []
    for name, samples in subjects.items():
        if name != OTHER and name in named:
            kept[name] = samples
        else:
            rest.append(samples)
    if rest:
        kept[OTHER] = _sum(rest)
    return kept


def _sum(all_samples: Sequence[Samples]) -> Samples:
    """Return the sum in each execution; a value that never varied stands for all executions."""
    lengths = {len(samples) for samples in all_samples if len(samples) > 1}
    if not lengths:
        return (sum(samples[0] for samples in all_samples),)
    if len(lengths) > 1:  # not of the same executions: their sum was anything between these
        sums: Samples = (sum(map(min, all_samples)), sum(map(max, all_samples)))
    else:
        (length,) = lengths
        columns = (s if len(s) > 1 else repeat(s[0], length) for s in all_samples)
        sums = tuple(map(sum, zip(*columns, strict=True)))
    return sums[:1] if len(set(sums)) == 1 else sums


def _call_importance(name: str, samples: Samples) -> tuple[bool, int, str]:
    return ".py:" not in name, -max(samples), name


def _site_importance(name: str, samples: Samples) -> tuple[bool, int, str]:
    return False, -max(samples), name


_BOUNDS: Final = {Group.CALLS: (200, _call_importance), Group.SITES: (50, _site_importance)}
"""How many subjects of a metric keep their names, and which first."""
