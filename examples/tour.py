"""A tour of pytest-goref: save a baseline, compare unchanged code, compare a mistake.

Runs pytest on a temporary copy of ``examples/shop``; exits with 0 when all three commands behave as expected.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SHOP = Path(__file__).resolve().parent / "shop"


@dataclass(frozen=True)
class Step:
    """One command of the tour.

    Attributes:
        title: what it shows.
        option: of pytest.
        variant: of the shop, empty for the good one.
        status: the exit status to expect.
        fragments: texts to expect in the output, however wide its tables are.

    """

    title: str
    option: str
    variant: str
    status: int
    fragments: tuple[str, ...]


STEPS = (
    Step(
        title="Save what the tests do as the baseline 'main'.",
        option="--goref-save=main",
        variant="",
        status=0,
        fragments=("10 measured, saved to main",),
    ),
    Step(
        title="Compare: nothing changed, nothing fails.",
        option="--goref-compare=main",
        variant="",
        status=0,
        fragments=("10 compared", "0 regressed"),
    ),
    Step(
        title="Compare after a mistake: items are now queried for each order.",
        option="--goref-compare=main",
        variant="n_plus_one",
        status=1,
        fragments=("db.query 1 -> 101", "sqlite3.Connection.execute 1 -> 101", "1 regressed"),
    ),
    Step(
        title="Compare after another one: discounts are not remembered. Calls that nobody tracks only warn.",
        option="--goref-compare=main",
        variant="lost_cache",
        status=0,
        fragments=("shop/discounts.py:discount 0 -> 200", "1 regressed"),
    ),
)

PASSES = "--goref-passes=counts"
"""Neither ``memory`` nor ``time``: what the tour prints is the same with every Python, on every machine."""


def main() -> int:
    """Take the tour; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="goref-tour-") as directory:
        shop = Path(directory, "shop")
        shutil.copytree(SHOP, shop, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        expected = [take(step, shop) for step in STEPS]
    print("The tour went as expected." if all(expected) else "The tour did NOT go as expected.")
    return 0 if all(expected) else 1


def take(step: Step, shop: Path) -> bool:
    """Print the command of a step, run it, print its output; return whether it behaved as expected."""
    assignment = f"SHOP_VARIANT={step.variant} " if step.variant else ""
    print(f"# {step.title}\n$ {assignment}pytest {PASSES} {step.option}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", PASSES, step.option],
        cwd=shop,
        env=environment() | {"SHOP_VARIANT": step.variant},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    print(f"{done.stdout}[exit status {done.returncode}]\n", flush=True)
    words = " ".join(done.stdout.split())
    return done.returncode == step.status and all(fragment in words for fragment in step.fragments)


def environment() -> dict[str, str]:
    """Return the environment without what would change the tour, and with the width of this terminal."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return own | {
        "COLUMNS": str(shutil.get_terminal_size().columns),
        "PYTEST_ADDOPTS": "-p no:randomly",  # where it is installed, tests would change their order
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "ignore",  # of other plugins that happen to be installed
    }


if __name__ == "__main__":
    sys.exit(main())
