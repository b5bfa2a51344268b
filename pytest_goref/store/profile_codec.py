"""Profiles as plain data and back: what reports carry and artifacts store.

Texts and frames are listed once and named by their index: many stacks share them. Reading trusts nothing:
data comes from other processes, other versions of this package, and files that anyone may have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_goref.profile import CPU_VALUES, MEMORY_VALUES, Frame, ProfileKind, Stack, StackProfile, Value
from pytest_goref.store.jsontext import CodecError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 2**63 - 1
_FRAME_COLUMNS: Final = ("place", "file", "function", "line")
_VALUES: Final = {ProfileKind.CPU: CPU_VALUES, ProfileKind.MEMORY: MEMORY_VALUES}
_TOTALS: Final = ("executions", "elapsed_ns", "covered_ns")


def profile_to_plain(profile: StackProfile) -> dict[str, object]:
    """Return ``profile`` as plain data: ``dict``, ``list``, ``str`` and ``int``."""
    texts: dict[str, int] = {}
    frames: dict[Frame, int] = {}
    stacks = [
        [[frames.setdefault(frame, len(frames)) for frame in stack], *numbers]
        for stack, numbers in profile.stacks.items()
    ]
    rows = [
        [
            *(texts.setdefault(text, len(texts)) for text in (frame.place, frame.file, frame.function)),
            frame.line,
        ]
        for frame in frames
    ]
    return {
        "kind": profile.kind.value,
        "values": _values_to_plain(profile.values),
        "executions": profile.executions,
        "elapsed_ns": profile.elapsed_ns,
        "covered_ns": profile.covered_ns,
        "texts": list(texts),
        "frames": rows,
        "stacks": stacks,
    }


def profile_from_plain(obj: object) -> StackProfile:
    """Return the profile that ``profile_to_plain`` made ``obj`` from.

    Raises:
        CodecError: ``obj`` is not of that shape; the message names the place.

    """
    if not isinstance(obj, dict):
        raise CodecError((), "expected an object")
    kind = _kind(obj.get("kind"))
    values = _values(obj.get("values"), kind)
    texts = _list(obj, "texts")
    if not all(isinstance(text, str) for text in texts):
        raise CodecError(("texts",), "expected a list of text")
    frames = [_frame(row, texts, index) for index, row in enumerate(_list(obj, "frames"))]
    stacks: dict[Stack, tuple[int, ...]] = {}
    for index, row in enumerate(_list(obj, "stacks")):
        where = ("stacks", str(index))
        stack, numbers = _stack(row, frames, len(values), where)
        if stacks.setdefault(stack, numbers) is not numbers:
            raise CodecError(where, "this stack is there twice")
    totals = [_number(obj.get(name), (name,)) for name in _TOTALS]
    return StackProfile(kind, values, stacks, *totals)


def _kind(obj: object) -> ProfileKind:
    for kind in ProfileKind:
        if kind.value == obj:
            return kind
    raise CodecError(("kind",), f"expected {' or '.join(kind.value for kind in ProfileKind)}")


def _values(obj: object, kind: ProfileKind) -> tuple[Value, ...]:
    """Return what the numbers are: of one kind always the same, as they are read by their index."""
    values = _VALUES[kind]
    if obj != _values_to_plain(values):
        raise CodecError(("values",), f"expected {', '.join(value.name for value in values)}")
    return values


def _values_to_plain(values: Sequence[Value]) -> list[list[str]]:
    return [[value.name, value.unit.value] for value in values]


def _frame(row: object, texts: Sequence[str], index: int) -> Frame:
    where = ("frames", str(index))
    if not isinstance(row, list) or len(row) != len(_FRAME_COLUMNS):
        raise CodecError(where, f"expected {', '.join(_FRAME_COLUMNS)}")
    place, file, function = (_named(texts, cell, where) for cell in row[:-1])
    return Frame(place, file, function, _number(row[-1], (*where, "line")))


def _stack(
    row: object, frames: Sequence[Frame], numbers: int, where: tuple[str, ...]
) -> tuple[Stack, tuple[int, ...]]:
    if not isinstance(row, list) or len(row) != 1 + numbers or not isinstance(row[0], list):
        raise CodecError(where, "expected a list of frames, and a number for each value")
    stack = tuple(_named(frames, cell, where) for cell in row[0])
    return stack, tuple(_number(cell, where) for cell in row[1:])


def _named(table: Sequence[Any], index: object, where: tuple[str, ...]) -> Any:  # noqa: ANN401 - of any table
    if type(index) is not int or not 0 <= index < len(table):  # by type: True is an int too
        raise CodecError(where, f"expected an index below {len(table)}")
    return table[index]


def _list(members: dict[Any, Any], name: str) -> list[Any]:
    value = members.get(name)
    if not isinstance(value, list):
        raise CodecError((name,), "expected a list")
    return value


def _number(value: object, where: tuple[str, ...]) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise CodecError(where, f"expected a whole number from 0 to {_MOST}")
    return value
