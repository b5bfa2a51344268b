"""Names that act on a terminal, a browser or a shell: shown harmless in every output."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from cli_cache import CliCache, key, numbers, passed, record
from hostile_texts import LONG, TEXTS, harmful_lines
from plugin_project import COUNTS, Project, closing_line, junit

from pytest_goref.metrics import REFS
from pytest_goref.model import Environment, Group, Problem, ProblemKind, Severity, TestKey
from pytest_goref.profile import CPU_VALUES, MEMORY_VALUES, Frame, ProfileKind, StackProfile
from pytest_goref.quantity import Unit
from pytest_goref.report.export import FORMATS
from pytest_goref.report.export.profiled import Profiled
from pytest_goref.report.rows import failure_text
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.verdict import Column, Finding, Outcome, Place, Verdict, Where

pytest_plugins = ("plugin_project",)

NAMES: Final = (*TEXTS, LONG)
FRAMES: Final = tuple(Frame(f"shop/{name}.py:{name}", f"/shop/{name}", name, 7) for name in NAMES)
CPU: Final = StackProfile(
    ProfileKind.CPU,
    CPU_VALUES,
    {(FRAMES[0], frame): (index + 1, 1000) for index, frame in enumerate(FRAMES)},
    executions=1,
    elapsed_ns=10**6,
    covered_ns=10**6,
)
MEMORY: Final = StackProfile(ProfileKind.MEMORY, MEMORY_VALUES, {(frame,): (1, 2, 3, 4) for frame in FRAMES})
TEST: Final = f"tests/{TEXTS[0]}\n.py::test_\u202e[</script>]"


@pytest.fixture
def cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CliCache:
    """A cache in which everything that has a name, or is text, is hostile."""
    made = CliCache(tmp_path, capsys)
    where = Environment(TEXTS[0], f"{TEXTS[2]}, x", TEXTS[8])
    problems = tuple(Problem(ProblemKind.SKIPPED, text) for text in NAMES)
    for count in (1, 2):
        measured = numbers(dict.fromkeys(NAMES, count), dict.fromkeys(NAMES, count))
        results = [
            passed(record(f"{name}.py::{name}", numbers({name: count}), None, problems[:1], where))
            for name in TEXTS
        ]
        made.run(
            *results, passed(record(TEST, measured, None, problems)), commit=TEXTS[1], conditions=TEXTS[2]
        )
        if count == 1:
            made.save("main", *(result.record for result in results if result.record))
            made.save("main", record(TEST, measured))
    artifacts = Artifacts(made.cache.artifacts)
    for owner in (owner_of_run(2), owner_of_baseline("main")):
        artifacts.put(owner, key(TEST), [CPU, MEMORY])
    return made


COMMANDS: Final = [
    ["list"],
    ["show", "main"],
    ["show", "last"],
    ["show", "last", TEST],
    ["show", "main", TEST],
    ["show", "last", "nothing\x1b[31m\n\u202e"],
    ["show", "\x1b[31m\n\u202e"],
    ["show", "last", "x"],
    ["compare", "main", "last"],
    ["compare", "main", "last", "-v"],
    ["compare", "main", "last", "--fail", "\x1b[31m:\n"],
    ["top", "last", TEST],
    ["top", "last", TEST, "--kind", "memory", "-n", "99"],
    ["top", "last", TEST, "--value", "\x1b[31m"],
    ["diff", "main", "last", TEST, "-n", "99"],
    ["accept", "main", "\x1b[31m\n"],
    ["accept", "main"],
    ["prune", "main", "--dry-run"],
    ["export", "last", TEST, "--format", "json"],
    ["\x1b[31m\n"],
]


def test_commands_print_nothing_that_acts(
    cache: CliCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in COMMANDS:
        said = cache.goref(*arguments)
        assert harmful_lines(said.out + said.err) == [], arguments
        assert max(map(len, (said.out + said.err).split("\n"))) < 5000, arguments
        assert said.out or said.err, arguments


def verdict() -> Verdict:
    findings = tuple(
        Finding(REFS, name, Outcome.REGRESSED, Severity.FAIL, 1, 2, name[:500]) for name in NAMES
    )
    places = tuple(Place(name, ((1, 2),), f"called by {name}") for name in TEXTS)
    where = Where(Group.CALLS, (Column("calls", Unit.COUNT),), places, 0, "remark: " + " ".join(TEXTS))
    return Verdict(TestKey(f"{TEXTS[0]}.py", LONG), Outcome.REGRESSED, findings, "", (where,))


def test_the_text_of_a_failed_test_does_not_act() -> None:
    text = failure_text(verdict(), "baseline main", "test_\x1b[31m\n.py::x")
    assert harmful_lines(text) == []
    *rest, last = text.split("\n")
    assert max(map(len, rest)) < 2000
    assert last == "accept with: pytest --goref-save=main $'test_\\x1b[31m\\x0a.py::x'"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no shell to try it in")
def test_a_shell_reads_back_the_name_of_a_test_and_runs_nothing_of_it() -> None:
    spoken = [name for name in TEXTS if "\0" not in name and name != "\ud800"]
    bash = shutil.which("bash") or ""
    for name in spoken:
        line = failure_text(verdict(), "baseline main", name).split("\n")[-1]
        assert line.isprintable()
        word = line.removeprefix("accept with: pytest --goref-save=main ")
        said = subprocess.run([bash, "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
        assert said.decode("utf-8", "surrogateescape") == name


@pytest.mark.parametrize("profile", [CPU, MEMORY], ids=["cpu", "memory"])
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "html"])
def test_exports_are_valid_for_their_readers(name: str, profile: StackProfile) -> None:
    data = FORMATS[name].render(Profiled(TEST, profile))
    if name == "pprof":
        assert b"\x1b[31mred" in gzip.decompress(data)  # binary: its readers show it as any other text
    elif name == "collapsed":
        lines = data.decode().split("\n")
        assert harmful_lines(data.decode()) == []
        assert all(re.fullmatch(r"[^;]+(;[^;]+)* \d+", line) for line in lines[:-1])
        assert lines[-1] == ""
    else:
        assert data.isascii()
        assert harmful_lines(data.decode()) == []
        assert json.loads(data)


def test_the_page_holds_no_markup_of_others() -> None:
    plain = Frame("a.py:f", "/a.py", "f", 1)
    page = FORMATS["html"].render(Profiled(TEST, CPU)).decode()
    harmless = FORMATS["html"].render(
        Profiled("x", StackProfile(ProfileKind.CPU, CPU_VALUES, {(plain,): (1, 1)}))
    )
    for markup in ("</script", "<!--"):
        assert page.lower().count(markup) == harmless.decode().lower().count(markup)
    assert "\x1b" not in page
    assert "\u202e" not in page


_SESSION: Final = """
import os
import pytest
import pytest_goref
from hostile_texts import LONG, TEXTS

