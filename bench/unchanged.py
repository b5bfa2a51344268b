"""What is found in code that did not change, and in code that does a little more.

Run it with the interpreter in question: ``python bench/unchanged.py``. It saves the tests of
``unchanged_suite.py`` once and compares them in 20 fresh sessions, each with another hash seed and in another
order, and each test alone; nothing may be found in counts and allocations. Then every test uses a key once
more in 100 times, and allocates 2 % more (8 % more where threads or tasks run: more is accepted there); that
must always be found. The one test that iterates a set is compared alone: where it does more than it did, it
must be told that the hash seed makes the difference. It exits with 1 when something is found too much or too
little.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_goref.metrics import ALLOCATION_COUNT
from pytest_goref.model import Group, Severity
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.passes import PASSES
from pytest_goref.report.plain import verdict_from_plain
from pytest_goref.store.codec import record_from_plain
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from pytest_goref.model import Record
    from pytest_goref.verdict import Finding, Verdict

SESSIONS = 20
SEEDED_SESSIONS = 5
PROVEN = (Group.COUNTS, Group.ALLOCATIONS)
"""The groups in which unchanged code may have no findings."""
WANTED_PASSES = ",".join(name for name in PASSES if name in ("counts", "memory"))
SUITE = "test_suite.py"
ITERATING = "test_iterates_a_set"
"""The test of the suite that differs by hash seed."""
OBSERVER = f"""
import json, os, random

FOUND = {{}}

def pytest_collection_modifyitems(items):
    random.Random(int(os.environ["ORDER"])).shuffle(items)

def pytest_runtest_logreport(report):
    text = getattr(report, "{REPORT_ATTRIBUTE}", "")
    if report.when == "call" and text:
        FOUND[report.nodeid] = json.loads(text)

