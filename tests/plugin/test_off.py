"""Without ``--goref`` there is no file, no process, no profiler, no heavy import, and no check of markers."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from collections.abc import Iterable

pytest_plugins = ("plugin_project",)

_TESTS: Final = """
import pytest

@pytest.mark.profile
def test_marked(tmp_path):
    (tmp_path / "file").write_text("of the test")

@pytest.mark.goref(rounds=3)
class TestMarked:
    def test_in_class(self):
        pass

def test_unmarked():
    pass
"""
_WRONG_MARKERS: Final = """
import pytest

pytestmark = pytest.mark.profile("positional")

@pytest.mark.profile(bogus=object(), rounds=-1, passes=7, fail=["?"], max_count="many", leaks=None)
def test_wrong_in_every_way():
    pass

@pytest.mark.goref(max_duration=0)
@pytest.mark.parametrize("o", [object()], ids=repr)
def test_with_an_address_in_its_id(o):
    pass
"""
_WATCHER: Final = """
# Writes down what Python's audit hooks tell of the session, for the test to read.
import json, os, sys, threading

_WATCHED = {
    "subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec", "os.system", "os.mkdir",
    "os.rename", "os.remove", "os.link", "os.symlink", "os.truncate", "sqlite3.connect", "socket.connect",
    "_thread.start_new_thread", "sys.setprofile", "sys.settrace", "sys.monitoring.register_callback",
}
_events, _watching = [], True

def _watch(event, arguments):
    if not _watching:
        return
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _events.append(f"write {os.path.dirname(path)}")
    elif event in _WATCHED:
        _events.append(event)

sys.addaudithook(_watch)

def pytest_unconfigure(config):
    global _watching
    _watching = False
    threads = [thread.name for thread in threading.enumerate()]
    tools = [sys.monitoring.get_tool(n) for n in range(6)] if hasattr(sys, "monitoring") else []
    profiler = [str(sys.getprofile()), str(threading.getprofile()), *map(str, tools)]
    seen = {"modules": sorted(sys.modules), "events": _events, "threads": threads, "profiler": profiler}
    with open(os.environ["WATCHED"], "w") as file:
        json.dump(seen, file)
"""
_ORDERLY: Final = "-p no:asyncio -p no:benchmark -p no:django -p no:memray -p no:pytest_cov -p no:randomly"
"""Without the neighbours that warn, shuffle or start something themselves."""
_LOADED: Final = {
    "pytest_goref",
    "pytest_goref.errors",
    "pytest_goref.plugin",
    "pytest_goref.plugin.hooks",
    "pytest_goref.plugin.options",
    "pytest_goref.tracker",
}
_HEAVY: Final = (
    *("cProfile", "filelock", "memray", "pstats", "pyinstrument", "sqlite3", "tabulate"),
    *("pytest_goref.compare", "pytest_goref.environment", "pytest_goref.model", "pytest_goref.profilers"),
    *("pytest_goref.plugin.start", "pytest_goref.quantity", "pytest_goref.report", "pytest_goref.store"),
)


@pytest.fixture
def marked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with tests that are marked and tests that are not, and the plugins that are installed."""
    project.write({"test_it.py": _TESTS})
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.setenv("PYTEST_ADDOPTS", _ORDERLY)
    return project


def watched(project: Project, monkeypatch: pytest.MonkeyPatch, *args: str) -> dict[str, Any]:
    """Return what happened in a session of its own."""
    project.write({"watcher.py": _WATCHER})
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("WATCHED", str(project.path / "watched.json"))
    of_tests = project.path / "of_tests"
    shutil.rmtree(of_tests, ignore_errors=True)
    result = project.run_apart("-p", "watcher", f"--basetemp={of_tests}", "-p", "no:cacheprovider", *args)
    result.assert_outcomes(passed=3)
    seen: dict[str, Any] = json.loads((project.path / "watched.json").read_text(encoding="utf-8"))
    return seen


def set_ini(project: Project, **values: str) -> None:
    """Add ``values`` to the ini file."""
    file = project.path / "pytest.ini"
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    file.write_text(file.read_text(encoding="utf-8") + lines, encoding="utf-8")


def written(project: Project) -> list[str]:
    """Return what the plugin has written."""
    return [path.name for path in project.path.iterdir() if "goref" in path.name]


def below(names: Iterable[str], modules: Iterable[str]) -> list[str]:
    """Return those of ``names`` that are, or are in, one of ``modules``."""
    return [name for name in names if any(f"{name}.".startswith(f"{module}.") for module in modules)]


