from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.plugin.command_line import expanded, inherited_arguments, relative, without_own
from pytest_goref.plugin.options import OPTIONS

OWN = [
    "-x", "-v", "-vv", "-q", "-qq", "-ra", "-rA", "-k=a or b", "-m=slow", "-n2", "-nauto", "-d", "-f",
    "-xvq", "--exitfirst", "--maxfail=1", "--lf", "--ff", "--nf", "--sw", "--stepwise",
    "--deselect=a.py::b", "--co", "--tb=short", "--color=yes", "--durations=5", "--durations-min=1",
    "--junitxml=a.xml", "--junit-xml=a.xml", "--junitprefix=p", "--html=a.html", "--self-contained-html",
    "--report-log=a", "--json-report", "--json-report-file=a", "--numprocesses=2", "--dist=load",
    "--maxprocesses=2", "--tx=popen", "--cov", "--cov=src", "--cov-report=term", "--no-cov",
    "--no-cov-on-fail", "--cov-branch", "--benchmark-only", "--benchmark-json=a", "--pdb", "--pdbcls=a:b",
    "--trace", "--setup-show", "--cache-clear", "--cache-show", "--reruns=2", "--memray", "--codspeed",
    "--profile", "--instafail", "--basetemp=a", "--debug", "--pastebin=all", "--log-file=a",
    "--verbosity=2", "--rootdir=a", "--config-file=a", "-ca.ini", "--confcutdir=a", "--goref",
    "--goref-save=main", "--goref-compare=main", "--goref-all", "--goref-strict",
]  # fmt: skip
KEPT = [
    "-s", "-l", "-sl", "-pno:randomly", "-oa=b", "-Werror", "--import-mode=importlib", "--strict-markers",
    "--capture=no", "--runxfail", "--env=x", "-E", "-Estage", "--count=3", "--randomly-seed=3", "tests",
    "tests/test_a.py::test_b[-x]", "--goref-passes=time", "--goref-rounds=3", "--goref-repeat=off",
    "--covers", "-", "-sE1", "--hypothesis-seed=1", "--benchmarks",
]  # fmt: skip


@given(st.lists(st.sampled_from([*OWN, *KEPT])))
def test_own_options_go_and_the_others_stay_in_order(arguments: list[str]) -> None:
    # What may be the value of the argument before it is a case of its own.
    arguments = [a for a, before in zip(arguments, ["", *arguments], strict=False) if not takes(before, a)]
    assert without_own(arguments) == [argument for argument in arguments if argument in KEPT]


def takes(before: str, argument: str) -> bool:
    return before in ("--cov", "--cache-show", "--debug") and not argument.startswith("-")


@given(st.lists(st.text()))
def test_no_argument_is_too_odd(arguments: list[str]) -> None:
    assert set(without_own(arguments)) <= set(arguments) | {f"-{letters}" for letters in shortened(arguments)}


def shortened(arguments: list[str]) -> set[str]:
    """Return what short options in one argument may be cut down to."""
    groups = [argument[1:] for argument in arguments if argument[:1] == "-"]
    kept = [[c for c in group[:end] if c in "ls"] for group in groups for end in range(len(group) + 1)]
    ends = [group[end:] for group in groups for end in range(len(group) + 1)]
    return {"".join(letters) + end for letters in kept for end in ["", *ends]}


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("-k 'a or b' tests", "tests"),
        ("-k -x tests", "tests"),
        ("-sxk name -p plugin", "-s -p plugin"),
        ("-sxkname tests", "-s tests"),
        ("-xlE stage", "-lE stage"),
        ("--maxfail 2 --env stage --tb short tests", "--env stage tests"),
        ("--cov src tests", "tests"),
        ("--cov -s", "-s"),
        ("--cov", ""),
        ("--debug --env x", "--env x"),
        ("-n 4 --dist loadgroup -p no:x", "-p no:x"),
        ("--junitxml", ""),
        ("-k", ""),
        ("--profile=dev", "--profile=dev"),
        ("tests -x -- -x --maxfail 1", "tests -- -x --maxfail 1"),
        ("--goref-fail calls:0 --goref-passes counts --goref-warn=calls:off", "--goref-passes counts"),
    ],
)
def test_values_go_with_their_options(given_: str, expected: str) -> None:
    assert shlex.join(without_own(shlex.split(given_))) == expected


def test_every_option_of_the_plugin_is_known() -> None:
    for option in OPTIONS:
        arguments = [f"--goref-{option.name}", *(["value"] if option.metavar else [])]
        expected = arguments if option.name in ("passes", "rounds", "repeat") else []
        assert without_own([*arguments, "tests"]) == [*expected, "tests"]


def test_a_file_of_arguments_is_read(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("-x\n@again\n--env=x y\n", encoding="utf-8")
    (tmp_path / "again").write_text("-s\n", encoding="utf-8")
    found = list(expanded(["tests", "@more", "@gone", "-l"], tmp_path))
    assert found == ["tests", "-x", "-s", "--env=x y", "-l"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("tests", "tests"),
        ("/project/tests/test_a.py::test_b[/x]", "../tests/test_a.py::test_b[/x]"),
        ("/project", ".."),
        ("/projects/tests", "/projects/tests"),
        ("../tests", "../tests"),
    ],
)
def test_paths_in_the_project_are_relative(argument: str, expected: str) -> None:
    drive = Path.cwd().anchor
    given_ = argument.replace("/", drive, 1) if argument.startswith("/") else argument
    wanted = expected.replace("/", drive, 1) if expected.startswith("/") else expected
    found = relative(given_, Path(drive, "project"), Path(drive, "project", "src"))
    assert found.replace("\\", "/") == wanted.replace("\\", "/")


def test_arguments_come_from_ini_file_environment_and_command_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\naddopts = -ra -o console_output_style=count --maxfail=2\n")
    tests = pytester.mkdir("tests")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x -W 'ignore:a b'")
    config = pytester.parseconfigure("-vv", "-pno:asyncio", str(tests), "-s", "--tb=short")
    found = inherited_arguments(config)
    assert [a for a in found if not a.startswith("--basetemp")] == [
        "-o",
        "console_output_style=count",
        "-W",
        "ignore:a b",
        *["-pno:asyncio", "tests", "-s"],
    ]
