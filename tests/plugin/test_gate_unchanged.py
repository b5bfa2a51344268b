"""The gate: unchanged code passes, however busy the machine is and however often it is compared."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ("plugin_project",)

_SHOP = """
import functools, random
import pytest_goref as goref

def query(sql):
    with goref.ref("db.query"):
        return len(sql)

@goref.track
def handle(number):
    return [query(str(n)) for n in range(number)]

@goref.track("rows")
def rows(number):
    yield from range(number)

@functools.lru_cache
def settings(name):
    return query(name)

def sometimes():
    if random.random() < 0.5:
        query("coin")

def often():
    for _ in range(random.randint(1, 20)):
        query("dice")
"""
_TESTS = """
import random
import pytest, shop

pytestmark = pytest.mark.profile

@pytest.fixture(scope="module")
def orders():
    return []

@pytest.fixture
def three():
    yield [1, 2, 3]
    shop.query("outside of the test")

@pytest.mark.parametrize("number", [1, 5])
def test_handle(number):
    assert len(shop.handle(number)) == number

class TestOrders:
    def setup_method(self):
        self.number = len(shop.handle(2))

    def test_fixture(self, three):
        assert shop.handle(len(three) + self.number)

    def test_generator(self):
        assert list(shop.rows(3)) == [0, 1, 2]

def test_cache():
    assert shop.settings("language") == 8

def test_accumulates(orders):
    orders.append(random.random())
    for order in orders:
        shop.query(order.hex())

def test_random_values():
    assert sorted(shop.query("x" * int(1 + 9 * random.random())) for _ in range(3))

def test_set_of_text():
    assert {text for text in ("a", "b", "c", "d") if shop.query(text)}
"""
_VARYING = """
import pytest, shop

@pytest.mark.profile
def test_coin():
    shop.sometimes()

@pytest.mark.profile
def test_dice():
    shop.often()
"""
_UNCHANGED = "8 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, 0 improved"


@pytest.fixture
def busy() -> Iterator[None]:
    """A neighbour that takes all the time it can get."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def test_unchanged_code_passes_beside_a_busy_neighbour(project: Project, busy: None) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert project.run_untraced("--goref-save=main", "--goref-rounds=5", "--goref-visits=3").ret == 0
    for timed in (True, *[False] * 7):
        result = project.run("--goref-compare=main", "--goref-rounds=5" if timed else COUNTS)
        assert result.ret == 0
        assert "0 regressed, 0 improved" in closing_line(result)
        # What a time says beside such a neighbour may stay open; what is counted may not.
        assert timed or _UNCHANGED in closing_line(result)


def test_counts_that_vary_never_fail(project: Project) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _VARYING})
    for number in range(8):
        name = f"main{number}"
        assert project.run(COUNTS, f"--goref-save={name}").ret == 0
        result = project.run(COUNTS, f"--goref-compare={name}")
        result.assert_outcomes(passed=2)
        assert " 0 regressed" in closing_line(result)


def test_saving_again_changes_no_byte(distributed: Project) -> None:
    distributed.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert "8 entries written, 0 unchanged" in closing_line(distributed.run(COUNTS, "--goref-save=main"))
    before = distributed.baseline()
    assert "0 entries written, 8 unchanged" in closing_line(distributed.run(COUNTS, "--goref-save=main"))
    assert distributed.baseline() == before


def test_saving_again_keeps_the_counts_where_durations_move(project: Project) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    measured = []
    for _ in range(2):
        assert project.run_untraced("--goref-save=main", "--goref-rounds=5", "--goref-visits=3").ret == 0
        (file,) = project.baseline().values()
        tests = json.loads(file)["tests"]
        assert all(test.pop("visits") for test in tests.values())
        measured.append(tests)
    assert measured[0] == measured[1]


def test_every_process_stores_the_same(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    for seed, args in (("1", ()), ("2", ("-n2",))):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        assert project.run_apart(COUNTS, f"--goref-save=seed{seed}", *args).ret == 0
        assert project.baseline(f"seed{seed}") == project.baseline()
