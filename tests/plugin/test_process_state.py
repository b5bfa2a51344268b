from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from pytest_goref.plugin.process_state import ProcessState


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
    return ProcessState(directory, environ, ())


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
    assert lasting.environ == ({"X": expected} if expected else {})
    assert lasting.directory == expected


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


def test_a_directory_that_was_removed_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    inside = ProcessState.save()
    gone.rmdir()
    nowhere = ProcessState.save()
    assert nowhere.directory == ""
    monkeypatch.chdir(tmp_path)
    for state in (inside, nowhere):
        state.restore()
        assert Path.cwd() == tmp_path
