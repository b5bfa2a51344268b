"""Executing a test more than once: how often, with which fixtures, and what is left of it."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, junit

pytest_plugins = ("plugin_project",)

_NOTE: Final = """
import pytest

def note(text):
    with open(NOTES, "a") as log:
        print(text, file=log)

import pathlib
NOTES = str(pathlib.Path(__file__).parent / "log.txt")
"""
_FIXTURES: Final = (
    _NOTE
    + """
def noted(scope):
    def fixture(request):
        note(f"{scope} up")
        yield scope
        note(f"{scope} down")
    return pytest.fixture(fixture, scope=scope, name=f"{scope}_fixture")

session, package, module, class_, function = map(
    noted, ("session", "package", "module", "class", "function")
)

def setup_module():
    note("setup_module")

def teardown_module():
    note("teardown_module")

@pytest.mark.profile
class TestIt:
    @classmethod
    def setup_class(cls):
        note("setup_class")

    def setup_method(self):
        note("setup_method")

    def teardown_method(self):
        note("teardown_method")

    @pytest.mark.parametrize("number", [1, 2])
    def test_it(
        self, session_fixture, package_fixture, module_fixture, class_fixture, function_fixture, number
    ):
        note(f"test {number}")
"""
)


def _once(lines: list[str], block: list[str]) -> list[str]:
    """Return ``lines`` with each repetition of ``block`` left out."""
    kept: list[str] = []
    while lines:
        again = kept[-len(block) :] == lines[: len(block)] == block
        kept, lines = (kept, lines[len(block) :]) if again else ([*kept, lines[0]], lines[1:])
    return kept


def test_function_fixtures_live_for_an_execution_and_wider_ones_for_their_scope(project: Project) -> None:
    project.write({"test_it.py": _FIXTURES})
    assert project.run().ret == 0
    plain = project.log()
    assert project.run("--goref", COUNTS).ret == 0
    measured = project.log()
    for test in ("test 1", "test 2"):
        assert measured.count(test) == 10
        place = plain.index(test)
        measured = _once(measured, plain[place - 2 : place + 3])
    assert measured == plain


_STATE: Final = (
    _NOTE
    + """
import os, random

def state():
    return f"{os.getcwd()} {os.environ.get('GOREF_A')} {os.environ.get('GOREF_B')} {random.random()}"

@pytest.fixture(scope="module", autouse=True)
def wide():
    os.environ["GOREF_WIDE"] = "set up"
    os.makedirs("wide", exist_ok=True)
    os.chdir("wide")
    yield
    os.chdir("..")

@pytest.fixture
def narrow(monkeypatch):
    assert "GOREF_NARROW" not in os.environ
    monkeypatch.setenv("GOREF_NARROW", "patched")
    monkeypatch.setenv("GOREF_A", "patched")
    monkeypatch.delenv("HOME", raising=False)

@pytest.mark.profile
def test_patched(narrow):
    assert os.environ["GOREF_NARROW"] == os.environ["GOREF_A"] == "patched"

@pytest.mark.profile
def test_changes(tmp_path_factory):
    assert os.environ["GOREF_WIDE"] == "set up"
    assert os.environ["GOREF_A"] == "before"
    assert "GOREF_B" not in os.environ
    assert os.getcwd() == os.path.join(os.path.dirname(__file__), "wide")
    os.environ["GOREF_A"] = "changed"
    os.environ["GOREF_B"] = "added"
    os.mkdir("here") if not os.path.exists("here") else None
    os.chdir("here")
    random.random()

def test_finds():
    note(state())

@pytest.mark.profile
def test_removes():
    del os.environ["GOREF_B"]
    os.chdir("..")
    random.seed(1)

def test_misses():
    note(state())
"""
)


def test_the_process_is_left_as_by_one_execution(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOREF_A", "before")
    project.write({"test_it.py": _STATE, "conftest.py": "import random\nrandom.seed(0)\n"})
    assert project.run_apart().ret == 0
    plain = project.log()
    result = project.run_apart("--goref", "--goref-rounds=1")
    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*not repeatable*")
    assert project.log() == plain


_INTERRUPTED: Final = (
    _NOTE
    + """
RUNS = []

@pytest.fixture(scope="module", autouse=True)
def wide():
    yield
    note("torn down")

@pytest.mark.profile
def test_it():
    RUNS.append(1)
    if len(RUNS) == 3:
        INTERRUPT

def test_never():
    note("executed")
