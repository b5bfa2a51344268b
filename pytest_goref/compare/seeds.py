"""Hash seeds: whether a regression is one, or only another order of iteration.

The hashes of text differ from process to process, and so does the order of a set. A test that iterates one
may do more work by chance. What it does under two fixed seeds tells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import aligned
from pytest_goref.compare.change import exceeds
from pytest_goref.compare.judge import revised, rule_of
from pytest_goref.model import Exactness, Group, Severity
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import BaselineEntry, Record, Tolerance
    from pytest_goref.verdict import Finding, Verdict

_DEPENDENT: Final = (Group.COUNTS, Group.ALLOCATIONS, Group.CALLS)
"""What the order of iteration may change."""
_REMEDY: Final = "the test iterates a set; set PYTHONHASHSEED=0"


def is_suspect(verdict: Verdict) -> bool:
    """Return whether another hash seed may have caused a finding of ``verdict``."""
    return any(map(_is_suspect, verdict.findings))


def without_seed_effects(
    verdict: Verdict, expected: BaselineEntry, rules: Rules, by_seed: Mapping[int, Record]
) -> Verdict:
    """Return ``verdict`` with each regression inconclusive that the hash seed explains.

    A regression stands when the least of all numbers is above the accepted one by more than is tolerated, and
    by more than the seeds make a difference.

    Args:
        verdict: on the record of this process.
        expected: what is accepted for the test.
        rules: tolerance and severity of each metric.
        by_seed: what was measured in fresh processes with fixed seeds, at least two.

    """
    return revised(verdict, tuple(_findings(verdict, expected, rules, by_seed)))


def _findings(
    verdict: Verdict, expected: BaselineEntry, rules: Rules, by_seed: Mapping[int, Record]
) -> Iterator[Finding]:
    for finding in verdict.findings:
        numbers = _numbers(finding, expected, by_seed) if _is_suspect(finding) else {}
        tolerance = rule_of(finding.metric, rules, concurrent=_concurrent(by_seed)).tolerance
        if len(numbers) < len(by_seed) or not numbers or _stands(finding, numbers, tolerance):
            yield finding
        else:
            yield replace(finding, outcome=Outcome.INCONCLUSIVE, reason=_reason(numbers))


def _is_suspect(finding: Finding) -> bool:
    """Return whether another hash seed may have caused ``finding``."""
    return (
        finding.outcome is Outcome.REGRESSED
        and finding.severity is not Severity.OFF
        and finding.metric.exactness is not Exactness.NOISY
        and finding.metric.group in _DEPENDENT
    )


def _concurrent(by_seed: Mapping[int, Record]) -> bool:
    return any(record.concurrent for record in by_seed.values())


def _numbers(finding: Finding, expected: BaselineEntry, by_seed: Mapping[int, Record]) -> Mapping[int, int]:
    """Return the number that each seed gave for the subject of ``finding``."""
    metric = finding.metric
    numbers = {}
    for seed, record in by_seed.items():
        if metric in record.measurements:
            _, after = aligned(metric, expected.measurements[metric], record.measurements[metric])
            numbers[seed] = min(after.get(finding.subject, (0,)))
    return numbers


def _stands(finding: Finding, numbers: Mapping[int, int], tolerance: Tolerance) -> bool:
    before, after = finding.before or 0, finding.after or 0
    fewest, most = min(numbers.values()), max(numbers.values())
    increase = min(fewest, after) - before
    by_chance = max(most, after) - min(fewest, after) if fewest != most else 0
    return increase > by_chance and exceeds(increase, before, tolerance)


def _reason(numbers: Mapping[int, int]) -> str:
    if len(set(numbers.values())) == 1:
        (number,) = set(numbers.values())
        seeds = " and ".join(map(str, numbers))
        alone = f"{number} alone in a fresh process with PYTHONHASHSEED={seeds}"
        return f"{alone}: differs by hash seed, or by the tests before it"
    (first, number), *others = numbers.items()
    told = ", ".join([f"{number} with PYTHONHASHSEED={first}", *(f"{n} with {seed}" for seed, n in others)])
    return f"differs by hash seed ({told}): {_REMEDY}"
