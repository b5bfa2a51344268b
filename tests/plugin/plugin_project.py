"""A project to run pytest in: plain, or under xdist, in this process or in one of its own.

Test modules that need the fixtures name this module in ``pytest_plugins``.

PYTEST_DONT_REWRITE: they import it as well, before pytest does.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import signal
import sys
import tempfile
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

import pytest

import pytest_goref
from pytest_goref.profilers.conditions import Conditions
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, TestResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_goref.model import TestKey

COUNTS: Final = "--goref-passes=counts"
"""What inner runs ask for where durations do not matter: it keeps them fast."""

ALONE: Final = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p goref -p xdist"}
"""The environment of inner runs: whoever wants other plugins says ``-p`` and their names.

To load all that are installed takes a quarter of the time of a small run.
"""
IN_PROCESS: Final = "-pno:unraisableexception"
"""It would collect the garbage of this whole process, five times for each inner run."""
_LOADED_LATE: Final = ("cProfile", "filelock", "pyinstrument", "tabulate", "tracemalloc")
"""What the plugin imports when it needs it."""
_INI: Final = "[pytest]\n"
_FOREIGN: Final = ("COV_CORE_", "COVERAGE_PROCESS_", "PYTEST_XDIST_", "PYTHONDONTWRITEBYTECODE")

# pytester unloads what an inner run is the first to import, and the next one would import it again.
for _module in pkgutil.walk_packages(pytest_goref.__path__, "pytest_goref."):
    importlib.import_module(_module.name)
for _name in (*_LOADED_LATE, *(() if sys.platform == "win32" else ("memray",))):
    importlib.import_module(_name)


class Project:
    """A directory with tests in which pytest is run.

    Args:
        pytester: makes the directory and runs pytest.
        distribution: the arguments for xdist that every run gets.

    """

    def __init__(self, pytester: pytest.Pytester, distribution: tuple[str, ...] = ()) -> None:
        self._pytester = pytester
        self._cache = CacheDirectory(pytester.path / ".goref_cache")
        self.distribution = distribution
        self.path = pytester.path
        self._written = 0
        self.write({"pytest.ini": _INI})

    def write(self, files: Mapping[str, str]) -> None:
        """Write files by their names."""
        self._written += 1
        written_at = (
            1_000_000_000 + self._written
        )  # or a change of equal length could be missed within a second
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            os.utime(file, (written_at, written_at))

    def replace(self, name: str, old: str, new: str) -> None:
        """Change one place of a file."""
        text = (self.path / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        self.write({name: text.replace(old, new)})

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in this process."""
        return self._pytester.runpytest_inprocess(IN_PROCESS, *self.distribution, *args)

    def run_untraced(self, *args: str) -> pytest.RunResult:
        """Run pytest in this process and let nothing, such as coverage, trace it: else nothing is timed."""
        trace = sys.gettrace()
        sys.settrace(None)
        try:
            return self.run(*args)
        finally:
            sys.settrace(trace)

    def run_apart(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own, which nothing traces: where process state or time matter."""
        return self._pytester.runpytest_subprocess(*self.distribution, *args)

    def baseline(self, name: str = "main") -> dict[str, bytes]:
        """Return the content of every file of a baseline."""
        return {file.name: file.read_bytes() for file in sorted((self._cache.baselines / name).iterdir())}

    def put_baseline(self, files: Mapping[str, bytes], name: str = "main") -> None:
        """Write the files of a baseline, as ``baseline`` has returned them."""
        directory = self._cache.baselines / name
        directory.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (directory / file).write_bytes(content)

    @property
    def history(self) -> History:
        """The stored runs."""
        return History(self._cache.history)

    def last_results(self) -> dict[TestKey, TestResult]:
        """Return what the history holds of the last run."""
        last = self.history.last_id()
        assert last is not None
        return {result.key: result for result in self.history.results(last)}

    def log(self, name: str = "log.txt") -> list[str]:
        """Return the lines that tests have appended to a file, and remove it."""
        file = self.path / name
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


def closing_line(result: pytest.RunResult) -> str:
    """Return the one line that ends the summary of the plugin."""
    lines = [line for line in result.outlines if re.match(r"goref: \d+ (compared|measured)", line)]
    assert len(lines) == 1, lines
    return lines[0]


def junit(project: Project) -> dict[str, ET.Element]:
    """Return the test cases of the JUnit file ``junit.xml`` by their names."""
    root = ET.parse(project.path / "junit.xml").getroot()  # noqa: S314 - an inner run has written it
    return {case.attrib["name"]: case for case in root.iter("testcase")}


@pytest.fixture
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Let inner interpreters keep compiled modules and heed interrupts, and let nothing trace them."""
    # Inner sessions of other tests time at the same time: none is to wait for another.
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.setattr(tempfile, "tempdir", None)
    # Coverage of this project is that of all that inner runs in this process execute.
    monkeypatch.setattr("pytest_goref.plugin.measurement.unwatched", lambda act: act())
    # Whether other programs compute now is no matter of the tests.
    monkeypatch.setattr("pytest_goref.plugin.controller.conditions", Conditions)
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # else what regresses is executed in fresh processes as well
    for name in tuple(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    # What a shell has started in the background ignores interrupts, and so does all that it starts.
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def project(pytester: pytest.Pytester, clean_environment: None) -> Project:
    """A project in which pytest runs as it is."""
    return Project(pytester)


# What fresh processes time after the workers is a matter of other tests.
@pytest.fixture(params=[(), ("-n0",), ("-n2", "--goref-visits=0")], ids=["plain", "n0", "n2"])
def distributed(
    pytester: pytest.Pytester, clean_environment: None, request: pytest.FixtureRequest
) -> Project:
    """A project in which pytest runs plain, and under xdist without and with workers."""
    return Project(pytester, request.param)
