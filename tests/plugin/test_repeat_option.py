"""``--goref-repeat``: a whole session that executes each test once, workers and fresh processes included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import Project, closing_line

from pytest_goref.model import Mode, TestKey

if TYPE_CHECKING:
    from pytest_goref.model import Record

pytest_plugins = ("plugin_project",)

_OFF: Final = "--goref-repeat=off"
_PASSES: Final = "--goref-passes=time,counts"
_TESTS: Final = """
import pytest
import pytest_goref

def _note(name):
    with open("log.txt", "a") as file:
        print(name, file=file)

@pytest.mark.profile
def test_once():
    _note("once")
    with pytest_goref.ref("query"):
        pass

@pytest.mark.profile(repeat=True, rounds=3)
def test_often():
    _note("often")
"""


def _record(project: Project, name: str) -> Record:
    record = project.last_results()[TestKey("test_it.py", name)].record
    assert record is not None
    return record


def test_every_test_is_executed_once_unless_its_marker_wants_more(distributed: Project) -> None:
    distributed.write({"test_it.py": _TESTS})
    result = distributed.run_untraced("--goref", _PASSES, _OFF)
    result.assert_outcomes(passed=2)
    names = distributed.log()
    assert names.count("once") == 1
    assert names.count("often") > 2
    assert [_record(distributed, name).mode for name in ("test_once", "test_often")] == [Mode.COLD, Mode.WARM]
    result.stdout.no_fnmatch_line("*executed once*")


def test_the_ini_file_says_it_too(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    project.run("--goref", _PASSES, "-ogoref_repeat=off", "-konce")
    assert project.log() == ["once"]
    project.run("--goref", _PASSES, "-ogoref_repeat=off", "--goref-repeat=on", "--goref-rounds=1", "-konce")
    assert len(project.log()) > 1


def test_a_save_times_nothing_in_fresh_processes(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    result = project.run_untraced("--goref-save=main", _PASSES, _OFF, "-konce")
    assert closing_line(result) == "goref: 1 measured, saved to main: 1 entry written, 0 unchanged"
    assert project.log() == ["once"]
    result = project.run_untraced("--goref-compare=main", _PASSES, _OFF, "-konce")
    assert project.log() == ["once"]
    assert closing_line(result).startswith("goref: 1 compared, ")


def test_a_fresh_process_executes_a_test_once_as_well(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    project.write({"test_it.py": _TESTS})
    project.run("--goref-save=main", "--goref-passes=counts", _OFF, "-konce")
    project.log()
    project.replace(
        "test_it.py",
        '    with pytest_goref.ref("query"):',
        '    for _ in "ab":\n     with pytest_goref.ref("query"):',
    )
    result = project.run_apart("--goref-compare=main", "--goref-passes=counts", _OFF, "-konce")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*query*1*2*"])
    assert project.log() == ["once"] * 3  # here, and under two other hash seeds


def test_a_wrong_value_is_a_usage_error(project: Project) -> None:
    project.write({"test_it.py": _TESTS})
    result = project.run("--goref", "--goref-repeat=never")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: goref: --goref-repeat: 'never' is neither 'on' nor 'off'"])
