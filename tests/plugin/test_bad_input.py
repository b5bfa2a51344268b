"""What a user writes wrong costs one line that says what, where and what to write; never a traceback of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from plugin_project import COUNTS, Project, closing_line

if TYPE_CHECKING:
    from collections.abc import Mapping

pytest_plugins = ("plugin_project",)

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
    "passes='cpu'": "passes=: 'cpu' is not a pass; known: counts, time",
    "passes=''": "passes=: '' is not a pass",
    "passes=[]": "passes=: no pass is named; known: counts, time",
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
    "fail='durations:10%'": "durations of one run cannot fail a test",
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


def short(text: object) -> str:
    """Return a readable id."""
    return ascii(text)[1:-1][:40]


@pytest.mark.parametrize("option", ["--goref-fail", "--goref-warn"])
@pytest.mark.parametrize("rule", _RULES, ids=short)
def test_a_malformed_rule_is_refused(marked: Project, rule: str, option: str) -> None:
    line = refusal(marked.run(f"{option}=calls:off", f"{option}={rule}"))

    assert line.startswith(f"{option}: rule ")
    assert _RULES[rule] in line
    assert line.endswith("; write for example counts:0, calls:5%+8, durations:10% or calls:off")
    assert len(line) < 400
    assert not (marked.path / ".goref_cache").exists()
