"""Beside plugins that shuffle, order or multiply tests, counts and baselines are the same."""

from __future__ import annotations

from typing import Final

import numpy.random  # noqa: F401 - or each inner run would import it again, which it does not allow
import pytest
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project",)

_RANDOM: Final = """
import random
import numpy
import pytest, pytest_goref

def use():
    for _ in range(random.randrange(1, 20) + numpy.random.randint(1, 20)):
        pytest_goref.ref("drawn").deref()

@pytest.mark.profile
def test_random():
    use()

@pytest.mark.profile
@pytest.mark.parametrize("number", range(4))
def test_calm(number):
    pytest_goref.ref("k").deref()

def test_numbers_begin_anew():
    with open("log.txt", "a") as log:
        print(random.random(), numpy.random.random(), file=log)
"""


@pytest.fixture
def shuffled(project: Project) -> Project:
    """A project with a test that counts what it draws, and others."""
    project.write({"test_it.py": _RANDOM})
    return project


def _run(project: Project, seed: int, *args: str) -> pytest.RunResult:
    return project.run("-p", "randomly", f"--randomly-seed={seed}", "-v", *args)


def _order(result: pytest.RunResult) -> list[str]:
    return [line.split()[0] for line in result.outlines if " PASSED " in line]


def test_a_shuffled_session_saves_the_same_bytes(shuffled: Project) -> None:
    results = [_run(shuffled, seed, f"--goref-save=of-{seed}", COUNTS, "-k", "calm") for seed in (1, 2)]

    for result in results:
        result.assert_outcomes(passed=4, deselected=2)
    assert _order(results[0]) != _order(results[1])
    assert shuffled.baseline("of-1") == shuffled.baseline("of-2")


@pytest.mark.parametrize("args", [(), ("-p", "no:randomly")], ids=["seeded", "unseeded"])
def test_random_counts_fail_no_unchanged_code(shuffled: Project, args: tuple[str, ...]) -> None:
    saved = _run(shuffled, 1, "--goref-save=main", COUNTS)
    saved.assert_outcomes(passed=6)

    for seed in range(2, 5):
        result = _run(shuffled, seed, "--goref-compare=main", COUNTS)
        result.assert_outcomes(passed=6)
        assert closing_line(result).startswith("goref: 5 compared, 0 new, 0 missing")
        assert ", 0 improved" in closing_line(result)


def test_random_numbers_go_on_as_without_measuring(shuffled: Project) -> None:
    drawn = []
    for args in ((), ("--goref", COUNTS)):
        _run(shuffled, 3, *args).assert_outcomes(passed=6)
        drawn.append(shuffled.log())
    assert drawn[0] == drawn[1] != []


_REPEATED: Final = """
import pytest, pytest_goref

@pytest.mark.profile
def test_it():
    pytest_goref.ref("k").deref()
"""


def test_each_repetition_has_an_id_and_a_baseline_of_its_own(project: Project) -> None:
    project.write({"test_it.py": _REPEATED})
    repeat = ("-p", "repeat", "--count=3")
    project.run("--goref-save=main", COUNTS)
    apart = project.run(*repeat, "--goref-compare=main", COUNTS)
    project.run(*repeat, "--goref-save=main", COUNTS)
    compared = project.run(*repeat, "--goref-compare=main", COUNTS)
    again = project.run("--goref-compare=main", COUNTS)
    names = {key.name for key in project.last_results()}

    apart.assert_outcomes(passed=3)
    assert closing_line(apart).startswith("goref: 0 compared, 3 new, 1 missing")
    assert closing_line(compared).startswith("goref: 3 compared, 0 new, 1 missing")
    assert closing_line(again).startswith("goref: 1 compared, 0 new, 3 missing")
    assert names == {"test_it"}
