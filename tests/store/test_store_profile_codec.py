from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_values import CPU, MEMORY, profiles
from store_values import unhurried

from pytest_goref.store.jsontext import CodecError
from pytest_goref.store.profile_codec import profile_from_plain, profile_to_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_goref.profile import StackProfile


@unhurried
@given(profiles())
def test_a_profile_crosses_processes_as_it_is(profile: StackProfile) -> None:
    text = json.dumps(profile_to_plain(profile))
    read = profile_from_plain(json.loads(text))
    assert read == profile
    assert list(read.stacks) == list(profile.stacks)


def test_texts_and_frames_are_listed_once() -> None:
    plain: Any = profile_to_plain(CPU)
    assert plain["texts"].count("/shop/shop.py") == 1
    assert len(plain["frames"]) == 5
    assert plain["stacks"][1] == [[0, 1, 2], 5, 5_000_000]


def _set(*steps: Any, to: object) -> Callable[[Any], None]:
    def change(plain: Any) -> None:
        for step in steps[:-1]:
            plain = plain[step]
        plain[steps[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("kind", to="wall"), "kind: expected cpu or memory"),
        (_set("kind", to=["cpu"]), "kind: expected cpu or memory"),
        (_set("kind", to="memory"), "values: expected peak, total, left, allocations"),
        (_set("values", to=[["time", "ns"]]), "values: expected samples, time"),
        (_set("texts", to={}), "texts: expected a list"),
        (_set("texts", 0, to=1), "texts: expected a list of text"),
        (_set("frames", to=None), "frames: expected a list"),
        (_set("frames", 0, to=[0, 0, 0]), "frames.0: expected place, file, function, line"),
        (_set("frames", 0, 0, to=-1), "frames.0: expected an index below 14"),
        (_set("frames", 0, 1, to=True), "frames.0: expected an index below 14"),
        (_set("frames", 0, 2, to=14), "frames.0: expected an index below 14"),
        (_set("frames", 0, 3, to="7"), f"frames.0.line: expected a whole number from 0 to {2**63 - 1}"),
        (_set("stacks", to=0), "stacks: expected a list"),
        (_set("stacks", 1, to=[[0], 1]), "stacks.1: expected a list of frames, and a number for each value"),
        (_set("stacks", 1, 0, to=0), "stacks.1: expected a list of frames, and a number for each value"),
        (_set("stacks", 1, 0, 0, to=5), "stacks.1: expected an index below 5"),
        (_set("stacks", 1, 0, 0, to=[]), "stacks.1: expected an index below 5"),
        (_set("stacks", 1, 1, to=-1), f"stacks.1: expected a whole number from 0 to {2**63 - 1}"),
        (_set("stacks", 1, 1, to=2**63), f"stacks.1: expected a whole number from 0 to {2**63 - 1}"),
        (_set("stacks", 1, 0, to=[0, 1]), "stacks.1: this stack is there twice"),
        (_set("executions", to=None), f"executions: expected a whole number from 0 to {2**63 - 1}"),
        (_set("elapsed_ns", to=1.5), f"elapsed_ns: expected a whole number from 0 to {2**63 - 1}"),
    ],
)
def test_what_is_no_profile_is_refused_and_named(change: Callable[[Any], None], message: str) -> None:
    plain = copy.deepcopy(profile_to_plain(CPU))
    change(plain)
    with pytest.raises(CodecError) as refused:
        profile_from_plain(plain)
    assert str(refused.value) == message


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@unhurried
@given(st.data())
def test_no_data_makes_it_fail_otherwise(data: st.DataObject) -> None:
    plain: Any = copy.deepcopy(profile_to_plain(data.draw(st.sampled_from([CPU, MEMORY]))))
    target: Any = plain
    while True:
        step = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
        inner = target[step]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        target = inner
    target[step] = data.draw(_json)
    try:
        profile_from_plain(plain)
    except CodecError:
        return
    assert profile_to_plain(profile_from_plain(plain))["kind"] == plain["kind"]


@pytest.mark.parametrize("plain", [None, [], "cpu", 1])
def test_what_is_no_object_is_refused(plain: object) -> None:
    with pytest.raises(CodecError, match="expected an object"):
        profile_from_plain(plain)
