"""Tests with odd ids, in odd files: each has an entry of its own, and no output acts on a terminal."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_goref.model import TestKey

pytest_plugins = ("plugin_project",)

_IDS: Final = (
    *(
        "\x07\x1b[31mred\x1b[0m",
        "\x9b31m",
        "\x7f",
        "\x00",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "\u202eabc",
        "\u2028",
        "\ufeff",
    ),
    *("a/b", "a-b", "a::b", "a:b", "a|b", "a", "A", "aa", "[a]", "a]", "a[", "a[a", "][", "@a", "a@g", "a::"),
    *(
        "../../a",
        "/a",
        "C:\\a",
        "\\",
        "\\\\",
        "\\x1b",
        "%s {0}",
        "{",
        "'",
        '"',
        "'\"",
        "$HOME `id`",
        "$(id)",
        "-x",
    ),
    *(
        "",
        " ",
        " a",
        "a ",
        "\xe9",
        "e\u0301",
        "\U0001f600",
        "\u0130",
        "i\u0307",
        "\ufb01",
        "fi",
        "con",
        "a.",
        "; id",
    ),
    *("007", "7", "1e3", "1000", "None", "nan", "-1", "x" * 4096, "x" * 4095 + "y", "\u6f22" * 1400),
)
_TESTS: Final = """
import os
import pytest
import pytest_goref

IDS = {ids!r}

@pytest.mark.profile(repeat=False)
@pytest.mark.parametrize("number", range(len(IDS)), ids=IDS)
def test_it(number):
    for _ in range(number + int(os.environ.get("MORE", "1"))):
        pytest_goref.ref("key\\x1b[31m\\r\\n").deref()
"""
_FILES: Final = (
    *(
        "test_a b.py",
        "test_a[b].py",
        "test_a::b.py",
        "test_a@b.py",
        "test_a'b.py",
        "test_$HOME.py",
        "test_%s.py",
    ),
    *("test_\x1b[31mred.py", "test_new\nline.py", "test_\xe9.py", "test_e\u0301.py", "test_\u202edlo.py"),
    *(f"test_{'x' * 240}.py", f"test_{'x' * 239}y.py", "test_\u6f22\u5b57.py", "TEST_A.py", "test_A.py"),
    os.fsdecode(b"test_\xff.py"),
)
_UNSTABLE: Final = """
import pytest

class Thing:
    def __repr__(self):
        return object.__repr__(self)

@pytest.mark.profile
@pytest.mark.parametrize("thing", [Thing(), Thing()], ids=repr)
def test_marked(thing):
    pass

@pytest.mark.parametrize("thing", [Thing()], ids=repr)
def test_unmarked(thing):
    pass

@pytest.mark.profile
@pytest.mark.parametrize("text", ["at 0x1f", "0x7f0000000000", "at 0xyz"])
def test_stable(text):
    pass
