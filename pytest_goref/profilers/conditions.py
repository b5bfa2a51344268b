"""The conditions of a run: what on this machine or in this process would spoil durations.

Everything is read, and nothing of the machine is changed. What cannot be read is not told.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.profilers.watcher import watcher

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path("/")
_MOST_LOAD: Final = 0.5
"""Beyond this own session, which is a load of up to one, so much per processor disturbs."""
_CPUS: Final = "sys/devices/system/cpu"
_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Conditions:
    """What durations were taken under.

    Attributes:
        spoilers: what makes durations vary, in words.
        others: what is worth to know later, and does no harm by itself.

    """

    spoilers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """All of it in one line, "" when there is nothing to tell."""
        return "; ".join((*self.spoilers, *self.others))


def conditions(root: Path = _ROOT) -> Conditions:
    """Return what holds now.

    Args:
        root: below which the files of the system are.

    """
    spoilers = (*_load(), *_quota(root), *_governor(root), *_interpreter())
    return Conditions(spoilers, tuple(_turbo(root)))


def _load() -> Iterator[str]:
    """Tell of other programs that compute; at its start, a session is no load itself yet."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows does not tell
        return
    cpus = os.cpu_count() or 1
    if load > _MOST_LOAD * cpus:
        yield f"other programs compute (load {load:.1f} on {cpus} CPU{'s' if cpus > 1 else ''})"


def _quota(root: Path) -> Iterator[str]:
    """Tell of a limit on CPU time, as containers have."""
    cpus = _quota_cpus(root)
    if cpus is not None:
        yield f"the container may use {cpus:g} CPU{'' if cpus == 1 else 's'} and is stopped beyond that"


def _quota_cpus(root: Path) -> float | None:
    """Return the tightest limit of this process's control groups, None when there is none."""
    limits = []
    for directory in _control_groups(root):
        # Version 2 has one file of two words, version 1 has a file for each.
        words = _read(directory / "cpu.max").split() or [
            _read(directory / "cpu.cfs_quota_us"),
            _read(directory / "cpu.cfs_period_us"),
        ]
        numbers = [int(word) for word in words if word.isascii() and word.isdigit()]
        if len(numbers) == 2 and all(numbers):  # noqa: PLR2004 - "max" and -1 are no limit
            limits.append(round(numbers[0] / numbers[1], 2))
    return min(limits, default=None)


def _control_groups(root: Path) -> Iterator[Path]:
    """Yield the directories of the control groups that this process is in, and of those around them."""
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            top = mounted if number == "0" else mounted / "cpu"
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for length in range(len(parts), -1, -1):
                yield top.joinpath(*parts[:length])


def _governor(root: Path) -> Iterator[str]:
    """Tell of processors whose frequency follows the load."""
    directories = (root / _CPUS).glob("cpu[0-9]*/cpufreq")
    governors = {_read(directory / "scaling_governor") for directory in directories} - {"", "performance"}
    if governors:
        yield f"the CPU frequency changes with the load (governor {', '.join(sorted(governors))})"


def _interpreter() -> Iterator[str]:
    watching = watcher()
    if watching:
        yield f"{watching} is active"
    if sysconfig.get_config_var("Py_DEBUG"):
        yield "Python is a debug build"
    if sys.flags.dev_mode:
        yield "Python runs in development mode"


def _turbo(root: Path) -> Iterator[str]:
    boost = _read(root / _CPUS / "cpufreq/boost") == "1"
    if boost or _read(root / _CPUS / "intel_pstate/no_turbo") == "0":
        yield "turbo is on"


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES).strip()
    except OSError:
        return ""
