"""Which engine is chosen, and that both tell the same."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pytest_goref.tracker import core, ledger, recorder

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_goref import Snapshot, Tracker

HAS_C = find_spec("pytest_goref.tracker._speed") is not None
needs_c = pytest.mark.skipif(not HAS_C, reason="built without a C compiler")

ENGINE = "import pytest_goref as goref; print(goref.engine, goref.Tracker.__module__)"
HIDDEN = "import sys; sys.modules['pytest_goref.tracker._speed'] = None\n"


def told(program: str, engine: str | None) -> subprocess.CompletedProcess[str]:
    """Run a program while ``GOREF_ENGINE`` is as said."""
    environment = {name: value for name, value in os.environ.items() if name != "GOREF_ENGINE"}
    if engine is not None:
        environment["GOREF_ENGINE"] = engine
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )


@needs_c
@pytest.mark.parametrize("asked", [None, "", "c"])
def test_the_engine_in_c_is_taken_where_it_is(asked: str | None) -> None:
    assert told(ENGINE, asked).stdout.split() == ["c", "pytest_goref.tracker._speed"]


@pytest.mark.parametrize(("program", "asked"), [(ENGINE, "python"), (HIDDEN + ENGINE, None)])
def test_the_engine_in_python_is_taken_when_asked_for_or_without_the_other(
    program: str, asked: str | None
) -> None:
    assert told(program, asked).stdout.split() == ["python", "pytest_goref.tracker.core"]


def test_an_engine_that_is_asked_for_and_does_not_load_is_told_and_the_other_counts() -> None:
    program = told(HIDDEN + ENGINE, "c")
    assert program.stdout.split() == ["python", "pytest_goref.tracker.core"]
    warning = program.stderr.splitlines()[0]
    assert ": GorefWarning: GOREF_ENGINE asks for the engine in C, which cannot be loaded (" in warning
    assert warning.endswith("is, or unset the variable. The engine in Python counts")


@pytest.mark.parametrize("asked", ["C", "rust"])
def test_an_unknown_engine_is_told_and_another_counts(asked: str) -> None:
    program = told(ENGINE, asked)
    assert program.stdout == told(ENGINE, None).stdout
    assert (
        f": GorefWarning: GOREF_ENGINE must be 'c' or 'python', got {asked!r}; unset it for the faster one. "
        "The engine in "
    ) in program.stderr.splitlines()[0]


@pytest.mark.parametrize("options", [(), ("-n2",)])
def test_a_session_that_measures_is_refused_with_an_unknown_engine(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir=.", *options]
    environment = {**os.environ, "GOREF_ENGINE": "rust"}
    off, on = (
        subprocess.run(
            [*command, *more], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )
        for more in ((), ("--goref",))
    )
    assert off.returncode == pytest.ExitCode.OK
    assert on.returncode == pytest.ExitCode.USAGE_ERROR
    told_last = on.stderr.strip().splitlines()[-1]
    assert told_last.startswith("ERROR: goref: GOREF_ENGINE must be 'c' or 'python', got 'rust'; unset it")


def test_both_engines_have_the_same_face() -> None:
    speed = pytest.importorskip("pytest_goref.tracker._speed", exc_type=ImportError)
    pairs = [(core.Tracker, speed.Tracker), (ledger.Ref, speed.Ref), (recorder.Recorder, speed.Recorder)]
    hidden = {"__module__", "__slots__", "__init__", "__new__", "__weakref__", "__annotations__"}
    hidden |= {"__firstlineno__", "__static_attributes__"}
    for python, c in pairs:
        public = {name for name in vars(python) if not name.startswith("_") or name.startswith("__")} - hidden
        if python is recorder.Recorder:
            public.remove("add")  # how the engine in Python writes
        missing = public - set(vars(c))
        assert not missing
        for name in public - {"__doc__"}:
            assert getattr(getattr(c, name), "__doc__", None) or name.startswith("__")


def number_of(text: str) -> int:
    return int(text)


class BothEngines(RuleBasedStateMachine):
    """Does the same with both engines, by one clock that only moves when told."""

    refs: Bundle[Any] = Bundle("refs")
    snapshots: Bundle[Any] = Bundle("snapshots")

    KEYS = st.sampled_from(["key", "", "\0", "a\0b", "\ud800", "\U0001f600", "key" * 100])
    SCOPES = st.sampled_from([(), ("a",), ("a", "b"), ("\udfff",)])

    def __init__(self) -> None:
        super().__init__()
        from pytest_goref.tracker import _speed  # noqa: PLC0415 - not everywhere

        self.now_ns = 0
        self.trackers: list[Tracker] = [
            core.Tracker(clock_ns=lambda: self.now_ns),
            _speed.Tracker(clock_ns=lambda: self.now_ns),
        ]
        self.recorders: list[Any] = [recorder.Recorder(20), _speed.Recorder(20)]

    def scopes(self, scope: tuple[str, ...]) -> list[Tracker]:
        return [tracker.child(*scope) for tracker in self.trackers]

    @rule(by_ns=st.integers(-100, 2**40) | st.integers(0, 40))
    def let_time_pass(self, by_ns: int) -> None:
        self.now_ns += by_ns

    @rule(target=refs, scope=SCOPES, key=KEYS)
    def begin(self, scope: tuple[str, ...], key: str) -> list[Any]:
        return [tracker.ref(key) for tracker in self.scopes(scope)]

    @rule(both=consumes(refs), by_ns=st.integers(0, 2**62), left=st.booleans())
    def end(self, both: list[Any], by_ns: int, *, left: bool) -> None:
        self.now_ns = (self.now_ns + by_ns) % 2**62
        for ref in both:
            if left:
                with ref:
                    pass
            else:
                ref.deref()

    @rule(scope=SCOPES, key=KEYS, times=st.integers(1, 400), each_ns=st.integers(0, 10**6))
    def use_often(self, scope: tuple[str, ...], key: str, times: int, each_ns: int) -> None:
        begun_ns = self.now_ns
        for tracker in self.scopes(scope):
            self.now_ns = begun_ns
            for _ in range(times):
                with tracker.ref(key):
                    self.now_ns += each_ns

    @rule(scope=SCOPES, key=KEYS, fails=st.booleans())
    def call(self, scope: tuple[str, ...], key: str, *, fails: bool) -> None:
        for tracker in self.scopes(scope):
            call = tracker.track(key)(number_of)
            if fails:
                with pytest.raises(ValueError, match="x"):
                    call("x")
            else:
                assert call("7") == 7

    @rule(scope=SCOPES, recursive=st.booleans())
    def reset(self, scope: tuple[str, ...], *, recursive: bool) -> None:
        for tracker in self.scopes(scope):
            tracker.reset(recursive=recursive)

    @rule(scope=SCOPES, on=st.booleans())
    def record(self, scope: tuple[str, ...], *, on: bool) -> None:
        for tracker, its_recorder in zip(self.scopes(scope), self.recorders, strict=True):
            tracker.record(its_recorder if on else None)

    @rule(scope=SCOPES)
    def settle(self, scope: tuple[str, ...]) -> None:
        for tracker in self.scopes(scope):
            tracker.settle()

    @rule(target=snapshots)
    def take(self) -> list[Snapshot]:
        return [tracker.snapshot() for tracker in self.trackers]

    @rule(both=snapshots)
    def compare_differences(self, both: list[Snapshot]) -> None:
        later = [tracker.snapshot() for tracker in self.trackers]
        by_python, by_c = (now - before for now, before in zip(later, both, strict=True))
        assert list(by_c.walk()) == list(by_python.walk())

    @rule(both=snapshots)
    def compare_earlier(self, both: list[Snapshot]) -> None:
        by_python, by_c = both
        assert by_c == by_python

    @invariant()
    def the_snapshots_are_equal(self) -> None:
        by_python, by_c = (tracker.snapshot() for tracker in self.trackers)
        assert by_c == by_python
        assert [*by_c.walk()] == [*by_python.walk()]

    @invariant()
    def the_spans_are_equal(self) -> None:
        by_python, by_c = (one.spans() for one in self.recorders)
        assert by_c == by_python


TestBothEngines = needs_c(BothEngines.TestCase)
BothEngines.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
