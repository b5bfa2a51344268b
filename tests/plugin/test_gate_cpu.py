"""The gate: where the time of a test goes is sampled when it is asked for, or when it is needed."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from plugin_project import Project, closing_line

from pytest_goref.plugin import measurement, passes
from pytest_goref.plugin.cpu_pass import cpu_pass
from pytest_goref.profile import ProfileKind

if TYPE_CHECKING:
    from pytest_goref.plugin.pass_context import PassContext
    from pytest_goref.profile import StackProfile

pytest_plugins = ("plugin_project",)

_SHOP = """
def burn(times):
    return sum(n * n for n in range(times))
"""
_TESTS = """
import pytest, shop

@pytest.mark.profile
def test_burn():
    shop.burn(40_000)
"""
_CPU = "--goref-passes=cpu"


@dataclass
class Taken:
    """The cpu passes of a session: of which profile, and whether on demand."""

    profiles: list[StackProfile | None] = field(default_factory=list)
    on_demand: list[bool] = field(default_factory=list)

    @property
    def places(self) -> list[set[str]]:
        """The places of Python functions in each profile."""
        return [
            {frame.place for stack in profile.stacks for frame in stack if frame.file} if profile else set()
            for profile in self.profiles
        ]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """What the real pass takes in runs in this process."""
    taken = Taken()

    def recorded(context: PassContext) -> None:
        cpu_pass(context)
        profiles = {profile.kind: profile for profile in context.collected.profiles()}
        taken.profiles.append(profiles.get(ProfileKind.CPU))
        taken.on_demand.append(context.on_demand)

    monkeypatch.setitem(passes.PASSES, passes.CPU, recorded)
    return taken


@pytest.fixture
def shop(project: Project) -> Project:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    return project


def test_it_is_taken_when_it_is_named(shop: Project, taken: Taken) -> None:
    result = shop.run_untraced("--goref", _CPU, "-v")
    assert result.ret == 0
    assert closing_line(result) == "goref: 1 measured"
    assert taken.on_demand == [False]
    (profile,) = taken.profiles
    assert profile is not None
    assert {stack[0].place for stack in profile.stacks} == {"test_shop.py:test_burn"}
    assert taken.places[0] <= {"test_shop.py:test_burn", "shop.py:burn", "shop.py:burn.<locals>.<genexpr>"}
    assert len(taken.places[0]) >= 2
    assert profile.executions > 1
    assert profile.covered_ns > 0.9 * profile.elapsed_ns


def test_it_is_not_taken_when_nothing_is_to_be_explained(shop: Project, taken: Taken) -> None:
    assert shop.run_untraced("--goref").ret == 0
    assert taken.profiles == []


def test_it_is_taken_for_a_baseline_and_nothing_is_said(shop: Project, taken: Taken) -> None:
    result = shop.run_untraced("--goref-save=main", "--goref-visits=0", "-v")
    assert taken.on_demand == [True]
    assert taken.places[0]
    assert closing_line(result) == "goref: 1 measured, saved to main: 1 entry written, 0 unchanged"
    assert "CPU" not in result.stdout.str()


def test_it_is_not_taken_for_a_baseline_when_other_passes_are_named(shop: Project, taken: Taken) -> None:
    assert shop.run_untraced("--goref-save=main", "--goref-passes=counts,time", "--goref-visits=0").ret == 0
    assert taken.profiles == []


def test_it_is_taken_in_a_fresh_process_when_a_test_is_slower(shop: Project, taken: Taken) -> None:
    assert shop.run_untraced("--goref-save=main").ret == 0
    assert taken.on_demand == [True]
    shop.replace("shop.py", "in range(times)", "in range(8 * times)")
    lenient = ("--goref-warn=durations:300%", "--goref-warn=allocations:off")
    result = shop.run_untraced("--goref-compare=main", *lenient)
    assert taken.on_demand == [True]
    result.stdout.fnmatch_lines(["*test_burn: regressed", "  function *", "*shop.py:burn * 1 *"])


def test_it_is_not_taken_for_a_test_too_short_to_time(
    shop: Project, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "_SHORTEST_EXPLAINED_NS", 10**10)
    result = shop.run_untraced("--goref-save=main", "--goref-visits=0", "-v")
    assert taken.profiles == []
    assert "CPU" not in result.stdout.str()


def test_a_test_too_short_to_sample_says_so_when_it_was_asked_for(project: Project, taken: Taken) -> None:
    project.write({"test_it.py": "import pytest\n\n@pytest.mark.profile\ndef test_nothing(): pass\n"})
    result = project.run_untraced("--goref", _CPU, "-v")
    assert taken.profiles == [None]
    result.stdout.fnmatch_lines(["no CPU profile: the test is too short for a sample every millisecond (1 *"])


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_where_durations_are_not_judged_they_are_not_explained(shop: Project, workers: str) -> None:
    shop.write(
        {
            "test_shop.py": """
