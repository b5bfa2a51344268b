"""What a user writes wrong costs one line that says what, where and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.plugin.passes import PASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

pytest_plugins = ("plugin_project",)

KNOWN: Final = f"known: {', '.join(PASSES)}"
_RULES: Final[Mapping[str, str]] = {
    "": "a rule is empty",
    " ": "a rule is empty",
    ":": "no group or metric is named before the ':'",
    ":5%": "no group or metric is named before the ':'",
    "counts": "there is no ':' after the name",
    "counts=0": "there is no ':' after the name",
    "counts:": "nothing stands after the ':'",
    "cals:5%": "'cals' is no group or metric (did you mean calls?)",
    "nothing like it:5%": "'nothing like it' is no group or metric; known are",
    "calls:5%%": "'5%%' is no percentage",
    "calls:%": "'%' is no percentage",
    "calls:-5%": "'-5%' is no percentage",
    "calls:5.%": "'5.%' is no percentage",
    "calls:1e9%": "'1e9%' is no percentage",
    "calls:nan%": "'nan%' is no percentage",
    "calls:inf%": "'inf%' is no percentage",
    "calls:99999999%": "is more than 1000000%; use 'off'",
    "calls:5%+": "nothing stands after the '+'",
    "calls:+8": "before the '+' is no percentage",
    "calls:8+5%": "the percentage comes first",
    "calls:5%+8+9": "there is more than one '+'",
    "calls:5%:8": "there is more than one ':'",
    "calls:5%+8ms": "'8ms' is neither a percentage nor a whole number",
    "counts:1.5": "'1.5' is neither a percentage nor a whole number",
    "counts:-1": "'-1' is neither a percentage nor a whole number",
    "counts:on": "'on' is neither a percentage nor a whole number",
    "counts:9223372036854775808": "is neither a percentage nor a whole number that can be stored",
    "counts:\uff11": "is neither a percentage nor a whole number",
    "durations:5": "'5' is neither a percentage nor a time",
    "durations:5KiB": "'5KiB' is neither a percentage nor a time",
    "calls:" + "9" * 5000: "is neither a percentage nor a whole number",
}
_TEST: Final = """
    import pytest

    @pytest.mark.profile
    def test_it():
        pass
"""
_GOOD_AND: Final = """
    import pytest

    class Evil:
        def __repr__(self):
            raise RuntimeError("no")
        __str__ = __iter__ = __bool__ = __repr__

    @pytest.mark.profile({arguments})
    def test_wrong():
        raise AssertionError("must not be executed")

    @pytest.mark.profile
    def test_good():
        pass
"""
_MARKERS: Final[Mapping[str, str]] = {
    "'positional'": "takes keyword arguments only, not 'positional'; known: rounds, repeat",
    "Evil()": "an argument cannot be read: it raises RuntimeError",
    "bogus=1": "unknown argument 'bogus'; known: rounds, repeat, passes",
    "round=3": "unknown argument 'round'; known: rounds",
    "**{'\\x1b[31m\\n' + 5000 * 'x': 1}": r"unknown argument '\x1b[31m\nxxx",
    "rounds=0": "rounds=: '0' is not a number of rounds: auto, or a whole number from 1 to 10000",
    "rounds=10_001": "rounds=: '10001' is not a number of rounds",
    "rounds=-1": "rounds=: '-1' is not a number of rounds",
    "rounds=2.5": "rounds=: '2.5' is not a number of rounds",
    "rounds=True": "rounds=: 'True' is not a number of rounds",
    "rounds=None": "rounds=: 'None' is not a number of rounds",
    "rounds='9' * 5000": "is not a number of rounds",
    "rounds=Evil()": "an argument cannot be read: it raises RuntimeError",
    "repeat='no'": "repeat=: 'no' is neither True nor False",
    "repeat=0": "repeat=: 0 is neither True nor False",
    "passes='foo'": f"passes=: 'foo' is not a pass; {KNOWN}",
    "passes=''": "passes=: '' is not a pass",
    "passes=[]": f"passes=: no pass is named; {KNOWN}",
    "passes=5": "passes=: 5 is not a list of passes",
    "passes={'counts': 1}": "is not a list of passes",
    "max_count=3": 'max_count=3: not a mapping; write the most uses of each key, for example max_count={"db',
    "max_count={5: 3}": "max_count: 5 is no key",
    "max_count={'db.query': -1}": "max_count: the limit of 'db.query' is -1; write a whole number from 0",
    "max_count={'db.query': True}": "max_count: the limit of 'db.query' is True",
    "max_duration=5": 'max_duration=5: not text with a unit; write a time such as max_duration="50ms"',
    "max_duration='5 parsecs'": "max_duration='5 parsecs': write a time such as",
    "max_duration='0s'": "max_duration='0s': no test takes no time",
    "fail=5": "fail=: 5 is neither a rule such as 'calls:5%+8' nor a list of rules",
    "fail=['counts:0', 5]": "fail=: ['counts:0', 5] is neither a rule",
    "fail='cals:5%'": "fail=: rule 'cals:5%': 'cals' is no group or metric (did you mean calls?)",
    "warn=['x']": "warn=: rule 'x': there is no ':'",
    "leaks='maybe'": "leaks=: 'maybe' is not one of 'fail', 'warn', 'off'",
    "leaks=['fail']": "leaks=: ['fail'] is not one of",
}


@pytest.fixture
def marked(project: Project) -> Project:
    """A project with one marked test."""
    project.write({"test_it.py": dedented(_TEST)})
    return project


def dedented(code: str) -> str:
    """Return ``code`` without its indentation."""
    return code.replace("\n    ", "\n")


def refusal(result: pytest.RunResult) -> str:
    """Return the one line with which pytest refused to start."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    line, *rest = result.errlines
    assert rest == [""] or rest == []  # noqa: PLR1714 - lists are not hashable
    assert line.startswith("ERROR: goref: ")
    return line.removeprefix("ERROR: goref: ")


