"""Allocations by stack turned into the numbers of a test: named, cut at its function, summed, and bounded.

Nothing here knows where the numbers come from: a stack is a list of (function, file, line), innermost first,
as memray gives it, with the bare names of functions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    LEFT_BYTES,
    OTHER,
    PEAK_BYTES,
    SITE_BYTES,
    SITE_COUNT,
    SITE_PEAK_BYTES,
)
from pytest_goref.profile import MEMORY_VALUES, Frame, ProfileKind, StackProfile, shallow
from pytest_goref.profile import OTHER as OTHER_FRAME
from pytest_goref.profilers.source import code_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pytest_goref.model import Metric
    from pytest_goref.profile import Stack
    from pytest_goref.profilers.places import Places

    RawFrame = tuple[str, str, int]

_MODULE: Final = "<module>"
_MOST_SITES: Final = 50
_MOST_STACKS: Final = 500
_LOOPS: Final = ("asyncio.base_events", "asyncio.runners", "trio", "uvloop")
"""Modules, or packages, whose functions are on the stack of what an event loop runs."""

_RECORDER: Final = "memray"
"""The package that is told the names of threads while it records."""

_DISTRIBUTORS: Final = ("execnet", "xdist")
"""Packages that talk to the controller of a distributed run in threads of their own."""


class Numbers(NamedTuple):
    """What was allocated from one stack, in the order of ``MEMORY_VALUES``.

    Attributes:
        peak_bytes: at the moment when most was allocated.
        total_bytes: altogether.
        left_bytes: and not freed.
        allocations: how often.

    """

    peak_bytes: int = 0
    total_bytes: int = 0
    left_bytes: int = 0
    allocations: int = 0

    def plus(self, other: Numbers) -> Numbers:
        """Return the sums."""
        return Numbers(*map(sum, zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class RawStack:
    """What was allocated from one stack of one thread.

    Attributes:
        frames: function, file and line, innermost first.
        thread: the thread, by any number.
        numbers: what was allocated.

    """

    frames: Sequence[RawFrame]
    thread: int
    numbers: Numbers


@dataclass(slots=True)
class Allocations:
    """What a test has allocated.

    Attributes:
        stacks: what each stack has, outermost frame first.
        concurrent: whether more than one thread allocated, or an event loop ran.
        peak_bytes: the most at one moment; None for the sum of the stacks, which are of the process's peak.

    """

    stacks: dict[Stack, Numbers] = field(default_factory=dict)
    concurrent: bool = False
    peak_bytes: int | None = None

    def counted(self) -> dict[Metric, Mapping[str, int]]:
        """Return the totals, and by site those that matter most; the rest of the sites is one."""
        total = Numbers()
        sites: defaultdict[str, Numbers] = defaultdict(Numbers)
        for stack, numbers in self.stacks.items():
            total = total.plus(numbers)
            sites[stack[-1].place] = sites[stack[-1].place].plus(numbers)
        return {
            ALLOCATION_COUNT: {"": total.allocations},
            ALLOCATED_BYTES: {"": total.total_bytes},
            PEAK_BYTES: {"": total.peak_bytes if self.peak_bytes is None else self.peak_bytes},
            LEFT_BYTES: {"": total.left_bytes},
            SITE_COUNT: _largest({site: numbers.allocations for site, numbers in sites.items()}),
            SITE_BYTES: _largest({site: numbers.total_bytes for site, numbers in sites.items()}),
            SITE_PEAK_BYTES: _largest({site: numbers.peak_bytes for site, numbers in sites.items()}),
        }

    def profile(self) -> StackProfile:
        """Return the heaviest stacks, by bytes and number together; the rest is one stack."""
        count = max(1, sum(numbers.allocations for numbers in self.stacks.values()))
        size_bytes = max(1, sum(numbers.total_bytes for numbers in self.stacks.values()))

        def weight(item: tuple[Stack, Numbers]) -> tuple[float, Stack]:
            return -item[1].allocations / count - item[1].total_bytes / size_bytes, item[0]

        kept: defaultdict[Stack, Numbers] = defaultdict(Numbers)
        for place, (stack, numbers) in enumerate(sorted(self.stacks.items(), key=weight)):
            key = shallow(stack) if place < _MOST_STACKS else (OTHER_FRAME,)
            kept[key] = kept[key].plus(numbers)
        stacks = {stack: tuple(numbers) for stack, numbers in kept.items()}
        return StackProfile(ProfileKind.MEMORY, MEMORY_VALUES, stacks)


def _largest(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return the largest of ``numbers``, and the sum of the others as ``OTHER``."""
    ranked = sorted((item for item in numbers.items() if item[1]), key=lambda item: (-item[1], item[0]))
    rest = sum(number for _, number in ranked[_MOST_SITES:])
    largest = Counter(dict(ranked[:_MOST_SITES]))
    if rest:
        largest[OTHER] += rest
    return dict(largest)


