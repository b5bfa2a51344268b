"""speedscope's files, by the schema that it publishes.

``speedscope_schema.json`` is https://www.speedscope.app/file-format-schema.json (MIT, Copyright Jamie Wong).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from exported import CPU, EMPTY, MEMORY, NODEID, SAMPLED, SOURCE

from pytest_goref.report.export import FORMATS

if TYPE_CHECKING:
    from pytest_goref.report.export.profiled import Profiled

SCHEMA = json.loads(Path(__file__).with_name("speedscope_schema.json").read_text(encoding="utf-8"))


def document(profiled: Profiled) -> Any:
    return json.loads(FORMATS["speedscope"].render(profiled))


@pytest.mark.parametrize("profiled", SAMPLED, ids=["cpu", "memory", "empty"])
def test_the_published_schema_accepts_it(profiled: Profiled) -> None:
    jsonschema.validate(document(profiled), SCHEMA)


def test_the_schema_would_refuse_what_is_wrong() -> None:
    wrong = document(CPU)
    wrong["profiles"][0]["unit"] = "ns"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


@pytest.mark.parametrize("profiled", SAMPLED, ids=["cpu", "memory", "empty"])
def test_weights_and_samples_belong_together(profiled: Profiled) -> None:
    made = document(profiled)
    for profile in made["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        assert sum(profile["weights"]) == profile["endValue"]
        assert all(index < len(made["shared"]["frames"]) for stack in profile["samples"] for index in stack)


def test_every_value_is_a_profile_and_the_main_one_is_shown_first() -> None:
    made = document(MEMORY)
    assert [(profile["name"], profile["unit"], profile["endValue"]) for profile in made["profiles"]] == [
        (f"peak: {NODEID}", "bytes", 2112),
        (f"total: {NODEID}", "bytes", 5184),
        (f"left: {NODEID}", "bytes", 64),
        (f"allocations: {NODEID}", "none", 5),
    ]
    assert made["activeProfileIndex"] == 0
    assert document(CPU)["activeProfileIndex"] == 1
    assert [profile["unit"] for profile in document(CPU)["profiles"]] == ["none", "nanoseconds"]


def test_a_function_is_one_frame_wherever_it_executes() -> None:
    frames = document(CPU)["shared"]["frames"]
    assert {"name": "shop.py:Cart.add", "file": str(SOURCE)} in frames
    assert {"name": "time.sleep"} in frames
    assert len(frames) == len({frame["name"] for frame in frames}) == 6


def test_stacks_are_outermost_first() -> None:
    made = document(CPU)
    names = [frame["name"] for frame in made["shared"]["frames"]]
    stacks = [[names[index] for index in stack] for stack in made["profiles"][1]["samples"]]
    assert ["tests/test_shop.py:test_cart", "shop.py:Cart.add", "time.sleep"] in stacks


def test_an_empty_profile_is_no_reason_to_fail() -> None:
    assert document(EMPTY)["shared"]["frames"] == []
