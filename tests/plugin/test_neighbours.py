"""Beside pytest's own options and plugins, tests end as ever."""

from __future__ import annotations

import pytest
from neighbour_tests import counted, refs, timed
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project", "neighbour_tests")


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
