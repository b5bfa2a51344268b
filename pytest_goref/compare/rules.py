"""Rules: how much more of each metric is accepted, and what happens beyond. Limits: what needs no baseline.

A rule is written ``GROUP_OR_METRIC:REL%[+ABS]``, ``GROUP_OR_METRIC:ABS`` or ``GROUP_OR_METRIC:off``. In a
group of several units ABS is about the metrics of its unit; the others keep theirs.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import ALLOCATION_COUNT, DEFAULT_RULES, METRICS, PEAK_BYTES, REFS, WALL_TIME
from pytest_goref.model import Group, Limit, Metric, Rule, Severity, Tolerance
from pytest_goref.quantity import Unit, parse_quantity

_TARGETS: Final[Mapping[str, tuple[Metric, ...]]] = {
    **{
        group.value: metrics
        for group in Group
        if (metrics := tuple(m for m in METRICS.values() if m.group is group and m.judged))
    },
    **{name: (metric,) for name, metric in METRICS.items() if metric.judged},
}
_PERCENTAGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_MOST_PERCENT: Final = 1_000_000
_SHOWN_CHARACTERS: Final = 80
_OFF: Final = "off"
_NOTHING: Final = "0"
"""Means the same in every unit, so it needs none where metrics of different units are in a group."""

_NOT_JUDGED: Final = Rule(Tolerance(), Severity.OFF)
_EXAMPLES: Final = "write for example counts:0, calls:5%+8, durations:10% or calls:off"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What one RULE says: a new tolerance for some metrics, or that they are not judged.

    Attributes:
        metrics: the metrics it is about, never empty.
        tolerances: how much more of each is accepted; None turns the metrics off.
        text: the rule as it was written.

    """

    metrics: tuple[Metric, ...]
    tolerances: Mapping[Metric, Tolerance] | None
    text: str