def set_ini(project: Project, lines: str) -> None:
    """Add ``lines`` to the ini file."""
    file = project.path / "pytest.ini"
    file.write_text(f"{file.read_text(encoding='utf-8')}{lines}\n", encoding="utf-8")


def short(text: object) -> str:
    """Return a readable id."""
    return ascii(text)[1:-1][:40]


@pytest.mark.parametrize("rule", _RULES, ids=short)
def test_a_malformed_rule_is_refused(marked: Project, rule: str) -> None:
    line = refusal(marked.run("--goref-fail=calls:off", f"--goref-fail={rule}"))

    assert line.startswith("--goref-fail: rule ")
    assert _RULES[rule] in line
    assert line.endswith("; write for example counts:0, calls:5%+8, durations:10% or calls:off")
    assert len(line) < 400
    assert not (marked.path / ".goref_cache").exists()


@pytest.mark.parametrize("rule", [":", "cals:5%", "calls:5%+8+9", "durations:5"])
def test_a_malformed_rule_is_refused_wherever_it_stands(marked: Project, rule: str) -> None:
    for_warning = refusal(marked.run("--goref-warn=calls:off", f"--goref-warn={rule}"))
    assert for_warning.startswith("--goref-warn: rule ")
    assert _RULES[rule] in for_warning

    for name in ("warn", "fail"):
        marked.write({"pytest.ini": f"[pytest]\ngoref_{name} =\n    counts:0\n    {rule}\n"})
        in_file = refusal(marked.run("--goref"))
        assert in_file.startswith(f"ini value goref_{name}: rule ")
        assert _RULES[rule] in in_file
    assert not (marked.path / ".goref_cache").exists()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--goref-save="], "--goref-save: needs the name of a baseline"),
        (["--goref-save= "], "--goref-save: needs the name of a baseline"),
        (
            ["--goref-compare="],
            "--goref-compare: needs the name of a baseline, last, run:N, a file or git:REV",
        ),
        (
            ["--goref-compare= "],
            "--goref-compare: needs the name of a baseline, last, run:N, a file or git:REV",
        ),
        (["--goref", "--goref-passes="], f"--goref-passes: '' is not a pass; {KNOWN}"),
        (["--goref", "--goref-passes=foo"], f"--goref-passes: 'foo' is not a pass; {KNOWN}"),
        (
            ["--goref", "--goref-passes=counts,foo"],
            f"--goref-passes: 'foo' is not a pass; {KNOWN}",
        ),
        (["--goref", "--goref-passes=counts,"], f"--goref-passes: '' is not a pass; {KNOWN}"),
        *(
            (
                ["--goref", f"--goref-rounds={text}"],
                f"--goref-rounds: '{text}' is not a number of rounds: auto",
            )
            for text in ("0", "-1", "1.5", "many", "10001", "", "\u0665", "1e3", "0x10")
        ),
        (["--goref", "--goref-rounds=" + "9" * 5000], "--goref-rounds: '99999"),
        (["--goref-rounds=0", "--goref-strict"], "--goref-rounds: '0' is not a number of rounds"),
    ],
    ids=short,
)
def test_a_wrong_option_is_refused(marked: Project, args: list[str], expected: str) -> None:
    line = refusal(marked.run(*args))

    assert line.startswith(expected)
    assert len(line) < 200
    assert not (marked.path / ".goref_cache").exists()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("goref", "perhaps", "invalid truth value 'perhaps'"),
        ("goref_strict", "perhaps", "invalid truth value 'perhaps'"),
        ("goref_all", "2", "invalid truth value '2'"),
        ("goref_rounds", "0", "'0' is not a number of rounds: auto, or a whole number from 1 to 10000"),
        ("goref_rounds", "", "'' is not a number of rounds: auto, or a whole number from 1 to 10000"),
        ("goref_passes", "foo", f"'foo' is not a pass; {KNOWN}"),
        ("goref_passes", "", f"'' is not a pass; {KNOWN}"),
    ],
)
def test_a_wrong_ini_value_is_refused(marked: Project, name: str, value: str, expected: str) -> None:
    set_ini(marked, f"{name} = {value}")

    switch = () if name == "goref" else ("--goref",)
    assert refusal(marked.run(*switch)) == f"ini value {name}: {expected}"
    assert marked.run("--no-goref").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("option", ["--goref-save", "--goref-compare"])
