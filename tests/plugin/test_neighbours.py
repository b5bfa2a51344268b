"""Beside pytest's own options and plugins, other tools and odd surroundings, tests end as ever."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest
import pytest_goref

@pytest.fixture
def connection():
    yield pytest_goref.ref

@pytest.mark.profile
def test_one(connection):
    connection("db.query").deref()

@pytest.mark.profile
class TestMore:
    def test_two(self, connection):
        connection("db.query").deref()
"""
_CLOCKS: Final = ("time", "perf_counter", "monotonic", "process_time", "thread_time")


@pytest.fixture
def marked(project: Project) -> Project:
    """A project with two marked tests that use one key once."""
    project.write({"test_it.py": _TESTS})
    return project


def write_test(project: Project, body: str, head: str = "import pytest_goref") -> None:
    """Write one marked test that does ``body``, line by line."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = f"{head}\nimport pytest"
    project.write({"test_it.py": f"{head}\n\n@pytest.mark.profile\ndef test_it(goref):\n{lines}"})


def refs(project: Project) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the refs that the last run has counted, by the names of tests."""
    return {key.name: counted(project, key.name, "refs") for key in project.last_results()}


def counted(project: Project, test: str, metric: str) -> dict[str, tuple[int, ...]]:
    """Return what the last run has measured of a metric of a test; nothing when it has not."""
    (record,) = (result.record for key, result in project.last_results().items() if key.name == test)
    assert record is not None
    found = [by_subject for measured, by_subject in record.measurements.items() if measured.name == metric]
    return dict(found[0]) if found else {}


def timed(project: Project) -> bool:
    """Return whether the last run has taken times of any test."""
    return any(result.record and result.record.visit for result in project.last_results().values())


def plain_outcomes(project: Project, *args: str) -> tuple[int, dict[str, int]]:
    """Return how a run ends without measuring."""
    result = project.run("--no-goref", *args)
    return int(result.ret), result.parseoutcomes()


@pytest.mark.parametrize(
    "args",
    [
        ("-W", "error"),
        ("-p", "no:cacheprovider"),
        ("-x", "--ff"),
        ("--pdb",),
        ("--setup-show",),
        ("-l", "--tb=native", "--durations=3"),
        ("-vv", "-rA"),
        ("-n0",),
        ("--import-mode=importlib",),
        ("--strict-markers", "--strict-config"),
        ("--capture=sys",),
        ("--capture=tee-sys",),
        ("-s",),
        ("--color=yes",),
        ("-o", "console_output_style=count"),
        ("-o", "console_output_style=times"),
    ],
    ids=" ".join,
)
def test_options_of_pytest_work_as_ever(marked: Project, args: tuple[str, ...]) -> None:
    result = marked.run("--goref", COUNTS, *args)

    assert (int(result.ret), result.parseoutcomes()) == plain_outcomes(marked, *args)
    assert closing_line(result) == "goref: 2 measured"
    assert refs(marked) == {"test_one": {"db.query": (1,)}, "TestMore::test_two": {"db.query": (1,)}}
    assert result.errlines in ([], [""])


@pytest.mark.parametrize(
    "name",
    [
        *(
            "assertion",
            "capture",
            "debugging",
            "doctest",
            "faulthandler",
            "junitxml",
            "legacypath",
            "logging",
        ),
        *("monkeypatch", "pastebin", "recwarn", "setuponly", "setupplan", "skipping", "stepwise", "subtests"),
        *("threadexception", "tmpdir", "unittest", "unraisableexception", "warnings", "xdist"),
    ],
)
def test_plugins_of_pytest_are_not_needed(marked: Project, name: str) -> None:
    result = marked.run("--goref", COUNTS, "-p", f"no:{name}")

    result.assert_outcomes(passed=2)
    assert closing_line(result) == "goref: 2 measured"


def test_a_session_without_terminal_measures_and_saves(marked: Project) -> None:
    result = marked.run("--goref-save=main", COUNTS, "-p", "no:terminal")

    assert result.ret == pytest.ExitCode.OK
    assert result.outlines == []
    assert len(marked.baseline()) == 1
    assert len(marked.last_results()) == 2


@pytest.mark.parametrize("option", ["-q", "-qq", "-qqq"])
def test_a_quiet_session_tells_the_closing_line_and_what_failed(marked: Project, option: str) -> None:
    marked.run("--goref-save=main", COUNTS)
    same = marked.run("--goref-compare=main", COUNTS, option)
    marked.replace(
        "test_it.py", "self, connection):", 'self, connection):\n        connection("more").deref()'
    )
    regressed = marked.run("--goref-compare=main", COUNTS, option)

    assert [line for line in same.outlines if "goref" in line] == [closing_line(same)]
    assert regressed.ret == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py::TestMore::test_two: regressed" in regressed.outlines
    assert closing_line(regressed).endswith("; 1 regressed, 0 improved")


