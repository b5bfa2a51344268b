"""Collects: blocks of fresh processes, each of which times all workloads with another amount of work.

A process is a session of pytest with the plugin's own time pass, so that rounds, warm-ups and calibration
kernels are those of the product. In a block there is one process for each amount of work and a second one for
the smallest, in random order. Processes of one block share their hash seed, as visits of one number do.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_goref.compare.slowdown import LOOKS
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.store.codec import record_from_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_goref.model import Record

AMOUNTS = (100, 103, 105, 110, 120, 140)
UNCHANGED = AMOUNTS[0]
STREAMS = (*((amount, 0) for amount in AMOUNTS), (UNCHANGED, 1))
"""The processes of a block: how much work, and which of the processes with that much."""
STORED = 6
"""How many visits a baseline has."""
FEWEST_BLOCKS = STORED + 1 + LOOKS[-1]
"""Those of a baseline, of the run that is compared, and of all fresh visits that the rule may ask for."""
HERE = Path(__file__).parent
SUITE = """
import os
import pytest
from units import SETS, work

AMOUNT = int(os.environ["AMOUNT"])

@pytest.mark.profile
@pytest.mark.parametrize("name", SETS[os.environ["UNITS"]])
def test_workload(name):
    work(SETS[os.environ["UNITS"]][name], AMOUNT)
"""
OBSERVER = f"""
import json, os

FOUND = {{}}

def pytest_runtest_logreport(report):
    text = getattr(report, "{REPORT_ATTRIBUTE}", "")
    if report.when == "call" and text:
        record = json.loads(text)["record"]
        FOUND[record["name"]] = record | {{"measurements": {{}}}}

def pytest_sessionfinish():
    with open(os.environ["FOUND"], "w") as file:
        json.dump(FOUND, file)
"""

Stream = tuple[int, int]
Run = Mapping[str, "Record"]
"""What one process has timed, by the name of the test."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What was collected.

    Attributes:
        units: which set of workloads.
        neighbour: whether something else kept the machine busy.
        blocks: in the order of time; each has a run of every stream.

    """

    units: str
    neighbour: bool
    blocks: tuple[Mapping[Stream, Run], ...]


def collect(units: str, seed: int, most_blocks: int, seconds: float, kept: Path) -> None:
    """Collect blocks into ``kept``, one line for each process.

    Args:
        units: the name of the set of workloads.
        seed: of the order of the processes.
        most_blocks: when to stop.
        seconds: when to stop, too, once the fewest blocks are there.
        kept: the file, to which lines are added.

    """
    began_s = time.monotonic()
    order = random.Random(seed)  # noqa: S311 - shuffles processes
    with tempfile.TemporaryDirectory() as name, kept.open("a", encoding="utf-8") as file:
        directory = Path(name)
        (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (directory / "observer.py").write_text(OBSERVER, encoding="utf-8")
        (directory / "test_suite.py").write_text(SUITE, encoding="utf-8")
        for block in range(most_blocks):
            elapsed_s = time.monotonic() - began_s
            if elapsed_s > seconds and block >= FEWEST_BLOCKS:
                break
            print(f"\rblock {block + 1}, {elapsed_s:.0f} of {seconds:.0f} s ", end="", file=sys.stderr)
            for amount, copy in order.sample(STREAMS, len(STREAMS)):
                tests = _measured(directory, units, amount, block)
                line = {"block": block, "amount": amount, "copy": copy, "tests": tests}
                file.write(json.dumps(line) + "\n")
            file.flush()
    print(file=sys.stderr)


def _measured(directory: Path, units: str, amount: int, block: int) -> dict[str, object]:
    """Return what a fresh process has measured, as plain data."""
    found = directory / "found.json"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))},
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(directory), str(HERE)]),
        "PYTHONHASHSEED": str(block + 1),
        "UNITS": units,
        "AMOUNT": str(amount),
        "FOUND": str(found),
    }
    plugins = ("-p", "no:cacheprovider", "-p", "observer", "-p", "pytest_goref.plugin.hooks")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "--goref", "--goref-passes=time"]
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"\npytest with {amount} units of work failed:\n{ended.stdout}{ended.stderr}")
    tests: dict[str, object] = json.loads(found.read_text(encoding="utf-8"))
    return tests


def write_head(kept: Path, units: str, *, neighbour: bool) -> None:
    """Begin ``kept`` with what holds for all of it."""
    kept.write_text(json.dumps({"units": units, "neighbour": neighbour}) + "\n", encoding="utf-8")


def read(kept: Path) -> Collection:
    """Return what was collected into ``kept``; a block that is not complete is left out."""
    with kept.open(encoding="utf-8") as file:
        head = json.loads(next(file))
        blocks: dict[int, dict[Stream, Run]] = {}
        for number, stream, run in _runs(file):
            blocks.setdefault(number, {})[stream] = run
    complete = (blocks[number] for number in sorted(blocks) if len(blocks[number]) == len(STREAMS))
    return Collection(head["units"], head["neighbour"], tuple(complete))


def _runs(lines: Iterator[str]) -> Iterator[tuple[int, Stream, Run]]:
    for line in lines:
        plain = json.loads(line)
        run = {name: record_from_plain(record) for name, record in plain["tests"].items()}
        yield plain["block"], (plain["amount"], plain["copy"]), run
