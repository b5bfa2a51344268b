"""The marker: absolute limits, leaks, and what one test asks for itself."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.metrics import CALLS, REFS
from pytest_goref.model import Group, Mode, TestKey

pytest_plugins = ("plugin_project",)

_SHOP: Final = r"""
import time
import pytest_goref as goref

LEFT = []

def query():
    with goref.ref("db.query"):
        pass

def pool(name):
    with goref.get_tracker("dao", "psql").ref(name):
        pass

def leak():
    LEFT.append(goref.ref("connection"))

def note():
    with open("log.txt", "a") as log:
        log.write("executed\n")

def work(ns):
    until = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < until:
        pass
"""


def _write(project: Project, marker: str, body: str) -> None:
    text = f"import pytest, shop\n\n@pytest.mark.profile({marker})\ndef test_it():\n    {body}\n"
    project.write({"shop.py": _SHOP, "test_it.py": text})


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        ('max_count={"db.query": 2}', "[shop.query() for _ in range(2)]"),
        ('max_count={"db.query": 0}', "pass"),
        ('max_count={"/dao/psql:get": 1, "db.query": 1}', "shop.pool('get'); shop.query()"),
    ],
)
def test_within_the_limit(project: Project, marker: str, body: str) -> None:
    _write(project, marker, body)
    assert project.run(COUNTS, "--goref").ret == 0


@pytest.mark.parametrize(
    ("marker", "body", "text"),
    [
        ('max_count={"db.query": 2}', "[shop.query() for _ in range(3)]", "db.query 3 refs, limit 2"),
        ('max_count={"db.query": 0}', "shop.query()", "db.query 1 refs, limit 0"),
        ('max_count={"/dao/psql:get": 0}', "shop.pool('get')", "/dao/psql:get 1 refs, limit 0"),
    ],
)
def test_over_the_limit_fails_without_a_baseline(project: Project, marker: str, body: str, text: str) -> None:
    _write(project, marker, body)
    result = project.run(COUNTS, "--goref")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"goref: {text}"])
    assert closing_line(result) == "goref: 1 measured, 1 over limit"
    assert project.run(COUNTS, "--goref-save=main").ret == pytest.ExitCode.TESTS_FAILED
    assert not list((project.path / ".goref_cache").glob("baselines/main/*"))


def test_a_limit_on_time(project: Project) -> None:
    _write(project, 'max_duration="2ms"', "shop.work(1)")
    assert project.run_apart("--goref", "--goref-rounds=2").ret == 0
    _write(project, 'max_duration="2ms"', "shop.work(3_000_000)")
    result = project.run_apart("--goref", "--goref-rounds=2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["goref: wall_time * ms, limit 2.00 ms"])


def test_a_limit_that_cannot_be_checked_is_told(project: Project) -> None:
    _write(project, 'max_duration="1ns"', "pass")
    result = project.run(COUNTS, "--goref")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*wall_time was not measured in this run, so the limit 1 ns was not checked"]
    )


def test_leaks_are_told_without_a_baseline(project: Project) -> None:
    _write(project, "", "shop.leak()")
    result = project.run(COUNTS, "--goref")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*leaked_refs *connection *1 *left behind by the test"])


def test_new_leaks_fail_against_a_baseline(distributed: Project) -> None:
    _write(distributed, "", "pass")
    assert distributed.run(COUNTS, "--goref-save=main").ret == 0
    _write(distributed, "", "shop.leak()")
    result = distributed.run(COUNTS, "--goref-compare=main")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["goref: connection 0 -> 1 (+1) leaked_refs, compared with baseline main"])


def test_accepted_leaks_pass(project: Project) -> None:
    _write(project, "", "shop.leak()")
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    result = project.run(COUNTS, "--goref-compare=main")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*leaked_refs*")


@pytest.mark.parametrize(
    ("leaks", "status", "told"), [("fail", 1, True), ("warn", 0, True), ("off", 0, False)]
)
def test_the_marker_decides_on_leaks(project: Project, leaks: str, status: int, *, told: bool) -> None:
    _write(project, f'leaks="{leaks}"', "shop.leak()")
    result = project.run(COUNTS, "--goref")
    assert result.ret == status
    assert ("leaked_refs" in result.stdout.str()) is told


def test_refs_that_a_fixture_ends_are_no_leaks(project: Project) -> None:
    project.write(
        {
            "shop.py": _SHOP,
            "test_it.py": """
import pytest, shop, pytest_goref

@pytest.fixture
def connection():
    ref = pytest_goref.ref("connection")
    yield ref
    ref.deref()

@pytest.fixture(scope="module")
def pool():
    with pytest_goref.ref("pool"):
        yield

@pytest.mark.profile(leaks="fail")
def test_it(connection, pool):
    shop.query()
