from __future__ import annotations

import os
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from pytest_goref.profilers import conditions as module
from pytest_goref.profilers.conditions import Conditions, conditions

if TYPE_CHECKING:
    from pathlib import Path

CPU = "sys/devices/system/cpu"


class Machine:
    """A machine of which everything is known, and on which nothing would spoil durations."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    @property
    def conditions(self) -> Conditions:
        return conditions(self.root)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 9.0, 9.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: None)
    monkeypatch.setattr(module, "watcher", lambda: "")
    return Machine(tmp_path)


def test_an_idle_machine_spoils_nothing(machine: Machine) -> None:
    assert machine.conditions == Conditions()
    assert machine.conditions.words == ""
    machine.write(f"{CPU}/cpu0/cpufreq/scaling_governor", "performance\n")
    machine.write(f"{CPU}/intel_pstate/no_turbo", "1\n")
    machine.write(f"{CPU}/cpufreq/boost", "0\n")
    machine.write("proc/self/cgroup", "0::/a/b\n")
    machine.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    assert machine.conditions == Conditions()


@pytest.mark.parametrize(
    ("load", "cpus", "told"),
    [
        (2.0, 4, ()),
        (2.06, 4, ("other programs compute (load 2.1 on 4 CPUs)",)),
        (0.6, 1, ("other programs compute (load 0.6 on 1 CPU)",)),
        (0.6, None, ("other programs compute (load 0.6 on 1 CPU)",)),
    ],
)
def test_the_load_of_others(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, load: float, cpus: int | None, told: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert machine.conditions.spoilers == told


def test_a_load_that_nobody_tells(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", fail)
    assert machine.conditions == Conditions()
    monkeypatch.delattr(os, "getloadavg")
    assert machine.conditions == Conditions()


def test_a_governor_that_follows_the_load(machine: Machine) -> None:
    for cpu, governor in enumerate(("schedutil", "performance", "powersave", "powersave")):
        machine.write(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor", f"{governor}\n")
    machine.write(f"{CPU}/cpuidle/cpufreq/scaling_governor", "no processor\n")
    assert machine.conditions.spoilers == (
        "the CPU frequency changes with the load (governor powersave, schedutil)",
    )


@pytest.mark.parametrize(
    ("file", "text"), [(f"{CPU}/cpufreq/boost", "1\n"), (f"{CPU}/intel_pstate/no_turbo", "0\n")]
)
def test_turbo_is_known_and_spoils_nothing(machine: Machine, file: str, text: str) -> None:
    machine.write(file, text)
    assert machine.conditions == Conditions(others=("turbo is on",))
    assert machine.conditions.words == "turbo is on"


GROUPS_1 = "5:devices:/job\n1:cpu,cpuacct:/job/1\n"


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/job\n", {"job/cpu.max": "150000 100000"}, "1.5 CPUs"),
        ("0::/job/1\n", {"job/1/cpu.max": "max 100000", "job/cpu.max": "50000 100000"}, "0.5 CPUs"),
        ("0::/\n", {"cpu.max": "100000 100000"}, "1 CPU"),
        (
            GROUPS_1,
            {"cpu/job/1/cpu.cfs_quota_us": "200000", "cpu/job/1/cpu.cfs_period_us": "100000"},
            "2 CPUs",
        ),
        (GROUPS_1, {"cpu/cpu.cfs_quota_us": "25000", "cpu/cpu.cfs_period_us": "100000"}, "0.25 CPUs"),
        ("0::/../..\n", {"cpu.max": "33333 100000"}, "0.33 CPUs"),
    ],
)
def test_the_quota_of_a_container(machine: Machine, groups: str, files: dict[str, str], limit: str) -> None:
    machine.write("proc/self/cgroup", groups)
    for name, text in files.items():
        machine.write(f"sys/fs/cgroup/{name}", f"{text}\n")
    assert machine.conditions.spoilers == (f"the container may use {limit} and is stopped beyond that",)


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("", {"cpu.max": "50000 100000"}),
        ("no groups at all\n::\n", {"cpu.max": "50000 100000"}),
        ("0::/\n", {"cpu.max": "50000 0"}),
        ("0::/\n", {"cpu.max": "50000"}),
        ("0::/\n", {"cpu.max": "\u00b2 \u00b3"}),
        ("5:memory:/\n", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "2"}),
        (GROUPS_1, {"cpu/job/1/cpu.cfs_quota_us": "-1", "cpu/job/1/cpu.cfs_period_us": "100000"}),
    ],
)
def test_no_quota(machine: Machine, groups: str, files: dict[str, str]) -> None:
    machine.write("proc/self/cgroup", groups)
    for name, text in files.items():
        machine.write(f"sys/fs/cgroup/{name}", text)
    assert machine.conditions == Conditions()


def test_who_watches_the_interpreter_and_how_it_was_built(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flags:
        dev_mode = True

    monkeypatch.setattr(module, "watcher", lambda: "a profiler")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: 1 if name == "Py_DEBUG" else None)
    monkeypatch.setattr(sys, "flags", Flags)
    machine.write(f"{CPU}/cpufreq/boost", "1\n")
    found = machine.conditions
    assert found.spoilers == (
        "a profiler is active",
        "Python is a debug build",
        "Python runs in development mode",
    )
    assert found.words == f"{'; '.join(found.spoilers)}; turbo is on"


def test_this_machine_has_conditions() -> None:
    found = conditions()
    assert found.words == "; ".join((*found.spoilers, *found.others))
    assert found.words.isprintable()
