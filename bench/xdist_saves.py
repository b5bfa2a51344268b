"""Whether a baseline depends on which worker of xdist executed which test: the bytes of saves, compared.

Run it with the interpreter in question: ``python bench/xdist_saves.py [TIMES]``, 20 times by default. It
makes one file of 60 tests that count, call, allocate and leak in a temporary directory, saves it without
workers, and saves it that often with two workers under each distribution. Then, as often, the worker that
executes one of the tests is killed, by ``os._exit`` and SIGKILL in turn: every other test has to be saved as
ever. It prints a line for each, and exits with 1 when a byte differs.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = """
import json, os, signal
import pytest
import pytest_goref

@pytest_goref.track
def query(number):
    with pytest_goref.ref("db.query"):
        return [str(one) for one in range(30 * number)]

@pytest.fixture(scope="module")
def shared():
    return {"encoder": json.JSONEncoder()}

@pytest.mark.profile(leaks="warn")
@pytest.mark.xdist_group("group")
@pytest.mark.parametrize("number", range(60))
def test_it(number, shared):
    rows = [query(one % 5) for one in range(7 * (number % 9))]
    shared["encoder"].encode({"rows": rows, "number": number})
    if number % 10 == 0:
        pytest_goref.ref("left")
    if number == int(os.environ.get("DIES", "-1")):
        if os.environ["HOW"] == "exit":
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
"""
DISTRIBUTIONS = {
    **{f"-n2 --dist={dist}": dist for dist in ("load", "loadscope", "loadfile", "loadgroup", "worksteal")},
    "--tx=2*popen --dist=each": "each",
}
TESTS = 60
MOST_LINES = 40
"""How many lines of a difference are printed."""
LIMIT_S = 120
"""How long one session may take."""


def save(directory: Path, name: str, options: str, **environment: str) -> dict[str, object]:
    """Save the tests as the baseline ``name``; return the entries by test."""
    command = [sys.executable, "-m", "pytest", "-q", *options.split(), f"--goref-save={name}"]
    command += ["--goref-passes=counts,memory", "-p", "no:cacheprovider"]
    subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    (file,) = (directory / ".goref_cache" / "baselines" / name).iterdir()
    tests: dict[str, object] = json.loads(file.read_bytes())["tests"]
    return tests


def content(directory: Path, name: str) -> bytes:
    """Return the bytes of the one file of a baseline."""
    (file,) = (directory / ".goref_cache" / "baselines" / name).iterdir()
    return file.read_bytes()


def _lines(tests: dict[str, object]) -> list[str]:
    return json.dumps(tests, indent=1).splitlines()


def tell_differences(which: str, expected: list[str], written: list[str]) -> None:
    """Print the lines that a save has differently."""
    for line in list(difflib.unified_diff(expected, written, lineterm=""))[:MOST_LINES]:
        print(f"    {which}: {line}", flush=True)


def measure_distributions(directory: Path, times: int) -> bool:
    """Save under each distribution; return whether every save wrote the bytes of the one without workers."""
    save(directory, "plain", "-n0")
    expected, fine = content(directory, "plain"), True
    for options, name in DISTRIBUTIONS.items():
        same = 0
        for number in range(times):
            save(directory, f"{name}-{number}", options)
            written = content(directory, f"{name}-{number}")
            same += written == expected
            tell_differences(
                f"{options}, save {number}", expected.decode().splitlines(), written.decode().splitlines()
            )
        print(f"{options:28} {same} of {times} saves are the bytes of a save with -n0", flush=True)
        fine = fine and same == times
    return fine


def measure_deaths(directory: Path, times: int) -> bool:
    """Kill a worker in each save; return whether each lost the running test and nothing else."""
    expected = save(directory, "alive", "-n0", DIES="-1", HOW="not")
    good = 0
    for number in range(times):
        dying, how = number * 7 % TESTS, ("exit", "kill")[number % 2]
        saved = save(directory, f"dying-{number}", "-n2", DIES=f"{dying:02}", HOW=how)
        lost = f"test_it[{dying}]"
        kept = {name: entry for name, entry in expected.items() if name != lost}
        good += saved == kept
        tell_differences(f"death {number}", _lines(kept), _lines(saved))
    print(f"{'a worker is killed':28} {good} of {times} saves hold all tests but the running one", flush=True)
    return good == times


def main() -> int:
    """Measure, print, and return the exit status."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "test_sixty.py").write_text(SUITE, encoding="utf-8")
        (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        fine = measure_distributions(directory, times)
        return 0 if measure_deaths(directory, times) and fine else 1


if __name__ == "__main__":
    sys.exit(main())