def pytest_sessionfinish():
    with open(os.environ["FOUND"], "w") as file:
        json.dump(FOUND, file)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a session has told of one test."""

    record: Record
    verdict: Verdict

    @property
    def findings(self) -> list[Finding]:
        """What was judged and is not the same."""
        return [f for f in self.verdict.findings if f.severity is not Severity.OFF]


def make_project(directory: Path) -> None:
    """Put the suite and the observer in ``directory``."""
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (directory / "observer.py").write_text(OBSERVER, encoding="utf-8")
    shutil.copy(Path(__file__).with_name("unchanged_suite.py"), directory / SUITE)


def run(directory: Path, number: int, *options: str, **more: str) -> dict[str, Measured]:
    """Return what a fresh session with ``options`` tells of each test, by the name of the test.

    Args:
        directory: the project.
        number: decides the hash seed and the order of the tests.
        options: of pytest.
        more: what is added to the environment.

    """
    found = directory / "found.json"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))},
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(directory),
        "PYTHONHASHSEED": str(number * 7919 % 2**32),
        "ORDER": str(number),
        "FOUND": str(found),
        **more,
    }
    plugins = ("-p", "no:cacheprovider", "-p", "observer", "-p", "pytest_goref.plugin.hooks")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, f"--goref-passes={WANTED_PASSES}", *options]
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode not in (0, 1):
        sys.exit(f"pytest {' '.join(options)} failed:\n{ended.stdout}{ended.stderr}")
    return {
        nodeid.partition("::")[2]: Measured(
            record_from_plain(plain["record"]), verdict_from_plain(plain["verdict"])
        )
        for nodeid, plain in json.loads(found.read_text(encoding="utf-8")).items()
    }


def described(finding: Finding) -> str:
    """Return ``finding`` in a few words."""
    what = " ".join(filter(None, (finding.metric.name, finding.subject)))
    return f"{what} {finding.before} -> {finding.after} {finding.outcome.value} {finding.reason}".rstrip()


def count_unchanged(directory: Path, tests: list[str]) -> Counter[str]:
    """Compare the suite in many orders, and each test alone; return how often what was found."""
    sessions = [(number, SUITE) for number in range(1, SESSIONS + 1)]
    sessions += [(SESSIONS + number, f"{SUITE}::{test}") for number, test in enumerate(tests, start=1)]
    found: Counter[str] = Counter()
    compared = 0
    for number, selected in sessions:
        for test, measured in run(directory, number, "--goref-compare=main", selected).items():
            if test == ITERATING:
                continue
            compared += 1
            found.update(f"{test}: {described(finding)}" for finding in measured.findings if proven(finding))
            explained = [finding for finding in measured.findings if not proven(finding)]
            if explained:
                print(f"  told, beside: {test}: {'; '.join(map(described, explained))}")
    print(f"unchanged: {compared} comparisons in {len(sessions)} sessions, {found.total()} findings")
    for text, times in found.most_common():
        print(f"  {times} times: {text}")
    return found


def count_blamed(directory: Path) -> int:
    """Compare the test that iterates a set; return how often its order was told as a regression."""
    outcomes: Counter[str] = Counter()
    blamed = 0
    for number in range(1, SESSIONS + 1):
        selected = f"{SUITE}::{ITERATING}"
        options = ("--goref-compare=main", selected)
        verdict = run(directory, number, *options, PYTHONHASHSEED="random")[ITERATING].verdict
        more = [f for f in verdict.findings if f.outcome in (Outcome.REGRESSED, Outcome.INCONCLUSIVE)]
        judged = [f for f in more if f.severity is not Severity.OFF]
        blamed += any("differs by hash seed" not in finding.reason for finding in judged)
        outcomes[verdict.outcome.value] += 1
    told = ", ".join(f"{times} {outcome}" for outcome, times in outcomes.most_common())
    print(
        f"a set that is iterated: {SESSIONS} comparisons with random seeds: {told}; {blamed} without the note"
    )
    return blamed


def proven(finding: Finding) -> bool:
    """Return whether ``finding`` is in a group that promises to find nothing in unchanged code."""
    return finding.metric.group in PROVEN


def count_missed(directory: Path, group: Group, tests: list[str], **more: str) -> int:
    """Compare the suite with a little more work; return in how many tests ``group`` did not find it."""
    missed: Counter[str] = Counter()
    for number in range(1, SEEDED_SESSIONS + 1):
        measured = run(directory, 100 + number, "--goref-compare=main", SUITE, **more)
        missed.update(
            test
            for test in tests
            if all(f.metric.group is not group for f in measured[test].verdict.failures)
        )
    print(f"more {group.value}: {SEEDED_SESSIONS * len(tests)} comparisons, {missed.total()} missed")
    for test, times in missed.most_common():
        print(f"  {times} times: {test}")
    return missed.total()


def more_allocations(saved: dict[str, Measured]) -> dict[str, int]:
    """Return how many allocations each test is to add: a little more than is tolerated."""
    added = {}
    for test, measured in saved.items():
        allocations = max(measured.record.measurements[ALLOCATION_COUNT][""])
        added[test] = max(17, allocations * (8 if measured.record.concurrent else 2) // 100 + 1)
    return added


def main() -> int:
    """Prove it, print what was found, and return the exit status."""
    print(f"{platform.python_implementation()} {platform.python_version()}, passes {WANTED_PASSES}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_project(directory)
        saved = run(directory, 0, "--goref-save=main", SUITE)
        tests = sorted(saved.keys() - {ITERATING})
        too_much = count_unchanged(directory, tests).total() + count_blamed(directory)
        too_little = count_missed(directory, Group.COUNTS, tests, MORE_USES="1")
        added = json.dumps(more_allocations(saved))
        too_little += count_missed(directory, Group.ALLOCATIONS, tests, MORE_ALLOCATIONS=added)
    print(f"{'MISS' if too_much or too_little else 'pass'}: {too_much} found too much, {too_little} missed")
    return 1 if too_much or too_little else 0


if __name__ == "__main__":
    sys.exit(main())
