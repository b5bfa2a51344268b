"""What the C engine does seldom, through functions in Python.

Whoever attributes allocations to lines of Python, as the memory pass does, sees these functions where the C
engine allocates, and not the line of the user that begins or ends a reference.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    R = TypeVar("R")


def aside(step: Callable[[object, object], R], owner: object, what: object) -> R:
    """Call a function of the C engine that allocates."""
    return step(owner, what)


def warn_of_second_end(key: str, warned: set[str], stacklevel: int = 2) -> None:
    """Warn that a reference to ``key`` was ended twice, and remember that in ``warned``."""
    import warnings  # noqa: PLC0415 - not loaded in a program that does nothing wrong

    from pytest_goref.errors import DoubleDerefWarning  # noqa: PLC0415 - as above

    warnings.warn(
        f"the reference to {key!r} was ended twice; the second end changed nothing. "
        "End each reference once, by deref() or by a with block",
        DoubleDerefWarning,
        stacklevel=stacklevel,
    )
    warned.add(key)  # not reached when the warning is an error: it is raised each time