class AllocationNames:
    """Names the frames of stacks as ``calls`` names functions; remembers what it has found.

    Args:
        places: names files.
        own_files: source files of the profiler itself: their frames are the runner's.
        tracker_files: source files that count refs: what they allocate depends on durations, and is ours.

    """

    def __init__(
        self, places: Places, own_files: Collection[str] = (), tracker_files: Collection[str] = ()
    ) -> None:
        self._places = places
        self._tracker_files = frozenset(tracker_files)
        self._own_files = frozenset(own_files)
        self._frames: dict[RawFrame, tuple[Frame, bool]] = {}
        self._functions: dict[str, Sequence[_Function]] = {}

    def gather(
        self, raw_stacks: Sequence[RawStack], begun_in: Sequence[tuple[str, str]], main_thread: int
    ) -> Allocations:
        """Return what the test has allocated.

        Of the thread of the test that is what its own code has, or what that called, or an event loop; of
        all other threads everything. The runner's part is left out exactly, so that an empty test has
        allocated nothing.

        Args:
            raw_stacks: what was allocated.
            begun_in: function and file of each frame in which tracking began, outermost first: what a stack
                shares with them is not the test's.
            main_thread: the thread of the test.

        """
        gathered = Allocations()
        threads = {main_thread}
        for raw in raw_stacks:
            frames = raw.frames[::-1]
            if frames and (
                _package(self._frame(frames[-1])[0]) == _RECORDER or frames[-1][1] in self._tracker_files
            ):
                continue
            if raw.thread == main_thread:
                frames = frames[_shared(frames, begun_in) :]
            stack, is_test, in_loop = self._cut(frames)
            if raw.thread != main_thread:
                is_test = not _is_distributor(stack) and bool(stack or not frames)
                stack = stack or (OTHER_FRAME,)
            if is_test or in_loop:
                gathered.stacks[stack] = gathered.stacks.get(stack, Numbers()).plus(raw.numbers)
                gathered.concurrent = gathered.concurrent or in_loop
                threads.add(raw.thread)
        gathered.concurrent = gathered.concurrent or len(threads) > 1
        return gathered

    def _cut(self, frames: Sequence[RawFrame]) -> tuple[Stack, bool, bool]:
        """Return the stack without the runner, whether project code is on it, and whether an event loop."""
        named = [self._frame(raw) for raw in frames]
        stack = tuple(frame for frame, _ in named if frame.place)
        return stack, any(is_project for _, is_project in named), any(map(_is_loop, stack))

    def _frame(self, raw: RawFrame) -> tuple[Frame, bool]:
        """Return the frame and whether it is project code; the place of a runner's frame is ""."""
        known = self._frames.get(raw)
        if known is None:
            known = self._frames[raw] = self._named(*raw)
        return known

    def _named(self, function: str, file: str, line: int) -> tuple[Frame, bool]:
        if file in self._own_files:
            return Frame("", file, function, line), False
        place, is_project = self._places.function(file, function)
        if is_project:
            function = self._qualified_name(file, function, line)
            place, _ = self._places.function(file, function)
        shown = "(module)" if function == _MODULE else function
        return Frame(place, "" if file.startswith("<") else file, shown, line), is_project

    def _qualified_name(self, file: str, name: str, line: int) -> str:
        """Return ``co_qualname``, which memray does not tell: it is looked up in the compiled source."""
        if file not in self._functions:
            self._functions[file] = tuple(_functions_of(file))
        found = [f for f in self._functions[file] if f.name == name and f.first <= line <= f.last]
        return min(found, key=lambda f: f.last - f.first).qualified_name if found else name


def _shared(frames: Sequence[RawFrame], begun_in: Sequence[tuple[str, str]]) -> int:
    """Return how many frames, outermost first, are those in which tracking began."""
    for number, (frame, ours) in enumerate(zip(frames, begun_in, strict=False)):
        if frame[:2] != ours:
            return number
    return min(len(frames), len(begun_in))


def _is_loop(frame: Frame) -> bool:
    in_loop = frame.place in _LOOPS or _package(frame) in _LOOPS
    return in_loop and frame.function != "(module)"  # being imported is not running


def _is_distributor(stack: Stack) -> bool:
    return any(_package(frame) in _DISTRIBUTORS for frame in stack)


def _package(frame: Frame) -> str:
    return frame.place.partition(".")[0]


class _Function(NamedTuple):
    """The lines of a piece of code."""

    name: str
    first: int
    last: int
    qualified_name: str


def _functions_of(file: str) -> Iterator[_Function]:
    for code in code_in(file):
        last = max((line for _, _, line in code.co_lines() if line is not None), default=0)
        yield _Function(code.co_name, code.co_firstlineno, last, code.co_qualname)
