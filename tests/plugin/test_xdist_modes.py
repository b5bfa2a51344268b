"""Whoever executes a test under xdist, it is measured, judged and stored as without."""

from __future__ import annotations

import json
import sys
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_EXACT: Final = "--goref-passes=counts,memory"
_EACH: Final = ("--tx=2*popen", "--dist=each")
_SUITE: Final = """
import json
import pytest
import pytest_goref

def query(number):
    for _ in range(number):
        pytest_goref.ref("db.query").deref()
    return [str(one) for one in range(40 * number)]

@pytest.mark.profile
@pytest.mark.parametrize("number", range(12))
def test_it(number):
    json.dumps(query(7 * (number % 3)))

@pytest.mark.profile(leaks="warn")
def test_leak():
    pytest_goref.ref("left")
"""
_ON_EACH: Final = """
import os
import pytest
import pytest_goref

@pytest.mark.profile
def test_it():
    pytest_goref.ref("key").deref()
    assert os.environ.get("PYTEST_XDIST_WORKER") != os.environ.get("FAILS_ON", "none")

@pytest.mark.profile
def test_differs():
    for _ in range(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1]) + 1):
        pytest_goref.ref("key").deref()
"""
_GROUPS: Final = """
import pytest

pytestmark = pytest.mark.profile

@pytest.mark.xdist_group("g")
def test_positional(): pass

@pytest.mark.xdist_group(name="a@b [c]::d")
def test_named(): pass

@pytest.mark.xdist_group
def test_default(): pass

@pytest.mark.xdist_group(7)
class TestClass:
    @pytest.mark.xdist_group("inner")
    def test_two_groups(self): pass

@pytest.mark.xdist_group("x")
@pytest.mark.parametrize("text", ["x", "a@x", "@"])
def test_id(text): pass


def test_alone(): pass
"""


def stored(project: Project, name: str) -> list[str]:
    """Return the names of the tests of a baseline of one file."""
    (content,) = project.baseline(name).values()
    return list(json.loads(content)["tests"])


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    """The files of the baseline, once a test has saved it."""
    return {}


@pytest.fixture
def suite(project: Project, kept: dict[str, bytes]) -> Project:
    """A project with tests that count, call, allocate and leak, all in one file; saved without xdist."""
    project.write({"test_suite.py": _SUITE})
    if not kept:
        assert project.run_apart("-n0", _EXACT, "--goref-save=plain").ret == 0
        kept.update(project.baseline("plain"))
    project.put_baseline(kept, "plain")
    return project


@pytest.mark.parametrize(
    "args",
    [
        ("-n2", "--dist=load"),
        ("-n2", "--dist=loadscope"),
        ("-n2", "--dist=loadfile"),
        ("-n2", "--dist=loadgroup"),
        ("-n2", "--dist=worksteal"),
        _EACH,
        ("--tx", f"2*popen//python={sys.executable}", "--dist=load"),
    ],
    ids=lambda args: args[-1],
)
def test_every_distribution_leaves_every_byte(suite: Project, args: tuple[str, ...]) -> None:
    before = suite.baseline("plain")
    result = suite.run_apart(*args, _EXACT, "--goref-save=plain", "--goref-compare=plain")

    assert result.ret == 0
    line = closing_line(result)
    assert line.startswith("goref: 13 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regr")
    assert suite.baseline("plain") == before


def test_a_failure_on_any_worker_is_one_of_the_test(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"test_each.py": _ON_EACH})
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("FAILS_ON", worker)
        result = project.run_apart(*_EACH, COUNTS, f"--goref-save={worker}")

        result.assert_outcomes(passed=3, failed=1)
        assert stored(project, worker) == ["test_differs"]
        assert {key.name: one.outcome for key, one in project.last_results().items()} == {
            "test_it": "failed",
            "test_differs": "passed",
        }


def test_what_each_worker_measures_is_stored_of_the_first_one(project: Project) -> None:
    project.write({"test_each.py": _ON_EACH})
    project.run_apart("-n1", COUNTS, "--goref-save=plain")  # reading what a worker is called is work, too

    assert project.run_apart(*_EACH, COUNTS, "--goref-save=each").ret == 0
    assert project.baseline("each") == project.baseline("plain")
    result = project.run_apart(*_EACH, COUNTS, "--goref-compare=plain")

    result.assert_outcomes(passed=3, failed=1)  # more refs on the second worker alone
    assert closing_line(result).endswith("; 1 regressed, 0 improved")
    outcomes = {key.name: one.outcome for key, one in project.last_results().items()}
    assert outcomes == {"test_it": "passed", "test_differs": "failed"}


def test_groups_are_no_part_of_keys(project: Project) -> None:
    project.write({"test_groups.py": _GROUPS})
    project.run(COUNTS, "--goref-save=plain")
    names = stored(project, "plain")
    assert {"test_named", "test_id[a@x]", "TestClass::test_two_groups"} < set(names)

    for dist in ("loadgroup", "load"):
        result = project.run_apart("-n2", f"--dist={dist}", COUNTS, f"--goref-save={dist}")
        assert result.ret == 0
        assert stored(project, dist) == names
        assert project.baseline(dist) == project.baseline("plain")
    line = closing_line(
        project.run_apart("-n2", "--dist=loadgroup", COUNTS, "--goref-compare=plain", "--goref-strict")
    )
    assert line.startswith(f"goref: {len(names)} compared, 0 new, 0 missing, 0 incomparable")
