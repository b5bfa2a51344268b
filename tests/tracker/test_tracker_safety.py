"""Nothing is lost, left or damaged, whatever happens in the middle of a use."""

from __future__ import annotations

import contextlib
import gc
import itertools
import signal
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tracker_engines import c_only, engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref
from pytest_goref.tracker import aside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SUBINTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
program = '''
import pytest_goref as goref
for number in range(300):
    with goref.ref("key"):
        goref.ref(str(number))
tracked = goref.track("call")(len)
tracked("")
figures = goref.snapshot()
assert (figures["key"].count, figures["call"].count) == (300, 1), figures
'''
import pytest_goref as goref
for _ in range(5):
    one = interpreters.create()
    problem = interpreters.run_string(one, program)  # raises before Python 3.13
    assert problem is None, problem
    interpreters.destroy(one)
    goref.ref("here").deref()
assert goref.snapshot().keys() == ["here"]
print("done", goref.engine)
"""

AT_EXIT = """
import atexit, sys
import pytest_goref as goref

class Late:
    def __init__(self):
        self.tracker = goref.Tracker()
        self.ref = self.tracker.ref("early")
        self.call = self.tracker.track("call")(len)
    def __del__(self):
        self.ref.deref()
        self.call("")
        with self.tracker.ref("early"):
            pass

