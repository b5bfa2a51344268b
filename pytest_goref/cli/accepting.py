"""``goref accept``: what a run measured becomes what is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.cli.command import Answer, Command, counted
from pytest_goref.cli.project import Project, nodeid
from pytest_goref.compare.accept import accept
from pytest_goref.errors import InvalidValueError
from pytest_goref.model import BaselineEntry, ProblemKind, TestKey
from pytest_goref.report.text import printable
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from pytest_goref.store.history import TestResult

_ACCEPTABLE: Final = ("passed", "failed")
"""Outcomes whose record may be accepted; a failed test has one when its own execution passed."""


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the baseline; made when there is none")
    parser.add_argument(
        "tests",
        metavar="TEST",
        nargs="*",
        default=[],
        help="a node id, or the file, directory or class of tests; all when none is named",
    )
    parser.add_argument("--run", dest="number", metavar="N", type=int, help="take run N, not the last one")


def _run(project: Project, options: argparse.Namespace) -> Answer:
    baselines = project.baselines
    stored = baselines.open(options.name) if baselines.exists(options.name) else None
    run = project.last_run() if options.number is None else options.number
    project.history.run(run)
    selected = _selected(list(project.history.results(run)), options.tests, run)
    refused = {result.key: why for result in selected if (why := _refusal(result))}
    before: dict[TestKey, BaselineEntry | None] = {}
    after: dict[TestKey, BaselineEntry] = {}
    for result in selected:
        if result.record is not None and result.key not in refused:
            before[result.key] = stored.get(result.key) if stored else None
            after[result.key] = accept(result.record, before[result.key])
    if not after:
        raise InvalidValueError(_nothing(run, refused))
    saved = baselines.save(options.name, after)
    artifacts = Artifacts(project.cache.artifacts)
    for key in after:
        artifacts.copy(owner_of_run(run), owner_of_baseline(options.name), key)
    counts = f"{saved.new} new, {saved.changed} changed, {saved.unchanged} unchanged, {len(refused)} refused"
    return Answer(
        (
            *_written(before, after),
            *(f"refused: {nodeid(key)}: {printable(why)}" for key, why in refused.items()),
            f"goref: accepted run {run} into {'' if stored else 'the new '}baseline {options.name}: {counts}",
        )
    )


def _selected(results: Sequence[TestResult], tests: Sequence[str], run: int) -> list[TestResult]:
    """Return the results that ``tests`` name, all when it is empty.

    Raises:
        InvalidValueError: one of them names nothing.

    """
    if not tests:
        return list(results)
    for text in tests:
        if not any(_names(text, result.key) for result in results):
            raise InvalidValueError(
                f"run {run} holds no test {text!r}: write a node id as goref show run:{run} lists them, "
                f"or the file, directory or class before it"
            )
    return [result for result in results if any(_names(text, result.key) for text in tests)]


def _names(text: str, key: TestKey) -> bool:
    """Return whether ``text`` is the node id of ``key``, or all of it before a ``/``, ``::`` or ``[``."""
    stem = text.removesuffix("/")
    return any(
        whole == text or whole.startswith((f"{stem}/", f"{text}::", f"{text}["))
        for whole in (key.nodeid, nodeid(key))
    )


def _refusal(result: TestResult) -> str:
    """Return why nothing of ``result`` can be accepted, "" when it can."""
    if result.outcome not in _ACCEPTABLE:
        return result.outcome
    if result.record is None:
        return f"{result.outcome}, and nothing was measured"
    if not result.record.comparable:
        problems = (p for p in result.record.problems if p.kind is ProblemKind.NOT_REPEATABLE)
        return f"not repeatable: {'; '.join(problem.text for problem in problems)}"
    return ""


def _nothing(run: int, refused: dict[TestKey, str]) -> str:
    if not refused:
        return f"run {run} holds no tests: nothing is accepted"
    first, why = next(iter(refused.items()))
    others = f" (and {counted(len(refused) - 1, 'other test')})" if len(refused) > 1 else ""
    return f"nothing of run {run} can be accepted: {first.nodeid}: {why}{others}: run pytest --goref again"


def _written(
    before: dict[TestKey, BaselineEntry | None], after: dict[TestKey, BaselineEntry]
) -> Iterator[str]:
    for key, entry in after.items():
        if entry != before[key]:
            yield f"{'new' if before[key] is None else 'changed'}: {nodeid(key)}"


COMMAND: Final = Command(
    name="accept",
    summary="accept what a run measured into a baseline",
    description="""\
Merges what the last run measured into the baseline NAME: of all its tests, or of those named. Taken are
tests that passed, and tests that failed although their own execution passed: by a regression, which is what
this command accepts, by a limit of their marker (which stays), or in their tear-down. Tests that were
skipped, that failed by themselves or cannot be repeated are refused, and named. Numbers within tolerance keep
their accepted value, and tests that are not named keep their entry.
""",
    examples=("goref accept main", "goref accept main --run 12 'tests/test_shop.py::test_cart[empty]'"),
    declare=_declare,
    run=_run,
)
