"""The command ``goref``: looks at, compares, accepts and prunes what pytest runs have stored. No pytest.

Exit codes: 0 fine, 1 a regression, 4 bad input or unusable data.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from pytest_goref.cli.arguments import parse_arguments
from pytest_goref.cli.project import find_project
from pytest_goref.errors import GorefError
from pytest_goref.report.text import ascii_only, printable
from pytest_goref.store.files import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

_FINE: Final = 0
_UNUSABLE: Final = 4
_INTERRUPTED: Final = 130
"""What shells expect of a program that ctrl-C has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code; what cannot be done is one line on stderr.

    Args:
        arguments: the command line without the program; None for the one of this process.

    Raises:
        SystemExit: with 0, after ``--help`` and ``--version``.

    """
    status = _FINE
    try:
        options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        answer = options.run(find_project(options.cache), options)
        status = answer.status
        _write(answer.lines)
    except BrokenPipeError:  # whoever reads has seen enough: ``goref list | head -1``
        _discard_output()
    except GorefError as error:
        return _refuse(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _refuse(f"{place}{reason(error)}: make sure that it exists and may be used")
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _write(lines: Sequence[str]) -> None:
    """Write ``lines``; one that the stream cannot encode is written with escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        try:
            line.encode(encoding)
        except UnicodeEncodeError:
            line = ascii_only(line)  # noqa: PLW2901 - the same line in other characters
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # here, where a closed pipe is expected, and not at exit


def _refuse(message: str) -> int:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"goref: {printable(message)}\n")
    return _UNUSABLE


def _discard_output() -> None:
    """Let what is still in the buffer of stdout go nowhere, or the interpreter complains when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
