from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SHOP = EXAMPLES / "shop"


_ALONE = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "-pno:benchmark -pno:randomly"}


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # Under coverage neither time nor allocations are measured.
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=untraced | _ALONE | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def test_the_tour_goes_as_expected(tour: subprocess.CompletedProcess[str]) -> None:
    assert tour.returncode == 0, tour.stdout
    commands = [line for line in tour.stdout.splitlines() if line.startswith("$ ")]
    assert commands == [
        "$ pytest --goref-passes=counts --goref-save=main",
        "$ pytest --goref-passes=counts --goref-compare=main",
        "$ SHOP_VARIANT=n_plus_one pytest --goref-passes=counts --goref-compare=main",
        "$ SHOP_VARIANT=lost_cache pytest --goref-passes=counts --goref-compare=main",
    ]
    assert tour.stdout.endswith("The tour went as expected.\n")


def test_the_tour_writes_nothing_beside_itself(tour: subprocess.CompletedProcess[str]) -> None:
    assert tour.returncode == 0
    assert not list(EXAMPLES.rglob(".goref_cache"))


def test_the_tour_fails_when_the_mistake_is_not_found(tmp_path: Path) -> None:
    tour = (EXAMPLES / "tour.py").read_text(encoding="utf-8")
    unmeasured = tour.replace("PASSES, step.option]", '"--no-goref"]').replace(
        "Path(__file__).resolve().parent", f"Path({str(EXAMPLES)!r})"
    )
    assert unmeasured.count("step.option") == tour.count("step.option") - 1
    (tmp_path / "tour.py").write_text(unmeasured, encoding="utf-8")
    done = run(tmp_path / "tour.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("The tour did NOT go as expected.\n")


@pytest.mark.parametrize("variant", ["", "n_plus_one", "lost_cache", "deepcopy", "slow_membership"])
def test_the_shop_passes_in_all_variants_while_nothing_is_measured(variant: str) -> None:
    done = run("-m", "pytest", "-p", "no:cacheprovider", cwd=SHOP, SHOP_VARIANT=variant)
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout
    assert "goref:" not in done.stdout
    assert not (SHOP / ".goref_cache").exists()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the shop with a baseline of the tests that the mistakes are found by."""
    copy = tmp_path_factory.mktemp("where") / "shop"
    shutil.copytree(SHOP, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    saved = measure(copy, "", "--goref-save=main", "-k", "statement or quote or letters")
    assert "3 measured, saved to main: 3 entries written" in saved, saved
    return copy


def measure(shop: Path, variant: str, *options: str) -> str:
    """Return what pytest prints for a variant of the shop."""
    return run("-m", "pytest", *options, cwd=shop, SHOP_VARIANT=variant, COLUMNS="120").stdout


def rows_below(output: str, header: str) -> list[list[str]]:
    """Return the words of each line below the first one that begins with ``header``, up to an empty one."""
    lines = iter(output.splitlines())
    assert any(line.split()[:1] == [header] for line in lines), output
    rows = [line.split() for line in itertools.takewhile(str.strip, lines)]
    return [row for row in rows if not row[0].startswith("---")]


@pytest.mark.parametrize(
    ("variant", "test", "first"),
    [
        (
            "n_plus_one",
            "statement",
            "sqlite3.Connection.execute 1 -> 101 +100 shop/database.py:Database.query",
        ),
        ("lost_cache", "statement", "shop/discounts.py:discount 0 -> 200 new shop/service.py:Shop.statement"),
        ("deepcopy", "quote", "copy 0 -> 79 new shop/catalogue.py:product"),
    ],
)
def test_the_failure_names_first_what_was_wrong(shop: Path, variant: str, test: str, first: str) -> None:
    options = ("--goref-compare=main", "--goref-fail=calls:5%+8", "--goref-passes=counts", "-k", test)
    output = measure(shop, variant, *options)
    assert "1 failed" in output
    assert " ".join(rows_below(output, "function")[0]) == first


@pytest.mark.parametrize(
    ("variant", "test", "first"),
    [("lost_cache", "statement", "shop/discounts.py:discount"), ("deepcopy", "quote", "copy")],
)
def test_a_warning_names_first_what_was_wrong(shop: Path, variant: str, test: str, first: str) -> None:
    output = measure(shop, variant, "--goref-compare=main", "--goref-passes=counts", "-k", test)
    assert "1 passed" in output
    assert rows_below(output, "function")[0][0] == first


def test_a_slow_search_is_named_with_its_share_of_the_time(shop: Path) -> None:
    output = measure(shop, "slow_membership", "--goref-compare=main", "-k", "letters")
    assert "test_letters: regressed" in output
    told = " ".join(output.split())
    assert "same calls, same allocations, same code: the time is in the functions below" in told, output
    first, *_ = rows_below(output, "function")
    assert first[:2] == ["shop/mailing.py:wants_mail", "5000"]


def test_a_needless_copy_is_the_first_place_that_allocates_more(shop: Path) -> None:
    pytest.importorskip("memray")
    output = measure(shop, "deepcopy", "--goref-compare=main", "-k", "quote")
    assert "1 failed" in output
    site, *_ = rows_below(output, "site")
    assert (site[0], site[6]) == ("copy", "new")