"""
)


@pytest.mark.parametrize(
    ("interrupt", "status"),
    [("raise KeyboardInterrupt", pytest.ExitCode.INTERRUPTED), ("pytest.exit('enough', returncode=7)", 7)],
    ids=["interrupt", "exit"],
)
def test_an_interrupt_ends_the_session_with_the_report_of_the_test(
    project: Project, interrupt: str, status: int
) -> None:
    project.write({"test_it.py": _INTERRUPTED.replace("INTERRUPT", interrupt)})
    result = project.run_apart("--goref-save=main", COUNTS, "--junitxml=junit.xml")
    assert result.ret == status
    result.assert_outcomes(passed=1)
    assert project.log() == ["torn down"]
    assert list(junit(project)) == ["test_it"]
    assert not list((project.path / ".goref_cache").glob("baselines/main/*"))


def test_an_interrupt_in_a_tear_down_comes_after_the_report_of_the_call(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import pytest

@pytest.fixture
def interrupted():
    yield
    raise KeyboardInterrupt

@pytest.mark.profile
def test_it(interrupted):
    pass
"""
        }
    )
    assert project.run_apart().parseoutcomes() == {"passed": 1}
    result = project.run_apart("--goref", COUNTS)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)


_TEARDOWNS: Final = """
import pytest

@pytest.fixture(scope="module")
def wide():
    yield
    print("wide printed")
    raise RuntimeError("wide failed")

@pytest.fixture
def narrow():
    yield
    print("narrow printed")
    raise RuntimeError("narrow failed")

@pytest.fixture
def loud():
    yield
    print("loud printed")

@pytest.mark.profile
def test_wide(wide):
    pass

@pytest.mark.profile
def test_both(wide, narrow):
    pass

@pytest.mark.profile
def test_loud(wide, loud):
    pass
"""


@pytest.mark.parametrize("names", ["wide", "both", "loud", "wide or both"])
def test_errors_of_tear_downs_appear_once(project: Project, names: str) -> None:
    project.write({"test_it.py": _TEARDOWNS})
    plain = project.run("-k", names, "--tb=short")
    result = project.run("-k", names, "--tb=short", "--goref", COUNTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == plain.parseoutcomes()
    for text in ("wide failed", "narrow failed", " printed", "Captured stdout teardown"):
        assert result.stdout.str().count(text) == plain.stdout.str().count(text), text


def test_a_session_that_stops_tells_errors_of_wider_tear_downs(project: Project) -> None:
    project.write(
        {"test_it.py": _TEARDOWNS.replace("test_wide(wide):\n    pass", "test_wide(wide):\n    LIMIT")}
    )
    project.replace("test_it.py", "LIMIT", 'pytest_goref.ref("key").deref()')
    project.replace("test_it.py", "import pytest", "import pytest, pytest_goref")
    project.replace("test_it.py", "profile\ndef test_wide", 'profile(max_count={"key": 0})\ndef test_wide')
    result = project.run("--goref", COUNTS, "-x", "-k", "wide or loud")
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["E * RuntimeError: wide failed"])


_LOUD: Final = """
import logging, os, subprocess, sys, warnings
import pytest

@pytest.mark.profile
def test_it():
    print("printed", flush=True)
    sys.stdout.buffer.write(b"bytes\\n")
    sys.stderr.write("complained\\n")
    os.write(1, b"written\\n")
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    logging.getLogger("shop").warning("logged")
    warnings.warn("be warned")
    warnings.warn("is deprecated", DeprecationWarning)
"""


@pytest.mark.parametrize("capture", ["no", "sys", "tee-sys", "fd"])
def test_what_a_test_shows_is_shown_once(project: Project, capture: str) -> None:
    project.write({"test_it.py": _LOUD})
    args = (f"--capture={capture}", "-rP", "-olog_cli=true")
    plain = project.run_apart(*args)
    measured = project.run_apart(*args, "--goref", "--goref-rounds=1")
    plain.assert_outcomes(passed=1, warnings=2)
    measured.assert_outcomes(passed=1, warnings=2)
    for text in ("printed", "bytes", "complained", "written", "child", "logged", "be warned"):
        shown = [run.stdout.str().count(text) + run.stderr.str().count(text) for run in (plain, measured)]
        assert shown[0] == shown[1] > 0, text


_REPORTING: Final = """
import pytest, pytest_goref

RUNS = []

@pytest.fixture
def loud(record_property):
    RUNS.append(1)
    print("up", len(RUNS))
    yield
    print("down", len(RUNS))
    record_property("down", len(RUNS))

@pytest.fixture(scope="module")
def wide():
    yield
    print("wide")

@pytest.mark.profile
def test_passes(loud, wide, record_property):
    print("test", len(RUNS))
    record_property("test", len(RUNS))

@pytest.mark.profile(max_count={"key": 0})
def test_does_too_much(loud, wide, record_property):
    print("test", len(RUNS))
    record_property("test", len(RUNS))
    pytest_goref.ref("key").deref()
"""
_REPORTS: Final = """
def pytest_runtest_logreport(report):
    with open("log.txt", "a") as log:
        print(report.nodeid, report.when, report.sections, report.user_properties, report.keywords, file=log)
"""


@pytest.mark.parametrize("name", ["test_passes", "test_does_too_much"])
def test_reports_tell_of_the_first_execution(project: Project, name: str) -> None:
    project.write({"test_it.py": _REPORTING, "conftest.py": _REPORTS})
    assert project.run("-k", name).ret == 0
    plain = project.log()
    project.run("-k", name, "--goref", COUNTS)
    assert project.log() == plain
