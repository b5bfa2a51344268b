from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_cache import CliCache, passed, record
from cli_profiles import CART, MEMORY, baseline_with, cpu, run_with

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def test_what_takes_longer_than_before(project: CliCache) -> None:
    baseline_with(project, cpu())
    run_with(project, cpu(slept_ns=18_000_000, executions=4))
    assert project.goref("diff", "main", "last", CART).lines == [
        "tests/test_shop.py::test_cart: time, baseline main -> run 1",
        "4.00 ms -> 5.00 ms per execution under the profiler, 3 of 3 places that changed",
        "flat      flat%   sum%    cum       cum%    name",
        "--------  ------  ------  --------  ------  ----------------------------",
        "+1.50 ms  +37.5%  +37.5%  +1.50 ms  +37.5%  time.sleep",
        "-500 us   -12.5%  +25.0%  +1.00 ms  +25.0%  shop.py:Cart.add",
        "0 ns      +0.0%   +25.0%  +1.00 ms  +25.0%  tests/test_shop.py:test_cart",
    ]


def test_the_largest_change_only(project: CliCache) -> None:
    run_with(project, cpu())
    run_with(project, cpu(slept_ns=8_000_000))
    lines = project.goref("diff", "run:1", "run:2", "cart", "-n", "1", "--cumulative").lines
    assert lines[1].endswith("1 of 3 places that changed")
    assert lines[4].split()[-1] == "time.sleep"
    assert len(lines) == 5


def test_nothing_has_changed(project: CliCache) -> None:
    run_with(project, cpu(), MEMORY)
    assert project.goref("diff", "last", "run:1", CART, "--kind", "memory", "--value", "total").lines == [
        "tests/test_shop.py::test_cart: total, run 1 -> run 1",
        "5.00 KiB -> 5.00 KiB per execution under the profiler, nothing has changed",
    ]


def test_a_side_without_the_profile_is_named(project: CliCache) -> None:
    run_with(project, cpu())
    run_with(project, MEMORY)
    assert project.goref("diff", "run:1", "run:2", CART).refusal.startswith("run 2 holds no cpu profile of")
    assert project.goref("diff", "run:2", "run:1", CART).refusal.startswith("run 2 holds no cpu profile of")
    project.run(passed(record("tests/test_other.py::test_other")))
    assert project.goref("diff", "run:1", "last", CART).refusal == (
        f"run 3 holds no test '{CART}': goref show without TEST lists them"
    )
