"""Model values as plain data and back: what reports carry, what history and baselines store.

Plain data is ``dict``, ``list``, ``str`` and ``int``, so that it crosses processes and files without pickle.
Reading trusts nothing: data comes from other processes, other versions of this package and hand-merged files.
Members and metrics that this version does not know are skipped, so that a newer version may add some.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_goref.metrics import METRICS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Measurements,
    Metric,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Round,
    Samples,
    TestKey,
    Visit,
)
from pytest_goref.store.jsontext import CodecError
from pytest_goref.store.sites import COLUMNS, sites_from_plain, sites_to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Where = tuple[str, ...]
_MOST: Final = 2**63 - 1
_ONE_TYPE: Final = {int}
_ROUND_COLUMNS: Final = ("wall_ns", "cpu_ns", "preempted")
_E = TypeVar("_E", bound=Enum)


def record_to_plain(record: Record) -> dict[str, object]:
    """Return ``record`` as plain data.

    Raises:
        CodecError: a number is negative, beyond 64 bits or not an ``int``: it could not be read again.

    """
    plain: dict[str, object] = {
        "path": record.key.path,
        "name": record.key.name,
        "environment": environment_to_plain(record.environment),
        "mode": record.mode.value,
        "measurements": _measurements_to_plain(record.measurements),
    }
    if record.visit is not None:
        plain["visit"] = _visit_to_plain(record.visit, ("visit",))
    if record.problems:
        plain["problems"] = [
            {"kind": problem.kind.value, "text": problem.text} for problem in record.problems
        ]
    if record.concurrent:
        plain["concurrent"] = True
    return plain


def record_from_plain(obj: object) -> Record:
    """Return the record that ``record_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place.

    """
    members = _object(obj, ())
    visit = members.get("visit")
    return Record(
        TestKey(_text_member(members, "path", ()), _text_member(members, "name", ())),
        environment_from_plain(members.get("environment"), ("environment",)),
        _enum_member(Mode, members, "mode", ()),
        _measurements_from_plain(members.get("measurements"), ("measurements",)),
        None if visit is None else _visit_from_plain(visit, ("visit",)),
        tuple(
            _problem_from_plain(problem, ("problems", str(index)))
            for index, problem in enumerate(_list(members.get("problems", []), ("problems",)))
        ),
        members.get("concurrent") is True,
    )


def entry_to_plain(entry: BaselineEntry) -> dict[str, object]:
    """Return ``entry`` without its key as plain data.

    Raises:
        CodecError: a number is negative, beyond 64 bits or not an ``int``: it could not be read again.

    """
    sites = sites_to_plain(entry.measurements)
    kept = (item for item in entry.measurements.items() if sites is None or item[0] not in COLUMNS)
    plain: dict[str, object] = {
        "mode": entry.mode.value,
        "python": entry.python,
        "measurements": _measurements_to_plain(dict(kept)),
    }
    if sites is not None:
        plain["sites"] = sites
    if entry.platform:
        plain["platform"] = entry.platform
    if entry.visits:
        plain["visits"] = {
            fingerprint: [_visit_to_plain(visit, ("visits", fingerprint)) for visit in visits]
            for fingerprint, visits in entry.visits.items()
        }
    return plain


def entry_from_plain(key_path: str, name: str, obj: object) -> BaselineEntry:
    """Return the entry of test ``name`` in module ``key_path`` that ``entry_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place below ``tests``.

    """
    where = ("tests", name)
    members = _object(obj, where)
    visits: dict[str, tuple[Visit, ...]] = {}
    for fingerprint, stored in _object(members.get("visits", {}), (*where, "visits")).items():
        place = (*where, "visits", fingerprint)
        visits[fingerprint] = tuple(
            _visit_from_plain(visit, (*place, str(index))) for index, visit in enumerate(_list(stored, place))
        )
    measurements = _measurements_from_plain(members.get("measurements"), (*where, "measurements"))
    if "sites" in members:
        rows_at = (*where, "sites")
        measurements = {**measurements, **sites_from_plain(_object(members["sites"], rows_at), rows_at)}
    return BaselineEntry(
        TestKey(key_path, name),
        _enum_member(Mode, members, "mode", where),
        _text_member(members, "python", where),
        measurements,
        visits,
        _text_member(members, "platform", where) if "platform" in members else "",
    )


def environment_to_plain(environment: Environment) -> dict[str, object]:
    """Return ``environment`` as plain data."""
    return {
        "python": environment.python,
        "machine": environment.machine,
        "fingerprint": environment.fingerprint,
    }


def environment_from_plain(obj: object, where: Where = ()) -> Environment:
    """Return the environment that ``environment_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place below ``where``.

    """
    members = _object(obj, where)
    return Environment(
        _text_member(members, "python", where),
        _text_member(members, "machine", where),
        _text_member(members, "fingerprint", where),
    )


def _measurements_to_plain(measurements: Measurements) -> dict[str, object]:
    return {
        metric.name: _samples_to_plain(subjects, ("measurements", metric.name))
        for metric, subjects in measurements.items()
    }


def _samples_to_plain(subjects: Mapping[str, Samples], where: Where) -> dict[str, object]:
    plain: dict[str, object] = {}
    for subject, samples in subjects.items():
        _check_samples(samples, where, subject)
        plain[subject] = samples[0] if len(samples) == 1 else list(samples)
    return plain


def _measurements_from_plain(obj: object, where: Where) -> Measurements:
    measurements: dict[Metric, dict[str, Samples]] = {}
    for name, subjects in _object(obj, where).items():
        metric = METRICS.get(name)
        if metric is not None:
            measurements[metric] = _samples_from_plain(subjects, (*where, name))
    return measurements


def _samples_from_plain(obj: object, where: Where) -> dict[str, Samples]:
    samples: dict[str, Samples] = {}
    for subject, stored in _object(obj, where).items():
        values = tuple(stored) if isinstance(stored, list) else (stored,)
        if type(stored) is not int or not 0 <= stored <= _MOST:  # most are that: 40 calls to check per test
            _check_samples(values, where, subject)
        samples[subject] = values
    return samples


def _check_samples(values: Sequence[int], where: Where, subject: str) -> None:
    """Refuse ``values`` unless they are, as claimed, whole numbers: at least one, of 63 bits at most."""
    if not values:
        raise CodecError((*where, subject), "expected at least one number")
    if set(map(type, values)) != _ONE_TYPE:  # by type: True is an int too
        raise CodecError((*where, subject), "expected a whole number or a list of them")
    if min(values) < 0 or max(values) > _MOST:
        raise CodecError((*where, subject), f"expected numbers from 0 to {_MOST}")


def _visit_to_plain(visit: Visit, where: Where) -> dict[str, object]:
    columns = (
        [taken.wall_ns for taken in visit.rounds],
        [taken.cpu_ns for taken in visit.rounds],
        [taken.preempted for taken in visit.rounds],
    )
    plain: dict[str, object] = {}
    for name, column in zip(_ROUND_COLUMNS, columns, strict=True):
        _check_samples(column, where, name)
        plain[name] = column
    if visit.timers:
        for name, samples in visit.timers.items():
            _check_samples(samples, (*where, "timers"), name)
        plain["timers"] = {name: list(samples) for name, samples in visit.timers.items()}
    return plain


def _visit_from_plain(obj: object, where: Where) -> Visit:
    members = _object(obj, where)
    wall_ns, cpu_ns, preempted = (_column(members, name, where) for name in _ROUND_COLUMNS)
    if not len(wall_ns) == len(cpu_ns) == len(preempted):
        raise CodecError(where, f"expected {', '.join(_ROUND_COLUMNS)} to be of one length")
    timers = members.get("timers")
    return Visit(
        tuple(map(Round, wall_ns, cpu_ns, preempted)),
        {} if timers is None else _samples_from_plain(timers, (*where, "timers")),
    )


def _column(members: Mapping[str, Any], name: str, where: Where) -> list[int]:
    column = _list(members.get(name), (*where, name))
    _check_samples(column, where, name)
    return column


def _problem_from_plain(obj: object, where: Where) -> Problem:
    members = _object(obj, where)
    return Problem(_enum_member(ProblemKind, members, "kind", where), _text_member(members, "text", where))


def _object(value: object, where: Where) -> dict[str, Any]:
    """Return ``value``, which is an object; of what, the caller still checks."""
    if not isinstance(value, dict):
        raise CodecError(where, "expected an object")
    for name in value:
        if not isinstance(name, str):
            raise CodecError(where, "expected the names of members to be text")
    return value


def _list(value: object, where: Where) -> list[Any]:
    """Return ``value``, which is a list; of what, the caller still checks."""
    if not isinstance(value, list):
        raise CodecError(where, "expected a list")
    return value


def _text_member(members: Mapping[str, Any], name: str, where: Where) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise CodecError((*where, name), "expected text")
    return value


def _enum_member(kind: type[_E], members: Mapping[str, Any], name: str, where: Where) -> _E:
    value = _text_member(members, name, where)
    try:
        return kind(value)
    except ValueError:
        raise CodecError((*where, name), f"expected {_either(item.value for item in kind)}") from None


def _either(words: Iterable[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)
