"""Items of every kind end as they do without measuring, and every report of them says the same."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.metrics import CALLS, LEAKED_REFS, REFS
from pytest_goref.model import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ("plugin_project",)

_EVERY_KIND: Final = Path(__file__).parent / "data" / "every_kind"
_MEASURED: Final = ("--goref", "--goref-all")
_VARYING: Final = (
    r'(?<= time=")[\d.]+',
    r'(?<= timestamp=")[^"]+',
    r"(?<=pytest-)\d+",
    r"(?<= at 0x)[0-9a-f]+",
    r"(?<=\[gw)\d",
    r"<property name=.hypothesis-statistics[^>]*>",  # it holds times
)


@pytest.fixture
def every_kind(project: Project) -> Project:
    """A module with items of every kind."""
    for name in ("anyio.pytest_plugin", "hypothesis", "trio", "xdist.plugin"):
        importlib.import_module(name)  # or each inner run would import it again
    project.write(
        {file.name.removesuffix(".inner"): file.read_text(encoding="utf-8") for file in _EVERY_KIND.iterdir()}
    )
    return project


def _ended(project: Project, run: Callable[..., pytest.RunResult], *args: str) -> tuple[object, str]:
    """Return the exit status of a run and its JUnit report without what no two runs have in common."""
    result = run("-p", "no:cacheprovider", "--junitxml=junit.xml", *args)
    text = (project.path / "junit.xml").read_text(encoding="utf-8")
    for pattern in _VARYING:
        text = re.sub(pattern, "", text)
    return result.ret, text.replace("><", ">\n<")


@pytest.mark.parametrize(
    "args",
    [
        ("-x",),
        ("-Werror",),
        tuple(f"-pno:{name}" for name in ("terminal", "logging", "unraisableexception", "threadexception")),
    ],
    ids=" ".join,
)
def test_items_of_every_kind_end_as_without_measuring(every_kind: Project, args: tuple[str, ...]) -> None:
    plain = _ended(every_kind, every_kind.run, *args)
    assert _ended(every_kind, every_kind.run, *_MEASURED, COUNTS, *args) == plain


@pytest.mark.parametrize(
    ("passes", "args"), [("--goref-rounds=1", ()), (COUNTS, ("-n2", "--dist=loadfile"))], ids=["plain", "n2"]
)
def test_a_process_of_its_own_says_the_same(every_kind: Project, passes: str, args: tuple[str, ...]) -> None:
    plain = _ended(every_kind, every_kind.run_apart, *args)
    assert _ended(every_kind, every_kind.run_apart, *_MEASURED, passes, *args) == plain


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the fixture subtests is new in pytest 9")
def test_every_kind_of_item_is_measured(every_kind: Project) -> None:
    result = every_kind.run(*_MEASURED, COUNTS, "-Wdefault")
    assert closing_line(result) == "goref: 41 measured (not measured: 3 skipped, 8 failed)"
    records = {key.name: ended.record for key, ended in every_kind.last_results().items() if ended.record}
    once = {name for name, record in records.items() if record.mode is Mode.COLD}
    assert once == {
        "TestUnit::test_unit_subtests",
        "test_subtests",
        "test_subtests_fail",
        "test_passes_only_once",
        "test_second_teardown_fails",
    }
    for name, record in records.items():
        assert record.problems if name in once else not record.problems
        assert REFS in record.measurements
        assert LEAKED_REFS in record.measurements
        called = record.measurements.get(CALLS, {})
        function = name.partition("[")[0].replace("::", ".")
        assert name in once or any(subject.endswith(f":{function}") for subject in called), name