def test_an_option_without_its_value_is_refused(marked: Project, option: str) -> None:
    result = marked.run(option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*error: argument {option}: expected one argument"])


def test_the_command_line_wins_over_a_wrong_ini_value(marked: Project) -> None:
    set_ini(marked, "goref_rounds = 0\ngoref_passes = foo")

    assert closing_line(marked.run("--goref", COUNTS, "--goref-rounds=1")) == "goref: 1 measured"


def test_wrong_values_are_refused_once_under_xdist(marked: Project) -> None:
    result = marked.run("-n2", "--goref", "--goref-rounds=0")

    assert refusal(result).startswith("--goref-rounds: '0' is not a number of rounds")


@pytest.mark.parametrize("arguments", _MARKERS, ids=short)
def test_a_wrong_marker_is_an_error_of_its_test(project: Project, arguments: str) -> None:
    project.write({"test_it.py": dedented(_GOOD_AND).replace("{arguments}", arguments)})

    result = project.run("--goref", COUNTS)

    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (line,) = (line for line in result.outlines if line.startswith("test_it.py::test_wrong: "))
    assert line.startswith("test_it.py::test_wrong: @pytest.mark.profile: ")
    assert _MARKERS[arguments] in line
    assert len(line) < 400
    assert closing_line(result) == "goref: 1 measured"
    assert "Traceback" not in result.stdout.str()
    assert "Evil" not in result.stdout.str()


def test_a_wrong_marker_names_the_place_it_is_read_from(project: Project) -> None:
    project.write(
        {
            "test_it.py": dedented("""
                import pytest

                pytestmark = pytest.mark.goref(bogus_of_module=1)

                class TestIt:
                    pytestmark = pytest.mark.goref(bogus_of_class=1)

                    def test_of_class(self):
                        pass

                    @pytest.mark.profile(rounds=2)
                    def test_of_function(self):
                        pass

                def test_of_module():
                    pass
            """).replace("\n            ", "\n")
        }
    )

    result = project.run("--goref", COUNTS)

    result.assert_outcomes(passed=1, errors=2)
    start = "@pytest.mark.goref: unknown argument"
    result.stdout.fnmatch_lines(
        [
            f"test_it.py::TestIt::test_of_class: {start} 'bogus_of_class'; known: *",
            f"test_it.py::test_of_module: {start} 'bogus_of_module'; known: *",
        ]
    )


def test_a_wrong_marker_is_an_error_of_its_test_under_xdist(project: Project) -> None:
    project.write({"test_it.py": dedented(_GOOD_AND).replace("{arguments}", "bogus=1")})

    result = project.run_apart("-n2", "--goref", COUNTS)

    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["test_it.py::test_wrong: @pytest.mark.profile: unknown argument 'bogus'; *"])
    assert closing_line(result) == "goref: 1 measured"


def test_a_wrong_marker_does_not_reach_a_baseline(project: Project) -> None:
    project.write({"test_it.py": dedented(_GOOD_AND).replace("{arguments}", "rounds=0")})

    result = project.run("--goref-save=main", COUNTS)

    assert closing_line(result) == "goref: 1 measured, saved to main: 1 entry written, 0 unchanged"
    assert [key.name for key in project.last_results()] == ["test_good"]


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("goref.ref(5)", "TypeError: the key of a reference must be a str, got int; convert it with str()"),
        ("goref.ref(None)", "TypeError: the key of a reference must be a str, got NoneType; *"),
        ("goref.ref(b'db.query')", "TypeError: the key of a reference must be a str, got bytes; *"),
        ("goref.snapshot()['nothing']", "KeyError: 'nothing'"),
        ("goref.measure(5)", "TypeError: 'int' object is not callable"),
    ],
)
def test_misuse_of_the_fixture_fails_the_test_itself(project: Project, use: str, expected: str) -> None:
    code = """
        import pytest

        @pytest.mark.profile
        def test_misuse(goref):
            USE

        @pytest.mark.profile
        def test_good(goref):
            goref.ref("db.query").deref()
    """
    project.write({"test_it.py": code.replace("\n        ", "\n").replace("USE", use)})

    result = project.run("--goref", COUNTS)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random([f">       {use}", f"E  *{expected}"])
    assert closing_line(result) == "goref: 1 measured (not measured: 1 failed)"
