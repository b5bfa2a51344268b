"""Model values as plain data and back: what reports carry, what history and baselines store.

Plain data is ``dict``, ``list``, ``str`` and ``int``, so that it crosses processes and files without pickle.
Reading trusts nothing: data comes from other processes, other versions of this package and hand-merged files.
Members and metrics that this version does not know are skipped, so that a newer version may add some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    Samples,
    TestKey,
    Visit,
)
from pytest_goref.store.shapes import (
    MOST,
    as_list,
    as_object,
    check_samples,
    count_member,
    enum_member,
    text_member,
)
from pytest_goref.store.sites import COLUMNS, sites_from_plain, sites_to_plain
from pytest_goref.store.visit_codec import (
    is_of_first_version,
    visit_from_plain,
    visit_to_plain,
    visits_from_plain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_goref.store.shapes import Where


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
        plain["visit"] = visit_to_plain(record.visit, ("visit",))
    if record.problems:
        plain["problems"] = [
            {"kind": problem.kind.value, "text": problem.text} for problem in record.problems
        ]
    if record.concurrent:
        plain["concurrent"] = True
    if record.fresh:
        plain["fresh"] = [
            visit_to_plain(visit, ("fresh", str(index))) for index, visit in enumerate(record.fresh)
        ]
    if record.code:
        plain["code"] = record.code
    if record.draws:
        plain["draws"] = record.draws
    return plain


def record_from_plain(obj: object) -> Record:
    """Return the record that ``record_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place.

    """
    members = as_object(obj, ())
    visit = members.get("visit")
    return Record(
        TestKey(text_member(members, "path", ()), text_member(members, "name", ())),
        environment_from_plain(members.get("environment"), ("environment",)),
        enum_member(Mode, members, "mode", ()),
        _measurements_from_plain(members.get("measurements"), ("measurements",)),
        None if visit is None or is_of_first_version(visit) else visit_from_plain(visit, ("visit",)),
        tuple(
            _problem_from_plain(problem, ("problems", str(index)))
            for index, problem in enumerate(as_list(members.get("problems", []), ("problems",)))
        ),
        members.get("concurrent") is True,
        visits_from_plain(members.get("fresh", []), ("fresh",)),
        text_member(members, "code", ()) if "code" in members else "",
        count_member(members, "draws", ()),
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
    if entry.code:
        plain["code"] = entry.code
    if entry.visits:
        plain["visits"] = {
            fingerprint: [visit_to_plain(visit, ("visits", fingerprint)) for visit in visits]
            for fingerprint, visits in entry.visits.items()
        }
    return plain


def entry_from_plain(key_path: str, name: str, obj: object) -> BaselineEntry:
    """Return the entry of test ``name`` in module ``key_path`` that ``entry_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place below ``tests``.

    """
    where = ("tests", name)
    members = as_object(obj, where)
    visits: dict[str, tuple[Visit, ...]] = {}
    for fingerprint, stored in as_object(members.get("visits", {}), (*where, "visits")).items():
        read = visits_from_plain(stored, (*where, "visits", fingerprint))
        if read:
            visits[fingerprint] = read
    measurements = _measurements_from_plain(members.get("measurements"), (*where, "measurements"))
    if "sites" in members:
        rows_at = (*where, "sites")
        measurements = {**measurements, **sites_from_plain(as_object(members["sites"], rows_at), rows_at)}
    return BaselineEntry(
        TestKey(key_path, name),
        enum_member(Mode, members, "mode", where),
        text_member(members, "python", where),
        measurements,
        visits,
        text_member(members, "platform", where) if "platform" in members else "",
        text_member(members, "code", where) if "code" in members else "",
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
    members = as_object(obj, where)
    return Environment(
        text_member(members, "python", where),
        text_member(members, "machine", where),
        text_member(members, "fingerprint", where),
    )


def _measurements_to_plain(measurements: Measurements) -> dict[str, object]:
    return {
        metric.name: _samples_to_plain(subjects, ("measurements", metric.name))
        for metric, subjects in measurements.items()
    }


def _samples_to_plain(subjects: Mapping[str, Samples], where: Where) -> dict[str, object]:
    plain: dict[str, object] = {}
    for subject, samples in subjects.items():
        check_samples(samples, where, subject)
        plain[subject] = samples[0] if len(samples) == 1 else list(samples)
    return plain


def _measurements_from_plain(obj: object, where: Where) -> Measurements:
    measurements: dict[Metric, dict[str, Samples]] = {}
    for name, subjects in as_object(obj, where).items():
        metric = METRICS.get(name)
        if metric is not None:
            measurements[metric] = _samples_from_plain(subjects, (*where, name))
    return measurements


def _samples_from_plain(obj: object, where: Where) -> dict[str, Samples]:
    samples: dict[str, Samples] = {}
    for subject, stored in as_object(obj, where).items():
        values = tuple(stored) if isinstance(stored, list) else (stored,)
        if type(stored) is not int or not 0 <= stored <= MOST:  # most are that: 40 calls to check per test
            check_samples(values, where, subject)
        samples[subject] = values
    return samples


def _problem_from_plain(obj: object, where: Where) -> Problem:
    members = as_object(obj, where)
    return Problem(enum_member(ProblemKind, members, "kind", where), text_member(members, "text", where))
