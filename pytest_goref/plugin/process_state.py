"""What a test may change in the process: directory, environment, random numbers."""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The state of the process at one moment.

    Attributes:
        directory: the working directory, "" when it no longer exists.
        environ: the environment variables.
        random_state: of the ``random`` module.

    """

    directory: str
    environ: dict[str, str]
    random_state: tuple[object, ...]

    @classmethod
    def save(cls) -> ProcessState:
        """Return the present state."""
        try:
            directory = os.getcwd()  # noqa: PTH109 - only to be given back
        except OSError:
            directory = ""
        return cls(directory, dict(os.environ), random.getstate())

    def with_lasting(self, in_test: ProcessState, after: ProcessState) -> ProcessState:
        """Return this state, taken before a test, with what its fixtures have set up for later tests too.

        Args:
            in_test: the state after the set-up.
            after: the state after the tear-down; what is as before was given back, and belongs to the test.

        """
        environ = {}
        for name in self.environ.keys() | in_test.environ.keys():
            given_back = after.environ.get(name) == self.environ.get(name)
            value = (self if given_back else in_test).environ.get(name)
            if value is not None:
                environ[name] = value
        given_back = after.directory == self.directory
        directory = (self if given_back else in_test).directory
        return ProcessState(directory, environ, self.random_state)

    def restore_surroundings(self) -> None:
        """Give back directory and environment; random numbers go on, to find out a test that varies."""
        if self.directory:
            with contextlib.suppress(OSError):  # removed in the meantime: the test removed where it stood
                os.chdir(self.directory)
        for name in os.environ.keys() - self.environ.keys():
            del os.environ[name]
        for name, value in self.environ.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    def restore(self) -> None:
        """Give back everything."""
        self.restore_surroundings()
        random.setstate(self.random_state)
