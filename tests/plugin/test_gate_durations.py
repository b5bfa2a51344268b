"""The gate: a slower test fails after fresh processes have confirmed it; an unchanged one never does.

What is judged is cpu_time, or wall_time where the machine is so busy that a test seems to wait.
"""

from __future__ import annotations

import json

import pytest
from plugin_project import Project, closing_line, junit

pytest_plugins = ("plugin_project",)

_TESTS = """
import pathlib
import pytest

WORK = int(pathlib.Path(__file__).with_name("work.txt").read_text())

@pytest.mark.profile
def test_work():
    sum(n * n for n in range(WORK))

@pytest.mark.profile
def test_other():
    sum(n * n for n in range(40_000))
"""
_FAST, _SLOW = "40000", "200000"
_TIME = "--goref-passes=time"
_FEW = "--goref-rounds=5"
_BEYOND = "durations:100%"
_FAIL = f"--goref-fail={_BEYOND}"
"""Far from both: an unchanged test moves by less, and five times the work is more, on any machine."""


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    """The files of the baseline, once a test has saved it: six fresh processes take seconds."""
    return {}


@pytest.fixture
def saved(project: Project, kept: dict[str, bytes]) -> Project:
    """A project with a baseline that holds rounds of six fresh processes."""
    project.write({"test_it.py": _TESTS, "work.txt": _FAST})
    if not kept:
        assert project.run_apart(_TIME, _FEW, "--goref-save=main").ret == 0
        kept.update(project.baseline())
    project.put_baseline(kept)
    return project


def told(result: pytest.RunResult) -> str:
    """Return the output of a run in one line, wherever the terminal has broken it."""
    return " ".join(result.stdout.str().split())


def stored_visits(project: Project) -> dict[str, list[int]]:
    """Return for each test of the baseline how many rounds each stored visit has."""
    (content,) = project.baseline().values()
    tests = json.loads(content)["tests"]
    return {
        name: [len(visit["rounds"]) for visits in entry.get("visits", {}).values() for visit in visits]
        for name, entry in tests.items()
    }


def test_a_baseline_keeps_the_rounds_of_six_fresh_processes(saved: Project) -> None:
    assert stored_visits(saved) == {"test_other": [5] * 6, "test_work": [5] * 6}


def test_saving_unchanged_code_again_changes_no_byte(saved: Project) -> None:
    """Also when the machine is busy, so that a test looks slower and is timed again."""
    before = saved.baseline()
    assert saved.run_apart(_TIME, _FEW, "--goref-save=main").ret == 0
    assert saved.baseline() == before


@pytest.mark.parametrize(("visits", "kept"), [(0, []), (2, [5, 5])])
def test_the_number_of_visits_may_be_chosen(project: Project, visits: int, kept: list[int]) -> None:
    project.write({"test_it.py": _TESTS, "work.txt": _FAST})
    project.run_apart(_TIME, _FEW, "--goref-save=main", f"--goref-visits={visits}")
    assert stored_visits(project) == {"test_other": kept, "test_work": kept}


def test_few_visits_are_completed(saved: Project) -> None:
    saved.run_apart(_TIME, _FEW, "--goref-warn=durations:1000%", "--goref-save=main", "--goref-visits=8")
    assert stored_visits(saved)["test_other"][:8] == [5] * 8


def test_unchanged_code_passes(saved: Project) -> None:
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL)
    result.assert_outcomes(passed=2)
    assert closing_line(result).startswith("goref: 2 compared, 0 new, 0 missing, 0 incomparable, 0 inconc")


def test_a_confirmed_regression_is_the_failure_of_its_test(saved: Project) -> None:
    saved.write({"work.txt": _SLOW})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL, "--junit-xml=junit.xml", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it.py::test_other PASSED*",
            "*test_it.py::test_work FAILED*",
            "*goref: *_time * -> * ms (+* ms), compared with baseline main",
            "*slower by * to * (99 % sure; 6 fresh processes against 6 see * and more)*",
            "*1 regressed*",
        ]
    )
    cases = junit(saved)
    assert {name: [child.tag for child in case] for name, case in cases.items()} == {
        "test_work": ["failure"],
        "test_other": [],
    }
    saved.run_apart("--lf").assert_outcomes(passed=1)  # of two


def test_by_default_a_slower_test_warns(saved: Project) -> None:
    saved.write({"work.txt": _SLOW})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_it.py::test_work: regressed*", "  *_time *", "*1 regressed*"])


def test_a_confirmed_improvement_is_named_and_asks_nothing(saved: Project) -> None:
    saved.write({"work.txt": "5000"})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL, "--goref-strict")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_it.py::test_work: improved*", "*0 regressed, 1 improved"])


