"""Runs every test of a module that imports ``engine`` from here with both engines."""

from __future__ import annotations

from importlib import import_module

import pytest

import pytest_goref as goref
from pytest_goref.tracker import engines

MODULES = {"python": "pytest_goref.tracker.core", "c": "pytest_goref.tracker._speed"}

python_only = pytest.mark.parametrize("engine", ["python"], indirect=True)
"""Marks a test of what only the engine in Python has."""
c_only = pytest.mark.parametrize("engine", ["c"], indirect=True)
"""Marks a test of what only the engine in C has."""


@pytest.fixture(params=list(MODULES), autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the package, here and in processes that the test starts, use one engine; return its name."""
    name: str = request.param
    if name == "c":
        pytest.importorskip(MODULES[name], reason="built without a C compiler", exc_type=ImportError)
    module = import_module(MODULES[name])
    root = module.Tracker()
    for public in ("Tracker", "Ref", "disable", "enable", "is_enabled"):
        monkeypatch.setattr(goref, public, getattr(module, public))
    for public in ("ref", "track", "snapshot", "reset"):
        monkeypatch.setattr(goref, public, getattr(root, public))
    recorders = import_module(MODULES[name].replace("core", "recorder"))
    monkeypatch.setattr(goref, "Recorder", recorders.Recorder)
    monkeypatch.setattr(goref, "engine", name)
    monkeypatch.setattr(engines, "engine", name)
    monkeypatch.setattr(engines, "_root", root)
    monkeypatch.setenv("GOREF_ENGINE", name)
    return name


def state(tracker: goref.Tracker, key: str = "key") -> tuple[int, int]:
    """Active and ended uses of ``key``."""
    snapshot = tracker.snapshot()
    return (snapshot[key].active, snapshot[key].count) if key in snapshot else (0, 0)
