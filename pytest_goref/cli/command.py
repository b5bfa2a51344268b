"""What a command is and what it answers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pytest_goref.cli.project import Project

REFERENCE: Final = "the name of a baseline, last, run:N, or a file of a baseline"
"""What may be named where something stored is meant."""

_PIPE_CHARACTERS: Final = 4000
"""Room for the longest node ids; else one name of a million characters would widen every line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say.

    Attributes:
        lines: for stdout, each safe to print.
        status: the exit code.

    """

    lines: tuple[str, ...]
    status: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: the word after ``goref``.
        summary: its line in the list of commands.
        description: the text of its own help.
        examples: command lines, for the end of its help.
        declare: adds its arguments to a parser.
        run: carries it out.

    """

    name: str
    summary: str
    description: str
    examples: tuple[str, ...]
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Project, argparse.Namespace], Answer]


def table_width() -> int:
    """Return how many characters a line of a table may have; through a pipe hardly anything is shortened."""
    return shutil.get_terminal_size((_PIPE_CHARACTERS, 24)).columns


def summary_width() -> int:
    """Return how many characters a line of a summary may have; through a pipe as many as pytest takes."""
    return shutil.get_terminal_size((80, 24)).columns


def counted(number: int, noun: str) -> str:
    """Return ``1 test`` or ``2 tests``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
