"""A test does the same work whichever engine counts its refs."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from pytest_goref.metrics import CALLS
from pytest_goref.profilers.calls import CallsProfiler
from pytest_goref.profilers.places import Places

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """
import json

def load(tracker):
    plain = tracker.track("plain")(len)
    dumps = tracker.track("dumps")(json.dumps)

    class Owner:
        @tracker.track
        def method(self):
            return plain("a")

        @tracker.track
        @classmethod
        def of_class(cls):
            return own()

    @tracker.track
    def own():
        return sorted([2, 1], key=lambda x: -x)

    @tracker.track
    def generate():
        yield own()

    @tracker.track
    async def wait():
        return dumps([1, {}])

    @tracker.track
    def fail():
        raise KeyError("x")

    def use():
        for number in range(300):
            with tracker.ref(f"key {number}"):
                plain("a")
        many = [tracker.ref("many") for _ in range(300)]
        for ref in many:
            ref.deref()
        Owner().method()
        Owner.of_class()
        list(generate())
        try:
            wait().send(None)
        except StopIteration:
            pass
        try:
            fail()
        except KeyError:
            pass
        tracker.child("a", "b").ref("key").deref()
        dict(tracker.snapshot().data)
        tracker.reset(recursive=True)
        tracker.settle()

    return use
"""


def fewest_calls_with(engine: str, file: Path) -> dict[str, int]:
    """Return the calls of a try that no other thread has added to: from 3.12 on cProfile sees all."""
    return min((calls_with(engine, file) for _ in range(3)), key=lambda counted: sum(counted.values()))


def calls_with(engine: str, file: Path) -> dict[str, int]:
    module = import_module(engine)
    namespace: dict[str, Any] = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)  # noqa: S102 - project code
    use = namespace["load"](module.Tracker())
    use()
    gc.disable()  # Hypothesis has a callback that is called when garbage is collected
    try:
        running = CallsProfiler(Places(file.parent)).start()
        try:
            use()
        finally:
            observation = running.stop()
    finally:
        gc.enable()
    return dict(observation.counted[CALLS])


def test_calls_are_the_same_with_both_engines(tmp_path: Path) -> None:
    pytest.importorskip("pytest_goref.tracker._speed", exc_type=ImportError)
    file = tmp_path / "using.py"
    file.write_text(PROJECT, encoding="utf-8")
    by_python = fewest_calls_with("pytest_goref.tracker.core", file)
    assert fewest_calls_with("pytest_goref.tracker._speed", file) == by_python
    assert by_python["json"] == 1
    assert not [subject for subject in by_python if "goref" in subject]
    assert "time.perf_counter_ns" not in by_python