@pytest.mark.parametrize(
    "args", [("--co",), ("--co", "-q"), ("--setup-only",), ("--setup-plan",)], ids=" ".join
)
@pytest.mark.parametrize("option", ["--goref-save=other", "--goref-compare=main"])
def test_sessions_that_execute_nothing_write_nothing(
    marked: Project, args: tuple[str, ...], option: str
) -> None:
    marked.run("--goref-save=main", COUNTS)
    before = {path: path.read_bytes() for path in marked.path.rglob("*.json")}

    result = marked.run(option, *args)

    assert (int(result.ret), result.outlines[:-1]) == (0, marked.run("--no-goref", *args).outlines[:-1])
    assert {path: path.read_bytes() for path in marked.path.rglob("*.json")} == before
    assert len(marked.history.runs()) == 1


def test_setup_show_executes_once_and_says_so(marked: Project) -> None:
    result = marked.run("--goref", "--setup-show")

    assert result.stdout.str().count("SETUP    F connection") == 2
    result.stdout.fnmatch_lines(["2 tests executed once (--setup-show): test_it.py::test_one, ..."])
    assert not timed(marked)


def test_pdb_executes_once_and_says_so(marked: Project) -> None:
    result = marked.run_untraced("--goref", "--pdb")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["2 tests executed once (--pdb): test_it.py::test_one, ..."])
    assert "durations" not in result.stdout.str()
    assert not timed(marked)


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_a_test_is_seen_and_heard_once(project: Project, capture: str) -> None:
    code = """
        import logging, os, sys, warnings
        print("printed out")
        print("printed err", file=sys.stderr)
        os.write(1, b"written out\\n")
        os.write(2, b"written err\\n")
        logging.getLogger("of.test").warning("logged")
        warnings.warn("warned", stacklevel=1)
    """
    write_test(project, code.replace("\n        ", "\n").strip())

    result = project.run_apart(
        *("--goref", COUNTS, "-p", "no:cacheprovider", "-rP", "-o", "log_cli=true"),
        *("-o", "log_file=log.txt", "--junit-xml=junit.xml", "-o", "junit_logging=all"),
        f"--capture={capture}",
    )

    result.assert_outcomes(passed=1, warnings=1)
    told = result.stdout.str() + result.stderr.str()
    shown_again = 2 if capture == "tee-sys" else 1  # -rP shows what was captured
    assert told.count("printed out") == told.count("printed err") == shown_again
    assert told.count("written out") == told.count("written err") == 1
    assert told.count("logged") == 2  # live, and by -rP
    assert told.count("UserWarning: warned") == 1
    assert (project.path / "log.txt").read_text(encoding="utf-8").count("logged") == 1
    in_xml = (project.path / "junit.xml").read_text(encoding="utf-8")
    assert in_xml.count("printed out") <= 1
    assert in_xml.count("logged") == 1


def test_doctests_are_left_alone(project: Project) -> None:
    project.write(
        {"test_it.py": '"""Adds.\n\n>>> 1 + 1\n2\n"""\n\ndef test_it(): pass\n', "t.txt": ">>> 1\n1\n"}
    )

    result = project.run("--goref", "--goref-all", COUNTS, "--doctest-modules", "--doctest-glob=*.txt")

    result.assert_outcomes(passed=3)
    assert closing_line(result) == "goref: 1 measured"


