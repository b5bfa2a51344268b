from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_goref import environment
from pytest_goref.environment import current_commit, current_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let the environment be looked at again, and keep it from being remembered."""
    monkeypatch.setattr(environment, "current_environment", current_environment.__wrapped__)
    return monkeypatch


def test_the_environment_is_this_interpreter_on_this_machine() -> None:
    found = current_environment()
    major, minor, *_ = sys.version_info
    assert found.python == f"{sys.implementation.name}-{major}.{minor}"
    assert len(found.fingerprint) == 12
    assert " CPU" in found.machine
    assert current_environment() is found


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("platform.machine", lambda: "other"),
        ("platform.python_implementation", lambda: "other"),
        ("os.cpu_count", lambda: 77),
        ("sys.version", "3.14.0 (main, Oct  1 2030, 10:00:00) [GCC 20.1]"),
    ],
)
def test_what_durations_depend_on_is_in_the_fingerprint(
    fresh: pytest.MonkeyPatch, target: str, value: object
) -> None:
    before = environment.current_environment()
    assert environment.current_environment() == before
    fresh.setattr(target, value)
    assert environment.current_environment().fingerprint != before.fingerprint


def test_one_cpu_is_one_cpu(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr("os.cpu_count", lambda: None)
    assert environment.current_environment().machine.endswith("(1 CPU)")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Fast One @ 3 GHz\nmodel name\t: Second\n", "Fast One @ 3 GHz"),
        ("system type : board\ncpu model : MIPS 24K\n", "MIPS 24K"),
        ("flags : a b\nModel : Raspberry: Pi\n", "Raspberry: Pi"),
        ("no colon at all\n", "from the platform"),
        (None, "from the platform"),
    ],
)
def test_the_name_of_the_processor(
    fresh: pytest.MonkeyPatch, tmp_path: Path, text: str | None, name: str
) -> None:
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    fresh.setattr(environment, "Path", lambda _: file)
    fresh.setattr("platform.processor", lambda: "from the platform")
    assert f", {name} (" in environment.current_environment().machine


def test_a_processor_that_nothing_names(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setattr(environment, "Path", lambda _: tmp_path)
    fresh.setattr("platform.processor", lambda: "")
    assert ", unknown processor (" in environment.current_environment().machine


def _git(directory: Path, *args: str) -> str:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    options = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    return subprocess.run(
        [git, *options, *args], cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_that_is_checked_out(tmp_path: Path) -> None:
    _git(tmp_path, "init")
    assert current_commit(tmp_path) == ""  # nothing is committed yet
    _git(tmp_path, "commit", "--allow-empty", "--no-verify", "-m", "first")
    assert current_commit(tmp_path) == _git(tmp_path, "rev-parse", "HEAD")
    below = tmp_path / "below"
    below.mkdir()
    assert current_commit(below) == current_commit(tmp_path)


def test_no_commit_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert current_commit(tmp_path) == ""


def test_no_commit_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert current_commit(tmp_path) == ""


@pytest.mark.parametrize("error", [OSError("cannot start"), subprocess.TimeoutExpired("git", 10)])
def test_no_commit_when_git_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(shutil, "which", lambda _: sys.executable)
    monkeypatch.setattr(subprocess, "run", fail)
    assert current_commit(tmp_path) == ""