""",
        }
    )
    assert project.run(COUNTS, "--goref").ret == 0


def test_a_test_that_is_not_repeated(project: Project) -> None:
    _write(project, "repeat=False", "shop.note(); shop.query()")
    assert project.run("--goref-save=main").ret == 0
    assert len(project.log()) == 1
    record = project.last_results()[TestKey("test_it.py", "test_it")].record
    assert record is not None
    assert (record.mode, record.measurements[REFS]) == (Mode.COLD, {"db.query": (1,)})
    assert project.run("--goref-compare=main").ret == 0
    _write(project, "repeat=False", "shop.query(); shop.query()")
    result = project.run("--goref-compare=main")
    result.stdout.fnmatch_lines(["goref: db.query 1 -> 2 (+1) refs*"])


def test_a_test_that_is_repeated_now_is_incomparable(project: Project) -> None:
    _write(project, "repeat=False", "shop.query()")
    project.run(COUNTS, "--goref-save=main")
    _write(project, "repeat=True", "shop.query()")
    result = project.run(COUNTS, "--goref-compare=main")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["incomparable:", "*executed repeatedly now, and once when its numbers were accepted"]
    )
    assert closing_line(result).startswith("goref: 0 compared, 0 new, 0 missing, 1 incomparable,")
    assert project.run(COUNTS, "--goref-compare=main", "--goref-strict").ret == 1


def test_counts_that_vary_upwards_are_inconclusive(project: Project) -> None:
    _write(project, "", "shop.query()")
    project.run(COUNTS, "--goref-save=main")
    _write(project, "", "shop.LEFT.append(1); [shop.query() for _ in shop.LEFT]")
    result = project.run(COUNTS, "--goref-compare=main")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # it never does as little as before
    _write(project, "", "shop.LEFT.append(1); [shop.query() for _ in shop.LEFT[:2 - len(shop.LEFT) % 2]]")
    result = project.run(COUNTS, "--goref-compare=main")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*db.query *1 -> 2 *varies between executions (1..2)"])
    assert ", 1 inconclusive;" in closing_line(result)
    assert project.run(COUNTS, "--goref-compare=main", "--goref-strict").ret == 1


_NEAREST: Final = """
import pytest, shop

pytestmark = pytest.mark.profile(max_count={"db.query": 0})

def test_module():
    shop.query()

@pytest.mark.profile(max_count={"db.query": 1})
class TestClass:
    def test_class(self):
        shop.query()

    @pytest.mark.profile(max_count={"db.query": 0})
    def test_function(self):
        shop.query()

    @pytest.mark.goref
    def test_alias_without_limit(self):
        shop.query()
"""


def test_the_nearest_marker_wins(distributed: Project) -> None:
    distributed.write({"shop.py": _SHOP, "test_it.py": _NEAREST})
    result = distributed.run(COUNTS, "--goref", "-rA")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "PASSED test_it.py::TestClass::test_class",
            "PASSED test_it.py::TestClass::test_alias_without_limit",
            "FAILED test_it.py::TestClass::test_function*",
            "FAILED test_it.py::test_module*",
        ]
    )


@pytest.mark.parametrize(
    ("ini", "option", "marker", "executions"),
    [
        ("", "--goref-rounds=3", "", 1 + 2 + 1 + 2 + 3),
        ("goref_rounds = 3", "", "", 1 + 2 + 1 + 2 + 3),
        ("goref_rounds = 3", "--goref-rounds=4", "", 1 + 2 + 1 + 2 + 4),
        ("goref_rounds = 3", "--goref-rounds=4", "rounds=5", 1 + 2 + 1 + 2 + 5),
        ("", "--goref-passes=time", "rounds=1", 1 + 2 + 1),
        ("goref_passes = time", "--goref-rounds=1", "", 1 + 2 + 1),
        ("goref_passes = time", "--goref-passes=counts", "", 1 + 9),
        ("goref_passes = time", "--goref-passes=time", 'passes=["counts"]', 1 + 9),
    ],
)
def test_marker_over_command_line_over_ini(
    project: Project, ini: str, option: str, marker: str, executions: int
) -> None:
    project.replace("pytest.ini", "[pytest]", f"[pytest]\n{ini}")
    _write(project, marker, "shop.note()")
    arguments = ["--goref", *option.split()]
    assert project.run_untraced(*arguments).ret == 0
    assert len(project.log()) == executions


def test_a_pass_measures_what_it_is_for(project: Project) -> None:
    _write(project, "", "shop.query()")
    key = TestKey("test_it.py", "test_it")
    project.run_untraced("--goref", "--goref-passes=time", "--goref-rounds=2")
    timed = project.last_results()[key].record
    assert timed is not None
    assert timed.visit is not None
    assert {metric.group for metric in timed.measurements} == {Group.RUNTIME}
    assert len(timed.visit.rounds) == 2
    project.run(COUNTS, "--goref")
    counted = project.last_results()[key].record
    assert counted is not None
    assert counted.visit is None
    assert counted.measurements[REFS] == {"db.query": (1,)}
    assert counted.measurements[CALLS] == {"shop.py:query": (1,), "test_it.py:test_it": (1,)}


def test_the_ini_file_turns_measuring_on(project: Project) -> None:
    project.replace("pytest.ini", "[pytest]", "[pytest]\ngoref = true\ngoref_all = true\ngoref_strict = true")
    project.write({"test_it.py": "def test_it():\n    pass\n"})
    assert closing_line(project.run(COUNTS)) == "goref: 1 measured"
    project.run("--no-goref").stdout.no_fnmatch_line("goref: *")
    project.run(COUNTS, "--goref-save=main")
    project.write({"test_it.py": "def test_other():\n    pass\n"})
    assert project.run(COUNTS, "--goref-compare=main").ret == 1
