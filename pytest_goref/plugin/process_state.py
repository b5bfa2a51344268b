"""The state of the process: what a test may change, so that repeating it leaves what executing it leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_goref.plugin.process_aspects import ENVIRONMENT, RANDOM, SURROUNDINGS, Aspect, Values

if TYPE_CHECKING:
    from collections.abc import Mapping

COVERAGE: Final = ("COV_CORE_", "COVERAGE_PROCESS_")
"""How the environment variables begin that let coverage measure the processes that are started."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The state of the process at one moment.

    Attributes:
        surroundings: the values of every aspect but random numbers, by its name.
        random_states: of the ``random`` module, and of numpy's where that is loaded.

    """

    surroundings: Mapping[str, Values]
    random_states: Values

    @classmethod
    def save(cls) -> ProcessState:
        """Return the present state."""
        return cls({name: aspect.read() for name, aspect in SURROUNDINGS.items()}, RANDOM.read())

    def with_lasting(self, in_test: ProcessState, after: ProcessState) -> ProcessState:
        """Return this state, taken before a test, with what its fixtures have set up for later tests too.

        Args:
            in_test: the state after the set-up.
            after: the state after the tear-down; what is as before was given back, and belongs to the test.

        """
        lasting = {
            name: _lasting(aspect, *(state.surroundings[name] for state in (self, in_test, after)))
            for name, aspect in SURROUNDINGS.items()
        }
        return replace(self, surroundings=lasting)

    def without(self, prefixes: tuple[str, ...]) -> ProcessState:
        """Return this state without the environment variables whose names begin with one of ``prefixes``."""
        environ = self.surroundings[ENVIRONMENT]
        kept = {name: value for name, value in environ.items() if not name.startswith(prefixes)}
        return replace(self, surroundings={**self.surroundings, ENVIRONMENT: kept})

    def restore_surroundings(self) -> None:
        """Give back everything but random numbers."""
        for name, aspect in SURROUNDINGS.items():
            aspect.give_back(self.surroundings[name])

    def restore(self) -> None:
        """Give back everything."""
        self.restore_surroundings()
        RANDOM.give_back(self.random_states)


_ABSENT: Final = object()


def _lasting(aspect: Aspect, before: Values, in_test: Values, after: Values) -> Values:
    lasting = {}
    for key in before.keys() | in_test.keys():
        old = before.get(key, _ABSENT)
        given_back = aspect.same(after.get(key, _ABSENT), old)
        value = old if given_back else in_test.get(key, _ABSENT)
        if value is not _ABSENT:
            lasting[key] = value
    return lasting