"""
_UNESCAPED: Final = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true"


@pytest.fixture(params=["escaped", "as they are"])
def odd_ids(project: Project, request: pytest.FixtureRequest) -> Project:
    """A project with a test for each odd id; in one of two, pytest is told to leave them as they are."""
    if request.param == "as they are":
        set_ini(project, _UNESCAPED)
    project.write({"test_it.py": _TESTS.format(ids=_IDS)})
    return project


@pytest.fixture
def odd_files(project: Project) -> Project:
    """A project with a test in each odd file; a file system may refuse some names, or mix them."""
    # The cache of pytest itself cannot hold the name of a file that is no valid Unicode.
    set_ini(project, "python_files = test_*.py TEST_*.py\naddopts = -p no:cacheprovider")
    directory = project.path / "sub dir"
    directory.mkdir()
    for name in _FILES:
        try:
            (directory / name).write_text(_TESTS.format(ids=["only"]))
        except OSError:
            continue
    return project


def set_ini(project: Project, lines: str) -> None:
    """Make ``lines`` the ini file."""
    project.write({"pytest.ini": f"[pytest]\n{lines}\n"})


def output_of(project: Project, *args: str) -> str:
    """Return what a run prints that changed every test, but for the ids that pytest prints itself."""
    result = project.run(*args, "-q", "--no-header", "-rN", COUNTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    return result.stdout.str()


def names(keys: Iterable[TestKey]) -> set[str]:
    """Return the names of tests."""
    return {key.name for key in keys}


def entries(project: Project) -> dict[str, list[str]]:
    """Return the names of tests by the files of the baseline ``main``."""
    return {file: list(json.loads(data)["tests"]) for file, data in project.baseline().items()}


def assert_harmless(output: str) -> None:
    """Make sure that ``output`` is lines of characters that a terminal only shows."""
    harmful = [line for line in output.split("\n") if not line.isprintable()]
    assert harmful == []


def test_each_odd_id_has_an_entry_of_its_own(odd_ids: Project) -> None:
    number = len(_IDS)
    saved = odd_ids.run("--goref-save=main", COUNTS)
    assert (
        closing_line(saved)
        == f"goref: {number} measured, saved to main: {number} entries written, 0 unchanged"
    )

    (of_module,) = entries(odd_ids).values()
    assert len(of_module) == number
    assert set(of_module) == names(odd_ids.last_results())
    again = odd_ids.run("--goref-save=main", COUNTS)
    assert closing_line(again).endswith(f"0 entries written, {number} unchanged")
    same = closing_line(odd_ids.run("--goref-compare=main", COUNTS, "--goref-strict"))
    assert same.startswith(
        f"goref: {number} compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regr"
    )


def test_each_odd_id_is_compared_with_its_own(odd_ids: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_ids.run("--goref-save=main", COUNTS)
    monkeypatch.setenv("MORE", "2")

    output = output_of(odd_ids, "--goref-compare=last")

    assert f"; {len(_IDS)} regressed, 0 improved" in output
    for number in range(len(_IDS)):
        assert f" {number + 1} -> {number + 2} (+1) refs, compared with " in output


def test_odd_ids_are_shown_harmless(odd_ids: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_ids.run("--goref-save=main", COUNTS)
    monkeypatch.setenv("MORE", "2")

    output = output_of(odd_ids, "--goref-compare=main", "--tb=no")

    assert r"test_it.py::test_it[\x07\x1b[31mred\x1b[0m]: regressed" in output
    assert r"key\x1b[31m\r\n" in output
    assert_harmless(output)


def test_odd_ids_work_under_xdist(odd_ids: Project) -> None:
    odd_ids.run("--goref-save=main", COUNTS)

    line = closing_line(odd_ids.run_apart("-n2", "--goref-compare=main", COUNTS, "--goref-strict"))

    assert line.startswith(f"goref: {len(_IDS)} compared, 0 new, 0 missing")


@pytest.mark.parametrize(
    "of", ["a::b", "[a]", "a[", "\\\\", "x" * 4096, "e\\u0301"], ids=range(6).__contains__
)
def test_a_test_is_found_by_its_odd_id(project: Project, of: str) -> None:
    project.write({"test_it.py": _TESTS.format(ids=_IDS)})
    project.run("--goref-save=main", COUNTS)

    line = closing_line(project.run(f"test_it.py::test_it[{of}]", "--goref-compare=main", COUNTS))

    assert line.startswith(
        "goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive; 0 regressed, "
    )
    assert line.endswith(f" (not compared: {len(_IDS) - 1} not selected)")


def test_each_odd_file_has_a_file_of_its_own(odd_files: Project) -> None:
    odd_files.run("--goref-save=main", COUNTS)

    number = len(list((odd_files.path / "sub dir").glob("*.py")))
    files = entries(odd_files)
    assert len({name.lower() for name in files}) == number
    assert all(name.isascii() and len(name) < 110 and "/" not in name for name in files)
    assert all(len(tests) == 1 for tests in files.values())
    line = closing_line(odd_files.run("--goref-compare=main", COUNTS))
    assert line.startswith(f"goref: {number} compared, 0 new, 0 missing, 0 incomparable")


def test_odd_files_are_shown_harmless(odd_files: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_files.run("--goref-save=main", COUNTS)
    monkeypatch.setenv("MORE", "2")

    output = output_of(odd_files, "--goref-compare=main", "--tb=no")

    assert r"sub dir/test_\x1b[31mred.py::test_it[only]: regressed" in output
    assert r"sub dir/test_new\nline.py::test_it[only]: regressed" in output
    assert_harmless(output)


def test_missing_odd_tests_are_shown_harmless(odd_files: Project) -> None:
    odd_files.run("--goref-save=main", COUNTS)
    for file in (odd_files.path / "sub dir").glob("*.py"):
        file.unlink()
    odd_files.write({"test_other.py": "def test_other(): pass"})

    result = odd_files.run("--goref-compare=main", COUNTS)

    result.stdout.fnmatch_lines(["missing:"])
    assert_harmless(result.stdout.str())


def test_marked_tests_whose_ids_hold_an_address_are_refused_by_name(project: Project) -> None:
    project.write({"test_it.py": _UNSTABLE})

    result = project.run("--goref-save=main", COUNTS)

    result.assert_outcomes(passed=4, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    refusal = (
        "test_it.py::test_marked[[]<test_it.Thing object at 0x*>]: its id holds a memory address, so no "
        "baseline can know it again; give its parameters ids (pytest.param(..., id=...))"
    )
    result.stdout.fnmatch_lines([refusal, refusal])
    assert closing_line(result).startswith("goref: 3 measured, saved to main: 3 entries written")


def test_ids_that_hold_an_address_are_ignored_when_all_tests_are_measured(project: Project) -> None:
    project.write({"test_it.py": _UNSTABLE})

    for line in (
        "goref: 3 measured, saved to main: 3 entries written, 0 unchanged",
        "goref: 3 measured, saved to",
    ):
        result = project.run("--goref-save=main", "--goref-all", COUNTS)
        result.assert_outcomes(passed=6)
        assert closing_line(result).startswith(line)
    compared = closing_line(project.run("--goref-compare=main", "--goref-all", "--goref-strict", COUNTS))
    assert compared.startswith("goref: 3 compared, 0 new, 0 missing")
