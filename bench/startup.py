"""What a plugin that is off adds to the start of pytest, beside the peers that are installed.

Run it with the interpreter in question: ``python bench/startup.py``. Every run is a fresh process that
executes one empty test; the runs of all plugins take turns, so that a busy machine slows all of them alike.
A plugin is loaded alone and compared with one that is empty: finding a plugin by its name costs pytest a
search, which is not the plugin's. It exits with 1 when the bar is missed.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROUNDS = 15
BEST_OF = 4
"""Runs of each plugin in a round, of which the quickest counts: whatever disturbs a run only slows it."""
BAR_MS = 5.0
OURS = "pytest-goref"
EMPTY = "an empty plugin"
PLUGINS = {
    EMPTY: "empty_plugin",
    OURS: "pytest_goref.plugin.hooks",
    "pytest-benchmark": "pytest_benchmark.plugin",
    "pytest-memray": "pytest_memray.plugin",
    "pytest-codspeed": "pytest_codspeed.plugin",
}
"""The modules that pytest loads, by the names of their projects."""
START = """
import sys, time, pytest
code = pytest.main(sys.argv[1:])
print(time.process_time_ns(), file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Start:
    """What one start of pytest took.

    Attributes:
        cpu_ms: CPU time of the process, which other processes disturb little.
        wall_ms: elapsed time, which they disturb a lot.

    """

    cpu_ms: float
    wall_ms: float

    def over(self, other: Start) -> Start:
        """Return how much more this start took than ``other``."""
        return Start(self.cpu_ms - other.cpu_ms, self.wall_ms - other.wall_ms)


def make_project(directory: Path) -> None:
    """Put an empty test and an empty plugin in ``directory``."""
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (directory / "test_empty.py").write_text("def test_empty():\n    pass\n", encoding="utf-8")
    (directory / f"{PLUGINS[EMPTY]}.py").write_text('"""Nothing."""\n', encoding="utf-8")


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which pytest loads no plugin by itself and finds compiled modules."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "COVERAGE_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **inherited,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(directory),
        "PYTHONPYCACHEPREFIX": str(directory / "compiled"),
    }


def start(plugin: str, directory: Path) -> Start:
    """Start pytest with ``plugin`` and return what that took."""
    command = [sys.executable, "-c", START, "-q", "-p", "no:cacheprovider", "-p", plugin]
    began = time.perf_counter()
    ended = subprocess.run(
        command, cwd=directory, env=environment(directory), capture_output=True, text=True, check=False
    )
    wall_ms = (time.perf_counter() - began) * 1e3
    if ended.returncode != 0 or "1 passed" not in ended.stdout:
        sys.exit(f"pytest -p {plugin} failed:\n{ended.stdout}{ended.stderr}")
    return Start(int(ended.stderr.split()[-1]) / 1e6, wall_ms)


def best(starts: list[Start]) -> Start:
    """Return the least that a start took."""
    return Start(min(s.cpu_ms for s in starts), min(s.wall_ms for s in starts))


def measure(plugins: dict[str, str], directory: Path) -> dict[str, list[Start]]:
    """Return for each of ``plugins`` what it adds to a start, by round."""
    for plugin in plugins.values():  # compiles what it imports
        start(plugin, directory)
    added: dict[str, list[Start]] = {name: [] for name in plugins if name != EMPTY}
    order = random.Random(0)  # noqa: S311 - shuffles turns
    for _ in range(ROUNDS):
        starts: dict[str, list[Start]] = {name: [] for name in plugins}
        for _ in range(BEST_OF):
            for name in order.sample(list(plugins), len(plugins)):
                starts[name].append(start(plugins[name], directory))
        for name, of_round in added.items():
            of_round.append(best(starts[name]).over(best(starts[EMPTY])))
    return added


def installed() -> dict[str, str]:
    """Return the plugins that this interpreter can load."""
    return {
        name: module
        for name, module in PLUGINS.items()
        if name == EMPTY or find_spec(module.partition(".")[0]) is not None
    }


def main() -> int:
    """Measure, print the costs, and return 1 when the bar is missed."""
    plugins = installed()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_project(directory)
        added = measure(plugins, directory)
    cpu_ms = {name: statistics.median(s.cpu_ms for s in starts) for name, starts in added.items()}
    ours_ms = cpu_ms[OURS]
    print(f"{platform.python_implementation()} {platform.python_version()}, medians of {ROUNDS} rounds")
    for name, starts in added.items():
        wall_ms = statistics.median(s.wall_ms for s in starts)
        ratio = "" if name == OURS else f"   {cpu_ms[name] / ours_ms:5.1f} times as much"
        print(f"  {name:<18} +{cpu_ms[name]:5.1f} ms CPU   {wall_ms:+6.1f} ms elapsed{ratio}")
    for name in PLUGINS:
        if name not in plugins:
            print(f"  {name:<18} not installed")
    verdict = "pass" if ours_ms < BAR_MS else "MISS"
    print(f"{verdict}: {ours_ms:.1f} ms, the bar is under {BAR_MS:g} ms")
    return 0 if ours_ms < BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
