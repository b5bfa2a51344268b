"""The gate: a record tells whether any project function that ran has changed."""

from __future__ import annotations

import pytest
from plugin_project import COUNTS, Project

pytest_plugins = ("plugin_project",)

_SHOP = '''
from dataclasses import dataclass

@dataclass
class Order:
    items: list

def price(order):
    return len(order.items)

def total(orders):
    """Return what all orders cost."""
    return sum(price(order) for order in orders)

def unused():
    return 1
'''
_TESTS = """
import pytest, shop

@pytest.mark.profile
def test_total():
    assert shop.total([shop.Order(["a"])] * 20) == 20
"""


def _code(project: Project, *args: str) -> str:
    """Return the fingerprint that a run with ``args`` stores for the only test."""
    assert project.run("--goref", *args).ret == 0
    return _stored(project)


def _stored(project: Project) -> str:
    (result,) = project.last_results().values()
    assert result.record is not None
    return result.record.code


@pytest.fixture
def shop(project: Project) -> Project:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    return project


def test_unchanged_code_has_one_fingerprint_in_every_process(distributed: Project) -> None:
    distributed.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    code = _code(distributed, COUNTS)
    assert len(code) == 16
    assert distributed.run_apart(COUNTS, "--goref").ret == 0
    assert _stored(distributed) == code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def price", "\n\n# a comment\n\n\ndef price"),
        ("    return len", "    # a comment\n    return len"),
        ("Return what all orders cost.", "What all orders cost."),
        ("    return len", '    """Return the price."""\n    return len'),
        ("    return 1", "    return 2"),
    ],
    ids=["moved", "commented", "docstring", "new docstring", "did not run"],
)
def test_what_executes_as_before_keeps_it(shop: Project, old: str, new: str) -> None:
    code = _code(shop, COUNTS)
    shop.replace("shop.py", old, new)
    assert _code(shop, COUNTS) == code


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("shop.py", "len(order.items)", "len(order.items) * 1"),
        ("shop.py", "sum(price(order)", "sum(0 + price(order)"),
        ("shop.py", "items: list", "items: list\n    note: str = ''"),
        ("test_shop.py", "assert shop", "assert True\n    assert shop"),
    ],
    ids=["function", "generator", "dataclass", "test"],
)
def test_a_changed_body_changes_it(shop: Project, file: str, old: str, new: str) -> None:
    code = _code(shop, COUNTS)
    shop.replace(file, old, new)
    assert _code(shop, COUNTS) not in ("", code)


def test_a_baseline_holds_it(shop: Project) -> None:
    assert shop.run(COUNTS, "--goref-save=main").ret == 0
    (content,) = shop.baseline().values()
    assert f'"code": "{_stored(shop)}"' in content.decode()


def test_executions_that_ran_other_functions_have_none(shop: Project) -> None:
    shop.write(
        {
            "test_shop.py": """
import pytest, shop

times = []

@pytest.mark.profile
def test_total():
    times.append(1)
    if len(times) == 2:
        shop.unused()
"""
        }
    )
    assert _code(shop, COUNTS) == ""


def test_without_counted_calls_it_is_not_known(shop: Project) -> None:
    assert _code(shop, "--goref-passes=time", "--goref-rounds=1") == ""
