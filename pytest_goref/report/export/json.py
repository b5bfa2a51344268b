"""A profile as plain JSON, for programs of one's own; every number in its base unit.

``format`` 1: the first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_goref.report.export.profiled import Profiled

FORMAT: Final = 1


def render(profiled: Profiled) -> bytes:
    """Return the file, as JSON; frames of a stack are outermost first."""
    profile = profiled.profile
    names = [value.name for value in profile.values]
    document = {
        "format": FORMAT,
        "test": profiled.test,
        "kind": profile.kind.value,
        "executions": profile.executions,
        "elapsed_ns": profile.elapsed_ns,
        "covered_ns": profile.covered_ns,
        "units": {value.name: value.unit.value for value in profile.values},
        "stacks": [
            {"frames": [frame._asdict() for frame in stack], **dict(zip(names, numbers, strict=True))}
            for stack, numbers in profile.stacks.items()
        ],
    }
    return json.dumps(document, indent=1).encode()