def test_a_session_that_is_off_does_nothing(marked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    without = watched(marked, monkeypatch, "-p", "no:goref")
    off = watched(marked, monkeypatch)

    assert off["events"] == without["events"]
    assert "write " in "".join(off["events"])  # the watcher sees what the test writes
    assert off["threads"] == without["threads"]
    assert off["profiler"] == without["profiler"]
    new_modules = set(off["modules"]) - set(without["modules"])
    assert below(new_modules, ["pytest_goref"])
    assert below(new_modules, _HEAVY) == []
    assert {m for m in new_modules if m.startswith("pytest_goref") and ".tracker." not in m} == _LOADED
    assert written(marked) == []


def test_the_watcher_sees_a_session_that_is_on(marked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    on = watched(marked, monkeypatch, "--goref", COUNTS)

    assert {"sqlite3.connect", "subprocess.Popen"} <= set(on["events"])
    assert below(on["modules"], ["cProfile", "pytest_goref.store"])
    assert written(marked) == [".goref_cache"]


def test_workers_that_are_off_do_nothing(marked: Project) -> None:
    result = marked.run_apart("-n2")

    result.assert_outcomes(passed=3)
    assert "goref:" not in result.stdout.str()
    assert written(marked) == []


def test_the_summary_says_nothing(marked: Project) -> None:
    result = marked.run("-v")

    result.assert_outcomes(passed=3)
    assert [
        line
        for line in result.outlines
        if "goref" in line and not line.startswith(("platform", "plugins:", "rootdir:"))
    ] == []


def test_markers_are_not_validated(project: Project) -> None:
    project.write({"test_it.py": _WRONG_MARKERS})

    project.run("--strict-markers", "-W", "error").assert_outcomes(passed=2)


def test_markers_are_known(project: Project) -> None:
    shown = project.run("--markers").stdout.str()

    assert "@pytest.mark.profile(rounds=, repeat=, passes=," in shown
    assert "@pytest.mark.goref(...): the same as profile(...)" in shown


def test_values_are_not_validated(marked: Project) -> None:
    set_ini(marked, goref_rounds="0", goref_passes="?", goref_fail="?")

    result = marked.run("--goref-passes=?", "--goref-rounds=0", "--no-goref", "--goref-fail=?")

    result.assert_outcomes(passed=3)
    assert written(marked) == []


def test_the_plugin_can_be_blocked(marked: Project) -> None:
    result = marked.run_apart("-p", "no:goref")

    result.assert_outcomes(passed=3, warnings=2)
    result.stdout.fnmatch_lines(["*PytestUnknownMarkWarning: Unknown pytest.mark.profile*"])


def test_strict_markers_do_not_know_those_of_a_blocked_plugin(marked: Project) -> None:
    result = marked.run_apart("-p", "no:goref", "--strict-markers")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["'profile' not found in `markers` configuration option"])


@pytest.mark.parametrize(
    "args",
    [
        ("--goref", "--no-goref"),
        ("--no-goref", "--goref"),
        ("--no-goref", "--goref-save=main"),
        ("--goref-compare=nothing-of-that-name", "--no-goref"),
        ("--no-goref", "--goref-fail=counts:0", "--goref-warn=?", "--goref-strict", "--goref-all"),
    ],
    ids=" ".join,
)
def test_no_goref_beats_every_option(marked: Project, args: tuple[str, ...]) -> None:
    result = marked.run(*args)

    result.assert_outcomes(passed=3)
    assert "goref:" not in result.stdout.str()
    assert written(marked) == []


@pytest.mark.parametrize("words", ["true", "True", "1", "yes", "on"])
def test_the_ini_file_turns_it_on(marked: Project, words: str) -> None:
    set_ini(marked, goref=words, goref_passes="counts")

    assert closing_line(marked.run()) == "goref: 2 measured"
    assert marked.run("--no-goref").ret == pytest.ExitCode.OK
    assert len(marked.history.runs()) == 1


def test_the_ini_file_turns_it_off(marked: Project) -> None:
    set_ini(marked, goref="false", goref_strict="true", goref_all="true")

    assert "goref:" not in marked.run().stdout.str()
    assert written(marked) == []


@pytest.mark.parametrize("option", ["--goref-all", "--goref-rounds=3", COUNTS])
def test_options_that_only_say_how_turn_nothing_on(marked: Project, option: str) -> None:
    marked.run(option).assert_outcomes(passed=3)

    assert written(marked) == []


@pytest.mark.parametrize(
    "option", ["--goref", "--goref-save=main", "--goref-fail=calls:5%+8", "--goref-warn=counts:1"]
)
def test_options_that_need_it_turn_it_on(marked: Project, option: str) -> None:
    assert closing_line(marked.run(COUNTS, option)).startswith("goref: 2 measured")


def test_the_fixture_only_runs_the_code(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
                def test_fixture(goref):
                    before = goref.snapshot()
                    with goref.ref("db.query"):
                        pass
                    calls = []
                    assert goref.measure(lambda *a, **k: calls.append((a, k)) or "result", 1, b=2) == "result"
                    assert calls == [((1,), {"b": 2})]
                    assert "db.query" not in before
                    assert goref.snapshot()["db.query"].count == 1
            """.replace("\n" + " " * 16, "\n")
        }
    )

    project.run("-W", "error").assert_outcomes(passed=1)
    assert written(project) == []


def test_every_option_is_explained(project: Project) -> None:
    shown = project.run("--help").stdout.str()

    for name in ("save", "compare", "fail", "warn", "strict", "passes", "rounds", "all"):
        assert re.search(rf"^  --goref-{name}\b", shown, re.MULTILINE), name
        has_twin = name not in ("save", "compare")
        assert bool(re.search(rf"^  goref_{name} \(", shown, re.MULTILINE)) is has_twin, name
