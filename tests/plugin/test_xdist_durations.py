"""Under xdist no duration is judged: that is told, a gate on durations is refused, and saving times later."""

from __future__ import annotations

import json
import os
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.environment import current_environment
from pytest_goref.model import Mode, Record, Round, TestKey, Visit
from pytest_goref.plugin.fresh import expected_ns

pytest_plugins = ("plugin_project",)

_SECOND_NS: Final = 1_000_000_000
_TESTS: Final = """
import os
import pathlib
import pytest

@pytest.fixture(autouse=True)
def noted(request):
    option = request.config.getoption
    worker = os.environ.get("PYTEST_XDIST_WORKER", "-")
    with pathlib.Path("log.txt").open("a") as stream:
        stream.write(f"{worker} {option('dist', 'no')} {option('numprocesses', None) or 0}\\n")

@pytest.mark.profile
@pytest.mark.parametrize("number", range(3))
def test_it(number):
    sorted(range(1000))
"""
_TOLD: Final = "durations are not judged under xdist (-n)"


@pytest.fixture
def marked(project: Project) -> Project:
    """A project with three marked tests; each execution notes in which process it is."""
    project.write({"test_it.py": _TESTS})
    return project


def refusals(result: pytest.RunResult) -> list[str]:
    """Return the lines that refuse to start a session."""
    lines = [line for line in (*result.outlines, *result.errlines) if line.startswith("ERROR: goref: ")]
    assert (result.ret == pytest.ExitCode.USAGE_ERROR) == bool(lines)
    return lines


@pytest.mark.parametrize(
    ("args", "place"),
    [
        (("-n2", "--goref-fail=durations:10%"), "--goref-fail: durations:10%: "),
        (("-n2", "--goref-fail=calls:5%", "--goref-fail=cpu_time:3%"), "--goref-fail: cpu_time:3%: "),
        (("-n2", "--goref", "-ogoref_fail=wall_time:10%"), "ini value goref_fail: wall_time:10%: "),
        (("--tx=2*popen", "--dist=each", "--goref-fail=durations:9%"), "--goref-fail: durations:9%: "),
        (("-nauto", "--goref-fail=durations:5%", "--goref-fail=wall_time:off"), "--goref-fail: durations:5%"),
    ],
    ids=lambda value: value[-1],
)
def test_a_gate_on_durations_is_refused(marked: Project, args: tuple[str, ...], place: str) -> None:
    (line,) = refusals(marked.run(*args))

    assert line.startswith(f"ERROR: goref: {place}")
    assert f"{_TOLD}, as workers slow each other down: use -n0, or --goref-warn=" in line
    assert marked.log() == []


@pytest.mark.parametrize(
    "args",
    [
        ("-n0", "--goref-fail=durations:10%"),
        ("--goref-fail=durations:10%",),
        ("-n1", "--goref-fail=durations:off"),
        ("-n1", "--goref", "-ogoref_fail=durations:10%", "--goref-warn=durations:10%"),
        ("-n1", "--no-goref", "--goref-fail=durations:10%"),
    ],
    ids=" ".join,
)
def test_what_gates_no_durations_between_workers_runs(marked: Project, args: tuple[str, ...]) -> None:
    result = marked.run(*args, COUNTS)

    assert refusals(result) == []
    result.assert_outcomes(passed=3)


def test_a_marker_that_gates_durations_is_refused_by_name_where_it_would_be_dropped(project: Project) -> None:
    project.write(
        {
            "test_it.py": "import pytest\n"
            "@pytest.mark.profile(fail='durations:10%')\ndef test_gate(): pass\n"
            "@pytest.mark.profile(warn='durations:10%')\ndef test_warns(): pass\n"
        }
    )
    project.run("-n1", COUNTS, "--goref-save=main").assert_outcomes(passed=2)

    refused = project.run("-n1", COUNTS, "--goref-compare=main")
    compared = project.run("-n0", COUNTS, "--goref-compare=main")

    refused.assert_outcomes(passed=1, errors=1)
    refused.stdout.fnmatch_lines([f"test_it.py::test_gate: its marker *{_TOLD}*use -n0"])
    compared.assert_outcomes(passed=2)


def test_one_line_tells_that_durations_are_not_judged(marked: Project) -> None:
    result = marked.run("-n2", "--goref", "--goref-passes=counts,time", "--goref-warn=durations:5%")

    (line,) = (line for line in result.outlines if line.startswith("durations"))
    assert line.startswith(f"{_TOLD}: other tests run at the same time (3 tests: test_it.py::test_it[")
    assert _TOLD not in marked.run("-n2", "--goref", COUNTS).stdout.str()


def test_a_limit_of_time_that_is_not_checked_is_told(project: Project) -> None:
    project.write(
        {"test_it.py": "import pytest\n@pytest.mark.profile(max_duration='1s')\ndef test_it(): pass\n"}
    )

    result = project.run("-n1", "--goref", "--goref-passes=counts,time")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_it: inconclusive", "*the limit 1.00 s was not*"])


@pytest.mark.parametrize("given", ["option", "auto", "environment", "ini"])
def test_what_is_saved_is_timed_by_fresh_processes_without_workers(
    marked: Project, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = {"option": ("-n", "2", "--dist", "worksteal"), "auto": ("-nauto",)}.get(given, ())
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    if given == "environment":
        monkeypatch.setenv("PYTEST_ADDOPTS", f"{os.environ['PYTEST_ADDOPTS']} -n2")
    if given == "ini":
        marked.replace("pytest.ini", "[pytest]", "[pytest]\naddopts = -n 2")

    result = marked.run_apart(
        *args, "--goref-passes=counts,time", "--goref-rounds=2", "--goref-visits=2", "--goref-save=main"
    )

    assert result.ret == 0
    assert closing_line(result) == "goref: 3 measured, saved to main: 3 entries written, 0 unchanged"
    log = marked.log()
    in_workers = [line for line in log if line.startswith("gw")]
    assert log[: len(in_workers)] == in_workers  # fresh processes come after the last worker
    assert set(log[len(in_workers) :]) == {"- no 0"}
    (content,) = marked.baseline().values()
    for entry in json.loads(content)["tests"].values():
        (visits,) = entry["visits"].values()
        assert len(visits) == 2


def test_a_test_that_no_worker_has_timed_is_given_time_in_a_fresh_process() -> None:
    key = TestKey("test_it.py", "test_it")
    untimed = Record(key, current_environment(), Mode.WARM, {})
    timed = Record(key, current_environment(), Mode.WARM, {}, Visit((Round(7, 7, 0),)))

    assert expected_ns([untimed] * 60) == 121 * _SECOND_NS
    assert expected_ns([untimed], {key: 20 * _SECOND_NS}) == 201 * _SECOND_NS
    assert expected_ns([timed], {key: 20 * _SECOND_NS}) == _SECOND_NS + 14
