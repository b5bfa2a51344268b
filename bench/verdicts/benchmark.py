"""A real run of pytest-benchmark: the same workloads, saved and compared again, nothing changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
COMPARISONS = 4
FIELDS = ("mean", "min")
"""What is compared, each at 5 %."""
SUITE = """
import os
import pytest
from units import SETS, work

@pytest.mark.parametrize("name", SETS[os.environ["UNITS"]])
def test_workload(benchmark, name):
    benchmark(work, SETS[os.environ["UNITS"]][name], 100)
"""
FAILED = re.compile(r"Field '(\w+)' has failed")


@dataclass(frozen=True, slots=True)
class Failures:
    """How often unchanged code failed by one field.

    Attributes:
        field: what was compared.
        tests: the tests that failed.
        of_tests: of so many comparisons.
        runs: the runs that failed.
        of_runs: of so many.

    """

    field: str
    tests: int
    of_tests: int
    runs: int
    of_runs: int


def is_installed() -> bool:
    """Return whether pytest-benchmark is there."""
    return find_spec("pytest_benchmark") is not None


def run_benchmark(units: str, tests: int) -> list[Failures]:
    """Save once, compare several times in fresh processes, and return how often what failed.

    Args:
        units: the name of the set of workloads.
        tests: how many there are.

    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (directory / "test_suite.py").write_text(SUITE, encoding="utf-8")
        _session(directory, units, "--benchmark-save=unchanged")
        # One option with all checks: of several options only the last would count.
        options = ("--benchmark-compare", "--benchmark-compare-fail", *(f"{field}:5%" for field in FIELDS))
        failed = [Counter(FAILED.findall(_session(directory, units, *options))) for _ in range(COMPARISONS)]
    return [
        Failures(
            field,
            tests=sum(each[field] for each in failed),
            of_tests=COMPARISONS * tests,
            runs=sum(each[field] > 0 for each in failed),
            of_runs=COMPARISONS,
        )
        for field in FIELDS
    ]


def _session(directory: Path, units: str, *options: str) -> str:
    """Return what a session with ``options`` prints."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))},
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(HERE),
        "UNITS": units,
    }
    plugins = ("-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *options]
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    output = ended.stdout + ended.stderr
    if ended.returncode != 0 and not FAILED.search(output):
        sys.exit(f"pytest {' '.join(options)} failed:\n{output}")
    return output
