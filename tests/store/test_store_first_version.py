"""What 0.1.0 has stored stays readable; its rounds, without kernels beside them, compare with nothing."""

from __future__ import annotations

from pytest_goref.metrics import REFS
from pytest_goref.store.codec import entry_from_plain, record_from_plain

_VISIT = {"wall_ns": [5, 6], "cpu_ns": [4, 5], "preempted": [0, 0], "timers": {"parse": [7, 8]}}


def test_an_entry_keeps_its_counts_and_loses_its_rounds() -> None:
    plain = {
        "mode": "warm",
        "python": "cpython-3.12",
        "measurements": {"refs": {"db.query": 3}},
        "visits": {"0123456789ab": [_VISIT]},
    }
    entry = entry_from_plain("tests/test_x.py", "test_y", plain)
    assert entry.measurements == {REFS: {"db.query": (3,)}}
    assert entry.visits == {}


def test_a_record_keeps_its_counts_and_loses_its_rounds() -> None:
    plain = {
        "path": "tests/test_x.py",
        "name": "test_y",
        "environment": {"python": "cpython-3.12", "machine": "words", "fingerprint": "0123456789ab"},
        "mode": "warm",
        "measurements": {"refs": {"db.query": 3}},
        "visit": _VISIT,
    }
    record = record_from_plain(plain)
    assert record.measurements == {REFS: {"db.query": (3,)}}
    assert record.visit is None
