"""Which engine counts: the one in C where it was built, else the one in Python; ``GOREF_ENGINE`` forces one.

What cannot be forced is told by a warning, and another engine counts, as no program
stops for a wrong variable. A session of pytest that measures is refused.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # importing typing would cost every start of pytest milliseconds

_VARIABLE = "GOREF_ENGINE"
_asked = os.environ.get(_VARIABLE, "")
problem = ""
"""Why the engine is not the one that was asked for, "" when it is."""
if _asked not in ("", "c", "python"):
    problem = f"{_VARIABLE} must be 'c' or 'python', got {_asked!r}; unset it for the faster one"

if TYPE_CHECKING:
    from pytest_goref.tracker.core import Tracker, disable, enable, is_enabled
    from pytest_goref.tracker.ledger import Ref
    from pytest_goref.tracker.recorder import Recorder

    engine: str
    """``"c"`` or ``"python"``."""
elif _asked == "python":
    from pytest_goref.tracker.core import Tracker, disable, enable, is_enabled
    from pytest_goref.tracker.ledger import Ref
    from pytest_goref.tracker.recorder import Recorder

    engine = "python"
else:
    try:
        from pytest_goref.tracker._speed import Recorder, Ref, Tracker, disable, enable, is_enabled

        engine = "c"
    except ImportError as error:
        if _asked == "c":
            problem = (
                f"{_VARIABLE} asks for the engine in C, which cannot be loaded ({error}); "
                "install pytest-goref where a C compiler is, or unset the variable"
            )
        from pytest_goref.tracker.core import Tracker, disable, enable, is_enabled
        from pytest_goref.tracker.ledger import Ref
        from pytest_goref.tracker.recorder import Recorder

        engine = "python"

if problem:
    import warnings

    from pytest_goref.errors import GorefWarning

    warnings.warn(f"{problem}. The engine in {engine.title()} counts", GorefWarning, stacklevel=2)

_root = Tracker()


def get_tracker(*path: str) -> Tracker:
    """Return the tracker at ``path`` of the process-wide tree: the same object for the same path.

    Without a path it is the root, the one behind ``pytest_goref.ref`` and ``pytest_goref.track``.

    Raises:
        InvalidValueError: a name is empty.
        TypeError: a name is not a string.

    """
    return _root.child(*path)


__all__ = [
    "Recorder",
    "Ref",
    "Tracker",
    "disable",
    "enable",
    "engine",
    "get_tracker",
    "is_enabled",
    "problem",
]
