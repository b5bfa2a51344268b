"""Where a record was taken: interpreter, machine and commit.

Counts compare anywhere, calls within one Python version, durations only within one machine fingerprint.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from pytest_goref.model import Environment


@functools.cache
def current_environment() -> Environment:
    """Return the environment of this process."""
    cpu = _cpu_model()
    cpus = os.cpu_count() or 1
    machine = f"{platform.machine()} {platform.system()}, {cpu} ({cpus} CPU{'s' if cpus > 1 else ''})"
    decisive = f"{machine}\n{platform.python_implementation()} {sys.version}"
    return Environment(
        python=f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}",
        machine=machine,
        fingerprint=hashlib.sha256(decisive.encode()).hexdigest()[:12],
    )


def _cpu_model() -> str:
    """Return the processor's name, as exactly as the platform tells it without starting a program."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("model name", "Model", "cpu model"):
                    return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or "unknown processor"


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
