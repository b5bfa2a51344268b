from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_cache import ELSEWHERE, CliCache, failed, passed, record, without_record

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b[31mred\x1b[0m\n\u202etxt"


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CliCache(tmp_path, capsys)


def fill(project: CliCache) -> None:
    project.save(
        "main", *(record(f"tests/test_{name}") for name in ("a.py::test_1", "a.py::test_2", "b.py::test_1"))
    )
    project.save("release-1", record("tests/test_a.py::test_1"))
    project.run(passed(record("a.py::test_1")), without_record("a.py::test_2", "skipped"))
    project.run(
        passed(record("a.py::test_1")),
        failed(record("a.py::test_2")),
        without_record("a.py::test_3", "failed"),
        complete=False,
        exit_status=1,
        commit="",
    )


def test_baselines_and_runs_newest_first(project: CliCache) -> None:
    fill(project)
    said = project.goref("list")
    machine = ELSEWHERE.machine
    assert said.lines == [
        "baseline   modules  tests",
        "---------  -------  -----",
        "main       2        3",
        "release-1  1        1",
        "",
        "run  started           commit    tests  failed  ran       exit  python        machine",
        f"---  ----------------  --------  -----  ------  --------  ----  ------------  {'-' * len(machine)}",
        f"2    2025-01-31 12:34            2      2       partial   1     cpython-3.12  {machine}",
        f"1    2025-01-31 12:34  01234567  1      0       complete  0     cpython-3.12  {machine}",
    ]
    assert said.status == 0


def test_nothing_yet_names_what_to_do(project: CliCache) -> None:
    assert project.goref("list").lines == [
        "no baselines yet: make one with pytest --goref-save=NAME",
        "",
        "no runs yet: make one with pytest --goref",
    ]


@pytest.mark.parametrize(
    ("columns", "last"), [("40", "fail"), ("80", "python"), ("100", "machine"), ("130", "machine")]
)
def test_a_terminal_is_never_too_narrow(
    columns: str, last: str, project: CliCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    monkeypatch.setenv("COLUMNS", columns)
    lines = project.goref("list").lines
    assert max(map(len, lines)) <= int(columns)
    assert lines[5].split()[-1] == last


def test_hostile_text_of_a_run_is_escaped(project: CliCache) -> None:
    project.run(passed(record("a.py::test_1")), commit=HOSTILE[:8])
    (row,) = (line for line in project.goref("list").lines if line.startswith("1 "))
    assert "\\x1b[31mred" in row
    assert "\x1b" not in row


def test_a_damaged_baseline_is_named_with_a_remedy(project: CliCache) -> None:
    project.save("main", record("a.py::test_1"))
    (file,) = (project.cache.baselines / "main").iterdir()
    file.write_text("<<<<<<< ours\n")
    refusal = project.goref("list").refusal
    assert refusal.startswith(f"{file}: damaged baseline: ")
    assert "restore it from version control" in refusal


def test_a_damaged_history_is_named_with_a_remedy(project: CliCache) -> None:
    project.cache.history.write_bytes(b"no database at all, of more than sixteen bytes" * 100)
    refusal = project.goref("list").refusal
    assert refusal.startswith(f"{project.cache.history}: ")
    assert "delete it" in refusal
