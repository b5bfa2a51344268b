"""A tour of pytest-goref: save a baseline, compare unchanged code, compare a mistake.

Runs pytest on a temporary copy of ``examples/shop``. Exits with 0 when all three commands behaved as expected.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SHOP = Path(__file__).resolve().parent / "shop"


def main() -> int:
    """Run the tour; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="goref-tour-") as directory:
        shop = Path(directory, "shop")
        shutil.copytree(SHOP, shop, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        behaved = [
            step(shop, "Save what the tests do as the baseline 'main'.", ["--goref-save=main"], 0, ["saved to main"]),
            step(shop, "Compare: nothing changed, so nothing fails.", ["--goref-compare=main"], 0, ["0 regressed"]),
            step(
                shop,
                "Compare again after a mistake: the items of orders are now queried one order at a time.",
                ["--goref-compare=main"],
                1,
                ["db.query 1 -> 31", "sqlite3.Connection.execute 1 -> 31"],
                variant="n_plus_one",
            ),
        ]
    print("The tour went as expected." if all(behaved) else "The tour did NOT go as expected.")
    return 0 if all(behaved) else 1


def step(  # noqa: PLR0913 - one line of the tour
    shop: Path, title: str, options: list[str], status: int, fragments: list[str], *, variant: str = ""
) -> bool:
    """Run one command, print it before its output, and return whether it behaved as expected.

    Args:
        shop: where to run it.
        title: what it shows.
        options: of pytest.
        status: the exit status to expect.
        fragments: texts to expect in the output.
        variant: which variant of the shop to test, empty for the good one.

    """
    assignment = f"SHOP_VARIANT={variant} " if variant else ""
    print(f"# {title}\n$ {assignment}pytest {' '.join(options)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=shop,
        env=_environment() | ({"SHOP_VARIANT": variant} if variant else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    print(f"{done.stdout}[exit status {done.returncode}]\n", flush=True)
    return done.returncode == status and all(fragment in done.stdout for fragment in fragments)


def _environment() -> dict[str, str]:
    """Return the environment without what would change the tour, and with the width of this terminal."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "SHOP_"))}
    return environment | {"COLUMNS": str(shutil.get_terminal_size().columns), "PYTHONIOENCODING": "utf-8"}


if __name__ == "__main__":
    sys.exit(main())
