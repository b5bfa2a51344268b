"""From results to the summary: verdicts, what was not compared, and what the user should know."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_goref.model import ProblemKind, TestKey
from pytest_goref.report.summary import NotCompared, Saved, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_goref.plugin.controller import Purpose
    from pytest_goref.plugin.results import Result, Results


def summarize(
    results: Results,
    purpose: Purpose,
    missing: tuple[TestKey, ...],
    saved: Saved | None,
    notes: tuple[str, ...],
) -> Summary:
    """Return what the session amounts to.

    Args:
        results: of the measured tests.
        purpose: what the session is for.
        missing: tests that are accepted and gone.
        saved: what was stored as a baseline, None for nothing.
        notes: what went wrong in this process.

    """
    reference = purpose.reference
    known = set(purpose.accepted) if reference else set(results.by_key)
    outcomes = Counter(result.outcome for result in results.by_key.values() if result.verdict is None)
    left_out = known - set(results.by_key) - set(missing)
    return Summary(
        verdicts=tuple(r.verdict for r in results.by_key.values() if r.verdict is not None),
        reference=reference.words if reference else "",
        missing=missing,
        not_compared=NotCompared(
            skipped=outcomes["skipped"],
            failed=outcomes["failed"] + outcomes["xfailed"],
            not_selected=len(left_out),
        ),
        saved=saved,
        notes=(*_problem_lines(results.by_key.items()), *results.unreadable, *notes),
    )


def _problem_lines(results: Iterable[tuple[TestKey, Result]]) -> Iterator[str]:
    """Yield a line for each problem, with the number of tests that have it and the first of them."""
    tests: dict[tuple[ProblemKind, str], list[TestKey]] = {}
    for key, result in results:
        for problem in result.record.problems if result.record else ():
            tests.setdefault((problem.kind, problem.text), []).append(key)
    for (kind, text), keys in tests.items():
        number = "1 test" if len(keys) == 1 else f"{len(keys)} tests"
        first = keys[0].nodeid if len(keys) == 1 else f"{keys[0].nodeid}, ..."
        if kind is ProblemKind.ONCE:
            yield f"{number} executed once ({text}): {first}"
        elif kind is ProblemKind.NOT_REPEATABLE:
            yield f"not repeatable, so not comparable: {first}: {text}"
        else:
            yield f"{text} ({number}: {first})"
