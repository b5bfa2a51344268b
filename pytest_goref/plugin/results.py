"""The results of a session, gathered from test reports, wherever the tests ran."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_goref.errors import GorefError
from pytest_goref.model import Record, TestKey
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.report.plain import verdict_from_plain
from pytest_goref.store.codec import record_from_plain
from pytest_goref.store.profile_codec import profile_from_plain

if TYPE_CHECKING:
    import pytest

    from pytest_goref.profile import StackProfile
    from pytest_goref.verdict import Verdict


@dataclass(slots=True)
class Result:
    """How one measured test has ended so far.

    Attributes:
        outcome: ``passed``, ``failed``, ``skipped``, ``xfailed`` or ``xpassed``.
        record: what was measured, None when nothing was.
        verdict: how it was judged, None when it was not.
        capture: a file in memray's own format, None when there is none.

    """

    outcome: str = "passed"
    record: Record | None = None
    verdict: Verdict | None = None
    capture: Path | None = None
    _packed: bytes = b""  # as objects, the profiles of ten thousand tests would fill a gigabyte

    def take(self, other: Result) -> None:
        """Take over what ``other`` has measured, if it has."""
        if other.record is not None:
            self.record, self.capture, self._packed = other.record, other.capture, other._packed
        self.verdict = other.verdict or self.verdict

    def pack(self, profiles: list[object]) -> None:
        """Take over profiles as plain data.

        Raises:
            CodecError: they are something else.

        """
        for plain in profiles:
            profile_from_plain(plain)
        self._packed = zlib.compress(json.dumps(profiles).encode(), level=1) if profiles else b""

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
    """The results of measured tests, in the order in which they ended."""

    def __init__(self) -> None:
        self.by_key: dict[TestKey, Result] = {}
        self.unreadable: list[str] = []

    def add(self, report: pytest.TestReport) -> None:
        """Add a report of any phase; one of a test that is not measured says nothing."""
        text = getattr(report, REPORT_ATTRIBUTE, None)
        if not isinstance(text, str) or report.outcome == "rerun":  # type: ignore[comparison-overlap]
            return
        try:
            plain = json.loads(text)
            path, name = plain["key"]
            key = TestKey(str(path), str(name))
            record = record_from_plain(plain["record"]) if "record" in plain else None
            verdict = verdict_from_plain(plain["verdict"]) if "verdict" in plain else None
            arrived = Result("", record, verdict, Path(plain["capture"]) if "capture" in plain else None)
            arrived.pack(list(plain.get("profiles", ())))
        except (GorefError, ValueError, KeyError, TypeError) as error:
            self.unreadable.append(f"{report.nodeid}: its measurements did not arrive whole ({error})")
            return
        if report.when == "setup":
            self.by_key[key] = Result()  # a test that is executed again starts again
        result = self.by_key.setdefault(key, Result())
        result.take(arrived)
        result.outcome = _worse(result.outcome, report)


def _worse(outcome: str, report: pytest.TestReport) -> str:
    """Return the outcome of a test after one more of its reports."""
    if outcome == "failed" or report.failed:
        return "failed"
    if report.skipped:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "xpassed" if hasattr(report, "wasxfail") else outcome
