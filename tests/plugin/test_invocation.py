from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from plugin_project import ALONE

from pytest_goref.metrics import REFS
from pytest_goref.model import Group, TestKey
from pytest_goref.plugin.invocation import Invocation, InvocationHooks
from pytest_goref.plugin.settings import read_settings
from pytest_goref.plugin.visits import VisitRequest, VisitResult

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_NS = 300_000_000_000
COUNTS = ("counts",)

SETS = """
import pytest
import pytest_goref as goref

NAMES = {f"name {number}" for number in range(40)}

@pytest.mark.profile
def test_sets():
    for name in NAMES:
        with goref.ref("look"):
            pass
        if name == "name 7":
            break
"""

ODD = """
import os
import pytest
import pytest_goref as goref

@pytest.fixture
def stage(pytestconfig):
    return pytestconfig.getoption("--env")

IDS = ["a\\nb", "'q\\"", "[", "::", "-x", "$HOME `ls`", "ü", "a b"]

@pytest.mark.profile
@pytest.mark.parametrize("value", IDS)
def test_odd(value, stage, tmp_path, caplog):
    assert stage == "x"
    assert "GOREF_VISIT" not in os.environ
    goref.ref(value).deref()

@pytest.mark.profile
def test_fails():
    assert False

@pytest.mark.profile
def test_dies():
    os._exit(3)

@pytest.mark.profile
def test_never():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    ini = "[pytest]\naddopts = -ra -x --junitxml=report.xml --strict-config\nlog_file = log.txt\n"
    pytester.makeini(ini + "cache_dir = cached\n")
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    return pytester


def invocation_of(project: pytest.Pytester, *options: str) -> Invocation:
    config = project.parseconfig(*options)
    return Invocation.of(config, read_settings(config))


def visit(
    invocation: Invocation, *keys: TestKey, passes: tuple[str, ...] = COUNTS, seed: str = "1"
) -> VisitResult:
    return invocation.visit(VisitRequest(keys, passes, seed), LIMIT_NS)


def refs(result: VisitResult) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    return {key.name: record.measurements[REFS] for key, record in result.records.items()}


def test_what_dies_loses_one_test_and_ids_may_hold_anything(project: pytest.Pytester) -> None:
    project.makeconftest("def pytest_addoption(parser): parser.addoption('--env')")
    project.makepyfile(test_odd=ODD)
    before = set(project.path.rglob("*"))
    config = project.parseconfig("--env", "x")
    odd = [f"test_odd[{text}]" for text in ("a\\nb", "'q\"", "[", "::", "-x", "$HOME `ls`", "\\xfc", "a b")]
    names = [*odd[::-1], "test_gone", "test_fails", "test_dies", "test_never"]
    keys = [TestKey("test_odd.py", name) for name in names]
    gone = TestKey("gone/test_gone.py", "test_gone")
    result = visit(Invocation.of(config, read_settings(config)), *keys, gone)
    assert [key.name for key in result.records] == odd[::-1]
    assert refs(result)["test_odd[\\xfc]"] == {"ü": (1,)}
    assert result.failure == "pytest ended with status 3"
    assert result.culprit == TestKey("test_odd.py", "test_dies")
    assert result.missing == {TestKey("test_odd.py", "test_gone"), gone}
    after = {path for path in project.path.rglob("*") if "__pycache__" not in path.parts}
    assert after == {path for path in before if "__pycache__" not in path.parts}


def test_a_visit_has_the_seed_that_it_is_given(project: pytest.Pytester) -> None:
    project.makepyfile(test_sets=SETS)
    invocation, key = invocation_of(project), TestKey("test_sets.py", "test_sets")
    looks = [refs(visit(invocation, key, seed=seed))["test_sets"]["look"] for seed in ("1", "2")]
    assert looks == [(13,), (8,)]


def test_a_visit_is_found_and_executed_as_in_its_session(project: pytest.Pytester) -> None:
    project.mkdir("inner")
    project.mkdir("tests").joinpath("conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addini('mood', '')\n    parser.addoption('--env')\n",
        encoding="utf-8",
    )
    project.path.joinpath("helping.py").write_text(
        "import pytest\n@pytest.fixture\ndef help(): return 1\n", encoding="utf-8"
    )
    project.syspathinsert()
    project.path.joinpath("inner", "test_inner.py").write_text(
        "import pytest_goref as goref\n"
        "def test_inner(help, pytestconfig, monkeypatch):\n"
        "    assert pytestconfig.getini('mood') == 'good'\n"
        "    goref.ref('look').deref()\n",
        encoding="utf-8",
    )
    paths = [str(project.path / "tests"), str(project.path)]  # the first declares options
    invocation = invocation_of(
        project, *paths, "-p", "helping", "-o", "mood=good", "--env=x", "--goref-all", "-k", "nothing"
    )
    invocation = replace(invocation, environment={**invocation.environment, "PYTHONPATH": str(project.path)})
    result = visit(invocation, TestKey("inner/test_inner.py", "test_inner"))
    assert (refs(result), result.failure) == ({"test_inner": {"look": (1,)}}, "")


def test_a_visit_takes_the_passes_of_both_and_judges_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_one="""
        import pytest
        import pytest_goref as goref
        @pytest.mark.profile(passes="counts", max_count={"look": 1}, leaks="fail")
        def test_counts():
            for _ in range(5):
                goref.ref("look").deref()
        @pytest.mark.profile
        def test_all(): pass
        """
    )
    keys = [TestKey("test_one.py", name) for name in ("test_counts", "test_all")]
    result = visit(invocation_of(project, "--goref-rounds=2"), *keys, passes=("time", "memory"))
    assert result.failure == ""
    groups = [{metric.group for metric in result.records[key].measurements} for key in keys]
    assert [Group.CALLS in found for found in groups] == [False, False]
    assert [Group.ALLOCATIONS in found for found in groups] == [False, sys.platform != "win32"]
    visits = [result.records[key].visit for key in keys]
    assert [len(found.rounds) if found else 0 for found in visits] == [0, 2]


def test_a_broken_file_does_not_stop_the_others(project: pytest.Pytester) -> None:
    project.makepyfile(test_broken="import no_such_module", test_sets=SETS)
    broken, whole = TestKey("test_broken.py", "test_a"), TestKey("test_sets.py", "test_sets")
    invocation = invocation_of(project)
    result = visit(invocation, broken, whole)
    why = "test_broken.py: ModuleNotFoundError: No module named 'no_such_module'"
    assert (set(result.records), result.failure, result.unread) == ({whole}, "", (why,))
    result = visit(invocation, broken)
    assert (result.records, result.missing) == ({}, frozenset())
    assert result.failure == f"its tests cannot be collected ({why})"


def test_an_option_that_is_not_known_is_told(project: pytest.Pytester) -> None:
    project.makepyfile(test_sets=SETS)
    invocation = replace(invocation_of(project), arguments=("-pgoref", "-pxdist", "--foo"))
    result = visit(invocation, TestKey("test_sets.py", "test_sets"))
    assert result.failure == "pytest ended with status 4 (ERROR: unrecognized arguments: --foo)"
    assert result.culprit is None


def test_nothing_is_started_for_files_that_do_not_exist(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = TestKey("test_gone.py", "test_gone")
    invocation = invocation_of(project)
    monkeypatch.setattr(sys, "executable", str(project.path / "no-python"))
    assert visit(invocation, gone) == VisitResult(missing=frozenset([gone]))
    project.makepyfile(test_gone=SETS)
    assert visit(invocation, gone).failure.startswith("it could not be started")


def test_another_tree_is_visited_with_its_own_files(project: pytest.Pytester) -> None:
    project.makeconftest("def pytest_addoption(parser): parser.addoption('--env')")
    other = project.mkdir("other")
    other.joinpath("tests").mkdir()
    other.joinpath("lib").mkdir()
    other.joinpath("lib", "counted.py").write_text("TIMES = 3\n", encoding="utf-8")
    other.joinpath("pytest.ini").write_text("[pytest]\naddopts = --maxfail=1\n", encoding="utf-8")
    other.joinpath("tests", "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--env')\n", encoding="utf-8"
    )
    other.joinpath("tests", "test_other.py").write_text(
        "import counted\nimport pytest_goref as goref\n"
        "def test_other():\n    for _ in range(counted.TIMES): goref.ref('look').deref()\n",
        encoding="utf-8",
    )
    session = invocation_of(project, str(project.path / "tests"), "--env=x", "--goref-all")
    invocation = session.at(other, other, other / "pytest.ini", [other / "lib"])
    result = visit(invocation, TestKey("tests/test_other.py", "test_other"))
    assert (refs(result), result.failure) == ({"test_other": {"look": (3,)}}, "")
    assert str(other / "lib" / "counted.py") in result.modules


def test_the_environment_is_that_of_the_session(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "COV_CORE_SOURCE", "COVERAGE_PROCESS_START"}
    inherited = {"PYTEST_DEBUG_TEMPROOT", "COVERAGE_RCFILE", "PYTHONWARNINGS"}
    for name in own | inherited:
        monkeypatch.setenv(name, os.environ.get(name, ""))
    invocation = invocation_of(project)
    assert (own | inherited) & invocation.environment.keys() == inherited
    assert invocation.environment["PATH"] == os.environ["PATH"]


def test_options_of_absent_plugins_are_not_given(project: pytest.Pytester) -> None:
    everything = invocation_of(project, "--confcutdir", str(project.path))
    assert {"-n0", "-ocache_dir={scratch}/cache", "-olog_file=", "--confcutdir=."} <= set(everything.options)
    absent = ("xdist", "cacheprovider", "logging")
    little = invocation_of(project, *(f"-pno:{name}" for name in absent), "-ocache_dir=", "-olog_file=")
    assert [option for option in little.options if option.startswith(("-n", "-oc", "-ol", "--conf"))] == []
    assert "-pno:xdist" in little.arguments


def test_modules_are_looked_for_where_the_session_does(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project.parseconfig()
    settings = read_settings(config)
    elsewhere = str(project.path / "elsewhere")
    for path, expected in ([""], ()), ([str(project.path)], ()), ([], ("-P",)):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "path", [elsewhere, *path])
            assert Invocation.of(config, settings).interpreter == expected


def test_our_options_come_last_and_before_a_lone_double_dash() -> None:
    invocation = Invocation(
        (), ("-s", "--", "tests"), ("--basetemp={scratch}/t",), Path("/r"), Path("/d"), None, {}
    )
    command = invocation._command("/s")
    assert command[1:] == ["-m", "pytest", "-s", "--basetemp=/s/t", f"--rootdir={Path('/r')}", "--", "tests"]


def test_a_worker_starts_visits_as_the_controller_would(project: pytest.Pytester) -> None:
    controllers = invocation_of(project, "-W", "ignore:x", "-n0")
    node = SimpleNamespace(workerinput={})
    InvocationHooks(controllers).pytest_configure_node(node)
    config = project.parseconfig()
    config.workerinput = node.workerinput  # type: ignore[attr-defined]
    assert Invocation.of(config, read_settings(config)) == controllers


def test_a_regression_is_checked_in_workers_too(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeconftest("def pytest_addoption(parser): parser.addoption('--times')")
    project.makepyfile(
        """
        import os, pytest
        import pytest_goref as goref
        @pytest.mark.profile
        def test_looks(pytestconfig):
            looks = 9 if os.environ.get("PYTHONHASHSEED") == "1" else int(pytestconfig.getoption("--times"))
            for _ in range(looks):
                goref.ref("look").deref()
        """
    )
    options = ("--goref-passes=counts", "-v")
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    project.runpytest_subprocess(*options, "--goref-visits=0", "--times=8", "--goref-save=main")
    result = project.runpytest_subprocess(*options, "--times=20", "--goref-compare=main", "-n2")
    output = " ".join(result.stdout.str().split())
    assert "differs by hash seed (9 with PYTHONHASHSEED=1, 20 with 2)" in output
