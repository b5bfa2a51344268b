"""Baselines that are damaged or newer stop the session, and stay as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line
from saved_project import ENTRY, NEWER, TESTS, baseline_file, cache_of, note, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ("plugin_project", "saved_project")


_DAMAGE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "binary": lambda _: b"\x00\xff\xfe\x01",
    "text": lambda _: b"hello",
    "nested": lambda _: b"[" * 100_000,
    "conflict": lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n" + data + b">>>>>>> branch\n",
    "no object": lambda _: b"[]",
    "no format": lambda data: data.replace(b'"format"', b'"form"'),
    "no path": lambda data: data.replace(b'"path"', b'"place"'),
    "no tests": lambda data: data.replace(b'"tests"', b'"test"'),
    "format of text": lambda data: data.replace(b'"format": 1', b'"format": "1"'),
    "fraction": lambda data: data.replace(b'"one": 1', b'"one": 1.5'),
    "negative": lambda data: data.replace(b'"one": 1', b'"one": -1'),
    "huge": lambda data: data.replace(b'"one": 1', b'"one": 1' + 5000 * b"0"),
    "text for a number": lambda data: data.replace(b'"one": 1', b'"one": "1"'),
    "true for a number": lambda data: data.replace(b'"one": 1', b'"one": true'),
    "no number": lambda data: data.replace(b'"one": 1', b'"one": []'),
    "unknown mode": lambda data: data.replace(b'"warm"', b'"hot"'),
    "twice": lambda data: data.replace(b'"test_two"', b'"test_one"'),
    "entry of text": lambda data: json.dumps({**json.loads(data), "tests": {"test_one": "?"}}).encode(),
    "other module": lambda data: data.replace(b'"test_it.py"', b'"test_other.py"'),
}


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_damaged_baseline_stops_the_session_and_stays(known: Project, damage: str) -> None:
    file = baseline_file(known)
    before = file.read_bytes()
    damaged = _DAMAGE[damage](before)
    assert damaged != before
    file.write_bytes(damaged)

    lines = {refusal(known.run(f"--goref-{option}=main")) for option in ("compare", "save")}

    (line,) = lines
    assert line.startswith(f"{file}: damaged baseline: ")
    assert line.endswith(": restore it from version control, or delete it and save again with --goref-save")
    assert len(line) < len(str(file)) + 300
    assert file.read_bytes() == damaged


def test_a_damaged_file_is_refused_by_its_path(known: Project) -> None:
    copy = known.path / "copy.json"
    copy.write_bytes(baseline_file(known).read_bytes()[:99])

    assert refusal(known.run("--goref-compare=copy.json")).startswith(f"{copy}: damaged baseline: ")


def test_a_baseline_of_a_newer_format_stops_the_session_and_stays(known: Project) -> None:
    file = baseline_file(known)
    newer = file.read_bytes().replace(b'"format": 1', b'"format": 2')
    file.write_bytes(newer)

    for option in ("compare", "save"):
        line = refusal(known.run(f"--goref-{option}=main"))
        assert line.startswith(f"{file}: {NEWER}format 2; this one reads up to 1): upgrade, or")
    assert file.read_bytes() == newer


@pytest.mark.parametrize("option", ["compare", "save"])
def test_a_directory_in_the_place_of_a_file_stops_the_session(known: Project, option: str) -> None:
    file = baseline_file(known)
    file.unlink()
    file.mkdir()

    assert refusal(known.run(f"--goref-{option}=main")).startswith(f"{file}: damaged baseline: not a file")


def test_what_the_format_does_not_say_is_kept(saved: Project) -> None:
    file = baseline_file(saved)
    plain = json.loads(file.read_bytes())
    plain["later"] = "more"
    plain["tests"]["test_one"]["measurements"]["not_yet_invented"] = {"": 5}
    plain["tests"]["test_gone"] = ENTRY
    file.write_text(json.dumps(plain), encoding="utf-8")

    assert "2 unchanged" in closing_line(saved.run("--goref-save=main", COUNTS))
    assert json.loads(file.read_bytes()) == plain


def test_a_baseline_that_is_damaged_meanwhile_stays_and_fails_the_session(saved: Project) -> None:
    file = baseline_file(saved)
    damage = f"from pathlib import Path\n\ndef test():\n    Path({str(file)!r}).write_text('meanwhile')\n"
    saved.write({"test_a_damage.py": damage})

    result = saved.run("--goref-save=main", COUNTS, "-q")

    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert note(result, "damaged baseline").startswith(f"goref: baseline main was not saved: {file}: damaged")
    assert closing_line(result) == "goref: 2 measured"
    assert file.read_text(encoding="utf-8") == "meanwhile"


def test_a_cache_that_is_removed_meanwhile_disturbs_nothing(saved: Project) -> None:
    saved.write({"test_it.py": TESTS + f"    import shutil; shutil.rmtree({str(cache_of(saved))!r}, True)\n"})

    for option in ("--goref-compare=main", "--goref-save=main"):
        result = saved.run(option, COUNTS)
        assert closing_line(result).startswith("goref: 2 ")
        assert result.ret == pytest.ExitCode.OK
        assert len(saved.history.runs()) == 1  # this run
        saved.run("--goref-save=main", COUNTS, "-k", "one")
