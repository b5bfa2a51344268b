from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_goref.plugin.process_aspects import SURROUNDINGS, Aspect, Values
from pytest_goref.plugin.process_state import ProcessState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def test_everything_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOREF_KEPT", "before")
    monkeypatch.setenv("GOREF_CHANGED", "before")
    monkeypatch.setenv("GOREF_REMOVED", "before")
    state = ProcessState.save()
    expected = random.getrandbits(64)
    (tmp_path / "sub").mkdir()
    os.chdir(tmp_path / "sub")
    os.environ["GOREF_CHANGED"] = "after"
    os.environ["GOREF_ADDED"] = "after"
    del os.environ["GOREF_REMOVED"]
    state.restore()
    assert Path.cwd() == tmp_path
    assert os.environ["GOREF_KEPT"] == os.environ["GOREF_CHANGED"] == os.environ["GOREF_REMOVED"] == "before"
    assert "GOREF_ADDED" not in os.environ
    assert random.getrandbits(64) == expected


def _state(directory: str, **environ: str) -> ProcessState:
    surroundings: dict[str, Values] = {name: {} for name in SURROUNDINGS}
    known = {"directory": {"": directory} if directory else {}, "environment": environ}
    return ProcessState(surroundings | known, {})


@pytest.mark.parametrize(
    ("before", "in_test", "after", "expected"),
    [
        ("", "", "", ""),
        ("a", "a", "a", "a"),
        ("", "patched", "", ""),  # by a fixture of the test, which gave it back
        ("a", "patched", "a", "a"),
        ("a", "", "a", "a"),
        ("", "wide", "wide", "wide"),  # by a fixture that serves later tests too
        ("a", "wide", "wide", "wide"),
        ("a", "", "", ""),
        ("", "", "left", ""),  # by the test itself
        ("a", "a", "left", "a"),
        ("a", "a", "", "a"),
        ("", "wide", "left", "wide"),
    ],
)
def test_what_wider_fixtures_have_set_up_stays(before: str, in_test: str, after: str, expected: str) -> None:
    states = [_state(value, X=value) if value else _state("") for value in (before, in_test, after)]
    lasting = states[0].with_lasting(*states[1:])
    assert lasting.surroundings["environment"] == ({"X": expected} if expected else {})
    assert lasting.surroundings["directory"] == ({"": expected} if expected else {})


def test_random_numbers_go_on_when_only_surroundings_are_given_back() -> None:
    state = ProcessState.save()
    first = random.getrandbits(64)
    state.restore_surroundings()
    assert random.getrandbits(64) != first
    state.restore()
    assert random.getrandbits(64) == first


def test_what_did_not_change_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, str]] = []
    state = ProcessState.save()
    monkeypatch.setattr(os, "putenv", lambda *names: written.append(names))
    monkeypatch.setattr("os.environ", _Counting(os.environ, written))
    state.restore_surroundings()
    assert written == []


class _Counting(dict[str, str]):
    """Notes what is written."""

    def __init__(self, values: os._Environ[str], written: list[tuple[str, str]]) -> None:
        super().__init__(values)
        self._written = written

    def __setitem__(self, name: str, value: str) -> None:
        self._written.append((name, value))

    def update(self, *items: Iterable[tuple[str, str]]) -> None:  # type: ignore[override] # all that is called
        self._written.extend(*items)


def test_a_directory_that_was_removed_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    inside = ProcessState.save()
    gone.rmdir()
    nowhere = ProcessState.save()
    assert nowhere.surroundings["directory"] == {}
    monkeypatch.chdir(tmp_path)
    for state in (inside, nowhere):
        state.restore()
        assert Path.cwd() == tmp_path


_VARIABLE: Final[contextvars.ContextVar[object]] = contextvars.ContextVar("_VARIABLE")
_LOGGER: Final = logging.getLogger("goref.of.a.test")
_MODULE: Final = "goref_module_of_a_test"


def _note(*_anything: object) -> None:
    """Do nothing."""


def _log_otherwise() -> None:
    _LOGGER.setLevel(_LOGGER.level + 1)
    _LOGGER.addHandler(logging.NullHandler())
    _LOGGER.addFilter(logging.Filter("other"))
    _LOGGER.propagate = not _LOGGER.propagate
    _LOGGER.disabled = not _LOGGER.disabled


