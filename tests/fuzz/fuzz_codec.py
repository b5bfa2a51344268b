"""What other processes, other versions and strangers hand to the codec: it is read, or refused in a line."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.errors import BaselineError
from pytest_goref.model import BaselineEntry, TestKey
from pytest_goref.report.export import FORMATS
from pytest_goref.report.export.profiled import Profiled
from pytest_goref.report.plain import verdict_from_plain, verdict_to_plain
from pytest_goref.report.summary import Summary
from pytest_goref.report.terminal import render_summary
from pytest_goref.store.codec import record_from_plain, record_to_plain
from pytest_goref.store.document import Document
from pytest_goref.store.jsontext import CodecError, parse_json, render_json
from pytest_goref.store.profile_codec import profile_from_plain, profile_to_plain

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE: Final = Path("tests_test_x.py-0.json")
_EXPORTS: Final = [form for name, form in FORMATS.items() if name != "html"]
"""A page is made by the profiler itself, which takes long."""

_ROUND: Final = [1000, 900, 0, 900, 5, 5, 5, 5, 1]
_VISIT: Final = {"rounds": [_ROUND, _ROUND], "timers": {"sort": [_ROUND]}}
_ENTRY: Final = {
    "mode": "warm",
    "python": "cpython-3.12",
    "platform": "x86_64 Linux",
    "code": "c0de",
    "measurements": {"refs": {"db.query": 3, "": [1, 2]}, "calls": {"a.py:f": 2}, "peak_bytes": {"": 4096}},
    "sites": {"a.py:f": [1, 64, 64], "b": [None, 1, None]},
    "visits": {"Example CPU": [_VISIT]},
}
_RECORD: Final = {
    "path": "t.py",
    "name": "test_x",
    "environment": {"python": "cpython-3.12", "machine": "x86_64 Linux, X", "fingerprint": "Example CPU"},
    "mode": "cold",
    "measurements": {"refs": {"db.query": 3}, "leaked_refs": {}},
    "visit": _VISIT,
    "problems": [{"kind": "once", "text": "why"}],
    "concurrent": True,
    "fresh": [_VISIT],
    "code": "c0de",
}
_PROFILE: Final = {
    "kind": "cpu",
    "values": [["samples", "count"], ["time", "ns"]],
    "executions": 2,
    "elapsed_ns": 9,
    "covered_ns": 8,
    "texts": ["a.py:f", "/a.py", "f", "time.sleep", ""],
    "frames": [[0, 1, 2, 7], [3, 4, 3, 0]],
    "stacks": [[[0], 1, 1000], [[0, 1], 2, 2000]],
}


def one_input(data: bytes) -> None:
    """Decode ``data``: its first byte says as what, the rest is JSON.

    Raises:
        AssertionError: what was read is not what is written, or a refusal is no short line.

    """
    decode = _DECODERS[data[0] % len(_DECODERS)] if data else _document
    try:
        decode(parse_json(data[1:]))
    except (CodecError, BaselineError) as error:
        message = str(error)
        assert message.isprintable(), message
        assert len(message) < 1000, message


def _document(plain: object) -> None:
    document = Document.from_plain(_FILE, plain)
    names = document.names()
    entries = []
    for name in names:
        with contextlib.suppress(BaselineError):
            entries.append(document.get(name))
    again = Document.from_plain(_FILE, parse_json(document.render()))
    assert again.names() == names
    for entry in filter(None, entries):
        assert again.get(entry.key.name) == entry


def _record(plain: object) -> None:
    record = record_from_plain(plain)
    assert record_from_plain(parse_json(render_json(record_to_plain(record)))) == record
    expected = BaselineEntry.from_record(record_from_plain(_RECORD))
    verdict = verdict_from_plain(verdict_to_plain(judge(record, expected, Rules.default())))
    for line in render_summary(Summary((verdict,), "baseline x", missing=(TestKey("a", "b"),)), 1):
        assert line.isprintable(), line


def _profile(plain: object) -> None:
    profile = profile_from_plain(plain)
    assert profile_from_plain(parse_json(render_json(profile_to_plain(profile)))) == profile
    for form in _EXPORTS:
        form.render(Profiled("t.py::test_x", profile))


_DECODERS: Final[tuple[Callable[[Any], None], ...]] = (_document, _record, _profile)
SEEDS: Final = tuple(
    bytes([number]) + text
    for number, plain in enumerate(({"format": 1, "path": "t.py", "tests": {"x": _ENTRY}}, _RECORD, _PROFILE))
    for text in (
        json.dumps(plain).encode(),
        render_json(plain),
        b"[" * 5000,
        b"\xff\xfe{\x00",
        b"\xef\xbb\xbf{}",
    )
)
