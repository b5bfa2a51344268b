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
        return Numbers(
            self.peak_bytes + other.peak_bytes,
            self.total_bytes + other.total_bytes,
            self.left_bytes + other.left_bytes,
            self.allocations + other.allocations,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What of a stack is the test's.

    Attributes:
        stack: its frames without those of the runner, outermost first.
        in_loop: whether an event loop called it.

    """

    stack: Stack
    in_loop: bool = False


@dataclass(slots=True)
class Allocations:
    """What a test has allocated.

    Attributes:
        stacks: what each stack has, outermost frame first.
        concurrent: whether more than one thread allocated, or an event loop ran.

    """

    stacks: dict[Stack, Numbers] = field(default_factory=dict)
    concurrent: bool = False

    def add(self, part: Part, numbers: Numbers) -> None:
        """Add what was allocated from one stack."""
        known = self.stacks.get(part.stack)
        self.stacks[part.stack] = numbers if known is None else known.plus(numbers)
        self.concurrent = self.concurrent or part.in_loop

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
            PEAK_BYTES: {"": total.peak_bytes},
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
        self._frames: dict[RawFrame, _Named] = {}
        self._functions: dict[str, Sequence[_Function]] = {}

    def part(self, frames: Sequence[RawFrame], stem: Stem | None) -> Part | None:
        """Return what of a stack is the test's, None when nothing is.

        Of the thread of the test that is what its own code has, or what that called, or an event loop; of its
        other threads everything. The runner's part is left out exactly, so that an empty test has allocated
        nothing.

        Args:
            frames: function, file and line, innermost first, as many as there are.
            stem: where tracking began, for the thread of the test; None for another thread.

        """
        if frames and self._is_ours(frames[0]):
            return None
        above = frames if stem is None else stem.above(frames)
        named = [self._frame(raw) for raw in reversed(above)]
        stack = tuple([one.frame for one in named if one.frame.place])
        in_loop = any(one.is_loop for one in named)
        if stem is None:
            is_test = not any(one.is_distributor for one in named) and bool(stack or not frames)
        else:
            is_test = any(one.is_project for one in named)
        return Part(stack or (OTHER_FRAME,), in_loop) if is_test or in_loop else None

    def deep_part(self, innermost: Sequence[RawFrame]) -> Part | None:
        """Return what of a stack is the test's that is deeper than a runner calls by itself.

        Args:
            innermost: those of its frames that matter, innermost first.

        """
        if self._is_ours(innermost[0]):
            return None
        named = (self._frame(raw).frame for raw in reversed(innermost))
        return Part((OTHER_FRAME, *(frame for frame in named if frame.place)))

    def _is_ours(self, leaf: RawFrame) -> bool:
        """Return whether it is the recorder or the tracker that allocates."""
        return leaf[1] in self._tracker_files or _package(self._frame(leaf).frame) == _RECORDER

    def _frame(self, raw: RawFrame) -> _Named:
        """Return the frame and what is known of it; the place of a runner's frame is ""."""
        known = self._frames.get(raw)
        if known is None:
            frame, is_project = self._named(*raw)
            known = _Named(frame, is_project, _is_loop(frame), _package(frame) in _DISTRIBUTORS)
            self._frames[raw] = known
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


class Stem:
    """The frames in which tracking began: what a stack shares with them is not the test's.

    Args:
        begun_in: function and file of each, outermost first.

    """

    def __init__(self, begun_in: Sequence[tuple[str, str]]) -> None:
        self._begun_in = begun_in
        self._known: list[RawFrame] = []
        self.depth = len(begun_in)

    def above(self, frames: Sequence[RawFrame]) -> Sequence[RawFrame]:
        """Return the frames above those in which tracking began; all of them innermost first."""
        known = self._known
        same = len(known)
        if same and frames[-same:] == known:  # as in nearly every stack, and quickly seen
            frames = frames[:-same]
        else:
            same = 0
        shared = 0
        for frame, ours in zip(reversed(frames), self._begun_in[same:], strict=False):
            if frame[:2] != ours:
                break
            shared += 1
        above = frames[: len(frames) - shared]
        if not known and shared:  # not the innermost one: it goes on, so that its line differs
            self._known = list(frames[len(above) + 1 :])
        return above


class _Named(NamedTuple):
    """A frame, and what its code is."""

    frame: Frame
    is_project: bool
    is_loop: bool
    is_distributor: bool


def _is_loop(frame: Frame) -> bool:
    in_loop = frame.place in _LOOPS or _package(frame) in _LOOPS
    return in_loop and frame.function != "(module)"  # being imported is not running


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