def test_saving_what_became_slower_replaces_its_visits_only(saved: Project) -> None:
    (before,) = saved.baseline().values()
    saved.write({"work.txt": _SLOW})
    saved.run_apart(_TIME, _FEW, "--goref-save=main")
    (after,) = saved.baseline().values()
    tests = json.loads(before)["tests"], json.loads(after)["tests"]
    assert tests[0]["test_work"] != tests[1]["test_work"]
    assert stored_visits(saved)["test_work"] == [5] * 6


def test_an_inner_loop_that_became_slower_is_named(project: Project) -> None:
    text = """
    import pathlib
    import pytest

    WORK = int(pathlib.Path(__file__).with_name("work.txt").read_text())

    def parse():
        return sum(range(WORK))

    @pytest.mark.profile
    def test_work(goref):
        goref.measure(parse)
    """
    project.write({"test_it.py": "\n".join(line[4:] for line in text.splitlines()), "work.txt": "1000"})
    project.run_apart(_TIME, _FEW, "--goref-save=main")
    project.write({"work.txt": "8000"})
    result = project.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*_time * parse * us -> *"])


def test_a_session_that_is_stopped_confirms_nothing(saved: Project) -> None:
    saved.write({"work.txt": _SLOW})
    saved.write({"test_z.py": "def test_broken():\n    assert 0\n"})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL, "-x")
    result.assert_outcomes(passed=2, failed=1)
    assert "not confirmed: the session was stopped before fresh processes could tell" in told(result)
    assert "1 inconclusive" in closing_line(result)


def test_an_interrupted_session_reports_what_it_held(saved: Project) -> None:
    saved.write({"work.txt": _SLOW})
    saved.write({"test_z.py": "def test_interrupt():\n    raise KeyboardInterrupt\n"})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL, "-v")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*test_it.py::test_work PASSED*"])
    assert "not confirmed: the session was stopped before" in told(result)


def test_a_suspect_that_dies_in_a_fresh_process_is_inconclusive(saved: Project) -> None:
    text = (saved.path / "test_it.py").read_text(encoding="utf-8")
    dying = "    import os, sys\n    os.environ.get('AS_USUAL') or os._exit(7)\n"
    saved.write({"test_it.py": text.replace("range(WORK))\n", f"range(WORK))\n{dying}"), "work.txt": _SLOW})
    saved.write({"conftest.py": _KNOWS_THE_SESSION})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", _FAIL)
    result.assert_outcomes(passed=2)
    assert "not confirmed: in a fresh process, pytest ended with status 7" in told(result)
    assert "1 inconclusive" in closing_line(result)


def test_strict_lets_what_could_not_be_confirmed_fail(saved: Project) -> None:
    text = (saved.path / "test_it.py").read_text(encoding="utf-8")
    failing = "    import os\n    assert os.environ.get('AS_USUAL')\n"
    saved.write({"test_it.py": text.replace("range(WORK))\n", f"range(WORK))\n{failing}"), "work.txt": _SLOW})
    saved.write({"conftest.py": _KNOWS_THE_SESSION})
    result = saved.run_apart(_TIME, _FEW, "--goref-compare=main", f"--goref-warn={_BEYOND}", "--goref-strict")
    result.assert_outcomes(passed=1, failed=1)
    assert "not confirmed: it does not pass in a fresh process" in told(result)


_KNOWS_THE_SESSION = """
import os
if not os.environ.get("SESSION"):
    os.environ["SESSION"] = "1"
    os.environ["AS_USUAL"] = "1"
else:
    os.environ.pop("AS_USUAL", None)
"""
"""Tells the session, which comes first, from the processes that it starts."""


def test_a_test_that_fails_by_what_it_does_does_not_wait(saved: Project) -> None:
    """Its counts are certain, so that ``-x`` stops at once."""
    tests = f"import pytest_goref as goref\n{_TESTS}"
    saved.write({"test_it.py": tests.replace("range(WORK))", _TRACKED, 1)})
    saved.run_apart("--goref-passes=counts,time", _FEW, "--goref-save=main", "--goref-visits=3")
    saved.write({"work.txt": _SLOW})
    result = saved.run_apart("--goref-passes=counts,time", _FEW, "--goref-compare=main", "-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["goref: work 1 -> 5 (+4) refs, compared with baseline main"])
    assert "fresh process" not in result.stdout.str()


_TRACKED = """range(WORK))
    for _ in range(WORK // 40_000):
        goref.ref("work").deref()"""
