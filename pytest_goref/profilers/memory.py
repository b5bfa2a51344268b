"""Memory: what an execution allocates, by memray, with Python's own allocators.

Every allocation is recorded and the runner's part is left out by its stacks, not by subtracting an empty run:
an empty test has allocated nothing at all. What threads allocate that ran before the test is left out, too.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path
from traceback import walk_stack
from typing import TYPE_CHECKING, Final

from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.allocations import AllocationNames, Stem
from pytest_goref.profilers.heap import QuietHeap
from pytest_goref.profilers.recorded import Allocators, Reading
from pytest_goref.profilers.tracking import enter, leave
from pytest_goref.profilers.watcher import watcher
from pytest_goref.tracker import __file__ as tracker_file
from pytest_goref.tracker import get_tracker

if TYPE_CHECKING:
    from memray import Tracker

    from pytest_goref.profilers.allocations import Allocations
    from pytest_goref.profilers.places import Places

_TRACKER_FILES: Final = tuple(
    str(Path(tracker_file).with_name(name))
    for name in ("aside.py", "core.py", "entry.py", "ledger.py", "snapshot.py")
)


class MemoryProfiler:
    """Records every allocation of the process.

    Args:
        places: names files.
        directory: where a directory for captures is made when there is a first one, for its owner to remove;
            None for the system's temporary directory, from which what nobody has moved goes with the process.

    """

    def __init__(self, places: Places, directory: Path | None = None) -> None:
        self._names = AllocationNames(places, [__file__], _TRACKER_FILES)
        self._parent = directory
        self._captures: Path | None = None
        self._is_prepared = False
        self._taken = 0

    def prepare(self) -> None:
        """Start and stop memray once in this process, so that no test measures what that changes.

        What is loaded makes the interpreter forget answers of ``isinstance``, which a test had to find again.
        """
        if self._is_prepared:
            return
        self._is_prepared = True
        with contextlib.suppress(ProfilerUnavailableError):  # it will be told when it is to measure
            running = self.start()
            try:
                running.cancel()
            except BaseException:  # Ctrl-C, perhaps before anything was stopped
                running.cancel()
                raise

    def start(self) -> RunningMemory:
        """Start memray.

        Raises:
            ProfilerUnavailableError: memray is not installed, is tracking already, or something that watches
                the program is active, whose own allocations would be counted.

        """
        if holder := watcher():  # a tracker that finds a profiler fails, and so do all after it
            raise _unavailable(f"{holder} is active")
        try:
            import memray  # noqa: PLC0415 - costs 0.1 s, and is not everywhere
        except ImportError:
            raise _unavailable("memray is not installed, or does not run on this system") from None
        heap: QuietHeap | None = None
        entered: Tracker | None = None
        try:
            capture = self._new_capture()
            tracker = memray.Tracker(
                destination=memray.FileDestination(capture, compress_on_exit=True),
                native_traces=False,
                trace_python_allocators=True,
                file_format=memray.FileFormat.ALL_ALLOCATIONS,
            )
            get_tracker().settle()  # or what a test gets from the free lists would depend on tests before it
            heap = QuietHeap()
            frames = walk_stack(inspect.currentframe())
            begun_in = [(frame.f_code.co_name, frame.f_code.co_filename) for frame, _ in frames]
            enter(tracker)
            entered = tracker
            return RunningMemory(tracker, capture, heap, self._names, Stem(begun_in[::-1]))
        except BaseException as error:
            if entered is not None:  # and then interrupted
                leave(entered)
            if heap is not None:
                heap.give_back()
            if isinstance(error, OSError | RuntimeError):
                raise _unavailable(f"memray does not start ({error})") from error
            raise

    def _new_capture(self) -> Path:
        """Return a file that is not there yet."""
        if self._captures is None:
            self._captures = Path(tempfile.mkdtemp(prefix="goref-", dir=self._parent))
            if self._parent is None:
                weakref.finalize(self, _remove, self._captures, os.getpid())
        self._taken += 1
        return self._captures / f"{self._taken}.bin"


def _remove(directory: Path, process: int) -> None:
    """Remove the captures that are left, unless this is a forked process: they are its parent's."""
    if os.getpid() == process:
        shutil.rmtree(directory, ignore_errors=True)


def _unavailable(why: str) -> ProfilerUnavailableError:
    return ProfilerUnavailableError(f"allocations are not measured: {why}")


class RunningMemory:
    """memray, on."""

    def __init__(
        self,
        tracker: Tracker,
        capture: Path,
        heap: QuietHeap,
        names: AllocationNames,
        stem: Stem,
    ) -> None:
        self._tracker = tracker
        self._capture = capture
        self._heap = heap
        self._names = names
        self._stem = stem

    def cancel(self) -> None:
        """Stop, and forget what was seen."""
        try:
            leave(self._tracker)
        finally:
            self._heap.give_back()
            self._capture.unlink(missing_ok=True)

    def stop(self) -> Observation:
        """Return what was allocated, in numbers and by stack, and the file with all of it.

        Raises:
            ProfilerUnavailableError: the test replaced the profiler, or the numbers would not compare.

        """
        try:
            try:
                gc.collect()  # what only waits for a collection is not left behind
                replaced = sys.getprofile() is not None
                _leave_mark()
            finally:
                leave(self._tracker)
                self._heap.give_back()
            allocations = self._read(replaced=replaced)
        except BaseException:
            self._capture.unlink(missing_ok=True)
            raise
        return Observation(
            allocations.counted(),
            profile=allocations.profile(),
            capture=self._capture,
            concurrent=allocations.concurrent,
        )

    def _read(self, *, replaced: bool) -> Allocations:
        import memray  # noqa: PLC0415 - the tracker has loaded it

        try:
            with memray.FileReader(self._capture) as reader:
                metadata = reader.metadata
                reading = Reading(
                    self._names,
                    self._stem,
                    metadata.main_thread_id,
                    _allocators(),
                    (_leave_mark.__name__, __file__),
                )
                allocations = reading.read(reader.get_allocation_records())
        except OSError as error:
            raise _unavailable(f"the file that memray wrote cannot be read ({error})") from error
        if metadata.end_time < metadata.start_time:
            raise _unavailable("memray could not write all of its file")
        if metadata.python_allocator != "pymalloc":
            raise _unavailable(
                f"the allocator is {metadata.python_allocator}, not Python's own (PYTHONMALLOC or -X dev)"
            )
        if replaced or not reading.marked:
            raise _unavailable("the test itself sets a profiler, so that stacks were missed")
        if reading.threads.is_mixed:
            raise _unavailable("a thread that ran before began others while the test did")
        return allocations


def _leave_mark() -> None:
    """Allocate something: its stack tells whether memray still sees who is called."""
    bytearray(1)


def _allocators() -> Allocators:
    from memray import AllocatorType  # noqa: PLC0415 - the tracker has loaded it

    freeing = {int(AllocatorType.FREE), int(AllocatorType.PYMALLOC_FREE), int(AllocatorType.MUNMAP)}
    clearing = {int(AllocatorType.CALLOC), int(AllocatorType.PYMALLOC_CALLOC)}
    return Allocators(freeing, int(AllocatorType.MMAP), clearing)
