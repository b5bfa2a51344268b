from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from pytest_goref import __version__, environment
from pytest_goref.environment import current_commit, current_environment
from pytest_goref.model import KERNEL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_goref.model import Environment


CPUINFO = """\
processor\t: 0
cpu family\t: 6
model\t\t: 143
model name\t: Fast; One, @ 3 GHz
stepping\t: 8
flags\t\t: fpu hypervisor sse2

processor\t: 1
model name\t: Second
"""


class Machine:
    """A machine whose files are written by a test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    @property
    def environment(self) -> Environment:
        return current_environment.__wrapped__()

    @property
    def fingerprint(self) -> str:
        return self.environment.fingerprint


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Replace this machine by one of which everything is known."""
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    monkeypatch.setattr(environment, "engine", "c")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 5}, raising=False)
    for name, value in {
        "machine": "x86_64",
        "system": "Linux",
        "processor": "from the platform",
        "python_implementation": "CPython",
        "python_version": "3.12.1",
        "python_compiler": "GCC 13",
    }.items():
        monkeypatch.setattr(platform, name, lambda value=value: value)
    monkeypatch.setattr(sys, "version", "3.12.1 (main)")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: None)
    machine = Machine(tmp_path)
    machine.write("proc/cpuinfo", CPUINFO)
    return machine


def test_the_environment_is_this_interpreter_on_this_machine() -> None:
    found = current_environment()
    major, minor, *_ = sys.version_info
    assert found.python == f"{sys.implementation.name}-{major}.{minor}"
    assert found.fingerprint.isascii()
    assert found.fingerprint.isprintable()
    assert f"{platform.python_implementation()} {platform.python_version()} build " in found.fingerprint
    assert " CPU" in found.machine
    assert current_environment() is found


def test_a_fingerprint_says_what_durations_depend_on(machine: Machine) -> None:
    assert machine.fingerprint == (
        "Fast One @ 3 GHz (6/143/8), 2 CPUs, virtual machine; Linux x86_64; "
        f"CPython 3.12.1 build f3a43e51; pytest-goref {__version__} engine c kernels {KERNEL_VERSION}"
    )
    assert machine.environment.machine == "x86_64 Linux, Fast; One, @ 3 GHz (2 CPUs)"
    assert machine.environment.platform == "x86_64 Linux"


def test_what_the_tracker_in_python_allocates_is_another_platforms(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "engine", "python")
    assert machine.environment.platform == "x86_64 Linux with the tracker in Python"


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("platform.machine", lambda: "other"),
        ("platform.system", lambda: "other"),
        ("platform.python_implementation", lambda: "other"),
        ("platform.python_version", lambda: "3.12.2"),
        ("platform.python_compiler", lambda: "GCC 14"),
        ("os.sched_getaffinity", lambda _pid: {0}),
        ("sys.version", "3.12.1 (other)"),
        ("sysconfig.get_config_var", lambda name: 1 if name == "Py_DEBUG" else None),
        ("sysconfig.get_config_var", lambda name: 1 if name == "Py_GIL_DISABLED" else None),
        ("pytest_goref.environment.__version__", "9.9.9"),
        ("pytest_goref.environment.KERNEL_VERSION", 99),
    ],
)
def test_what_durations_depend_on_is_in_the_fingerprint(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, target: str, value: object
) -> None:
    before = machine.fingerprint
    assert machine.fingerprint == before
    monkeypatch.setattr(target, value)
    assert machine.fingerprint != before


def test_the_cpus_are_those_that_may_be_used(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert "2 CPUs" in machine.fingerprint
    monkeypatch.delattr(os, "sched_getaffinity")
    assert "64 CPUs" in machine.fingerprint
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.environment.machine.endswith("(1 CPU)")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Fast One @ 3 GHz\nmodel name\t: Second\n", "Fast One @ 3 GHz"),
        ("system type : board\ncpu model : MIPS 24K\n", "MIPS 24K"),
        ("flags : a b\nModel : Raspberry: Pi\n", "Raspberry: Pi"),
        ("no colon at all\n", "from the platform"),
        ("", "from the platform"),
    ],
)
def test_the_name_of_the_processor(machine: Machine, text: str, name: str) -> None:
    machine.write("proc/cpuinfo", text)
    assert f", {name} (" in machine.environment.machine
    assert machine.fingerprint.startswith(f"{name}, 2 CPUs; Linux x86_64; ")


def test_a_processor_without_a_name_has_numbers(machine: Machine) -> None:
    machine.write("proc/cpuinfo", "CPU implementer\t: 0x41\nCPU part\t: 0xd0c\nCPU revision\t: 1\n")
    assert machine.fingerprint.startswith("from the platform (0x41/0xd0c/1), 2 CPUs; ")


def test_a_processor_that_nothing_names(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.root / "proc/cpuinfo").unlink()
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert ", unknown processor (" in machine.environment.machine
    assert machine.fingerprint.startswith("unknown processor, 2 CPUs; ")


def test_the_hypervisor_is_named_by_its_maker(machine: Machine) -> None:
    machine.write("sys/class/dmi/id/sys_vendor", "QEMU\n")
    machine.write("sys/class/dmi/id/product_name", "Standard PC (i440FX + PIIX, 1996)\n")
    assert ", 2 CPUs, QEMU Standard PC (i440FX + PIIX 1996); " in machine.fingerprint


def test_a_fingerprint_is_one_short_line_of_plain_text(machine: Machine) -> None:
    machine.write("proc/cpuinfo", f"model name : a\x1b[31m\u202e;b,c{'x' * 5000}\n")
    machine.write("sys/class/dmi/id/sys_vendor", "a\nb" * 5000)
    assert machine.fingerprint.startswith("a [31m b c")
    assert machine.fingerprint.isascii()
    assert machine.fingerprint.isprintable()
    assert len(machine.fingerprint) < 350
    assert machine.fingerprint.count(";") == 3


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
