"""What crosses processes is text, workers write nothing, and xdist may be absent or loaded by name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest
import pytest_goref

@pytest.mark.profile
@pytest.mark.parametrize("number", range(3))
def test_it(number):
    pytest_goref.ref("key").deref()
"""
_WATCHING: Final = """
import json
import os
import pathlib
import pytest

@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    data = vars(report).items()
    ours = {k: type(v).__name__ for k, v in data if "goref" in k or "goref" in type(v).__module__}
    worker = os.environ.get("PYTEST_XDIST_WORKER", "controller")
    with pathlib.Path("log.txt").open("a") as stream:
        stream.write(json.dumps([worker, report.when, ours, len(report.user_properties)]) + "\\n")

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        files = [str(path) for path in pathlib.Path(".goref_cache").rglob("*.*") if path.is_file()]
        with pathlib.Path("log.txt").open("a") as stream:
            stream.write(json.dumps(["left by", worker, files]) + "\\n")
"""


@pytest.fixture
def marked(project: Project) -> Project:
    """A project with three marked tests."""
    project.write({"test_it.py": _TESTS})
    return project


def test_reports_carry_one_text_and_workers_write_nothing(marked: Project) -> None:
    marked.write({"conftest.py": _WATCHING})

    assert marked.run_apart("-n2", COUNTS, "--goref-save=main").ret == 0

    events = [json.loads(line) for line in marked.log()]
    reports = [event for event in events if event[0] != "left by"]
    assert {event[0] for event in reports} == {"gw0", "gw1", "controller"}
    assert len(reports) == 2 * 3 * 3
    assert all(event[2:] == [{"goref": "str"}, 0] for event in reports)
    left = [files for *_, files in events if isinstance(files, list)]
    own = {"README.md", "CACHEDIR.TAG", ".gitignore"}  # the controller has seen that it can write
    assert [{Path(file).name for file in files} - own for files in left] == [set(), set()]


def test_the_summary_is_printed_once(marked: Project) -> None:
    result = marked.run_apart("-n2", COUNTS, "--goref-save=main", "-v")

    assert [line for line in result.outlines if line.startswith("goref:")] == [closing_line(result)]
    assert len(marked.history.runs()) == 1


@pytest.mark.parametrize("plugin", ["goref", "pytest_goref.plugin.hooks"])
@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n2"), ("-p", "xdist.plugin", "-n2")], ids=" ".join)
def test_plugins_may_be_loaded_by_name(
    marked: Project, plugin: str, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS")

    result = marked.run_apart("-p", plugin, *workers, COUNTS, "--goref-save=main")

    result.assert_outcomes(passed=3)
    assert closing_line(result) == "goref: 3 measured, saved to main: 3 entries written, 0 unchanged"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_controller_and_workers_may_spell_the_project_differently(marked: Project) -> None:
    marked.run("-n0", COUNTS, "--goref-save=main")
    other = marked.path.with_name(f"{marked.path.name}-link")
    other.symlink_to(marked.path, target_is_directory=True)

    result = marked.run_apart(
        "-n2", COUNTS, "--goref-compare=main", "--goref-strict", f"--rootdir={other}", str(other)
    )

    assert result.ret == 0
    assert closing_line(result).startswith("goref: 3 compared, 0 new, 0 missing")