late = Late()
sys.late = Late()
sys.cycle = Late()
sys.cycle.itself = sys.cycle
atexit.register(goref.ref("last").deref)
"""


class Held:
    """Something that refers to a tracker that refers to it."""

    tracker: goref.Tracker
    handle: goref.Ref

    def now_ns(self) -> int:
        return 1


def test_trackers_in_cycles_are_collected() -> None:
    held = Held()
    held.tracker = goref.Tracker(clock_ns=held.now_ns)
    held.handle = held.tracker.child("below").ref("key")
    call = held.tracker.track("call")(held.now_ns)
    call.itself = call  # type: ignore[attr-defined]
    call()
    gone = [weakref.ref(thing) for thing in (held, held.tracker, call)]
    del held, call
    gc.collect()
    assert [one() for one in gone] == [None, None, None]


def test_a_subclass_of_tracker_counts_and_is_collected() -> None:
    class Named(goref.Tracker):
        def __init__(self, title: str) -> None:
            super().__init__(clock_ns=itertools.count().__next__)
            self.title = title
            self.handle = self.ref("key")

    tracker = Named("title")
    tracker.handle.deref()
    assert tracker.snapshot()["key"].duration == 1
    assert type(tracker.child("a")) is goref.Tracker
    gone = weakref.ref(tracker)
    del tracker
    gc.collect()
    assert gone() is None


def test_a_reference_outlives_its_tracker() -> None:
    tracker = goref.Tracker()
    handles = [tracker.child("a").ref("key"), tracker.ref("key")]
    del tracker
    gc.collect()
    for handle in handles:
        handle.deref()
    with pytest.warns(goref.DoubleDerefWarning):
        handles[0].deref()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
def test_a_million_references_leave_the_memory_as_it_was() -> None:
    tracker = goref.Tracker()
    call = tracker.track("call")(len)

    def use(times: int) -> None:
        for _ in range(times):
            with tracker.ref("with"):
                pass
            tracker.ref("ref").deref()
            call("")
        for number in range(times // 100):
            tracker.ref(str(number))
            if number % 50 == 0:
                tracker.reset()
                tracker.snapshot()

    use(20_000 if goref.engine == "c" else 5_000)
    gc.collect()
    before = resident_bytes()
    use(320_000 if goref.engine == "c" else 100_000)
    gc.collect()
    assert resident_bytes() - before < 2**20


def test_signal_handlers_may_use_the_tracker_that_they_interrupt() -> None:
    if not hasattr(signal, "setitimer"):
        pytest.skip("this platform has no timers")
    tracker = goref.Tracker()
    handled = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal handled
        handled += 1
        with tracker.ref("key"), tracker.ref(f"handled {handled}"):
            tracker.snapshot()
        if handled % 7 == 0:
            tracker.settle()
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    used = 0
    try:
        while handled < 50:
            with tracker.ref("key"):
                used += 1
            tracker.ref(f"used {used % 1_000}").deref()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    figures = tracker.snapshot()
    assert (figures["key"].active, figures["key"].count) == (0, used + handled)
    assert sum(figures[key].count for key in figures) == 2 * used + 2 * handled


def test_finalizers_may_use_the_tracker() -> None:
    tracker = goref.Tracker()

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            with tracker.ref("finalized"):
                tracker.ref(str(id(self))).deref()
            tracker.snapshot()

    thresholds = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for number in range(500):
            Cycle()
            with tracker.ref("key"):
                tracker.ref(f"new {number}").deref()
            tracker.child(str(number % 5)).snapshot()
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    figures = tracker.snapshot()
    assert (figures["key"].count, figures["finalized"].count) == (500, 500)
    assert figures["finalized"].active == 0


def run_apart(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_subinterpreters_count_apart() -> None:
    ran = run_apart(SUBINTERPRETERS)
    assert ran.stdout.split() == ["done", goref.engine], ran.stderr


def test_trackers_may_be_used_while_the_interpreter_shuts_down() -> None:
    ran = run_apart(AT_EXIT)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.fixture
def failing() -> Iterator[list[int]]:
    """Let every step that allocates fail as if Ctrl-C came; hold how often that was."""
    failed = [0]

    def fail(step: Any, owner: Any, what: Any) -> None:
        import sys  # noqa: PLC0415 - its globals are those of the other

        sys.failed[0] += 1  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    sys.failed = failed  # type: ignore[attr-defined]
    code = aside.aside.__code__
    aside.aside.__code__ = fail.__code__
    yield failed
    aside.aside.__code__ = code
    del sys.failed  # type: ignore[attr-defined]


@c_only
def test_an_error_in_the_middle_of_an_end_loses_nothing(request: pytest.FixtureRequest) -> None:
    now_ns = [0]
    tracker = goref.Tracker(clock_ns=lambda: now_ns[0])
    keys = [str(number) for number in range(1_000)]
    for key in keys:
        tracker.ref(key).deref()
    failed = request.getfixturevalue("failing")
    interrupted = 0
    used = []
    for key, octave in itertools.product(keys, range(1, 62)):
        handle = tracker.ref(key)
        now_ns[0] = 2**octave - 1  # in a part of the histogram that is not there yet
        try:
            handle.deref()
        except KeyboardInterrupt:
            interrupted += 1
        now_ns[0] = 0
        used.append(key)
        if interrupted == 3:
            break
    assert failed[0] == interrupted == 3
    with pytest.raises(KeyboardInterrupt):
        tracker.ref("new")
    with pytest.raises(KeyboardInterrupt):
        tracker.snapshot()
    aside.aside.__code__ = direct.__code__
    snapshot = tracker.snapshot()
    for key in keys:
        count = 1 + used.count(key)
        figures = snapshot[key]
        assert (figures.active, figures.count, sum(figures._buckets.values())) == (0, count, count)
    assert "new" not in snapshot


def direct(step: Any, owner: Any, what: Any) -> Any:
    return step(owner, what)


def test_a_clock_that_fails_is_an_error_of_the_user() -> None:
    times: list[Any] = [0, 5]

    def now_ns() -> int:
        if not times:
            raise RuntimeError("stopped")
        return times.pop(0)  # type: ignore[no-any-return]

    tracker = goref.Tracker(clock_ns=now_ns)
    tracker.ref("key").deref()
    with pytest.raises(RuntimeError, match="stopped"):
        tracker.ref("key")
    with pytest.raises(RuntimeError, match="stopped"):
        tracker.track("key")(len)("")
    times.append(1)
    handle = tracker.ref("key")
    with pytest.raises(RuntimeError, match="stopped"):
        handle.deref()
    times.append(1)
    with pytest.raises(RuntimeError, match="stopped"):
        tracker.track("key")(len)("")
    times.append(1)
    with pytest.raises(RuntimeError, match="stopped"):
        tracker.track("key")(len)(5)  # type: ignore[arg-type]
    assert tracker.snapshot()["key"].count == 1


@c_only
@pytest.mark.parametrize(("now", "error"), [("1", TypeError), (2**63, OverflowError)])
def test_a_clock_that_tells_no_time_is_refused(now: Any, error: type[Exception]) -> None:
    tracker = goref.Tracker(clock_ns=lambda: now)
    with pytest.raises(error):
        tracker.ref("key")
    assert tracker.snapshot()["key"].active == 0


def test_durations_of_any_length_add_up() -> None:
    clock = itertools.cycle([-(2**62), 2**62 - 1])
    tracker = goref.Tracker(clock_ns=partial(next, clock))
    for _ in range(9):
        tracker.ref("key").deref()
    figures = tracker.snapshot()["key"]
    assert figures.duration == 9 * (2**63 - 1)
    assert (figures.min, figures.max) == (2**63 - 1, 2**63 - 1)


def test_references_in_an_exit_stack_end() -> None:
    tracker = goref.Tracker()
    with contextlib.ExitStack() as stack:
        handles = [stack.enter_context(tracker.ref("key")) for _ in range(3)]
        stack.push(tracker.ref("pushed"))
        assert tracker.snapshot()["key"].active == 3
        assert all(isinstance(handle, contextlib.AbstractContextManager) for handle in handles)
    figures = tracker.snapshot()
    assert (figures["key"].count, figures["pushed"].count) == (3, 1)


def test_the_methods_of_a_block_may_be_called() -> None:
    tracker = goref.Tracker()
    handle = tracker.ref("key")
    assert handle.__enter__() is handle
    assert goref.Ref.__enter__(handle) is handle
    handle.__exit__(None, None, None)
    goref.Ref.__exit__(tracker.ref("key"), None, None, None)
    assert tracker.snapshot()["key"].count == 2


@c_only
@pytest.mark.parametrize("arguments", [(1,), (1, 2), (1, 2, 3, 4)])
def test_a_reference_is_no_function(arguments: tuple[int, ...]) -> None:
    handle: Any = goref.Tracker().ref("key")
    enter: Any = goref.Ref.__enter__
    for called in (partial(handle, *arguments), partial(enter, handle, *arguments), partial(handle, key=1)):
        with pytest.raises(TypeError, match="a Ref is no function"):
            called()
    for wrong in ((), (5,)):
        with pytest.raises(TypeError, match=r"__enter__\(\) needs a Ref"):
            enter(*wrong)
    with pytest.raises(TypeError, match="cannot create"):
        goref.Ref()


@pytest.mark.parametrize(
    "arguments", [((), {}), (("a", "b"), {}), ((), {"keys": "a"}), (("a",), {"key": "b"})]
)
def test_a_reference_has_one_key(arguments: tuple[tuple[str, ...], dict[str, str]]) -> None:
    tracker: Any = goref.Tracker()
    positional, named = arguments
    with pytest.raises(TypeError):
        tracker.ref(*positional, **named)
    assert not tracker.snapshot().keys()


def test_a_deep_tree_is_no_crash() -> None:
    tracker = goref.Tracker()
    deepest = tracker.child(*["a"] * 3_000)
    for act in (tracker.snapshot, partial(tracker.reset, recursive=True), partial(tracker.record, None)):
        with contextlib.suppress(RecursionError):
            act()
    with contextlib.suppress(RecursionError):
        assert len(deepest.path) == 3_000
