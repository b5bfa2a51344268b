"""The file format of https://www.speedscope.app: a sampled profile for each value.

Its schema: https://www.speedscope.app/file-format-schema.json
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pytest_goref import __version__
from pytest_goref.quantity import Unit
from pytest_goref.report.export.profiled import label, main_value

if TYPE_CHECKING:
    from pytest_goref.profile import Stack, StackProfile
    from pytest_goref.report.export.profiled import Profiled

_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
_UNITS: Final = {
    Unit.COUNT: "none",
    Unit.NANOSECOND: "nanoseconds",
    Unit.BYTE: "bytes",
    Unit.PERMILLE: "none",
}

_Name = tuple[str, str]
"""Label and file: without the line, or a function would show as many."""


def render(profiled: Profiled) -> bytes:
    """Return the file, as JSON."""
    frames: dict[_Name, int] = {}
    ordered = sorted(profiled.profile.stacks, key=_names)
    profiles = [_profile(profiled, index, ordered, frames) for index in range(len(profiled.profile.values))]
    document = {
        "$schema": _SCHEMA,
        "name": profiled.test,
        "exporter": f"pytest-goref@{__version__}",
        "activeProfileIndex": main_value(profiled.profile),
        "shared": {"frames": [_frame(*name) for name in frames]},
        "profiles": profiles,
    }
    return json.dumps(document, indent=1).encode()


def _profile(
    profiled: Profiled, value: int, ordered: list[Stack], frames: dict[_Name, int]
) -> dict[str, object]:
    profile: StackProfile = profiled.profile
    shown = [stack for stack in ordered if profile.stacks[stack][value]]
    return {
        "type": "sampled",
        "name": f"{profile.values[value].name}: {profiled.test}",
        "unit": _UNITS[profile.values[value].unit],
        "startValue": 0,
        "endValue": profile.total(value),
        "samples": [[frames.setdefault(name, len(frames)) for name in _names(stack)] for stack in shown],
        "weights": [profile.stacks[stack][value] for stack in shown],
    }


def _names(stack: Stack) -> list[_Name]:
    return [(label(frame), frame.file) for frame in stack]


def _frame(name: str, file: str) -> dict[str, str]:
    return {"name": name, "file": file} if file else {"name": name}