MORE = int(os.environ.get("MORE", "0"))
executions = 0


def leaf():
    pass


def named(name):
    try:
        return type(leaf)(leaf.__code__.replace(co_name=name, co_qualname=name), globals())
    except ValueError:  # of a name that no code may have
        return leaf


FUNCTIONS = [named(name) for name in (*TEXTS, LONG)]


@pytest.mark.profile
def test_keys():
    for name in (*TEXTS, LONG):
        for _ in range(1 + MORE):
            pytest_goref.ref(name).deref()


@pytest.mark.profile
def test_functions():
    for function in FUNCTIONS:
        for _ in range(1 + 20 * MORE):
            function()
    pytest_goref.ref("key").deref() if MORE else None


@pytest.mark.profile
@pytest.mark.parametrize("number", [0, 8, len(TEXTS)])
def test_raises(number):
    global executions
    executions += 1
    if executions % 2 == 0:
        raise ValueError((*TEXTS, LONG)[number])


@pytest.mark.profile(max_count={name: 0 for name in TEXTS if name})
def test_limits():
    for name in TEXTS[: MORE * 99]:
        pytest_goref.ref(name).deref()
"""


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["plain", "n2"])
def test_a_session_prints_nothing_that_acts(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    shutil.copy(Path(__file__).with_name("hostile_texts.py"), project.path)
    project.write({"test_it.py": _SESSION})
    run = project.run_apart if arguments else project.run
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    saved = project.run("--goref-save=main", COUNTS)
    assert closing_line(saved).startswith("goref: 6 measured, saved to main: 3 entries written")
    assert harmful_lines(saved.stdout.str()) == []
    assert max(map(len, saved.outlines)) < 3000

    monkeypatch.setenv("MORE", "1")
    report = ("--junitxml=junit.xml", "--log-file=log.txt", "-v", "-rA")
    compared = run("--goref-compare=main", COUNTS, *report, *arguments)

    assert "; 2 regressed" in closing_line(compared)
    assert harmful_lines(compared.stdout.str()) == []
    assert max(map(len, compared.outlines)) < 3000
    assert len(junit(project)) == 6
    assert harmful_lines((project.path / "log.txt").read_text()) == []
