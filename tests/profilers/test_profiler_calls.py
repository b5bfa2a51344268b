from __future__ import annotations

import cProfile
import gc
import sys
import textwrap
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_goref.metrics import CALLS
from pytest_goref.profilers import ProfilerUnavailableError
from pytest_goref.profilers.calls import CallsProfiler, c_function_name
from pytest_goref.profilers.places import Places

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """
    import json
    import sqlite3

    def double(number):
        return number * 2

    class Shop:
        def total(self):
            return sum(double(n) for n in range(3))

    def query(times):
        connection = sqlite3.connect(":memory:")
        for _ in range(times):
            connection.execute("select 1")
        connection.close()

    def parse():
        return json.loads("[1]")
"""


def load(path: Path, source: str = PROJECT) -> ModuleType:
    """Make a module of ``source`` at ``path``, without importing it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    module = ModuleType("app")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


def calls_of(
    rootdir: Path, body: str, module: ModuleType, runner_files: tuple[str, ...] = ()
) -> dict[str, int]:
    """Return the calls of a test with ``body`` in a file of the project."""
    test = load(rootdir / "test_app.py", f"def test(app):\n    {body}\n")
    running = CallsProfiler(Places(rootdir, runner_files)).start()
    try:
        test.test(module)
    finally:
        observation = running.stop()
    return dict(observation.counted[CALLS])


@pytest.fixture
def app(tmp_path: Path) -> ModuleType:
    return load(tmp_path / "src" / "app.py")


def test_garbage_from_before_is_not_collected_meanwhile(tmp_path: Path, app: ModuleType) -> None:
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.callbacks.append(lambda phase, info: str.upper(phase))
    try:
        gc.set_threshold(1_000, *threshold[1:])
        source = "app.kept = [[] for _ in range(900)]"  # with what stands before the test, that is too many
        calls = calls_of(tmp_path, source, app)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks[:] = callbacks
    assert "str.upper" not in calls


def test_project_code_is_named_by_file_and_qualified_name(tmp_path: Path, app: ModuleType) -> None:
    calls = calls_of(tmp_path, "app.Shop().total()", app)
    assert calls["src/app.py:Shop.total"] == 1
    assert calls["src/app.py:double"] == 3
    assert calls["test_app.py:test"] == 1
    assert calls["builtins.sum"] == 1


def test_c_functions_are_named_and_counted(tmp_path: Path, app: ModuleType) -> None:
    calls = calls_of(tmp_path, "app.query(101)", app)
    assert calls["sqlite3.Connection.execute"] == 101


def test_other_python_code_is_counted_by_its_module(tmp_path: Path, app: ModuleType) -> None:
    calls = calls_of(tmp_path, "app.parse()", app)
    assert calls["json"] == 1
    assert calls["json.decoder"] == 2  # decode and raw_decode
    assert not [subject for subject in calls if subject.startswith("/")]


def test_lines_that_move_change_nothing(tmp_path: Path, app: ModuleType) -> None:
    before = calls_of(tmp_path, "app.Shop().total()", app)
    moved = load(tmp_path / "src" / "app.py", "\n\n# a comment\n" + textwrap.dedent(PROJECT))
    assert calls_of(tmp_path, "app.Shop().total()", moved) == before


def test_one_call_more_is_one_call_more(tmp_path: Path, app: ModuleType) -> None:
    once = calls_of(tmp_path, "app.double(1)", app)
    twice = calls_of(tmp_path, "app.double(app.double(1))", app)
    assert twice["src/app.py:double"] - once["src/app.py:double"] == 1


def test_an_environment_in_the_project_is_not_project_code(tmp_path: Path) -> None:
    installed = load(tmp_path / ".venv" / "lib" / "site-packages" / "dep.py", "def f():\n    return 1\n")
    calls = calls_of(tmp_path, "app.f()", installed)
    assert calls["dep"] == 1
    assert not [subject for subject in calls if "site-packages" in subject]


def test_the_interpreter_may_live_in_the_project(
    tmp_path: Path, app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "src"))
    calls = calls_of(tmp_path, "app.double(1)", app)
    assert "src/app.py:double" not in calls


def test_what_only_the_runner_uses_is_left_out(tmp_path: Path, app: ModuleType) -> None:
    plugin = load(
        tmp_path.parent / "plugins" / "runner.py",
        """
        import json

        def run(test):
            json.dumps([1, 2])
            return test()
        """,
    )
    files = (str(tmp_path.parent / "plugins" / "runner.py"),)
    app.__dict__["run"] = plugin.run
    calls = calls_of(tmp_path, "app.run(lambda: app.double(2))", app, files)
    assert calls["src/app.py:double"] == 1
    assert "json" not in calls
    assert "json.encoder" not in calls
    assert not [subject for subject in calls if "runner" in subject]


def test_what_the_test_uses_too_counts_only_its_own_calls(tmp_path: Path, app: ModuleType) -> None:
    plugin = load(
        tmp_path.parent / "plugins" / "runner.py",
        "import json\n\ndef run(test):\n    json.loads('1')\n    return test()\n",
    )
    files = (str(tmp_path.parent / "plugins" / "runner.py"),)
    app.__dict__["run"] = plugin.run
    calls = calls_of(tmp_path, "app.run(app.parse)", app, files)
    assert calls["json"] == 1


def test_generated_code_is_named_without_its_address(tmp_path: Path, app: ModuleType) -> None:
    source = compile("def made():\n    return 1\n", "<made at 0x7f00deadbeef>", "exec")
    exec(source, app.__dict__)  # noqa: S102 - our own text
    assert calls_of(tmp_path, "app.made()", app)["<made at 0x>:made"] == 1


def test_another_profiler_is_named(tmp_path: Path) -> None:
    other = cProfile.Profile()
    other.enable()
    try:
        with pytest.raises(ProfilerUnavailableError, match="another profiler is active"):
            CallsProfiler(Places(tmp_path)).start()
    finally:
        other.disable()
    CallsProfiler(Places(tmp_path)).start().stop()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from 3.12 on a second profiler is refused")
def test_a_test_that_sets_a_profiler_is_found_out(tmp_path: Path) -> None:
    running = CallsProfiler(Places(tmp_path)).start()
    sys.setprofile(None)
    with pytest.raises(ProfilerUnavailableError, match="sets a profiler"):
        running.stop()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<method 'execute' of 'sqlite3.Connection' objects>", "sqlite3.Connection.execute"),
        ("<slot wrapper '__init__' of 'object' objects>", "object.__init__"),
        ("<built-in method builtins.len>", "builtins.len"),
        ("<built-in method _sqlite3.connect>", "_sqlite3.connect"),
        ("<built-in method fromkeys of type object at 0x7f2e2c0>", "fromkeys"),
        ("<built-in function time.sleep>", "time.sleep"),
        ("<something else at 0x7f2e2c0>", "<something else at 0x>"),
    ],
)
def test_c_functions_have_a_dotted_name(text: str, name: str) -> None:
    assert c_function_name(text) == name
