from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_cache import CliCache, passed, record

import pytest_goref
from pytest_goref.cli import main
from pytest_goref.cli.arguments import COMMANDS
from pytest_goref.cli.project import find_project
from pytest_goref.errors import CacheError

ROOT = Path(pytest_goref.__file__).parent.parent


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def start(*arguments: str, directory: Path, **environment: str) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_goref", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )


@pytest.mark.parametrize("below", [".", "src/deep"])
def test_the_cache_is_found_in_the_current_directory_and_above(
    below: str, project: CliCache, tmp_path: Path
) -> None:
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    assert find_project(None, tmp_path / below).cache.root == tmp_path / ".goref_cache"


def test_a_file_of_that_name_is_no_cache(project: CliCache, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / ".goref_cache").write_text("a file")
    assert find_project(None, tmp_path / "src").cache.root == tmp_path / ".goref_cache"


def test_without_a_cache_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(tmp_path.anchor)  # above a temporary directory there may be the cache of somebody else
    monkeypatch.chdir(root)
    assert main(["list"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"goref: no .goref_cache in {root} or above: run pytest --goref in the project first, "
        f"or name the directory with --cache DIR\n"
    )


@pytest.mark.parametrize("place", [["--cache", ".goref_cache", "list"], ["list", "--cache", ".goref_cache"]])
def test_the_cache_may_be_named_before_and_after_the_command(
    place: list[str],
    project: CliCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.run(passed(record("test_a.py::test_a")))
    monkeypatch.chdir(tmp_path)
    assert main(place) == 0
    assert "2025-01-31 12:34" in capsys.readouterr().out


def test_a_wrong_cache_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"nowhere: no such directory: --cache takes the \.goref_cache"):
        find_project("nowhere", tmp_path)
    (tmp_path / "src").mkdir()
    with pytest.raises(CacheError, match="src: holds neither baselines nor runs"):
        find_project("src", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND: see goref --help"),
        (["show"], "the following arguments are required: RUN_OR_BASELINE: see goref show --help"),
        (["compare", "main"], "the following arguments are required: B: see goref compare --help"),
        (
            ["accept", "main", "--run", "two"],
            "argument --run: invalid int value: 'two': see goref accept --help",
        ),
        (["list", "extra"], "unrecognized arguments: extra: see goref --help"),
        (["accept", "main", "--bogus", "a", "--x"], "unrecognized arguments: --bogus --x: see goref --help"),
        (["list", "--ca", "x"], "unrecognized arguments: --ca x: see goref --help"),
        (["list", "\x1b[31mred"], "unrecognized arguments: \\x1b[31mred: see goref --help"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_4(
    arguments: list[str], message: str, project: CliCache
) -> None:
    assert project.goref(*arguments).refusal == message


def test_an_unknown_command_names_the_known_ones(project: CliCache) -> None:
    refusal = project.goref("lst").refusal
    assert all(command.name in refusal for command in COMMANDS)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"goref {pytest_goref.__version__}\n"


def test_the_help_names_every_command_and_the_exit_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "exit codes: 0 fine, 1 a regression (compare), 4 bad input or unusable data" in text
    assert max(map(len, text.splitlines())) <= 80
    for command in COMMANDS:
        assert command.summary in text
        assert f"  goref {command.name}" in text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_a_command_fits_and_has_examples(
    command: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = getattr(command, "name", "")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"examples:\n  goref {name}" in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_error_of_the_system_is_one_line(project: CliCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr("pytest_goref.cli.find_project", refuse)
    assert (
        project.goref("list").refusal
        == "/secret: Permission denied: make sure that it exists and may be used"
    )


def test_an_error_of_the_system_without_a_file_is_one_line(
    project: CliCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_goref.cli.find_project", refuse)
    assert (
        project.goref("list").refusal == "No space left on device: make sure that it exists and may be used"
    )


def test_an_interrupted_command_ends_quietly(project: CliCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_goref.cli.find_project", interrupt)
    said = project.goref("list")
    assert (said.status, said.out, said.err) == (130, "", "")


def test_a_stream_that_cannot_encode_gets_escapes(project: CliCache, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run(passed(record("test_a.py::test_café[日本]")), passed(record("test_a.py::test_plain")))
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    assert main(["--cache", str(project.cache.root), "show", "last"]) == 0
    text = raw.getvalue().decode("latin-1")
    assert "test_caf\\xe9[\\u65e5\\u672c]" in text
    assert "test_a.py::test_plain" in text


def test_the_module_is_the_command(project: CliCache, tmp_path: Path) -> None:
    project.run(passed(record("test_a.py::test_a")))
    process = start("list", directory=tmp_path)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"2025-01-31 12:34" in out


def test_importing_the_module_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("pytest_goref.__main__")
    assert capsys.readouterr() == ("", "")


def test_a_refusal_of_the_module_is_exit_4(tmp_path: Path) -> None:
    process = start("show", "main", "--cache", "gone", directory=tmp_path)
    out, err = process.communicate()
    assert (process.returncode, out) == (4, b"")
    assert err.startswith(b"goref: ")
    assert err.count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_a_reader_that_closes_the_pipe_is_no_error(project: CliCache, tmp_path: Path) -> None:
    project.run(*(passed(record(f"test_a.py::test_{number:0200}")) for number in range(1000)))
    process = start("show", "last", directory=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) == (0, b"")


def test_the_command_imports_neither_pytest_nor_what_only_measuring_needs(
    project: CliCache, tmp_path: Path
) -> None:
    project.run(passed(record("test_a.py::test_a")))
    code = (
        "import sys; from pytest_goref.cli import main; main(['show', 'last', 'test_a']); "
        "print([name for name in ('pytest', '_pytest', 'memray', 'pyinstrument') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
