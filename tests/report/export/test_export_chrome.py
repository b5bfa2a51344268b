"""Chrome's trace events, by the rules of the document that describes them.

Nobody publishes a schema: ``chrome_schema.json`` is what the document demands of the events that are used.
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from exported import CPU, MEMORY, NODEID, SAMPLED

from pytest_goref.report.export import FORMATS

if TYPE_CHECKING:
    from pytest_goref.report.export.profiled import Profiled

SCHEMA = json.loads(Path(__file__).with_name("chrome_schema.json").read_text(encoding="utf-8"))


def events(profiled: Profiled) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(FORMATS["chrome"].render(profiled))["traceEvents"]
    return found


def spans(profiled: Profiled, process: int) -> list[tuple[str, float, float]]:
    return [
        (event["name"], event["ts"], event["dur"])
        for event in events(profiled)
        if event["ph"] == "X" and event["pid"] == process
    ]


@pytest.mark.parametrize("profiled", SAMPLED, ids=["cpu", "memory", "empty"])
def test_the_rules_of_the_format_are_kept(profiled: Profiled) -> None:
    jsonschema.validate(json.loads(FORMATS["chrome"].render(profiled)), SCHEMA)


def test_calls_are_laid_out_one_beside_the_other() -> None:
    assert spans(CPU, 2) == [
        ("tests/test_shop.py:test_cart", 0, 12_000),
        ("json.decoder.JSONDecoder.decode", 0, 1500),
        ("shop.py:(module)", 1500, 500),
        ("shop.py:Cart.add", 2000, 10_000),
        ("shop.py:Cart.<lambda>", 5000, 2000),
        ("time.sleep", 7000, 5000),
    ]


def test_what_is_no_time_is_shown_as_microseconds() -> None:
    assert spans(MEMORY, 2) == [
        ("tests/test_shop.py:test_cart", 0, 5184),
        ("shop.py:Cart.add", 64, 5120),
    ]
    names = [event["args"]["name"] for event in events(MEMORY) if event["ph"] == "M"]
    assert names == [
        f"peak (1 us is 1 B): {NODEID}",
        f"total (1 us is 1 B): {NODEID}",
        f"left (1 us is 1 B): {NODEID}",
        f"allocations (1 us is 1 count): {NODEID}",
    ]


@pytest.mark.parametrize("profiled", SAMPLED, ids=["cpu", "memory", "empty"])
def test_calls_of_one_thread_are_nested(profiled: Profiled) -> None:
    for process in range(1, 5):
        open_until: list[float] = []
        for _, begins, lasts in spans(profiled, process):
            while open_until and open_until[-1] <= begins:
                open_until.pop()
            assert not open_until or begins + lasts <= open_until[-1]
            open_until.append(begins + lasts)