import pytest, shop

@pytest.mark.profile
def test_burn():
    with open("log.txt", "a") as log:
        print("x", file=log)
    shop.burn(10_000)
"""
        }
    )
    assert shop.run_apart(workers, "--goref-save=main", "--goref-visits=0").ret == 0
    executions = len(shop.log())
    assert executions < 20 if workers == "-n2" else executions > 32


def test_it_is_not_taken_on_demand_where_nothing_is_timed(shop: Project, taken: Taken) -> None:
    trace = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        shop.run("--goref-save=main")
    finally:
        sys.settrace(trace)
    assert taken.profiles == []


def test_a_tracer_is_told_when_it_was_asked_for(shop: Project, taken: Taken) -> None:
    shop.write(
        {
            "conftest.py": """
import pytest, sys

@pytest.fixture(autouse=True)
def traced():
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    yield
    sys.settrace(before)
"""
        }
    )
    result = shop.run_untraced("--goref", _CPU, "-v")
    assert result.ret == 0
    assert taken.profiles == [None]
    result.stdout.fnmatch_lines(["no CPU profile: a tracer (conftest) is active* (1 test: *"])


def test_a_test_that_objects_to_a_profiler_passes_without_a_profile(project: Project, taken: Taken) -> None:
    project.write(
        {
            "test_it.py": """
import pytest, sys

@pytest.mark.profile
def test_alone():
    assert sys.getprofile() is None
"""
        }
    )
    result = project.run_untraced("--goref", _CPU, "-v")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["no CPU profile: the test fails under pyinstrument (call failed: *"])


def test_a_test_that_sets_a_profiler_is_told(shop: Project, taken: Taken) -> None:
    shop.replace(
        "test_shop.py",
        "    shop.burn(40_000)",
        "    import sys\n"
        "    sys.setprofile(lambda *_: None)\n"
        "    shop.burn(200_000)\n"
        "    sys.setprofile(None)",
    )
    result = shop.run_untraced("--goref", _CPU, "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["the CPU profile covers only * % of the time: the test sets a profiler or stops the clock (1 test*"]
    )


def test_threads_are_seen_and_begin_as_before_afterwards(shop: Project, taken: Taken) -> None:
    before = threading.getprofile()
    shop.replace(
        "test_shop.py",
        "    shop.burn(40_000)",
        "    import threading\n"
        "    thread = threading.Thread(target=shop.burn, args=(100_000,))\n"
        "    thread.start()\n"
        "    thread.join()",
    )
    assert shop.run_untraced("--goref", _CPU).ret == 0
    (profile,) = taken.profiles
    assert profile is not None
    assert "shop.py:burn" in {stack[0].place for stack in profile.stacks}
    assert threading.getprofile() is before


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.profile\n@pytest.mark.anyio\nasync def test_it():\n    shop.burn(200_000)\n",
        "@pytest.mark.profile\n@pytest.mark.asyncio\nasync def test_it():\n    shop.burn(200_000)\n",
    ],
    ids=["anyio", "asyncio"],
)
def test_coroutines_are_seen(shop: Project, taken: Taken, test: str) -> None:
    shop.write(
        {
            "pytest.ini": "[pytest]\naddopts = -p pytest_asyncio.plugin -p anyio\n"
            "asyncio_default_fixture_loop_scope = function\n",
            "conftest.py": "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n",
            "test_shop.py": f"import pytest, shop\n\n{test}",
        }
    )
    result = shop.run_untraced("--goref", _CPU)
    result.assert_outcomes(passed=1)
    assert {"test_shop.py:test_it", "shop.py:burn"} <= taken.places[0]
    assert not any(place.startswith(("pytest_asyncio", "_pytest", "pluggy")) for place in taken.places[0])


def test_methods_of_unittest_are_seen(shop: Project, taken: Taken) -> None:
    shop.write(
        {
            "test_shop.py": """
import pytest, shop, unittest

@pytest.mark.profile
class TestShop(unittest.TestCase):
    def test_it(self):
        shop.burn(200_000)
"""
        }
    )
    assert shop.run_untraced("--goref", _CPU).ret == 0
    assert {"test_shop.py:TestShop.test_it", "shop.py:burn"} <= taken.places[0]
