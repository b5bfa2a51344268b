"""What is exported, and how its functions are named there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.profile import TIME, Frame, ProfileKind, StackProfile

if TYPE_CHECKING:
    from pathlib import Path

_PEAK: Final = "peak"


@dataclass(frozen=True, slots=True)
class Profiled:
    """A profile of one test.

    Attributes:
        test: the node id.
        profile: where its time or memory went.
        capture: the file in memray's own format that a memory profile was read from, None when it is gone.

    """

    test: str
    profile: StackProfile
    capture: Path | None = None


def label(frame: Frame) -> str:
    """Return the name of a function in a file of another program.

    It begins with the name that the function has in every table here; other than there, functions of one
    module are told apart. Programs made for C++ take ``<module>`` for the arguments of a template.
    """
    joined = frame.place if ":" in frame.place or not frame.file else f"{frame.place}.{frame.function}"
    return joined.replace("<module>", "(module)")


def main_value(profile: StackProfile) -> int:
    """Return the index of the value that a profile is mostly read for: the time, or the peak."""
    if profile.kind is ProfileKind.CPU:
        return TIME
    names = [value.name for value in profile.values]
    return names.index(_PEAK) if _PEAK in names else 0


def labelled_stacks(profile: StackProfile, value: int) -> dict[tuple[str, ...], int]:
    """Return one number of each stack, as labels; sorted, so that stacks that begin alike stand together.

    Stacks that differ only in lines are one. Those without a share in the number are left out.
    """
    numbers: dict[tuple[str, ...], int] = {}
    for stack, row in profile.stacks.items():
        if row[value]:
            labels = tuple(map(label, stack))
            numbers[labels] = numbers.get(labels, 0) + row[value]
    return dict(sorted(numbers.items()))
