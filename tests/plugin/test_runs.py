"""Runs: what enters the history and the baseline, and comparing with a run or a file."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.metrics import REFS
from pytest_goref.model import TestKey

pytest_plugins = ("plugin_project",)

_SHOP: Final = """
import pytest_goref as goref

QUERIES = 12

def load():
    for _ in range(QUERIES):
        with goref.ref("db.query"):
            pass
"""
_TESTS: Final = """
import pytest, shop

pytestmark = pytest.mark.profile

def test_load():
    shop.load()

def test_other():
    pass
"""
_LOAD: Final = TestKey("test_shop.py", "test_load")
_DUBIOUS: Final = """
import pytest

pytestmark = pytest.mark.profile
RUNS = []

def test_fails():
    assert 0

def test_skipped():
    pytest.skip()

@pytest.mark.xfail
def test_expected_to_fail():
    assert 0

@pytest.mark.xfail
def test_passes_unexpectedly():
    pass

@pytest.fixture
def bad_teardown():
    yield
    assert 0

def test_torn_down_badly(bad_teardown):
    pass

@pytest.fixture
def bad_setup():
    assert 0

def test_never_begun(bad_setup):
    pass

def test_subtests_fail(subtests):
    with subtests.test():
        assert 0

def test_fails_when_repeated():
    RUNS.append(1)
    assert len(RUNS) == 1

TORN = []

@pytest.fixture
def torn_down_once():
    yield
    TORN.append(1)
    assert len(TORN) == 1

def test_teardown_fails_when_repeated(torn_down_once):
    pass

def test_passes():
    pass
"""


def _run_once(project: Project) -> Project:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert project.run(COUNTS, "--goref").ret == 0
    return project


@pytest.fixture
def shop(project: Project) -> Project:
    """A project that was run once."""
    return _run_once(project)


def test_only_what_passes_repeatedly_enters_a_baseline(distributed: Project) -> None:
    distributed.write({"test_dubious.py": _DUBIOUS})
    result = distributed.run(COUNTS, "--goref-save=main")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "not repeatable, so not comparable: *::test_fails_when_repeated: *(call failed: assert 2 == 1)",
            "not repeatable, so not comparable: *::test_teardown_fails_when_repeated: *(teardown failed: *",
        ]
    )
    (file,) = distributed.baseline().values()
    assert [line for line in file.split(b"\n") if line.startswith(b'  "')] == [b'  "test_passes": {']
    results = {key.name: result for key, result in distributed.last_results().items()}
    assert {name: result.outcome for name, result in results.items()} == {
        "test_fails": "failed",
        "test_skipped": "skipped",
        "test_expected_to_fail": "xfailed",
        "test_passes_unexpectedly": "xpassed",
        "test_torn_down_badly": "failed",
        "test_never_begun": "failed",
        "test_subtests_fail": "failed",
        "test_fails_when_repeated": "passed",
        "test_teardown_fails_when_repeated": "passed",
        "test_passes": "passed",
    }
    usable = {
        name
        for name, result in results.items()
        if result.outcome == "passed" and result.record is not None and result.record.comparable
    }
    assert usable == {"test_passes"}


def test_what_was_not_repeatable_in_the_last_run_is_new(project: Project) -> None:
    project.write({"test_dubious.py": _DUBIOUS})
    project.run(COUNTS, "--goref")
    result = project.run(COUNTS, "--goref-compare=last", "-k", "repeated")
    assert result.ret == 0
    assert closing_line(result).startswith("goref: 0 compared, 2 new,")


def test_a_failing_test_changes_nothing_of_what_is_accepted(project: Project) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    project.run(COUNTS, "--goref-save=main")
    before = project.baseline()
    project.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    project.replace("test_shop.py", "    shop.load()", "    shop.load()\n    assert 0")
    assert project.run(COUNTS, "--goref-save=main").ret == pytest.ExitCode.TESTS_FAILED
    assert project.baseline() == before


def test_a_regression_stays_one_when_the_last_run_had_it(distributed: Project) -> None:
    shop = _run_once(distributed)
    shop.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    for number in (1, 2):
        result = shop.run(COUNTS, "--goref-compare=last")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines([f"*db.query 12 -> 13 (+1) refs, compared with run {number}"])
    shop.replace("shop.py", "QUERIES = 13", "QUERIES = 12")
    assert closing_line(shop.run(COUNTS, "--goref-compare=last")).startswith("goref: 2 compared, 0 new")


def test_last_is_the_last_run_of_each_test(project: Project) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    project.run(COUNTS, "--goref")
    project.run(COUNTS, "--goref", "-k", "other")
    project.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    result = project.run(COUNTS, "--goref-compare=last")
    result.assert_outcomes(passed=1, failed=1)


def test_compare_with_a_run_by_its_number(shop: Project) -> None:
    shop.replace("shop.py", "QUERIES = 12", "QUERIES = 14")
    assert shop.run(COUNTS, "--goref").ret == 0
    assert shop.run(COUNTS, "--goref-compare=run:2").ret == 0
    result = shop.run(COUNTS, "--goref-compare=run:1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*db.query 12 -> 14 (+2) refs, compared with run 1"])


def test_compare_with_a_file(distributed: Project) -> None:
    shop = distributed
    shop.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    shop.run(COUNTS, "--goref-save=main")
    (file,) = shop.baseline()
    (shop.path / ".goref_cache" / "baselines" / "main" / file).rename(shop.path / "accepted.json")
    shop.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    result = shop.run(COUNTS, "--goref-compare=accepted.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*db.query 12 -> 13 (+1) refs, compared with file *accepted.json"])


def test_the_history_holds_every_run(shop: Project) -> None:
    shop.replace("shop.py", "QUERIES = 12", "QUERIES = 13")
    shop.run(COUNTS, "--goref", "-k", "load")
    whole, part = reversed(shop.history.runs())
    assert (whole.complete, whole.scope, whole.exit_status) == (True, ("",), 0)
    assert part.complete is False
    assert set(shop.last_results()) == {_LOAD}
    records = [record for run in (1, 2) if (record := shop.history.record(run, _LOAD))]
    assert [record.measurements[REFS] for record in records] == [{"db.query": (12,)}, {"db.query": (13,)}]


def test_a_run_that_was_stopped_is_not_complete(shop: Project) -> None:
    shop.replace("test_shop.py", "    shop.load()", "    assert 0")
    result = shop.run(COUNTS, "--goref", "-x")
    last, _ = shop.history.runs()
    assert (last.complete, last.exit_status) == (False, result.ret)
