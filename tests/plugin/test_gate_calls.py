"""The gate: calls of functions that nobody tracks are counted, told, and fail a test where a rule says so."""

from __future__ import annotations

import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_SHOP = """
def price(order):
    return len(order)

def total(orders):
    return sum(price(order) for order in orders)
"""
_TESTS = """
import pytest, shop

@pytest.mark.profile
def test_total():
    assert shop.total(["a"] * 20) == 20
"""


def _slowed(project: Project) -> Project:
    """Save the baseline, then let the shop look at each price twice."""
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    project.replace(
        "shop.py", "    return sum(price(order)", "    return sum((price(order) + price(order)) // 2"
    )
    return project


def test_one_more_call_per_loop_is_told_with_its_function(distributed: Project) -> None:
    result = _slowed(distributed).run(COUNTS, "--goref-compare=main")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "test_shop.py::test_total: regressed",
            "  function       calls     change  called by",
            "  shop.py:price  20 -> 40  +20     shop.py:total.<locals>.<genexpr>",
            "  builtins.len   20 -> 40  +20     shop.py:price",
        ],
        consecutive=True,
    )
    assert closing_line(result).endswith("; 1 regressed, 0 improved")


@pytest.mark.parametrize("rule", ["calls:5%+8", "calls:19", "calls:99%"])
def test_it_fails_the_test_where_a_rule_says_so(project: Project, rule: str) -> None:
    result = _slowed(project).run(COUNTS, "--goref-compare=main", f"--goref-fail={rule}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["calls *shop.py:price *20 -> 40 *+20 (+100 %)"])


@pytest.mark.parametrize("rule", ["calls:101%+8", "calls:20", "calls:off"])
def test_it_passes_within_the_rule(project: Project, rule: str) -> None:
    result = _slowed(project).run(COUNTS, "--goref-compare=main", f"--goref-fail={rule}")
    assert result.ret == 0
    assert closing_line(result).endswith("; 0 regressed, 0 improved")


def test_few_more_calls_are_within_the_tolerance(project: Project) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    project.replace("test_shop.py", '["a"] * 20) == 20', '["a"] * 28) == 28')
    result = project.run(COUNTS, "--goref-compare=main")
    assert result.ret == 0
    assert closing_line(result).endswith("; 0 regressed, 0 improved")
    project.replace("test_shop.py", '["a"] * 28) == 28', '["a"] * 29) == 29')
    assert closing_line(project.run(COUNTS, "--goref-compare=main")).endswith("; 1 regressed, 0 improved")


def test_moving_a_function_within_its_file_changes_nothing(project: Project) -> None:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    before = project.baseline()
    project.replace("shop.py", "def price", "\n\n# a comment\n\n\ndef price")
    assert project.run(COUNTS, "--goref-save=main").ret == 0
    assert project.baseline() == before


def test_a_rule_may_come_from_the_ini_file(project: Project) -> None:
    _slowed(project)
    project.replace("pytest.ini", "[pytest]", "[pytest]\ngoref_fail =\n    calls:5%+8\n    counts:0")
    assert project.run(COUNTS, "--goref-compare=main").ret == pytest.ExitCode.TESTS_FAILED
    assert project.run(COUNTS, "--goref-compare=main", "--goref-warn=calls:5%+8").ret == 0


def test_the_marker_wins_over_the_command_line(project: Project) -> None:
    _slowed(project)
    project.replace("test_shop.py", "mark.profile", 'mark.profile(warn="calls:5%+8")')
    assert project.run(COUNTS, "--goref-compare=main", "--goref-fail=calls:5%+8").ret == 0
    project.replace("test_shop.py", "warn=", "fail=")
    assert project.run(COUNTS, "--goref-compare=main", "--goref-warn=calls:off").ret == 1
