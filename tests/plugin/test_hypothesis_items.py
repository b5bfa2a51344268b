"""Hypothesis tests are measured once per execution, and fail for no other examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import hypothesis.stateful  # noqa: F401 - or each inner run would import it again
import pytest
from hypothesis import settings
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ("plugin_project",)

_INI: Final = """
[pytest]
addopts = -p hypothesispytest -p no:cacheprovider -W error --hypothesis-profile=default
"""
_HEAD: Final = """
import pathlib
import pytest
import pytest_goref as goref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

def note(text):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as log:
        print(text, file=log)
"""
_DRAWN: Final = (
    _HEAD
    + """
@settings(max_examples=5)
@given(st.lists(st.integers(), max_size=5))
def test_varies(numbers):
    for number in numbers:
        goref.ref("item").deref()

@settings(max_examples=5)
@given(st.integers())
def test_once_for_each(number):
    goref.ref("example").deref()

@settings(max_examples=5, derandomize=True)
@given(st.lists(st.integers(), max_size=5))
def test_exact(numbers):
    for number in numbers:
        goref.ref("item").deref()

class TestMethod:
    @settings(max_examples=5, derandomize=True)
    @given(st.lists(st.integers(), max_size=5))
    def test_exact(self, numbers):
        for number in numbers:
            goref.ref("item").deref()

class Machine(RuleBasedStateMachine):
    @rule(number=st.integers())
    def step(self, number):
        goref.ref("step").deref()

    @rule()
    def other(self):
        goref.ref("other").deref()

Machine.TestCase.settings = settings(max_examples=2, stateful_step_count=2)
TestMachine = Machine.TestCase
"""
)
_CONSTANT: Final = ["test_once_for_each", "test_exact", "TestMethod::test_exact", "TestMachine::runTest"]
"""The tests with a key that is used equally often whatever is drawn, or that draw the same always."""


@pytest.fixture(autouse=True)
def _profile() -> Iterator[None]:
    """Undo what inner runs do: with the profile ``default`` examples differ, in a CI service too."""
    before = settings.get_current_profile_name()
    yield
    settings.load_profile(before)


@pytest.fixture
def drawn(project: Project) -> Project:
    """A project with Hypothesis tests of several kinds."""
    project.write({"pytest.ini": _INI, "test_it.py": _DRAWN})
    return project


def refs(project: Project) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the refs of the last run, by the names of tests."""
    found = {}
    for key, ended in project.last_results().items():
        assert ended.record is not None
        (found[key.name],) = (dict(by) for m, by in ended.record.measurements.items() if m.name == "refs")
    return found


def test_other_examples_are_no_regression_and_more_work_for_each_is(drawn: Project) -> None:
    saved = drawn.run("--goref-save=main", "--goref-all", COUNTS)

    saved.assert_outcomes(passed=5)
    counted = refs(drawn)
    assert counted["test_once_for_each"] == {"example": (5,)}
    assert len(counted["test_exact"]["item"]) == len(counted["TestMethod::test_exact"]["item"]) == 1
    records = {key.name: ended.record for key, ended in drawn.last_results().items()}
    draws = {name: record.draws for name, record in records.items() if record}
    assert draws["test_exact"] == draws["TestMethod::test_exact"] == 0
    assert draws["test_varies"] == 9

    unchanged = drawn.run("--goref-compare=main", "--goref-all", COUNTS)

    assert unchanged.parseoutcomes() == {"passed": 5}
    assert "; 0 regressed" in closing_line(unchanged)
    drawn.write({"test_it.py": _DRAWN.replace(".deref()", ".deref(); goref.ref('more').deref()")})

    changed = drawn.run("--goref-compare=main", "--goref-all", COUNTS)

    changed.stdout.fnmatch_lines(["test_it.py::test_once_for_each: regressed", "*more*0 -> 5*"])
    failed = [line.partition("::")[2] for line in changed.outlines if line.endswith(": regressed")]
    assert [line.removesuffix(": regressed") for line in failed] == _CONSTANT


def test_a_test_that_draws_and_is_executed_once_is_inconclusive(drawn: Project) -> None:
    once = _DRAWN.replace(
        "@given(st.integers())\n", "@pytest.mark.profile(repeat=False)\n@given(st.integers())\n"
    )
    drawn.write({"test_it.py": once})
    drawn.run("--goref-save=main", COUNTS, "-k", "once")
    drawn.write({"test_it.py": once.replace(".deref()", ".deref(); goref.ref('more').deref()")})

    result = drawn.run("--goref-compare=main", COUNTS, "-v", "-k", "once")

    assert result.ret == 0
    assert "1 inconclusive; 0 regressed" in closing_line(result)
    result.stdout.fnmatch_lines(["*settings(derandomize=True) numbers are exact"])


_FAILING: Final = (
    _HEAD
    + """
@given(st.integers())
def test_fails(number):
    note("execution")
    assert number < 1000

@pytest.fixture
def narrow():
    return []

@given(st.integers())
def test_unhealthy(narrow, number):
    pass

@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(number=st.integers())
def test_healthy(narrow, number):
    narrow.append(number)
    assert len(narrow) <= 5

@pytest.mark.xfail(strict=True)
@given(st.integers())
def test_xfails(number):
    assert number < 1000
"""
)


def test_a_falsifying_example_is_found_stored_and_replayed_as_ever(project: Project) -> None:
    project.write({"pytest.ini": _INI, "test_it.py": _FAILING})
    plain = project.run_apart().parseoutcomes()
    (project.path / "log.txt").unlink()

    result = project.run_apart("--goref", "--goref-all", COUNTS)

    assert result.parseoutcomes() == plain == {"failed": 2, "passed": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["*test_fails(", "*number=1000,*"])
    assert "FailedHealthCheck" in result.stdout.str()
    assert len(project.log()) <= 12, "the stored example is tried first"
    assert (project.path / ".hypothesis" / "examples").is_dir()
