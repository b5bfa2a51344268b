"""Further executions of a Hypothesis test draw examples, and neither look into failures nor keep any."""

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
_SLOWED_DOWN: Final = """
import time
import pytest_goref as goref
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

executions = seconds = 0
clock = time.perf_counter
time.perf_counter = lambda: clock() + seconds

def setup_function():
    global executions
    executions += 1

def teardown_module():
    time.perf_counter = clock

def slow_when_repeated():
    global seconds
    goref.ref("example").deref()
    seconds += 100 * (executions > 1)

limited = settings(deadline=60_000, max_examples=3, stateful_step_count=2)

@limited
@given(st.integers())
def test_function(number):
    slow_when_repeated()

class Machine(RuleBasedStateMachine):
    @rule(number=st.integers())
    def step(self, number):
        slow_when_repeated()

Machine.TestCase.settings = limited

class TestMachine(Machine.TestCase):
    def setUp(self):
        setup_function()

def test_settings_are_as_before():
    assert test_function._hypothesis_internal_use_settings is limited
    assert TestMachine.settings is limited
    assert "settings" not in vars(TestMachine)
"""


@pytest.fixture(autouse=True)
def _profile() -> Iterator[None]:
    """Undo what inner runs do: with the profile ``default`` examples differ, in a CI service too."""
    before = settings.get_current_profile_name()
    yield
    settings.load_profile(before)


@pytest.mark.parametrize("kind", ["function", "Machine"])
def test_a_deadline_is_that_of_the_first_execution(project: Project, kind: str) -> None:
    project.write({"pytest.ini": _INI, "test_it.py": _SLOWED_DOWN})

    result = project.run("--goref-save=main", "--goref-all", COUNTS, "-k", f"{kind} or as_before")

    assert result.parseoutcomes()["passed"] == 2
    assert "2 entries written" in closing_line(result)
    for ended in project.last_results().values():
        assert ended.record is not None
        assert ended.record.problems == ()
    examples = project.path / ".hypothesis" / "examples"
    assert not any(stored.is_file() for stored in examples.rglob("*")), "as no example has failed"