def parse_rule(text: object) -> RuleChange:
    """Return what the RULE ``text`` says.

    Raises:
        InvalidValueError: ``text`` is no rule; the message names it, what is wrong and what to write.

    """
    if not isinstance(text, str):
        _refuse(text, f"a rule is text, not {type(text).__name__}")
    target, colon, spec = (part.strip() for part in text.partition(":"))
    if not target and not colon:
        _refuse(text, "a rule is empty")
    if not colon:
        _refuse(text, "there is no ':' after the name of the group or metric")
    if ":" in spec:
        _refuse(text, "there is more than one ':'")
    metrics = _metrics_named(target.lower(), text)
    if not spec:
        _refuse(text, "nothing stands after the ':'")
    tolerances = None if spec.lower() == _OFF else _parse_tolerances(spec, metrics, text)
    return RuleChange(metrics, tolerances, text)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule of every metric.

    Attributes:
        by_metric: the rule of each metric of the catalogue.
        chosen: the metrics whose rule the user set; a leak fails a test that has no baseline only then.

    """

    by_metric: Mapping[Metric, Rule]
    chosen: frozenset[Metric] = frozenset()

    @classmethod
    def default(cls) -> Rules:
        """Return the rules that apply when the user sets none."""
        return cls(DEFAULT_RULES)

    def with_changes(self, changes: Iterable[tuple[Severity, RuleChange]]) -> Rules:
        """Return these rules after ``changes``, of which the last about a metric wins."""
        by_metric, chosen = dict(self.by_metric), set(self.chosen)
        for severity, change in changes:
            if change.tolerances is None:
                by_metric.update({m: Rule(by_metric[m].tolerance, Severity.OFF) for m in change.metrics})
            else:
                by_metric.update({m: Rule(t, severity) for m, t in change.tolerances.items()})
            chosen.update(change.metrics)
        return Rules(by_metric, frozenset(chosen))

    def rule(self, metric: Metric) -> Rule:
        """Return the rule of ``metric``; one that is never judged is off."""
        return self.by_metric.get(metric, _NOT_JUDGED)


def parse_limits(
    max_count: object = None,
    max_duration: object = None,
    max_peak: object = None,
    max_allocations: object = None,
) -> tuple[Limit, ...]:
    """Return the limits that a marker sets.

    Args:
        max_count: None, or for each key, written as in the tables, the largest accepted count.
        max_duration: None, or a time such as ``"50ms"`` that the fastest round must not exceed.
        max_peak: None, or a size such as ``"20 MB"``, the most that may be allocated at one moment.
        max_allocations: None, or how often the test may allocate.

    Raises:
        InvalidValueError: an argument has the wrong type or value.

    """
    limits = [] if max_count is None else _count_limits(max_count)
    if max_duration is not None:
        limits.append(_size_limit("max_duration", max_duration, _DURATION))
    if max_peak is not None:
        limits.append(_size_limit("max_peak", max_peak, _PEAK))
    if max_allocations is not None:
        limits.append(Limit(ALLOCATION_COUNT, "", _whole(max_allocations, "max_allocations:")))
    return tuple(limits)


def _metrics_named(target: str, text: str) -> tuple[Metric, ...]:
    if not target:
        _refuse(text, "no group or metric is named before the ':'")
    if target not in _TARGETS:
        close = difflib.get_close_matches(target[:_SHOWN_CHARACTERS], _TARGETS, n=1)
        guess = f" (did you mean {close[0]}?)" if close else ""
        _refuse(text, f"{_shown(target)} is no group or metric{guess}; known are {', '.join(_TARGETS)}")
    return _TARGETS[target]


def _parse_tolerances(spec: str, metrics: tuple[Metric, ...], text: str) -> dict[Metric, Tolerance]:
    """Return the tolerance of each metric; a number in another unit than its own says nothing of it."""
    first, plus, second = (part.strip() for part in spec.partition("+"))
    if not plus and "%" in first:
        return dict.fromkeys(metrics, Tolerance(_parse_percentage(first, text)))
    if not plus:
        given = _parse_absolute(first, metrics, text)
        return {m: Tolerance(0.0, given[m]) if m in given else DEFAULT_RULES[m].tolerance for m in metrics}
    if "+" in second:
        _refuse(text, "there is more than one '+'")
    if "%" in second:
        _refuse(text, "the percentage comes first and only once: REL%+ABS")
    if "%" not in first:
        _refuse(text, f"{_shown(first)} before the '+' is no percentage such as 5%")
    relative, given = _parse_percentage(first, text), _parse_absolute(second, metrics, text)
    return {m: Tolerance(relative, given.get(m, DEFAULT_RULES[m].tolerance.absolute)) for m in metrics}


def _parse_percentage(part: str, text: str) -> float:
    match = _PERCENTAGE.fullmatch(part)
    if match is None:
        _refuse(text, f"{_shown(part)} is no percentage such as 5% or 0.5%")
    percent = float(match[1])
    if percent > _MOST_PERCENT:
        _refuse(text, f"{_shown(part)} is more than {_MOST_PERCENT}%; use 'off' to accept any increase")
    return percent / 100


def _parse_absolute(part: str, metrics: tuple[Metric, ...], text: str) -> dict[Metric, int]:
    """Return the number for each metric whose unit it is given in, which is at least one."""
    if not part:
        _refuse(text, "nothing stands after the '+'")
    units = tuple(dict.fromkeys(metric.unit for metric in metrics))
    if part == _NOTHING and len(units) > 1:
        return dict.fromkeys(metrics, 0)
    values: dict[Unit, int] = {}
    for unit in units:
        with contextlib.suppress(InvalidValueError):
            values[unit] = parse_quantity(part, unit)
    if not values:
        written = ", nor ".join(_WRITTEN[unit] for unit in units)
        _refuse(text, f"{_shown(part)} is neither a percentage nor {written}")
    return {metric: values[metric.unit] for metric in metrics if metric.unit in values}


_WRITTEN: Final[Mapping[Unit, str]] = {
    Unit.COUNT: "a whole number that can be stored, such as 8",
    Unit.NANOSECOND: "a time that can be stored, such as 1ms (units: ns, us, ms, s, min)",
    Unit.BYTE: "a size that can be stored, such as 64KiB (units: B, kB, MB, GB, KiB, MiB, GiB)",
}


def _count_limits(max_count: object) -> list[Limit]:
    if not isinstance(max_count, Mapping):
        raise InvalidValueError(
            f"max_count={_shown(max_count)}: not a mapping; "
            'write the most uses of each key, for example max_count={"db.query": 3}'
        )
    return [_count_limit(key, most) for key, most in max_count.items()]


def _count_limit(key: object, most: object) -> Limit:
    if not isinstance(key, str) or not key:
        raise InvalidValueError(
            f"max_count: {_shown(key)} is no key; write it as it stands in the tables, "
            'for example max_count={"db.query": 3}'
        )
    return Limit(REFS, key, _whole(most, f"max_count: the limit of {_shown(key)} is"))


def _whole(most: object, what: str) -> int:
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise InvalidValueError(f"{what} {_shown(most)}; write a whole number from 0, for example 3")
    return most


class _Measure(NamedTuple):
    """What a limit that is written as text with a unit is of, and what to write."""

    metric: Metric
    advice: str
    zero: str


_DURATION: Final = _Measure(
    WALL_TIME, 'write a time such as max_duration="50ms" (units: ns, us, ms, s, min)', "no test takes no time"
)
_PEAK: Final = _Measure(
    PEAK_BYTES,
    'write a size such as max_peak="20 MB" (units: B, kB, MB, GB, KiB, MiB, GiB)',
    "to allow no allocation, write max_allocations=0",
)


def _size_limit(name: str, most: object, measure: _Measure) -> Limit:
    advice = measure.advice
    if not isinstance(most, str):
        raise InvalidValueError(f"{name}={_shown(most)}: not text with a unit; {advice}")
    try:
        base_units = parse_quantity(most, measure.metric.unit)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name}={_shown(most)}: {advice}") from error
    if base_units == 0:
        raise InvalidValueError(f"{name}={_shown(most)}: {measure.zero}; {advice}")
    return Limit(measure.metric, "", base_units)


def _refuse(text: object, what: str) -> NoReturn:
    raise InvalidValueError(f"rule {_shown(text)}: {what}; {_EXAMPLES}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
