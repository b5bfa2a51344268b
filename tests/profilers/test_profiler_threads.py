from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pytest_goref.profilers.clock import SYSTEM_CLOCK, SystemClock
from pytest_goref.profilers.threads import ThreadSampler, _stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

MS = 1_000_000


class Ticking(SystemClock):
    """Goes on by half an interval whenever it is read."""

    now_ns = 0

    def wall_ns(self) -> int:
        self.now_ns += MS // 2
        return self.now_ns


class Set(SystemClock):
    """Stands still until it is set."""

    now_ns = 0

    def wall_ns(self) -> int:
        return self.now_ns


@pytest.fixture(autouse=True)
def _before() -> Iterator[None]:
    """Put back what new threads begin with."""
    before = threading.getprofile()
    yield
    threading.setprofile(before)


def leaf() -> None: ...


def work() -> None:
    for _ in range(100):
        leaf()
        len("")


def run_thread() -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def functions(stack: object) -> list[str]:
    assert isinstance(stack, list)
    return [text.partition("\x00")[0] for text in stack]


def test_a_thread_is_sampled_when_it_is_due() -> None:
    sampler = ThreadSampler(Ticking())
    sampler.start()
    run_thread()
    samples = sampler.stop()
    assert len(samples) > 100  # every second event of over 400
    assert {seconds for _, seconds in samples} == {0.001}
    ends = {tuple(functions(stack)[-2:]) for stack, _ in samples}
    assert ends & {("work", "leaf"), ("work", "len"), ("run", "work")}
    assert not any(function == "run_thread" for stack, _ in samples for function in functions(stack))
    line = next(text for stack, _ in samples for text in stack if text.startswith("work\x00"))
    assert line.split("\x00")[1] == __file__
    assert int(line.partition("\x01l")[2]) >= work.__code__.co_firstlineno


def inner() -> FrameType:
    return sys._getframe()


def outer() -> FrameType:
    return inner()


@pytest.mark.parametrize(
    ("event", "argument", "end"),
    [
        ("call", None, ["outer"]),  # what is entered has not taken any time
        ("return", None, ["outer", "inner"]),
        ("c_call", len, ["outer", "inner"]),
        ("c_return", len, ["outer", "inner", "len"]),
        ("c_exception", [].append, ["outer", "inner", "list.append"]),
        ("c_return", SimpleNamespace(), ["outer", "inner", "?"]),
    ],
)
def test_the_stack_is_the_one_whose_time_has_passed(event: str, argument: object, end: list[str]) -> None:
    names = functions(_stack(outer(), event, argument))
    at = names.index("outer")
    assert names[at:] == end
    assert names[at - 1] == "test_the_stack_is_the_one_whose_time_has_passed"


def test_without_a_caller_there_is_no_stack() -> None:
    assert _stack(None, "call", None) == []


def test_a_sampler_notes_what_is_due() -> None:
    clock = Set()
    sampler = ThreadSampler(clock, phase=0.25)
    profiler = sys.getprofile()
    try:
        sampler._begin()
        see = sys.getprofile()
    finally:
        sys.setprofile(profiler)
    assert see is not None
    for now_ns in (MS // 2, MS * 3 // 4, MS, MS * 9 // 4):
        clock.now_ns = now_ns
        see(inner(), "return", None)
    samples = sampler.stop()
    assert [seconds for _, seconds in samples] == [0.001, 0.0015]
    assert {functions(stack)[-1] for stack, _ in samples} == {"inner"}
    clock.now_ns = 9 * MS
    see(inner(), "return", None)
    assert sys.getprofile() is None
    sys.setprofile(profiler)
    assert sampler.stop() == samples


def test_new_threads_begin_as_before_when_it_has_stopped() -> None:
    def hook(*_: object) -> None: ...

    threading.setprofile(hook)
    sampler = ThreadSampler(SYSTEM_CLOCK)
    sampler.start()
    assert threading.getprofile() is not hook
    assert sampler.stop() == []
    assert threading.getprofile() is hook


def test_a_thread_that_goes_on_is_left_alone() -> None:
    profilers = []
    begun, stopped, again = threading.Event(), threading.Event(), threading.Event()

    def go_on() -> None:
        begun.set()
        stopped.wait()
        work()
        profilers.append(sys.getprofile())
        again.set()

    sampler = ThreadSampler(Ticking())
    sampler.start()
    thread = threading.Thread(target=go_on)
    thread.start()
    begun.wait()
    seen = len(sampler.stop())
    stopped.set()
    again.wait()
    thread.join()
    assert profilers == [None]
    assert len(sampler.stop()) - seen <= 2
