"""Verdicts: what was found when a record was judged, and where it sits.

All are frozen; nothing here does I/O.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.model import Severity

if TYPE_CHECKING:
    from pytest_goref.model import Group, Metric, TestKey
    from pytest_goref.quantity import Unit


CALLED_BY: Final = "called by "
"""What the note of a function begins with; its most frequent caller follows."""


class Outcome(enum.Enum):
    """The result of judging one metric of one subject."""

    SAME = "same"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    OVER_LIMIT = "over-limit"
    NEW = "new"
    GONE = "gone"
    INCONCLUSIVE = "inconclusive"
    INCOMPARABLE = "incomparable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one subject, judged.

    Attributes:
        metric: what was judged.
        subject: of what; empty for the whole test.
        outcome: the result.
        severity: what the result does to the test.
        before: the accepted value, None when there is none.
        after: the measured value, None when there is none.
        reason: one sentence, where the numbers alone do not say it.

    """

    metric: Metric
    subject: str
    outcome: Outcome
    severity: Severity
    before: int | None
    after: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """What the numbers of a column say; less is better for all of them."""

    title: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Place:
    """One place where work has changed.

    Attributes:
        name: a function, ``file.py:qualified.name``, or a module.
        values: before and after for each column; None on a side where the place is not known.
        note: what the numbers do not say, for example who calls it.

    """

    name: str
    values: tuple[tuple[int | None, int | None], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """Where the findings of one group sit: the places that changed, what explains most first.

    Attributes:
        group: of the findings that this explains.
        columns: what the values of the places are.
        places: those that there is room for.
        hidden: how many more have changed.
        remark: one sentence, where the table alone does not say it; with no places, why there are none.

    """

    group: Group
    columns: tuple[Column, ...]
    places: tuple[Place, ...]
    hidden: int = 0
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings of one test that are worth telling, and what they amount to.

    Attributes:
        key: the test.
        outcome: the first that applies of over-limit, regressed (at a severity that fails or warns), new,
            incomparable, inconclusive, improved, same.
        findings: everything but SAME, most important first.
        reason: why the whole test is new, incomparable or inconclusive.
        where: for each group with a regression, the places where it sits.

    """

    key: TestKey
    outcome: Outcome
    findings: tuple[Finding, ...]
    reason: str = ""
    where: tuple[Where, ...] = ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that fail the test."""
        return tuple(f for f in self.findings if is_failure(f)) if self.findings else ()


def is_failure(finding: Finding) -> bool:
    """Return whether ``finding`` fails its test."""
    return finding.severity is Severity.FAIL and finding.outcome in (Outcome.REGRESSED, Outcome.OVER_LIMIT)
