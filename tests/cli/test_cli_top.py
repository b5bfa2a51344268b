from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_cache import CliCache, key
from cli_profiles import CART, EMPTY, MEMORY, artifacts, baseline_with, cpu, run_with

from pytest_goref.profile import CPU_VALUES, ProfileKind, StackProfile
from pytest_goref.store.artifacts import owner_of_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def test_the_places_that_take_the_most_time(project: CliCache) -> None:
    run_with(project, cpu())
    assert project.goref("top", "last", CART).lines == [
        "tests/test_shop.py::test_cart: time, in run 1",
        "8.00 ms in 2 executions under the profiler, 3 of 3 places",
        "flat     flat%  sum%    cum      cum%    name",
        "-------  -----  ------  -------  ------  ----------------------------",
        "6.00 ms  75.0%  75.0%   6.00 ms  75.0%   time.sleep",
        "2.00 ms  25.0%  100.0%  8.00 ms  100.0%  shop.py:Cart.add",
        "0 ns     0.0%   100.0%  8.00 ms  100.0%  tests/test_shop.py:test_cart",
    ]


def test_the_places_that_allocate_the_most(project: CliCache) -> None:
    baseline_with(project, MEMORY)
    lines = project.goref("top", "main", "cart", "--kind", "memory", "--cumulative", "-n", "1").lines
    assert lines[:2] == [
        "tests/test_shop.py::test_cart: peak, in baseline main",
        "4.00 KiB in 1 execution under the profiler, 1 of 2 places",
    ]
    expected = ["1.00", "KiB", "25.0%", "25.0%", "4.00", "KiB", "100.0%", "tests/test_shop.py:test_cart"]
    assert lines[4].split() == expected
    assert len(lines) == 5


def test_another_value(project: CliCache) -> None:
    run_with(project, MEMORY)
    lines = project.goref("top", "run:1", "cart", "--kind=memory", "--value=allocations").lines
    assert lines[1] == "4 in 1 execution under the profiler, 2 of 2 places"
    assert lines[4].split() == ["3", "75.0%", "75.0%", "3", "75.0%", "shop.py:Cart.add"]


def test_a_profile_without_stacks(project: CliCache) -> None:
    run_with(project, StackProfile(ProfileKind.CPU, CPU_VALUES, {}))
    assert project.goref("top", "last", "cart").lines[1:] == [
        "0 ns in 1 execution under the profiler, in no place"
    ]


TAKE_ONE = "take one with pytest --goref --goref-passes=cpu,memory"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["last", EMPTY], f"run 1 holds no cpu profile of {EMPTY}: {TAKE_ONE}"),
        (["main", EMPTY], f"baseline main holds no cpu profile of {EMPTY}: {TAKE_ONE}"),
        (["main", CART], f"baseline main holds no cpu profile of {CART}: there is one with --kind memory"),
        (
            ["last", CART, "--kind", "memory"],
            f"run 1 holds no memory profile of {CART}: there is one with --kind cpu",
        ),
        (["last", "lost"], "run 1 holds no test 'lost': goref show without TEST lists them"),
        (
            ["last", "test_shop"],
            f"'test_shop' names 2 tests of run 1: {CART}, {EMPTY}: write more of the node id",
        ),
        (["last", CART, "--value", "peak"], "--value: a cpu profile has no 'peak'; known: samples, time"),
        (["last", CART, "-n", "0"], "argument -n: '0' is not a whole number from 1: see goref top --help"),
        (["last", CART, "-n", "x"], "argument -n: 'x' is not a whole number from 1: see goref top --help"),
        (
            ["last", CART, "-n", "9" * 5000],
            f"argument -n: '{'9' * 5000}' is not a whole number from 1: see goref top --help",
        ),
    ],
)
def test_what_cannot_be_shown_is_one_line_that_helps(
    project: CliCache, arguments: list[str], message: str
) -> None:
    baseline_with(project, MEMORY)
    run_with(project, cpu())
    assert project.goref("top", *arguments).refusal == message


def test_an_unknown_run_or_baseline(project: CliCache) -> None:
    run_with(project, cpu())
    assert "no run 7 in the history" in project.goref("top", "run:7", CART).refusal
    assert "no baseline 'lost'" in project.goref("top", "lost", CART).refusal


def test_a_file_of_a_baseline_comes_without_profiles(project: CliCache) -> None:
    baseline_with(project, cpu())
    (file,) = (project.cache.baselines / "main").glob("*.json")
    refusal = project.goref("top", str(file), CART).refusal
    assert refusal.startswith(f"file {file} holds no cpu profile of {CART}: profiles are kept with runs, and")


def test_a_damaged_profile_is_named(project: CliCache) -> None:
    number = run_with(project, cpu())
    (file,) = (project.cache.artifacts / owner_of_run(number)).iterdir()
    file.write_bytes(b"damaged")
    refusal = project.goref("top", "last", CART).refusal
    assert f"a profile of {CART} cannot be read, and is not used: not compressed data" in refusal


def test_a_run_shows_its_own_profiles_and_not_those_before(project: CliCache) -> None:
    run_with(project, cpu())
    run_with(project)
    assert project.goref("top", "last", CART).status == 4
    assert project.goref("top", "run:1", CART).status == 0


def test_what_is_accepted_takes_its_profile_with_it(project: CliCache) -> None:
    baseline_with(project, MEMORY)
    run_with(project, cpu())
    assert project.goref("accept", "main", CART).status == 0
    assert project.goref("top", "main", CART).status == 0
    assert project.goref("top", "main", CART, "--kind", "memory").status == 4


def test_what_is_pruned_takes_its_profile_with_it(project: CliCache) -> None:
    baseline_with(project, cpu())
    project.run()
    assert project.goref("prune", "main", "--dry-run").status == 0
    assert artifacts(project).get("baseline-main", key(CART), ProfileKind.CPU) is not None
    assert project.goref("prune", "main").status == 0
    assert artifacts(project).get("baseline-main", key(CART), ProfileKind.CPU) is None
