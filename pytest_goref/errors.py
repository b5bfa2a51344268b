"""Every error and warning of pytest-goref; each message says what happened, where, and what to do.

PYTEST_DONT_REWRITE: an application may import this module before pytest starts.
"""

from __future__ import annotations


class GorefError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidValueError(GorefError, ValueError):
    """An option, ini value, marker argument, rule or quantity cannot be understood."""


class BaselineError(GorefError):
    """A baseline is missing, damaged, of an unknown format, or cannot be written."""


class HistoryError(GorefError):
    """The history of runs cannot be read or written, or does not hold what was asked for."""


class CacheError(GorefError):
    """The cache directory cannot be made or written to."""


class GorefWarning(UserWarning):
    """Base of every warning this package issues."""


class DoubleDerefWarning(GorefWarning):
    """A reference was ended twice; the second end changed nothing."""
