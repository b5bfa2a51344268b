"""Comparing how tests ended: with the plugin and without it, and without it once more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from running import Phases, Session


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the outcomes of some sessions compare.

    Attributes:
        tests: how many there are without the plugin.
        outcomes: how many of them ended how.
        flaky: tests that differ between sessions without the plugin: their outcome says nothing.
        different: a line for each other test that ended differently with the plugin.

    """

    tests: int
    outcomes: Counter[str]
    flaky: tuple[str, ...]
    different: tuple[str, ...]


def compare(without: Sequence[Session], others: Sequence[Session]) -> Comparison:
    """Return how sessions compare.

    Args:
        without: sessions without the plugin, at least two.
        others: sessions with it.

    """
    plain = without[0].phases
    known = {nodeid for session in without for nodeid in session.phases}
    flaky = {n for n in known if any(session.phases.get(n) != plain.get(n) for session in without[1:])}
    seen = known | {nodeid for session in others for nodeid in session.phases}
    different = {
        nodeid: f"{nodeid}: {_told(plain.get(nodeid))} without, {_told(session.phases.get(nodeid))} with it"
        for session in others
        for nodeid in sorted(seen - flaky)
        if session.phases.get(nodeid) != plain.get(nodeid)
    }
    outcomes = Counter(outcome(phases) for phases in plain.values())
    return Comparison(len(plain), outcomes, tuple(sorted(flaky)), tuple(different.values()))


def outcome(phases: Phases) -> str:
    """Return the outcome of a test, as pytest counts it."""
    for word in ("failed", "skipped"):
        for when, ended, expected, _ in phases:
            if ended == word:
                return expected or ("error" if word == "failed" and when != "call" else word)
    return "xpassed" if any(phase[2] for phase in phases) else "passed"


def _told(phases: Phases | None) -> str:
    """Return in words how a test ended."""
    if phases is None:
        return "not there"
    return ", ".join(" ".join(filter(None, phase)) for phase in phases)