def test_unittest_classes_are_measured(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import unittest
import pytest
import pytest_goref

@pytest.mark.profile
class TestOld(unittest.TestCase):
    def setUp(self):
        pytest_goref.ref("of.setup").deref()

    def test_it(self):
        pytest_goref.ref("of.test").deref()

    @pytest.mark.profile(max_count={"of.test": 1})
    def test_limit(self):
        for _ in range(2):
            pytest_goref.ref("of.test").deref()
"""
        }
    )

    result = project.run("--goref", COUNTS)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["goref: of.test 2 refs, limit 1"])
    assert counted(project, "TestOld::test_it", "refs")["of.test"] == (1,)


def test_a_module_is_marked(project: Project) -> None:
    project.write({"test_it.py": "import pytest\npytestmark = pytest.mark.profile\n\ndef test_it(): pass\n"})

    assert closing_line(project.run("--goref", COUNTS)) == "goref: 1 measured"


@pytest.mark.parametrize("value", ["0", "-1", "float('nan')", "None"])
def test_a_test_may_stop_its_clocks(project: Project, value: str) -> None:
    body = f"""
for name in {_CLOCKS}:
    for variant in (name, name + "_ns"):
        if hasattr(time, variant):
            monkeypatch.setattr(time, variant, lambda: {value})
pytest_goref.ref("db.query").deref()
"""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    head = "import time\nimport pytest\nimport pytest_goref\n\n@pytest.mark.profile(max_duration='1min')\n"
    project.write({"test_it.py": f"{head}def test_it(monkeypatch):\n{lines}"})

    result = project.run_apart("--goref", "--goref-rounds=2")

    result.assert_outcomes(passed=1)
    assert closing_line(result) == "goref: 1 measured"
    assert refs(project) == {"test_it": {"db.query": (1,)}}
    assert timed(project)


@pytest.mark.parametrize("library", ["freezegun", "time_machine"])
def test_a_test_may_freeze_time(project: Project, library: str) -> None:
    pytest.importorskip(library)
    freeze = "freezegun.freeze_time" if library == "freezegun" else "time_machine.travel"
    body = """
with FREEZE("2020-01-01"):
    assert time.time() // 10 == 157_783_680
    pytest_goref.ref("k").deref()
""".strip().replace("FREEZE", freeze)
    write_test(project, body, head=f"import time\nimport {library}\nimport pytest_goref")

    result = project.run_apart("--goref-save=main", "--goref-rounds=2")

    result.assert_outcomes(passed=1)
    assert closing_line(result).startswith("goref: 1 measured, saved to main: 1 entry written")
    (record,) = (result.record for result in project.last_results().values())
    assert record is not None
    assert record.visit is not None
    assert all(0 < taken.wall_ns < 10**11 for taken in record.visit.rounds)
    assert refs(project) == {"test_it": {"k": (1,)}}


@pytest.mark.parametrize("then", ["", "\nos.rmdir(os.getcwd())"])
def test_a_test_may_change_the_directory(project: Project, then: str) -> None:
    body = f'here = str(tmp_path / "here")\nos.makedirs(here, exist_ok=True)\nos.chdir(here){then}'
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = "import os\nimport pytest\n\n@pytest.mark.profile\n"
    project.write({"test_it.py": f"{head}def test_it(tmp_path):\n{lines}"})
    if sys.platform == "win32" and then:
        pytest.skip("a directory in use cannot be removed")

    saved = project.run_apart("--goref-save=main", COUNTS)
    compared = project.run_apart("--goref-compare=main", COUNTS, "-n2")

    saved.assert_outcomes(passed=1)
    assert closing_line(saved).startswith("goref: 1 measured, saved to main: 1 entry written")
    assert closing_line(compared).startswith("goref: 1 compared")


_PROFILERS: Final = {
    "cProfile": ("import cProfile", "with cProfile.Profile():\n    pytest_goref.ref('k').deref()"),
    "profile": ("import profile", "profile.Profile().runcall(len, 'abc')\npytest_goref.ref('k').deref()"),
    "sys.setprofile": (
        "import sys",
        "sys.setprofile(lambda *_: None)\npytest_goref.ref('k').deref()\nsys.setprofile(None)",
    ),
    "sys.settrace": (
        "import sys",
        "sys.settrace(lambda *_: None)\npytest_goref.ref('k').deref()\nsys.settrace(None)",
    ),
}


@pytest.mark.parametrize("tool", _PROFILERS)
def test_a_test_may_use_a_profiler_itself(project: Project, tool: str) -> None:
    head, body = _PROFILERS[tool]
    write_test(project, body, head=f"{head}\nimport pytest_goref")

    result = project.run_apart("--goref-save=main", "--goref-rounds=2")

    result.assert_outcomes(passed=1)
    assert refs(project) == {"test_it": {"k": (1,)}}
    assert timed(project)
    told = [line for line in result.outlines if line.startswith(("calls are ", "calls were "))]
    assert len(told) <= 1
    assert bool(told) is not bool(counted(project, "test_it", "calls"))


def test_a_session_under_a_profiler_counts_refs(marked: Project) -> None:
    command = [sys.executable, "-m", "cProfile", "-o", "stats", "-m", "pytest", "--goref", "--goref-rounds=1"]

    ended = subprocess.run(command, cwd=marked.path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout
    (told,) = (line for line in ended.stdout.splitlines() if line.startswith("durations are not measured"))
    assert "rofile) is active" in told
    assert refs(marked)["test_one"] == {"db.query": (1,)}
    assert not timed(marked)


@pytest.mark.skipif(importlib.util.find_spec("coverage") is None, reason="needs coverage")
def test_coverage_stops_the_clock_and_nothing_else(marked: Project) -> None:
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "--goref"]

    ended = subprocess.run(command, cwd=marked.path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("durations are not measured"))
    assert line.endswith("(2 tests: test_it.py::test_one, ...)")
    assert refs(marked)["test_one"] == {"db.query": (1,)}
    assert counted(marked, "test_one", "calls")
    assert not timed(marked)


def test_coverage_counts_what_runs_without_it(marked: Project) -> None:
    pytest.importorskip("coverage")
    marked.run_apart("--goref-save=main", COUNTS)
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        "-m",
        "pytest",
        "--goref-compare=main",
        "--goref-strict",
    ]

    ended = subprocess.run(
        [*command, "--goref-fail=calls:0"], cwd=marked.path, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout
    assert "2 compared, 0 new, 0 missing, 0 incomparable" in ended.stdout


def test_a_time_limit_is_that_of_one_execution(project: Project) -> None:
    pytest.importorskip("pytest_timeout")
    write_test(project, "import time\ntime.sleep(0.02)")

    result = project.run_apart("--goref", "--goref-rounds=30", "--timeout=0.5")

    result.assert_outcomes(passed=1)
    assert closing_line(result) == "goref: 1 measured"
    assert timed(project)


def test_a_benchmark_fixture_decides_itself_how_often_code_runs(project: Project) -> None:
    # As that of pytest-benchmark and pytest-codspeed does: another number of times in every run.
    fixture = """
import itertools, os
import pytest

@pytest.fixture
def benchmark():
    def repeat(function):
        for _ in range(int(os.environ["TIMES"])):
            function()
    with open("executed.txt", "a") as file:
        file.write("once\\n")
    return repeat
"""
    body = "benchmark(lambda: pytest_goref.ref('k').deref())"
    head = "import pytest\nimport pytest_goref\n\n@pytest.mark.profile\n"
    project.write({"conftest.py": fixture, "test_it.py": f"{head}def test_it(benchmark):\n    {body}\n"})

    results = []
    for times, option in ((3, "--goref-save=main"), (5, "--goref-compare=main")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TIMES", str(times))
            results.append(project.run(option))

    why = (
        "counts, calls, allocations and durations are not measured: "
        "the benchmark fixture decides how often the code runs"
    )
    for result in results:
        result.assert_outcomes(passed=1)
        assert result.outlines.count(f"{why} (1 test: test_it.py::test_it)") == 1
    assert project.log("executed.txt") == ["once", "once"]
    assert "0 compared, 0 new, 0 missing, 1 incomparable" in closing_line(results[1])


def test_output_that_knows_only_ascii(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    use = 'pytest_goref.ref("schl\u00fcssel \u6f22\u5b57").deref()'
    write_test(project, use)
    project.run_apart("--goref-save=main", COUNTS)
    write_test(project, f"{use}\n{use}")

    result = project.run_apart("--goref-compare=main", COUNTS)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.stdout.str().isascii()
    assert r"schl\xfcssel \u6f22\u5b57" in result.stdout.str()
    assert closing_line(result).endswith("; 1 regressed, 0 improved")


def test_output_that_knows_unicode(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUTF8", "1")
    write_test(project, 'pytest_goref.ref("schl\u00fcssel").deref()')
    project.write({"pytest.ini": "[pytest]\naddopts = -p no:asyncio\ngoref_passes = counts\n"})
    project.run_apart("--goref-save=main")
    project.replace("test_it.py", '").deref()', '").deref(); pytest_goref.ref("schl\u00fcssel").deref()')

    assert "goref: schl\u00fcssel 1 -> 2 (+1) refs" in project.run_apart("--goref-compare=main").stdout.str()


@pytest.mark.parametrize("columns", ["1", "20", "40", "400"])
def test_a_terminal_of_any_width(project: Project, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    keys = "for key in ('k', 'a.very.long.key.' * 9):\n    pytest_goref.ref(key).deref()"
    write_test(project, keys)
    project.run("--goref-save=main", COUNTS)
    write_test(project, f"{keys}\n    pytest_goref.ref(key).deref()")

    result = project.run("--goref-compare=main", COUNTS)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    rows = [line for line in result.outlines if line.startswith("  refs ")]
    assert len(rows) == 2
    assert max(map(len, rows)) <= (int(columns) if int(columns) >= 40 else 80)  # as pytest takes it
    assert closing_line(result).endswith("; 1 regressed, 0 improved")
