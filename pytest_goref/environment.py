"""Where a record was taken: interpreter, machine and commit.

Counts compare anywhere, calls within one Python version, durations only within one machine fingerprint.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref import __version__, engine
from pytest_goref.model import KERNEL_VERSION, Environment

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT: Final = Path("/")
_SLOWER: Final = {"c": "", "python": " with the tracker in Python"}
"""What the engine adds to the platform: a tracked use of the one in Python allocates more."""
_CPU_NAMES: Final = ("model name", "Model", "cpu model")
_CPU_NUMBERS: Final = (
    "cpu family",
    "model",
    "stepping",
    "CPU implementer",
    "CPU part",
    "CPU variant",
    "CPU revision",
)
"""Under a hypervisor, different processors often have one name."""
_MOST_CHARACTERS: Final = 80
_UNSAFE: Final = re.compile(r"[^\x21-\x7e]+|[;,]")
"""What a part of a fingerprint may not hold: its parts end with one of these marks."""


@functools.cache
def current_environment() -> Environment:
    """Return the environment of this process."""
    cpuinfo = _cpuinfo()
    cpu = next((cpuinfo[name] for name in _CPU_NAMES if name in cpuinfo), "")
    cpu = cpu or platform.processor() or "unknown processor"
    cpus = _usable_cpus()
    words = f"{cpus} CPU{'s' if cpus > 1 else ''}"
    return Environment(
        python=f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}",
        machine=f"{platform.machine()} {platform.system()}{_SLOWER[engine]}, {cpu} ({words})",
        fingerprint=_fingerprint((f"{cpu} {_cpu_numbers(cpuinfo)}", words, _hypervisor(cpuinfo))),
    )


def _fingerprint(hardware: tuple[str, ...]) -> str:
    """Return in words all that durations depend on: parts in groups, on one line."""
    groups = (
        hardware,
        (f"{platform.system()} {platform.machine()}",),
        (f"{platform.python_implementation()} {platform.python_version()} build {_build()}",),
        # With the other engine a tracked use costs several times as much, or as little.
        (f"pytest-goref {__version__} engine {engine} kernels {KERNEL_VERSION}",),
    )
    return "; ".join(", ".join(filter(None, map(_safe, group))) for group in groups)


def _safe(part: str) -> str:
    return " ".join(_UNSAFE.sub(" ", part).split())[:_MOST_CHARACTERS].strip()


def _build() -> str:
    """Return a short hash of how the interpreter was made."""
    options = (sysconfig.get_config_var(name) for name in ("Py_DEBUG", "Py_GIL_DISABLED"))
    decisive = "\n".join((sys.version, platform.python_compiler(), *map(repr, options)))
    return hashlib.sha256(decisive.encode()).hexdigest()[:8]


def _usable_cpus() -> int:
    """Return how many processors this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not Linux
        return os.cpu_count() or 1


def _cpuinfo() -> Mapping[str, str]:
    """Return what Linux says of the first processor; empty elsewhere."""
    found: dict[str, str] = {}
    for line in _read(_ROOT / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _cpu_numbers(cpuinfo: Mapping[str, str]) -> str:
    numbers = "/".join(cpuinfo[name] for name in _CPU_NUMBERS if name in cpuinfo)
    return f"({numbers})" if numbers else ""


def _hypervisor(cpuinfo: Mapping[str, str]) -> str:
    """Return what the machine, often a virtual one, is called by its maker, "" when nothing tells."""
    made = _ROOT / "sys/class/dmi/id"
    named = f"{_read(made / 'sys_vendor')} {_read(made / 'product_name')}".strip()
    return named or ("virtual machine" if "hypervisor" in cpuinfo.get("flags", "").split() else "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def current_commit(directory: Path) -> str:
    """Return the git commit checked out in ``directory``, "" when there is none or git cannot tell.

    Starts ``git``; call it only in a session that records.
    """
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            [git, "rev-parse", "--verify", "--quiet", "HEAD"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
