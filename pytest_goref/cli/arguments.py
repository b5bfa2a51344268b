"""The command line: its commands, their arguments, and the help."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_goref import __version__
from pytest_goref.cli import accepting, comparing, differing, exporting, listing, pruning, ranking, showing
from pytest_goref.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_goref.cli.command import Command

COMMANDS: Final[tuple[Command, ...]] = (
    listing.COMMAND,
    showing.COMMAND,
    comparing.COMMAND,
    accepting.COMMAND,
    pruning.COMMAND,
    ranking.COMMAND,
    differing.COMMAND,
    exporting.COMMAND,
)
"""In the order of the help."""

_DESCRIPTION: Final = """\
Looks at what pytest runs with --goref have stored, and decides what is accepted. A run is what one such
invocation measured of each marked test; a baseline is what tests are accepted to do, under a name, in files
that are committed like code. No test is executed here, and only accept and prune write, into a baseline, and
export, into a file. The directory .goref_cache is looked for in the current directory and above.
"""
_EXAMPLES: Final = (
    "goref list",
    "goref show last test_checkout",
    "goref compare main last",
    "goref accept main tests/test_shop.py",
    "goref prune main --dry-run",
    "goref top last test_checkout",
    "goref diff main last test_checkout",
    "goref export last test_checkout --format speedscope",
)
_EXIT_CODES: Final = "exit codes: 0 fine, 1 a regression (compare), 4 bad input or unusable data"
_CACHE_HELP: Final = "the .goref_cache to use, instead of the nearest one"


class _Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            InvalidValueError: always.

        """
        raise InvalidValueError(f"{message}: see {self.prog} --help")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for: ``run``, the command to carry out, and its arguments.

    Raises:
        InvalidValueError: the command line is wrong.
        SystemExit: with 0, after ``--help`` and ``--version``.

    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    options.tests = [*getattr(options, "tests", ()), *_later_tests(parser, options, rest)]
    return options


def _parser() -> _Parser:
    parser = _Parser(
        prog="goref",
        description=_filled(_DESCRIPTION),
        epilog=_epilog(_EXAMPLES, f"{_EXIT_CODES}\nmore: goref COMMAND --help"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"goref {__version__}", help="show the version and exit"
    )
    parser.add_argument("--cache", metavar="DIR", help=_CACHE_HELP)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.summary,
            description=_filled(command.description),
            epilog=_epilog(command.examples, ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        # Suppressed, or the default of this one would undo a --cache before the command.
        one.add_argument("--cache", metavar="DIR", default=argparse.SUPPRESS, help=_CACHE_HELP)
        command.declare(one)
        one.set_defaults(run=command.run)
    return parser


def _later_tests(parser: _Parser, options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Return the tests that stand after an option: argparse takes an optional list only where it begins."""
    split = rest.index("--") if "--" in rest else len(rest)
    before, after = rest[:split], rest[split + 1 :]
    unknown = [text for text in before if text.startswith("-")] if hasattr(options, "tests") else rest
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return [*before, *after]


def _filled(text: str) -> str:
    """Return ``text`` as a paragraph; argparse would do it, but only together with the examples."""
    return textwrap.fill(" ".join(text.split()), shutil.get_terminal_size().columns - 2)


def _epilog(examples: Sequence[str], end: str) -> str:
    return "\n".join(["examples:", *(f"  {example}" for example in examples), *(["", end] if end else [])])
