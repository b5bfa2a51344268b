from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SHOP = EXAMPLES / "shop"


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def test_the_tour_goes_as_expected(tour: subprocess.CompletedProcess[str]) -> None:
    assert tour.returncode == 0, tour.stdout
    commands = [line for line in tour.stdout.splitlines() if line.startswith("$ ")]
    assert commands == [
        "$ pytest --goref-save=main",
        "$ pytest --goref-compare=main",
        "$ SHOP_VARIANT=n_plus_one pytest --goref-compare=main",
    ]
    assert tour.stdout.endswith("The tour went as expected.\n")


def test_the_tour_writes_nothing_beside_itself(tour: subprocess.CompletedProcess[str]) -> None:
    assert tour.returncode == 0
    assert not list(EXAMPLES.rglob(".goref_cache"))


def test_the_tour_fails_when_the_mistake_is_not_found(tmp_path: Path) -> None:
    tour = (EXAMPLES / "tour.py").read_text(encoding="utf-8")
    unmeasured = tour.replace("step.option]", '"--no-goref"]').replace(
        "Path(__file__).resolve().parent", f"Path({str(EXAMPLES)!r})"
    )
    assert unmeasured.count("step.option") == tour.count("step.option") - 1
    (tmp_path / "tour.py").write_text(unmeasured, encoding="utf-8")
    done = run(tmp_path / "tour.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("The tour did NOT go as expected.\n")


@pytest.mark.parametrize("variant", ["", "n_plus_one"])
def test_the_shop_passes_in_both_variants_while_nothing_is_measured(variant: str) -> None:
    done = run("-m", "pytest", "-p", "no:cacheprovider", cwd=SHOP, SHOP_VARIANT=variant)
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout
    assert "goref:" not in done.stdout
    assert not (SHOP / ".goref_cache").exists()
