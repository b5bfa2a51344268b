"""Beside plugins that execute failed tests again, only what is told in the end is stored and judged."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.metrics import REFS
from pytest_goref.model import Mode

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest, pytest_goref

RUNS = []

MARK
@pytest.mark.profile
def test_it():
    RUNS.append(1)
    pytest_goref.ref("k").deref()
    if len(RUNS) < 3:
        pytest_goref.ref("of a failed attempt").deref()
        assert 0

@pytest.mark.profile
def test_calm():
    pytest_goref.ref("k").deref()
"""
_RERUNS: Final = ("-p", "rerunfailures")
_FLAKY: Final = ("-p", "flaky", "--no-flaky-report")
_MARKED: Final = "@pytest.mark.flaky(reruns=2, reruns_delay=0.01)"
_DECORATED: Final = "@__import__('flaky').flaky(max_runs=3)"
_USE: Final = 'pytest_goref.ref("k").deref()\n    if'
_WAYS: Final = {
    "--reruns": ("", (*_RERUNS, "--reruns=2")),
    "delay": ("", (*_RERUNS, "--reruns=2", "--reruns-delay=0.01")),
    "only_rerun": ("", (*_RERUNS, "--reruns=2", "--only-rerun=AssertionError")),
    "force": ("", (*_RERUNS, "--force-reruns=2")),
    "ini": ("", (*_RERUNS, "-oreruns=2")),
    "marked": (_MARKED, _RERUNS),
    "flaky marked": ("@pytest.mark.flaky(max_runs=3)", _FLAKY),
    "flaky decorated": (_DECORATED, _FLAKY),
    "flaky forced": ("", (*_FLAKY, "--force-flaky", "--max-runs=3")),
}


def _write(project: Project, mark: str) -> None:
    project.write({"test_it.py": _TESTS.replace("MARK", mark)})


def _refs(project: Project) -> dict[str, object]:
    """Return what the last run has counted, by the names of tests."""
    records = {key.name: result.record for key, result in project.last_results().items()}
    return {name: record.measurements[REFS] for name, record in records.items() if record}


@pytest.mark.parametrize("way", _WAYS)
def test_the_final_attempt_alone_is_stored_and_judged(project: Project, way: str) -> None:
    mark, args = _WAYS[way]
    _write(project, mark)
    plain = project.run(*args)
    saved = project.run(*args, "--goref-save=main", COUNTS)
    counted = _refs(project)
    compared = project.run(*args, "--goref-compare=main", "--goref-strict", COUNTS)
    project.replace("test_it.py", _USE, _USE.replace("\n", "\n    pytest_goref.ref('k').deref()\n"))
    regressed = project.run(*args, "--goref-compare=main", COUNTS)

    assert saved.parseoutcomes() == compared.parseoutcomes() == plain.parseoutcomes()
    assert counted == {"test_it": {"k": (1,)}, "test_calm": {"k": (1,)}}
    assert b"of a failed attempt" not in b"".join(project.baseline().values())
    assert closing_line(compared).startswith("goref: 2 compared, 0 new")
    # Two attempts have failed by themselves; that the third does too much is no reason for a fourth.
    before = plain.parseoutcomes()
    after = {**before, "passed": before["passed"] - 1, "failed": 1}
    assert {name: number for name, number in regressed.parseoutcomes().items() if number} == after
    assert regressed.ret == pytest.ExitCode.TESTS_FAILED
    assert closing_line(regressed).endswith("; 1 regressed, 0 improved")


@pytest.mark.parametrize("args", [("-n2",), ("-n0",)], ids=" ".join)
def test_attempts_under_xdist_are_as_without(project: Project, args: tuple[str, ...]) -> None:
    _write(project, "")
    project.run(*_RERUNS, "--reruns=2", "--goref-save=main", COUNTS)
    without = project.baseline()
    result = project.run(*_RERUNS, "--reruns=2", "--goref-save=main", COUNTS, *args)
    project.replace("test_it.py", _USE, _USE.replace("\n", "\n    pytest_goref.ref('k').deref()\n"))
    regressed = project.run(*_RERUNS, "--reruns=2", "--goref-compare=main", COUNTS, *args)

    assert result.parseoutcomes() == {"passed": 2, "rerun": 2}
    assert project.baseline() == without
    assert regressed.parseoutcomes() == {"passed": 1, "failed": 1, "rerun": 2}


def test_tests_that_nobody_executes_again_are_repeated(project: Project) -> None:
    _write(project, _MARKED)
    result = project.run(*_RERUNS, "--goref", COUNTS)
    modes = {key.name: ended.record.mode for key, ended in project.last_results().items() if ended.record}

    assert modes == {"test_it": Mode.COLD, "test_calm": Mode.WARM}
    result.stdout.fnmatch_lines(["1 test executed once (marked flaky): test_it.py::test_it"])


_LIMITED: Final = """
import pytest, pytest_goref

RUNS = []

@pytest.fixture
def torn_down():
    yield
    assert len(RUNS) > 1

@pytest.mark.profile(max_count={"k": 0})
def test_it(torn_down):
    RUNS.append(1)
    if len(RUNS) TIMES:
        pytest_goref.ref("k").deref()

@pytest.mark.xfail
@pytest.mark.profile(max_count={"k": 0})
def test_expected():
    pytest_goref.ref("k").deref()
"""


@pytest.mark.parametrize(
    ("times", "outcomes"),
    [
        ("> 1", {"failed": 1, "passed": 1, "rerun": 1, "xfailed": 1}),
        ("== 1", {"passed": 2, "rerun": 1, "xfailed": 1}),
    ],
)
def test_an_attempt_that_fails_at_its_end_is_not_judged(
    project: Project, times: str, outcomes: dict[str, int]
) -> None:
    project.write({"test_it.py": _LIMITED.replace("TIMES", times)})
    result = project.run(*_RERUNS, "--reruns=2", "--goref", COUNTS)
    assert result.parseoutcomes() == outcomes


def test_a_test_that_fails_at_last_leaves_nothing(project: Project) -> None:
    _write(project, "")
    project.replace("test_it.py", "< 3", "< 9")
    result = project.run(*_RERUNS, "--reruns=2", "--goref-save=main", COUNTS)
    assert result.parseoutcomes() == {"passed": 1, "failed": 1, "rerun": 2}
    assert _refs(project) == {"test_calm": {"k": (1,)}}
    assert closing_line(result).startswith(
        "goref: 1 measured (not measured: 1 failed), saved to main: 1 entry"
    )


def test_flaky_may_want_more_than_one_pass(project: Project) -> None:
    _write(project, "@pytest.mark.flaky(max_runs=5, min_passes=2)")
    result = project.run(*_FLAKY, "--goref", COUNTS)
    result.assert_outcomes(passed=2)
    assert _refs(project) == {"test_it": {"k": (1,)}, "test_calm": {"k": (1,)}}
