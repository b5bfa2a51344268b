"""The options and their ini twins, declared once; an option is given when it is not None.

PYTEST_DONT_REWRITE: loaded at every start of pytest, so it stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    import pytest


class Option(NamedTuple):
    """One option: ``--goref-NAME`` on the command line and ``goref_NAME`` in the ini file.

    Attributes:
        name: without prefix.
        metavar: what its value is called, "" for a flag.
        help: one sentence.
        ini: type of the ini twin; None when there is none, because the value belongs to one invocation.
        many: whether it may be given more than once.

    """

    name: str
    metavar: str
    help: str
    ini: Literal["bool", "string", "linelist"] | None = None
    many: bool = False


OPTIONS: Final = (
    Option("save", "NAME", "store what the tests did as the baseline NAME"),
    Option(
        "compare",
        "NAME|last|run:N|FILE|git:REV",
        "fail tests that do more than this baseline, run, file or revision",
    ),
    Option("fail", "RULE", "fail beyond RULE, such as 'calls:5%%+8' or 'counts:0'", "linelist", many=True),
    Option(
        "warn", "RULE", "warn beyond RULE, such as 'durations:10%%' or 'calls:off'", "linelist", many=True
    ),
    Option("strict", "", "fail new, missing, incomparable and inconclusive tests too", "bool"),
    Option("passes", "LIST", "what to measure: counts,memory,time,cpu", "string"),
    Option("rounds", "N|auto", "timed executions of each test", "string"),
    Option("repeat", "on|off", "whether tests may be executed more than once to measure them", "string"),
    Option("visits", "N", "how many fresh processes time each saved test", "string"),
    Option("lock", "on|off", "whether sessions of one machine wait for one another to time", "string"),
    Option("export", "DIR:FORMAT", "write the CPU and memory profile of each test into DIR"),
    Option("all", "", "measure every test, not only marked ones", "bool"),
)
"""Every option but the switch itself."""

_SWITCHES: Final = ("save", "compare", "fail", "warn", "strict", "export")
"""Options that make no sense without measuring: on the command line they turn it on."""


def add_options(parser: pytest.Parser) -> None:
    """Declare every option of the plugin."""
    group = parser.getgroup("goref", "work, time and regressions of tests (pytest-goref)")
    group.addoption("--goref", dest="goref", action="store_true", default=None, help="measure marked tests")
    group.addoption(
        "--no-goref", dest="no_goref", action="store_true", help="measure nothing, whatever else is set"
    )
    parser.addini("goref", "measure marked tests", type="bool", default=False)
    parser.addini(
        "goref_artifacts_limit", "most room for profiles in .goref_cache", type="string", default="200 MB"
    )
    for option in OPTIONS:
        dest = f"goref_{option.name}"
        flag = f"--goref-{option.name}"
        if not option.metavar:
            group.addoption(flag, dest=dest, action="store_true", default=None, help=option.help)
        else:
            action = "append" if option.many else "store"
            group.addoption(
                flag, dest=dest, action=action, default=None, metavar=option.metavar, help=option.help
            )
        if option.ini:
            text = option.help.replace("%%", "%")
            parser.addini(dest, text, type=option.ini, default=None)


def is_on(config: pytest.Config) -> bool:
    """Return whether this session measures: ``--goref``, an option that needs it, or the ini setting."""
    if config.getoption("no_goref", default=False):
        return False
    switches = ("goref", *(f"goref_{name}" for name in _SWITCHES))
    given = any(config.getoption(name, default=None) is not None for name in switches)
    return given or bool(config.getini("goref"))
