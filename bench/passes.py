"""What each pass costs beside the plain test, and what the peers cost that are installed.

Run it with the interpreter in question: ``python bench/passes.py``. The tests are those of ``workloads.py``.
Every session is a fresh process with one way of profiling; the ways take turns, so that a busy machine slows
all of them alike, and of each the quickest counts. A cost is the time of the whole test (set-up, call,
tear-down and all executions) by that of the plain test. What a tool does at the end of the session is not
counted.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_goref.plugin.passes import PASSES

TURNS = 3
PLAIN = "plain"
GOREF = "pytest_goref.plugin.hooks"
CLOCK = """
import json, os, time
import pytest

TAKEN_S = {}

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    began_s = time.perf_counter()
    result = yield
    TAKEN_S[item.name] = time.perf_counter() - began_s
    return result

def pytest_sessionfinish():
    with open(os.environ["TAKEN"], "w") as file:
        json.dump(TAKEN_S, file)
"""
RECIPE = """
from pathlib import Path
import pytest
from pyinstrument import Profiler

@pytest.fixture(autouse=True)
def auto_profile(request):
    profiler = Profiler()
    profiler.start()
    yield
    profiler.stop()
    directory = Path(".profiles")
    directory.mkdir(exist_ok=True)
    profiler.write_html(directory / f"{request.node.name}.html")
"""
"""What pyinstrument's documentation advises."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run the tests.

    Attributes:
        options: of pytest.
        needs: the module without which it is not possible.

    """

    options: tuple[str, ...] = ()
    needs: str = "pytest"


def goref(passes: str) -> Way:
    """Return the way to take ``passes``."""
    return Way(("-p", GOREF, "--goref", f"--goref-passes={passes}"))


WAYS = {
    PLAIN: Way(),
    **{name: goref(name) for name in PASSES},
    "all": goref(",".join(PASSES)),
    "pytest-memray": Way(("-p", "pytest_memray.plugin", "--memray"), "pytest_memray"),
    "pytest-profiling": Way(("-p", "pytest_profiling", "--profile"), "pytest_profiling"),
    "pyinstrument": Way(("-p", "recipe"), "pyinstrument"),
}
"""Each way by the title of its column."""


def make_project(directory: Path) -> None:
    """Put the tests and the plugins that this script needs in ``directory``."""
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = profile\n", encoding="utf-8")
    (directory / "clock.py").write_text(CLOCK, encoding="utf-8")
    (directory / "recipe.py").write_text(RECIPE, encoding="utf-8")
    shutil.copy(Path(__file__).with_name("workloads.py"), directory / "test_workloads.py")


def run(way: Way, directory: Path) -> dict[str, float]:
    """Run all tests in a fresh process; return how many seconds each took."""
    taken = directory / "taken.json"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))},
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(directory),
        "TAKEN": str(taken),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "clock", *way.options]
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"pytest {' '.join(way.options)} failed:\n{ended.stdout}{ended.stderr}")
    taken_s: dict[str, float] = json.loads(taken.read_text(encoding="utf-8"))
    return taken_s


def measure(ways: dict[str, Way], directory: Path) -> dict[str, dict[str, float]]:
    """Return for each of ``ways`` the least seconds that each test took."""
    best_s: dict[str, dict[str, float]] = {name: {} for name in ways}
    order = random.Random(0)  # noqa: S311 - shuffles turns
    for _ in range(TURNS):
        for name in order.sample(list(ways), len(ways)):
            for test, taken_s in run(ways[name], directory).items():
                best_s[name][test] = min(taken_s, best_s[name].get(test, taken_s))
    return best_s


def print_table(best_s: dict[str, dict[str, float]]) -> None:
    """Print a row for each test and a column for each way."""
    others = [name for name in best_s if name != PLAIN]
    widths = {name: max(len(name), 7) + 2 for name in others}
    print(f"{'':<12}{PLAIN:>10}" + "".join(f"{name:>{widths[name]}}" for name in others))
    for test, plain_s in best_s[PLAIN].items():
        cells = "".join(f"{f'{best_s[name][test] / plain_s:.1f}x':>{widths[name]}}" for name in others)
        print(f"{test.removeprefix('test_'):<12}{plain_s * 1e3:>7.1f} ms{cells}")
    total_s = {name: sum(tests.values()) for name, tests in best_s.items()}
    cells = "".join(f"{f'{total_s[name] / total_s[PLAIN]:.1f}x':>{widths[name]}}" for name in others)
    print(f"{'together':<12}{total_s[PLAIN] * 1e3:>7.1f} ms{cells}")


def main() -> int:
    """Measure and print the costs."""
    ways = {name: way for name, way in WAYS.items() if find_spec(way.needs) is not None}
    with tempfile.TemporaryDirectory() as name:
        make_project(Path(name))
        best_s = measure(ways, Path(name))
    print(
        f"{platform.python_implementation()} {platform.python_version()}, the best of {TURNS} sessions each"
    )
    print_table(best_s)
    for name, way in WAYS.items():
        if name not in ways:
            print(f"{name}: not installed ({way.needs})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
