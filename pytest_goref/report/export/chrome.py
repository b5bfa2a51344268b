"""The Trace Event Format, which Perfetto (https://ui.perfetto.dev) and ``chrome://tracing`` open.

A profile has no order in time: its calls are laid out one beside the other, each as long as its number. Each
value is a process of its own. The format knows microseconds only: one stands for a byte, an allocation or a
sample.
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pytest_goref.quantity import Unit
from pytest_goref.report.export.profiled import labelled_stacks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_goref.profile import Value
    from pytest_goref.report.export.profiled import Profiled

_NS_PER_US: Final = 1000
_THREAD: Final = 1


def render(profiled: Profiled) -> bytes:
    """Return the file, as JSON."""
    profile = profiled.profile
    events: list[dict[str, object]] = []
    for index, value in enumerate(profile.values):
        process = index + 1
        events.append(_process_name(process, value, profiled.test))
        events.extend(_calls(process, labelled_stacks(profile, index), value))
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}, indent=1).encode()


def _process_name(process: int, value: Value, test: str) -> dict[str, object]:
    scale = "" if value.unit is Unit.NANOSECOND else f" (1 us is 1 {value.unit.value})"
    name = f"{value.name}{scale}: {test}"
    return {
        "name": "process_name",
        "ph": "M",
        "ts": 0,
        "pid": process,
        "tid": _THREAD,
        "args": {"name": name},
    }


def _calls(process: int, stacks: Mapping[tuple[str, ...], int], value: Value) -> Iterator[dict[str, object]]:
    """Yield an event for each call, outer ones before those within them."""
    divisor = _NS_PER_US if value.unit is Unit.NANOSECOND else 1
    for name, begins, lasts in sorted(_spans(stacks), key=lambda span: (span[1], -span[2])):
        yield {
            "name": name,
            "cat": value.name,
            "ph": "X",
            "ts": begins / divisor,
            "dur": lasts / divisor,
            "pid": process,
            "tid": _THREAD,
        }


def _spans(stacks: Mapping[tuple[str, ...], int]) -> Iterator[tuple[str, int, int]]:
    """Yield name, beginning and length of each call; stacks that begin alike share their outer calls."""
    open_calls: list[tuple[str, int]] = []
    position = 0
    for stack, number in stacks.items():
        shared = 0
        for name, (open_name, _) in zip(stack, open_calls, strict=False):
            if name != open_name:
                break
            shared += 1
        while len(open_calls) > shared:
            name, began = open_calls.pop()
            yield name, began, position - began
        open_calls.extend((name, position) for name in stack[shared:])
        position += number
    while open_calls:
        name, began = open_calls.pop()
        yield name, began, position - began
