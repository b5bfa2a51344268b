from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SHOP = EXAMPLES / "shop"


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python without what measures this test run: coverage would be in the way of the durations."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE_", "COV_", "PYTEST_", "SHOP_"))}
    own |= {"COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def test_the_tour_goes_as_expected_and_leaves_nothing(tmp_path: Path) -> None:
    done = run(EXAMPLES / "tour.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("$ ") == 3
    assert "$ pytest --goref-save=main\n" in done.stdout
    assert "$ pytest --goref-compare=main\n" in done.stdout
    assert "$ SHOP_VARIANT=n_plus_one pytest --goref-compare=main\n" in done.stdout
    assert done.stdout.endswith("The tour went as expected.\n")
    assert not list(tmp_path.iterdir())


def test_the_tour_fails_when_the_mistake_is_not_found(tmp_path: Path) -> None:
    tour = (EXAMPLES / "tour.py").read_text(encoding="utf-8")
    lame = tour.replace('[sys.executable, "-m", "pytest", step.option]', '[sys.executable, "-m", "pytest"]')
    assert lame != tour
    lame = lame.replace("Path(__file__).resolve().parent", f"Path({str(EXAMPLES)!r})")
    (tmp_path / "tour.py").write_text(lame, encoding="utf-8")
    done = run(tmp_path / "tour.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("The tour did NOT go as expected.\n")


def test_the_shop_passes_without_measuring_in_both_variants(tmp_path: Path) -> None:
    for variant in ("", "n_plus_one"):
        done = run("-m", "pytest", "-p", "no:cacheprovider", cwd=SHOP, SHOP_VARIANT=variant)
        assert done.returncode == 0, done.stdout
        assert "8 passed" in done.stdout
        assert "goref:" not in done.stdout
    assert not (SHOP / ".goref_cache").exists()
