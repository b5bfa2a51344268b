from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_goref as goref
from pytest_goref.metrics import LEAKED_REFS, LEAKED_TASKS, LEAKED_THREADS
from pytest_goref.profilers.leaks import LeaksProfiler, ThreadsWindow
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.refs import RefsProfiler
from pytest_goref.profilers.tasks import code_of_coroutine

if TYPE_CHECKING:
    from collections.abc import Iterator


HERE = "test_profiler_leaks.py"
PLACES = Places(Path(__file__).parent)


class Ending:
    """Begins threads that run until the test is over."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.threads: list[threading.Thread] = []

    def wait(self) -> None:
        self.told.wait()

    def begin(self, thread: threading.Thread) -> threading.Thread:
        thread.start()
        self.threads.append(thread)
        return thread

    def end(self) -> None:
        self.told.set()
        for thread in self.threads:
            threading.Thread.join(thread)


@pytest.fixture
def ending() -> Iterator[Ending]:
    ending = Ending()
    yield ending
    ending.end()


def test_a_thread_that_began_in_the_window_is_left_behind(ending: Ending) -> None:
    ending.begin(threading.Thread(target=ending.wait))
    window = ThreadsWindow(PLACES)
    assert window.end() == {}
    ending.begin(threading.Thread(target=ending.wait))
    ending.begin(threading.Thread(target=ending.wait, daemon=True))
    assert window.end() == {f"Thread (wait) in {HERE}:Ending.wait": 2}


def test_a_thread_that_is_about_to_end_is_waited_for(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    join = threading.Thread.join
    allowed_s = []

    def tell_and_join(thread: threading.Thread, timeout: float | None = None) -> None:
        allowed_s.append(timeout)
        ending.told.set()
        join(thread)

    window = ThreadsWindow(PLACES)
    ending.begin(threading.Thread(target=ending.wait))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", tell_and_join)
        assert window.end() == {}
    (seconds,) = allowed_s
    assert seconds is not None
    assert 0 < seconds <= 0.05


def test_a_thread_of_a_class_of_its_own_is_named_by_its_run(ending: Ending) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            ending.wait()

        def join(self, timeout: float | None = None) -> None:
            raise LookupError("raised in the thread")

    window = ThreadsWindow(PLACES)
    ending.begin(Worker(name="worker-17"))
    (subject,) = window.end()
    assert subject == (
        f"worker in {HERE}:test_a_thread_of_a_class_of_its_own_is_named_by_its_run.<locals>.Worker.run"
    )


def test_a_timer_runs_nothing_of_anybody_yet(ending: Ending) -> None:
    window = ThreadsWindow(PLACES)
    timer = threading.Timer(1000, print)
    ending.begin(timer)
    assert window.end() == {"Thread in threading": 1}
    timer.cancel()


def test_the_workers_of_a_pool_count_until_it_is_shut_down() -> None:
    window = ThreadsWindow(PLACES)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        assert window.end() == {"ThreadPoolExecutor in concurrent.futures.thread": 1}
    assert window.end() == {}


def test_the_executor_of_a_loop_belongs_to_the_loop() -> None:
    async def use_it() -> dict[str, int]:
        await asyncio.to_thread(int)
        return window.end()

    window = ThreadsWindow(PLACES)
    assert asyncio.run(use_it()) == {}


def test_threads_of_the_runner_do_not_count(ending: Ending) -> None:
    window = ThreadsWindow(Places(Path("/nowhere"), [__file__]))
    ending.begin(threading.Thread(target=ending.wait))
    assert window.end() == {}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Thread-12 (worker)", "Thread (worker) in "),
        ("ThreadPoolExecutor-3_11", "ThreadPoolExecutor in "),
        ("job 0x7f3aB0", "job in "),
        ("request_123e4567-e89b-12d3-a456-426614174000", "request in "),
        ("upload 9fceb02d0ae598e9 of 3", "upload of in "),
        ("upload-9fceb02d0ae598e9", "upload in "),
        ("deadbeef", "deadbeef in "),
        ("17", ""),
        ("two\nlines", "two lines in "),
    ],
)
def test_threads_of_one_kind_have_one_name(ending: Ending, name: str, shown: str) -> None:
    window = ThreadsWindow(PLACES)
    ending.begin(threading.Thread(target=ending.wait, name=name))
    assert window.end() == {f"{shown}{HERE}:Ending.wait": 1}


def test_a_foreign_thread_counts_while_it_runs_python(ending: Ending) -> None:
    import _thread  # noqa: PLC0415 - begins a thread that the threading module does not know

    seen, over = threading.Event(), _thread.allocate_lock()
    over.acquire()

    def foreign() -> None:
        threading.current_thread()  # from now on it does
        seen.set()
        ending.wait()
        over.release()

    window = ThreadsWindow(PLACES)
    _thread.start_new_thread(foreign, ())
    seen.wait()
    (subject,) = window.end()
    ending.told.set()
    over.acquire()
    assert subject.startswith("Dummy in ")
    assert subject.endswith(".<locals>.foreign")


def test_all_that_is_left_behind_is_told_together(ending: Ending) -> None:
    tracker = goref.Tracker()

    async def idle() -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        tracker.ref("connection")
        kept.append(asyncio.create_task(idle()))
        ending.begin(threading.Thread(target=ending.wait))

    kept: list[asyncio.Task[None]] = []
    running = LeaksProfiler(RefsProfiler(tracker), PLACES).of(code_of_coroutine(test)).start()
    asyncio.run(test())
    counted = dict(running.stop().counted)
    tasks = [idle.__qualname__] if sys.version_info >= (3, 12) else []
    assert counted.pop(LEAKED_TASKS, {}) == {f"{HERE}:{name}": 1 for name in tasks}
    assert counted == {
        LEAKED_REFS: {"connection": 1},
        LEAKED_THREADS: {f"Thread (wait) in {HERE}:Ending.wait": 1},
    }


def test_without_tracking_threads_are_told_alone() -> None:
    goref.disable()
    try:
        running = LeaksProfiler(RefsProfiler(goref.Tracker()), PLACES).start()
    finally:
        goref.enable()
    running.close()
    assert running.stop().counted == {LEAKED_THREADS: {}}
