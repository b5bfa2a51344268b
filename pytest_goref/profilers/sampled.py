"""Samples of a running program turned into weighted stacks: named, cut at the test, and bounded in size.

A sample is a stack of texts as in pyinstrument's session files, outermost first, and the seconds since the
sample before it. A text holds a function's name, file and first line, then marked attributes: the class of
``self``, the line that is executing.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.profile import OTHER, TIME, Frame, Stack, StackProfile, shallow
from pytest_goref.profilers.source import code_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_goref.profilers.places import Places

    Sample = tuple[Sequence[str], float]

_PART, _ATTRIBUTE, _CLASS, _LINE = "\x00", "\x01", "c", "l"
_BUILT_IN: Final = "<built-in>"
_PROFILERS: Final = str(Path(__file__).parent)
_THREAD: Final = "<thread>"
_MODULE: Final = "<module>"
_NUMBERS_BYTES: Final = 20
_REFERENCE_BYTES: Final = 4


class FrameNames:
    """Names the frames of samples as ``cProfile`` names functions; remembers what it has found.

    Args:
        places: names files.

    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._frames: dict[str, Frame] = {}
        self._qualified: dict[str, Mapping[tuple[str, int], str]] = {}

    def frame(self, text: str) -> Frame:
        """Return the frame that ``text`` describes; its place is "" for the test runner."""
        known = self._frames.get(text)
        if known is None:
            known = self._frames[text] = self._read(text)
        return known

    def _read(self, text: str) -> Frame:
        code, *attributes = text.split(_ATTRIBUTE)
        name, file, first_line = code.split(_PART)
        given = {attribute[:1]: attribute[1:] for attribute in attributes}
        if file == _THREAD:
            return Frame("", "", name, 0)
        if file == _BUILT_IN:
            return Frame(name, "", name, 0)
        qualified = self._qualified_name(file, name, int(first_line), given.get(_CLASS, ""))
        place, _ = self._places.function(file, qualified)
        function = "(module)" if qualified == _MODULE else qualified
        return Frame(place, "" if file.startswith("<") else file, function, int(given.get(_LINE, 0)))

    def _qualified_name(self, file: str, name: str, first_line: int, cls: str) -> str:
        """Return ``co_qualname``, which a sample does not hold: it is looked up in the compiled source."""
        if file not in self._qualified:
            self._qualified[file] = {(c.co_name, c.co_firstlineno): c.co_qualname for c in code_in(file)}
        fallback = f"{cls}.{name}" if cls else name
        return self._qualified[file].get((name, first_line), fallback)


def summed(
    samples: Iterable[Sample], names: FrameNames, begun_in: Sequence[str] = ()
) -> dict[Stack, tuple[int, int]]:
    """Return samples and nanoseconds of each stack; what only the test runner does is left out.

    Args:
        samples: as pyinstrument takes them.
        names: names the frames.
        begun_in: the stack in which sampling began; what a sample shares with it is not the test's.

    """
    stem = [_identity(text) for text in begun_in]
    sums: defaultdict[Stack, list[int]] = defaultdict(lambda: [0, 0])
    for texts, seconds in samples:
        shared = 0
        for text, ours in zip(texts, stem, strict=False):
            if _identity(text) != ours:
                break
            shared += 1
        frames = tuple(frame for frame in map(names.frame, texts[shared:]) if frame.place)
        if not begun_in:  # a thread: begun by this module, in every program alike
            frames = tuple(itertools.dropwhile(lambda frame: frame.place == "threading", frames))
        elif _is_of_runner(frames) or _is_of_profiler(texts[max(shared - 1, 0) :], names):
            continue
        if frames:
            numbers = sums[shallow(frames)]
            numbers[0] += 1
            numbers[1] += round(seconds * 1e9)
    return {stack: (count, took_ns) for stack, (count, took_ns) in sums.items()}


def _is_of_runner(frames: Stack) -> bool:
    """Return whether the runner itself has called C code, or looked at the test's function."""
    at_work = any(":" in frame.place for frame in frames)
    return bool(frames) and not at_work and (_is_c(frames[0]) or frames[0].place == "inspect")


def _is_of_profiler(texts: Sequence[str], names: FrameNames) -> bool:
    """Return whether a profiler is being started or stopped."""
    before_the_test = itertools.takewhile(lambda text: not names.frame(text).place, texts)
    return any(f"{_PART}{_PROFILERS}" in text for text in before_the_test)


def _is_c(frame: Frame) -> bool:
    """Return whether a frame is that of a C function."""
    return not frame.file and frame.place == frame.function


def _identity(text: str) -> str:
    """Return which function a text describes, wherever that is executing."""
    return text.partition(_ATTRIBUTE)[0]


def described(frame: Frame, first_line: int = 0) -> str:
    """Return the text of a frame, for pyinstrument's own pages."""
    file = frame.file or (_BUILT_IN if ":" not in frame.place else "<unknown>")
    line = f"{_ATTRIBUTE}{_LINE}{frame.line}" if frame.line else ""
    return f"{frame.function}{_PART}{file}{_PART}{first_line}{line}"


def named_as(profile: StackProfile, subjects: Collection[str]) -> StackProfile:
    """Return the profile with C functions named in full, where one of ``subjects`` is all that can be meant.

    A sample knows a C function by its qualified name, ``sleep``; ``calls`` by its dotted one, ``time.sleep``.
    """
    by_end: defaultdict[str, set[str]] = defaultdict(set)
    for subject in subjects:
        if ":" not in subject:
            for start, character in enumerate(subject):
                if character == ".":
                    by_end[subject[start + 1 :]].add(subject)

    def named(frame: Frame) -> Frame:
        meant = by_end.get(frame.place, ())
        if not _is_c(frame) or frame.place in subjects or len(meant) != 1:
            return frame
        return frame._replace(place=next(iter(meant)))

    return _with_stacks(
        profile, ((tuple(map(named, stack)), numbers) for stack, numbers in profile.stacks.items())
    )


def bounded(profile: StackProfile, most_bytes: int) -> StackProfile:
    """Return the profile with its lightest stacks summed up as one, when it would need too much room.

    Args:
        profile: a CPU profile.
        most_bytes: about the size as JSON that names every text, function and line once.

    """
    room = most_bytes
    known: set[object] = set()
    heaviest_first = sorted(
        profile.stacks.items(), key=lambda item: (-item[1][TIME], [tuple(frame) for frame in item[0]])
    )

    def kept(stack: Stack) -> Stack:
        nonlocal room
        parts = {part for frame in stack for part in (frame, frame.place, frame.file, frame.function)} - known
        needed = sum(len(part) + 3 if isinstance(part, str) else _NUMBERS_BYTES for part in parts)
        needed += _NUMBERS_BYTES + _REFERENCE_BYTES * len(stack)
        if needed > room:
            return (OTHER,)
        room -= needed
        known.update(parts)
        return stack

    return _with_stacks(profile, ((kept(stack), numbers) for stack, numbers in heaviest_first))


def _with_stacks(profile: StackProfile, weighted: Iterable[tuple[Stack, tuple[int, ...]]]) -> StackProfile:
    """Return the profile with other stacks; the numbers of equal ones are added."""
    stacks: dict[Stack, tuple[int, ...]] = {}
    for stack, numbers in weighted:
        known = stacks.get(stack, (0,) * len(numbers))
        stacks[stack] = tuple(map(sum, zip(known, numbers, strict=True)))
    return StackProfile(
        profile.kind, profile.values, stacks, profile.executions, profile.elapsed_ns, profile.covered_ns
    )