def _compute_otherwise() -> None:
    context = decimal.getcontext()
    context.prec += 1
    context.traps[decimal.Inexact] = not context.traps[decimal.Inexact]
    context.flags[decimal.Clamped] = not context.flags[decimal.Clamped]


_CHANGES: Final[dict[str, tuple[str, Callable[[], object]]]] = {
    "sys.path": ("settings", lambda: sys.path.append("other")),
    "sys.path bound to another list": ("settings", lambda: setattr(sys, "path", [*sys.path, "other"])),
    "sys.meta_path": ("settings", sys.meta_path.pop),
    "gc.callbacks": ("settings", lambda: gc.callbacks.append(_note)),
    "gc.disable": ("settings", lambda: gc.disable() if gc.isenabled() else gc.enable()),
    "gc.set_threshold": ("settings", lambda: gc.set_threshold(gc.get_threshold()[0] + 1)),
    "gc.set_debug": ("settings", lambda: gc.set_debug(gc.get_debug() ^ gc.DEBUG_SAVEALL)),
    "sys.setrecursionlimit": ("settings", lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1)),
    "sys.setswitchinterval": ("settings", lambda: sys.setswitchinterval(sys.getswitchinterval() * 2)),
    "sys.excepthook": ("settings", lambda: setattr(sys, "excepthook", lambda *_: None)),
    "threading.excepthook": ("settings", lambda: setattr(threading, "excepthook", lambda *_: None)),
    "threading.setprofile": ("settings", lambda: threading.setprofile(lambda *_: None)),
    "warnings.simplefilter": ("settings", lambda: warnings.simplefilter("ignore", ResourceWarning)),
    "logging.disable": ("settings", lambda: logging.disable(logging.root.manager.disable + 1)),
    "loggers": ("loggers", _log_otherwise),
    "modules": ("modules", lambda: sys.modules.update({_MODULE: types.ModuleType("other")})),
    "signal.signal": ("signal handlers", lambda: signal.signal(signal.SIGTERM, _note)),
    "ContextVar.set": ("context variables", lambda: _VARIABLE.set(object())),
    "locale.setlocale": ("locale", lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8")),
    "decimal": ("decimal context", _compute_otherwise),
    "event loop policy": (
        "event loop policy",
        lambda: asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy()),
    ),
}


@pytest.fixture
def known_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which every change is one."""
    monkeypatch.setitem(sys.modules, _MODULE, types.ModuleType(_MODULE))
    _VARIABLE.set(object())
    state = ProcessState.save()
    locale.setlocale(locale.LC_ALL, "C")
    yield
    state.restore()


@pytest.mark.parametrize("name", _CHANGES)
def test_what_changes_is_given_back(name: str, known_state: None) -> None:
    kind, change = _CHANGES[name]
    aspect, state = SURROUNDINGS[kind], ProcessState.save()
    before = aspect.read()
    change()
    changed = aspect.read()
    state.restore_surroundings()
    assert not aspect.same(before, changed)
    assert aspect.read() == before


def test_numbers_of_numpy_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(9))
    drawn: list[int] = []
    numpy = types.SimpleNamespace(get_state=lambda: next(numbers), set_state=drawn.append)
    monkeypatch.setitem(sys.modules, "numpy.random", numpy)
    state = ProcessState.save()
    state.restore()
    assert drawn == [0]


def test_modules_are_not_loaded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    state = ProcessState.save()
    loaded = types.ModuleType(_MODULE)
    monkeypatch.setitem(sys.modules, _MODULE, loaded)
    state.restore()
    assert sys.modules[_MODULE] is loaded


class _Touchy:
    def __eq__(self, other: object) -> bool:
        message = "not to be compared"
        raise ValueError(message)

    __hash__ = None  # type: ignore[assignment] # as of any class with an own __eq__


def test_what_objects_to_being_given_back_is_no_obstacle() -> None:
    written: list[object] = []

    def write(key: object, value: object) -> None:
        if key == "refuses":
            raise OSError
        written.append(key)

    aspect = Aspect(lambda: {"touchy": _Touchy(), "refuses": 1}, write)
    aspect.give_back({"touchy": _Touchy(), "refuses": 2})
    assert written == ["touchy"]


def test_another_thread_leaves_signals_alone() -> None:
    found: list[Values] = []
    thread = threading.Thread(target=lambda: found.append(SURROUNDINGS["signal handlers"].read()))
    thread.start()
    thread.join()
    assert found == [{}]
