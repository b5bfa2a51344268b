"""CPU: where the time of an execution goes, by samples that pyinstrument takes every millisecond.

It explains and is never judged: a profiler makes calls dearer than they are.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Final

from pytest_goref.profile import CPU_VALUES, SAMPLE_NS, TIME, ProfileKind, StackProfile, merged
from pytest_goref.profilers import Observation, ProfilerUnavailableError
from pytest_goref.profilers.clock import SYSTEM_CLOCK, Clock
from pytest_goref.profilers.sampled import FrameNames, described, summed
from pytest_goref.profilers.threads import ThreadSampler
from pytest_goref.profilers.watcher import watcher

if TYPE_CHECKING:
    from pyinstrument import Profiler as Pyinstrument

    from pytest_goref.profile import Stack
    from pytest_goref.profilers.places import Places

_SECOND_NS: Final = 1_000_000_000
_GOLDEN: Final = 0.618_033_988_749_895


class CpuProfiler:
    """Samples the thread that starts it, and the threads that are begun while it runs.

    Each execution begins at another moment between two samples. Else an execution shorter than the interval
    would never be seen, and a longer one always at the same places.

    Args:
        places: names files.
        clock: for the time that is not sampled.

    """

    def __init__(self, places: Places, clock: Clock = SYSTEM_CLOCK) -> None:
        self._names = FrameNames(places)
        self._clock = clock
        self._phase = 0.0

    def start(self) -> RunningCpu:
        """Start pyinstrument.

        Raises:
            ProfilerUnavailableError: a profiler, debugger or coverage is active.

        """
        from pyinstrument import Profiler  # noqa: PLC0415 - costs 0.1 s, and few sessions need it

        holder = watcher()
        if holder:
            raise ProfilerUnavailableError(f"no CPU profile: {holder} is active")
        # A test is cut out of its stack by what it shares with this one; in an event loop it shares nothing
        # else, and what other coroutines do in the meantime is its time as well.
        profiler = Profiler(interval=SAMPLE_NS / _SECOND_NS, async_mode="disabled")
        self._phase = (self._phase + _GOLDEN) % 1
        threads = ThreadSampler(self._clock, self._phase)
        try:
            # It may print advice on slow clocks, which nobody who runs tests can follow.
            with contextlib.redirect_stderr(io.StringIO()):
                profiler.start()
            until_ns = self._clock.wall_ns() + round(self._phase * SAMPLE_NS)
            while self._clock.wall_ns() < until_ns:
                pass
            threads.start()
            return RunningCpu(profiler, threads, self._names, self._clock)
        except BaseException:
            _turn_off(threads)
            raise


def _turn_off(threads: ThreadSampler) -> None:
    """Turn off what is on, which pyinstrument does not do when Ctrl-C meets it half-way."""
    sys.setprofile(None)
    threads.stop()


class RunningCpu:
    """pyinstrument, on."""

    def __init__(
        self, profiler: Pyinstrument, threads: ThreadSampler, names: FrameNames, clock: Clock
    ) -> None:
        self._profiler = profiler
        self._threads = threads
        self._names = names
        self._clock = clock
        self._began_ns = clock.wall_ns()

    def stop(self) -> Observation:
        """Return the sampled stacks of the test; elapsed and covered time are of the starting thread."""
        elapsed_ns = max(self._clock.wall_ns() - self._began_ns, 0)
        try:
            in_threads = self._threads.stop()
            session = self._profiler.stop()
        except BaseException:
            _turn_off(self._threads)
            raise
        # A test that sets the clock makes samples that begin before it, or last for years.
        longest = (elapsed_ns + 2 * SAMPLE_NS) / _SECOND_NS
        samples = [sample for sample in session.frame_records if 0 < sample[1] <= longest]
        covered_ns = round(sum(seconds for _, seconds in samples) * _SECOND_NS)
        own = summed(samples, self._names, session.start_call_stack)
        others = summed(in_threads, self._names)
        return Observation(
            profile=merged((_profile(own, 1, elapsed_ns, covered_ns), _profile(others, 0, 0, 0)))
        )


def _profile(
    stacks: dict[Stack, tuple[int, int]], executions: int, elapsed_ns: int, covered_ns: int
) -> StackProfile:
    return StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, executions, elapsed_ns, covered_ns)


def _in_script(text: str) -> str:
    """Return ``text`` so that it neither ends the script that a page holds it in, nor comments it out.

    https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    """
    return text.replace("</", "< /").replace("<!--", "< !--")


def render_html(profile: StackProfile, title: str) -> str:
    """Return pyinstrument's own page of a CPU profile.

    Args:
        profile: a CPU profile.
        title: what the page is of, for example a node id.

    """
    from pyinstrument.renderers import HTMLRenderer  # noqa: PLC0415 - needed only by exports
    from pyinstrument.session import Session  # noqa: PLC0415 - needed only by exports

    title = _in_script(title)
    first_lines: dict[tuple[str, str], int] = {}
    roots: set[str] = set()
    for stack in profile.stacks:
        for frame in stack:
            known = first_lines.setdefault((frame.file, frame.function), frame.line)
            first_lines[frame.file, frame.function] = min(known, frame.line)
            relative = frame.place.rpartition(":")[0].replace("/", os.sep)
            if relative and frame.file.endswith(os.sep + relative):
                roots.add(frame.file.removesuffix(os.sep + relative))
    records = [
        (
            [_in_script(described(frame, first_lines[frame.file, frame.function])) for frame in stack],
            numbers[TIME] / _SECOND_NS,
        )
        for stack, numbers in profile.stacks.items()
    ]
    session = Session.from_json(
        {
            "frame_records": sorted(records),
            "start_time": 0.0,
            "duration": profile.elapsed_ns / _SECOND_NS,
            "sample_count": profile.total(0),
            "start_call_stack": [title],
            "target_description": title,
            "cpu_time": 0.0,
            "sys_path": [*sorted(roots), *sys.path],
        }
    )
    page: str = HTMLRenderer().render(session)
    return page
