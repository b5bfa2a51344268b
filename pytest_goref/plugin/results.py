"""The results of a session, gathered from test reports, wherever the tests ran."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import GorefError
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.parcels import Parcel, Parcels
from pytest_goref.store.profile_codec import profile_from_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pytest

    from pytest_goref.model import Record, TestKey
    from pytest_goref.profile import StackProfile
    from pytest_goref.verdict import Verdict

_SECOND_NS: Final = 1_000_000_000
_PHASES: Final = ("setup", "call", "teardown")
"""When a report is of what a test did; xdist makes others for tests that took their worker along."""
_FROM_WORST: Final = ("failed", "skipped", "xfailed", "xpassed", "passed")


@dataclass(slots=True)
class Result:
    """How one measured test has ended so far.

    Attributes:
        outcome: ``passed``, ``failed``, ``skipped``, ``xfailed`` or ``xpassed``.
        record: what was measured, None when nothing was.
        verdict: how it was judged, None when it was not.
        capture: a file in memray's own format, None when there is none.
        is_untimed: whether rounds were asked for that a worker of xdist does not take.
        once_ns: how long its first execution took, 0 when it is not known.

    """

    outcome: str = "passed"
    record: Record | None = None
    verdict: Verdict | None = None
    capture: Path | None = None
    is_untimed: bool = False
    once_ns: int = 0
    _packed: bytes = b""  # as objects, the profiles of ten thousand tests would fill a gigabyte

    def take(self, parcel: Parcel) -> None:
        """Take over what was measured, if something was."""
        if parcel.record is not None:
            self.record, self.capture, self.is_untimed = parcel.record, parcel.capture, parcel.is_untimed
            profiles = parcel.profiles
            self._packed = zlib.compress(json.dumps(profiles).encode(), level=1) if profiles else b""
        self.verdict = parcel.verdict or self.verdict

    def profiles(self) -> tuple[StackProfile, ...]:
        """Return where its time and memory went, at most one profile of each kind."""
        if not self._packed:
            return ()
        return tuple(map(profile_from_plain, json.loads(zlib.decompress(self._packed))))

    @property
    def accepted(self) -> bool:
        """Whether a baseline may store the record."""
        return self.outcome == "passed" and self.record is not None and self.record.comparable


class Results:
    """The results of measured tests, in the order in which they ended.

    A test that several xdist workers execute (``--dist=each``) has one result: the worst, so that a failure
    on any worker counts, and of equal ones that of the worker with the lowest number, whoever is done first.

    Args:
        parcels: those that this process sends, None when others do.

    """

    def __init__(self, parcels: Parcels | None = None) -> None:
        self._parcels = parcels or Parcels()
        self._by_worker: dict[TestKey, dict[str, Result]] = {}
        self._begun: dict[str, TestKey] = {}
        self._lost: list[str] = []
        self.by_key: dict[TestKey, Result] = {}
        self.unreadable: list[str] = []

    def add(self, report: pytest.TestReport) -> None:
        """Add a report of any phase; one of a test that is not measured says nothing."""
        text = getattr(report, REPORT_ATTRIBUTE, None)
        if report.when not in _PHASES:
            self._lost.append(report.nodeid)
        if not isinstance(text, str) or report.outcome == "rerun":  # type: ignore[comparison-overlap]
            return
        try:
            parcel = self._parcels.open(text)
        except (GorefError, ValueError, KeyError, TypeError) as error:
            self.unreadable.append(f"{report.nodeid}: its measurements did not arrive whole ({error})")
            return
        key, when = parcel.key, report.when
        worker = getattr(report, "worker_id", "")
        by_worker = self._by_worker.get(key)
        if by_worker is None:
            by_worker = self._by_worker[key] = {}
        result = by_worker.get(worker)
        if result is None or when == "setup":  # a test that is executed again starts again
            result = by_worker[worker] = Result()
        if when == "setup":
            self._begun[report.nodeid] = key
        elif when == "call":
            result.take(parcel)
            result.once_ns = int(report.duration * _SECOND_NS)
        result.outcome = _worse(result.outcome, report)
        if when != "setup" or not report.passed:
            self.by_key[key] = _worst(by_worker)

    def lose(self, measured: Iterable[TestKey]) -> None:
        """Let the tests fail that took their xdist worker with them: of such a test nothing else arrives.

        Args:
            measured: the tests that were to be measured; it tells which of the lost ones those are that did
                not get as far as their first report.

        """
        if not self._lost:
            return
        by_nodeid = {key.nodeid: key for key in measured}
        for nodeid in self._lost:
            own = nodeid.rpartition("@")[0]  # xdist may have appended a group
            key = self._begun.get(nodeid) or by_nodeid.get(nodeid) or by_nodeid.get(own)
            if key is not None:
                self.by_key[key] = Result("failed")


def _worse(outcome: str, report: pytest.TestReport) -> str:
    """Return the outcome of a test after one more of its reports."""
    if outcome == "failed" or report.outcome == "failed":
        return "failed"
    if report.outcome == "skipped":
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "xpassed" if hasattr(report, "wasxfail") else outcome


def _worst(by_worker: Mapping[str, Result]) -> Result:
    """Return the result that counts of those of several workers; one that is not there yet does not."""
    if len(by_worker) == 1:
        return next(iter(by_worker.values()))

    def rank(worker: str) -> tuple[int, bool, int, str]:
        result = by_worker[worker]
        return _FROM_WORST.index(result.outcome), result.record is None, len(worker), worker  # gw2 < gw10

    return by_worker[min(by_worker, key=rank)]
