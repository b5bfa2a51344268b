"""Baselines and runs that do not exist, or cannot be named so, are refused."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project
from saved_project import TESTS, cache_of, refusal

pytest_plugins = ("plugin_project", "saved_project")


_ILLEGAL: Final = (
    *(
        "../x",
        "..",
        "a/b",
        "a\\b",
        "/nowhere/at/all",
        "~",
        ".hidden",
        "-x",
        "a b",
        "main.",
        "n\u00e9",
        "a\x1b[31mb",
    ),
    *(
        "a" * 101,
        "a" * 5000,
        "con",
        "NUL",
        "lpt1.x",
        "git:HEAD",
        "run:x",
        "run:-1",
        "run:1.5",
        "run:" + "9" * 20,
    ),
)


def short(text: object) -> str:
    """Return a readable id."""
    return ascii(text)[1:-1][:20]


@pytest.mark.parametrize("name", _ILLEGAL, ids=short)
def test_an_illegal_name_is_refused(known: Project, name: str) -> None:
    before = sorted(known.path.rglob("*"))

    assert refusal(known.run(f"--goref-save={name}")).startswith("a baseline cannot be named ")
    to_compare = refusal(known.run(f"--goref-compare={name}"))
    no_git = (": it is not in a git repository", "git is not installed")
    no_baseline = ("a baseline cannot be named ", "is neither a baseline, nor", ": no baseline: ")
    assert any(text in to_compare for text in (*no_baseline, *no_git))
    assert "\x1b" not in to_compare
    assert sorted(known.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last", "it stands for the last run"),
        ("Last", "it stands for the last run"),
        ("run:1", "use 1 to 100"),
    ],
)
def test_a_name_that_means_something_else_cannot_be_known(known: Project, name: str, expected: str) -> None:
    assert expected in refusal(known.run(f"--goref-save={name}"))


def test_a_missing_baseline_is_refused_with_those_that_exist(saved: Project) -> None:
    saved.run("--goref-save=other", COUNTS)

    line = refusal(saved.run("--goref-compare=mian"))

    assert line.startswith(f"no baseline 'mian' in {cache_of(saved) / 'baselines'}: there are main, other; ")
    assert line.endswith("make it with: pytest --goref-save=mian")


def test_a_missing_baseline_is_refused_where_there_is_none(project: Project) -> None:
    project.write({"test_it.py": TESTS})

    assert "there are none yet; make it with: pytest --goref-save=main" in refusal(
        project.run("--goref-compare=main")
    )
    assert not cache_of(project).exists()


def test_a_run_that_does_not_exist_is_refused(saved: Project) -> None:
    assert refusal(saved.run("--goref-compare=run:99")).endswith("no run 99 in the history: it holds 1 to 1")
    assert refusal(saved.run("--goref-compare=run:0")).endswith("no run 0 in the history: it holds 1 to 1")


@pytest.mark.parametrize("which", ["last", "run:1"])
def test_a_run_without_history_is_refused(project: Project, which: str) -> None:
    line = refusal(project.run(f"--goref-compare={which}"))

    assert "with pytest --goref" in line or "run pytest with --goref" in line
    assert not cache_of(project).exists()


def test_a_name_differing_in_case_only_is_refused(saved: Project) -> None:
    result = saved.run("--goref-save=Main", COUNTS)

    if result.errlines:  # a file system that ignores case
        pytest.skip("the file system ignores case")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "there is a baseline 'main', and 'Main' differs from it in case only" in result.stdout.str()
