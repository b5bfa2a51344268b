"""Running tests with fixtures twice, without and with measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plugin_project import COUNTS, Project

from pytest_goref.model import Mode

if TYPE_CHECKING:
    import pytest

MEASURED: Final = ("--goref", "--goref-all", COUNTS)
NOTE: Final = """
import pathlib
import pytest

def note(text):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as log:
        print(text, file=log)
"""


def modes(project: Project) -> dict[str, Mode]:
    """Return for each test of the last run whether it was executed again."""
    return {key.name: ended.record.mode for key, ended in project.last_results().items() if ended.record}


def ends_as_ever(project: Project, *args: str) -> pytest.RunResult:
    """Measure tests that can all be repeated, and that end as without measuring."""
    plain = project.run(*args)
    project.log()
    measured = project.run(*MEASURED, *args)
    assert measured.parseoutcomes() == plain.parseoutcomes()
    assert measured.ret == plain.ret
    assert set(modes(project).values()) == {Mode.WARM}, measured.stdout.str()
    return measured
