"""The gate: one more use of a tracked key fails the test, in every place that looks at outcomes."""

from __future__ import annotations

import pytest
from plugin_project import COUNTS, Project, closing_line, junit

pytest_plugins = ("plugin_project",)

_SHOP = """
import pytest_goref as goref

QUERIES = 12

def query():
    with goref.ref("db.query"):
        pass

def load():
    for _ in range(QUERIES):
        query()
"""
_TESTS = """
import pytest, shop

@pytest.fixture(scope="module")
def table():
    yield
    with open("log.txt", "a") as log:
        log.write("module torn down\\n")

@pytest.mark.profile
def test_before():
    shop.query()

@pytest.mark.profile
def test_load(table):
    shop.load()

@pytest.mark.profile
def test_after(table):
    shop.query()
"""


def _saved(project: Project, tests: str = _TESTS) -> Project:
    """Save the baseline, then let the shop make one more query."""
    project.write({"shop.py": _SHOP, "test_shop.py": tests})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    project.log()
    project.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    return project


def test_one_more_query_fails_the_test(distributed: Project) -> None:
    project = _saved(distributed)
    before = project.baseline()
    result = project.run(COUNTS, "--goref-compare=main", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*db.query 12 -> 13 (+1)*", "FAILED test_shop.py::test_load*"])
    assert closing_line(result).endswith("; 1 regressed, 0 improved")
    (failure,) = junit(project)["test_load"].findall("failure")
    assert "db.query 12 -> 13 (+1)" in (failure.get("message") or "")
    assert not junit(project)["test_before"].findall("failure")
    assert project.baseline() == before


def test_the_failure_says_where_and_how_to_accept(project: Project) -> None:
    result = _saved(project).run(COUNTS, "--goref-compare=main")
    result.stdout.fnmatch_lines(
        [
            "goref: db.query 12 -> 13 (+1) refs, compared with baseline main",
            "refs* db.query *12 -> 13 *+1 (+8.3 %)",
            "function * calls * change  called by",
            "shop.py:query * 12 -> 13 * +1 * shop.py:load",
            "accept with: pytest --goref-save=main 'test_shop.py::test_load'",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_saving_as_the_failure_says_accepts(project: Project) -> None:
    _saved(project)
    assert project.run(COUNTS, "--goref-save=main", "test_shop.py::test_load").ret == 0
    result = project.run(COUNTS, "--goref-compare=main")
    assert result.ret == 0
    assert "3 compared" in closing_line(result)


def test_x_stops_and_tears_module_fixtures_down(project: Project) -> None:
    result = _saved(project).run(COUNTS, "--goref-compare=main", "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    assert project.log() == ["module torn down"]


def test_lf_reruns_the_regressed_test_only(project: Project) -> None:
    _saved(project).run(COUNTS, "--goref-compare=main")
    result = project.run(COUNTS, "--goref-compare=main", "--lf")
    result.assert_outcomes(failed=1)
    assert " 0 missing" in closing_line(result)


@pytest.mark.parametrize("strict", [False, True])
def test_an_expected_regression_is_an_expected_failure(project: Project, *, strict: bool) -> None:
    _saved(project)
    mark = f'@pytest.mark.xfail(strict={strict}, reason="one query too many")'
    project.replace("test_shop.py", "def test_load", f"{mark}\ndef test_load")
    result = project.run(COUNTS, "--goref-compare=main", "--junitxml=junit.xml")
    assert result.ret == 0
    result.assert_outcomes(passed=2, xfailed=1)
    (skipped,) = junit(project)["test_load"].findall("skipped")
    assert skipped.get("type") == "pytest.xfail"


@pytest.mark.parametrize(("strict", "outcome"), [(False, "xpassed"), (True, "failed")])
def test_an_expected_regression_that_is_gone_is_told(project: Project, outcome: str, *, strict: bool) -> None:
    _saved(project)
    project.replace("shop.py", "QUERIES = 13", "QUERIES = 12")
    mark = f"@pytest.mark.xfail(strict={strict})"
    project.replace("test_shop.py", "def test_load", f"{mark}\ndef test_load")
    result = project.run(COUNTS, "--goref-compare=main")
    result.assert_outcomes(passed=2, **{outcome: 1})
    assert "; 0 regressed" in closing_line(result)
    if strict:
        result.stdout.fnmatch_lines(["*XPASS(strict)*"])


def test_a_save_that_compares_too_keeps_the_baseline_of_what_regressed(project: Project) -> None:
    _saved(project)
    before = project.baseline()
    result = project.run(COUNTS, "--goref-compare=main", "--goref-save=main")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.baseline() == before


def test_fewer_queries_are_told_and_pass(project: Project) -> None:
    _saved(project)
    project.replace("shop.py", "QUERIES = 13", "QUERIES = 6")
    result = project.run(COUNTS, "--goref-compare=main")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["test_shop.py::test_load: improved", "*db.query*12 -> 6*"])
    assert closing_line(result).endswith("; 0 regressed, 1 improved")


def test_verbosity(project: Project) -> None:
    _saved(project)
    loud = project.run(COUNTS, "--goref-compare=main", "-v")
    loud.stdout.fnmatch_lines(["test_shop.py::test_before: same", "test_shop.py::test_after: same"])
    quiet = project.run(COUNTS, "--goref-compare=main", "-q")
    quiet.stdout.no_fnmatch_line("test_shop.py::test_before*")
    assert closing_line(quiet) == closing_line(loud)
