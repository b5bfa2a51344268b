from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_goref.profilers.conditions import Conditions

if TYPE_CHECKING:
    from plugin_project import Project

pytest_plugins = ("plugin_project",)

_TEST = """
import pytest

@pytest.mark.profile
def test_it():
    pass
"""
_TIMED = ("--goref-passes=time,counts", "--goref-rounds=2", "--goref-visits=0")
_NOTE = "durations vary more than they have to: other programs compute; a profiler is active"


@pytest.fixture
def noisy(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project on a machine that spoils durations."""
    spoilers = ("other programs compute", "a profiler is active")
    found = Conditions(spoilers, ("turbo is on",))
    monkeypatch.setattr("pytest_goref.plugin.controller.conditions", lambda: found)
    project.write({"test_it.py": _TEST})
    return project


@pytest.mark.parametrize("arguments", [("--goref-save=main", "--goref-visits=1"), ("--goref-compare=last",)])
def test_what_spoils_durations_is_told_once_when_some_are_used(
    noisy: Project, arguments: tuple[str, ...]
) -> None:
    assert noisy.run_untraced("--goref", *_TIMED).ret == 0
    result = noisy.run_untraced(*arguments, *_TIMED)
    assert result.ret == 0
    assert result.outlines.count(_NOTE) == 1


@pytest.mark.parametrize("arguments", [("--goref", *_TIMED), ("--goref-save=main", "--goref-passes=counts")])
def test_it_is_not_told_when_no_durations_are_used(noisy: Project, arguments: tuple[str, ...]) -> None:
    result = noisy.run_untraced(*arguments)
    assert result.ret == 0
    assert not any("durations vary" in line for line in result.outlines)


def test_it_is_stored_with_every_run(noisy: Project) -> None:
    noisy.run_untraced("--goref", "--goref-passes=counts")
    run = noisy.history.run(1)
    assert run.conditions == "other programs compute; a profiler is active; turbo is on"


def test_turbo_alone_is_not_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Conditions((), ("turbo is on",))
    monkeypatch.setattr("pytest_goref.plugin.controller.conditions", lambda: found)
    project.write({"test_it.py": _TEST})
    result = project.run_untraced("--goref-save=main", "--goref-visits=1", *_TIMED)
    assert not any("turbo is on" in line for line in result.outlines)
    assert project.history.run(1).conditions == "turbo is on"
