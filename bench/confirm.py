"""What comparing costs beside measuring, for a whole session whose tests did not change.

Run it with the interpreter in question: ``python bench/confirm.py``. It saves 50 marked tests of about 5 ms
once, then runs ``pytest --goref`` and ``pytest --goref --goref-compare=main`` in turns, in random order
within each pair, so that a busy machine slows both alike. Comparing includes the fresh processes that time
suspects again. It prints the ratio, and exits with 1 when comparing takes more than twice as long.
"""

from __future__ import annotations

import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 5
TESTS = 50
TEST_MS = 5.0
BAR = 2.0
ALONE = ("--goref",)
COMPARED = ("--goref", "--goref-compare=main")
SUITE = """
import json
import pytest

pytestmark = pytest.mark.profile

@pytest.mark.parametrize("number", range({tests}))
def test_unchanged(number):
    for repetition in range({repetitions}):
        rows = {{f"row {{n}}": [n * number, n % 7] for n in range(60)}}
        assert len(json.loads(json.dumps(rows))) == sum(1 for row in rows.values() if row)
"""
CLOSING = re.compile(r"^goref: .*compared.*$", re.MULTILINE)


def body_s(repetitions: int) -> float:
    """Return how long ``repetitions`` of what the tests do take, at best."""
    namespace: dict[str, object] = {}
    source = SUITE.format(tests=TESTS, repetitions=repetitions)
    exec(compile(source, "suite", "exec"), namespace)  # noqa: S102 - the very function that the tests are
    test = namespace["test_unchanged"]
    assert callable(test)
    best_s = float("inf")
    for _ in range(5):
        began_s = time.perf_counter()
        test(1)
        best_s = min(best_s, time.perf_counter() - began_s)
    return best_s


def make_project(directory: Path) -> None:
    """Put the tests in ``directory``, with as much work as takes about 5 ms here."""
    repetitions = max(1, round(20 * TEST_MS / 1e3 / body_s(20)))
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    source = SUITE.format(tests=TESTS, repetitions=repetitions)
    (directory / "test_suite.py").write_text(source, encoding="utf-8")


def run(directory: Path, *options: str) -> tuple[float, str]:
    """Return how many seconds a session with ``options`` takes, and what it prints."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))},
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    plugins = ("-p", "no:cacheprovider", "-p", "pytest_goref.plugin.hooks")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *options]
    began_s = time.perf_counter()
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    took_s = time.perf_counter() - began_s
    if ended.returncode != 0:
        sys.exit(f"pytest {' '.join(options)} failed:\n{ended.stdout}{ended.stderr}")
    return took_s, ended.stdout


def main() -> int:
    """Measure, print what was found, and return the exit status."""
    print(f"{platform.python_implementation()} {platform.python_version()}, {TESTS} tests of {TEST_MS:g} ms")
    order = random.Random(0)  # noqa: S311 - shuffles pairs
    took_s = {ALONE: 0.0, COMPARED: 0.0}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_project(directory)
        saved_s, _ = run(directory, "--goref-save=main")
        print(f"--goref-save=main {saved_s:.1f} s")
        for number in range(1, PAIRS + 1):
            pair = {way: run(directory, *way) for way in order.sample(list(took_s), 2)}
            for way, (seconds, _) in pair.items():
                took_s[way] += seconds
            closing = " ".join(CLOSING.findall(pair[COMPARED][1]))
            print(
                f"pair {number}: alone {pair[ALONE][0]:.1f} s, compared {pair[COMPARED][0]:.1f} s; {closing}"
            )
    ratio = took_s[COMPARED] / took_s[ALONE]
    print(f"{'pass' if ratio <= BAR else 'MISS'}: comparing takes {ratio:.2f}x, at most {BAR:g}x")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
