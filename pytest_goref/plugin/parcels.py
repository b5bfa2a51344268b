"""Parcels: what a test report brings, as text that survives any transport.

Whoever reads a report in the process that wrote it is given what was measured, and nothing is written out.
"""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Record, TestKey
from pytest_goref.plugin.keys import key_of_nodeid
from pytest_goref.report.plain import verdict_from_plain, verdict_to_plain
from pytest_goref.store.codec import record_from_plain, record_to_plain
from pytest_goref.store.profile_codec import profile_from_plain

if TYPE_CHECKING:
    from pytest_goref.verdict import Verdict

_MOST_KEPT: Final = 8
"""How many parcels are kept that were read: a report may be logged twice, and three are of one test."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one report brings.

    Attributes:
        key: the test.
        record: what was measured, None when nothing was, or when the report is not that of the call.
        verdict: how it was judged, None when it was not.
        profiles: where its time and memory went, as plain data.
        capture: a file in memray's own format, None when there is none.
        is_untimed: whether rounds were asked for that a worker of xdist does not take.

    """

    key: TestKey
    record: Record | None = None
    verdict: Verdict | None = None
    profiles: list[object] = field(default_factory=list)
    capture: Path | None = None
    is_untimed: bool = False

    def to_text(self) -> str:
        """Return the parcel as JSON.

        Raises:
            CodecError: a number in the record could not be read again.

        """
        if self.record is None and self.verdict is None:
            return json.dumps(self.key.nodeid)  # most parcels are that
        plain: dict[str, object] = {"key": [self.key.path, self.key.name]}
        if self.record is not None:
            plain["record"] = record_to_plain(self.record)
            plain["profiles"] = self.profiles
        if self.verdict is not None:
            plain["verdict"] = verdict_to_plain(self.verdict)
        if self.capture is not None:
            plain["capture"] = str(self.capture)
        if self.is_untimed:
            plain["untimed"] = True
        return json.dumps(plain)

    @classmethod
    def from_text(cls, text: str) -> Parcel:
        """Return the parcel that ``text`` was made of.

        Raises:
            GorefError: a value is not what it has to be.
            ValueError: ``text`` is no JSON.
            KeyError: a member is missing.
            TypeError: a member is of another type.

        """
        plain = json.loads(text)
        if isinstance(plain, str):
            return cls(key_of_nodeid(plain))
        path, name = plain["key"]
        profiles = list(plain.get("profiles", ()))
        for profile in profiles:
            profile_from_plain(profile)
        return cls(
            TestKey(str(path), str(name)),
            record_from_plain(plain["record"]) if "record" in plain else None,
            verdict_from_plain(plain["verdict"]) if "verdict" in plain else None,
            profiles,
            Path(plain["capture"]) if "capture" in plain else None,
            plain.get("untimed") is True,
        )


class Parcels:
    """Parcels that are under way.

    Args:
        stay: whether reports are read in this process, so that a number is enough to find what they bring.
            What a process sends that a test has forked is written out all the same.

    """

    def __init__(self, *, stay: bool = False) -> None:
        self._process = os.getpid() if stay else None
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Parcel] = {}
        self._read: dict[str, Parcel] = {}

    def send(self, parcel: Parcel) -> str:
        """Return the text that stands for ``parcel``."""
        if self._process == os.getpid() and parcel.record is not None:
            text = f"parcel {next(self._numbers)}"
            self._waiting[text] = parcel
            return text
        return parcel.to_text()

    def open(self, text: str) -> Parcel:
        """Return the parcel that ``text`` stands for; raises what ``from_text`` does."""
        parcel = self._waiting.pop(text, None) or self._read.get(text) or Parcel.from_text(text)
        self._read[text] = parcel
        if len(self._read) > _MOST_KEPT:
            del self._read[next(iter(self._read))]
        return parcel
