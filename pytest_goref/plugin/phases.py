"""Phases of a test's execution: whether one passed, why it did not, and two tear-downs that look like one."""

from __future__ import annotations

from typing import Final

import pytest

from pytest_goref.report.text import shorten

_MOST_CHARACTERS: Final = 500
"""Of what a test has raised; it is stored with every run."""

Phase = tuple[pytest.CallInfo[None], pytest.TestReport]
"""What happened in a phase, and what is reported of it."""


def has_passed(report: pytest.TestReport) -> bool:
    """Return whether the test's code has passed; a strict xfail mark makes a failure of that."""
    text = report.longrepr
    return report.passed or (report.failed and isinstance(text, str) and text.startswith("[XPASS(strict)]"))


def reason(call: pytest.CallInfo[None], outcome: str) -> str:
    """Return in one line why a phase did not pass."""
    lines = call.excinfo.exconly(tryshort=True).splitlines() if call.excinfo else []
    return f"{call.when} {outcome}{f': {shorten(lines[0], _MOST_CHARACTERS)}' if lines else ''}"


def fail(report: pytest.TestReport, text: str) -> None:
    """Let the report of a call that has passed be one of a failure; marked xfail, that was expected."""
    if report.passed:
        report.outcome = "skipped" if hasattr(report, "wasxfail") else "failed"
        report.longrepr = text


def joined(first: pytest.CallInfo[None], second: pytest.CallInfo[None]) -> pytest.CallInfo[None]:
    """Return one tear-down for two, the narrow and the wide one, with the errors of both."""
    call = second
    if first.excinfo and second.excinfo:
        errors = [first.excinfo.value, second.excinfo.value]
        group = BaseExceptionGroup("errors during test teardown", errors)

        def both() -> None:
            raise group

        call = pytest.CallInfo.from_call(both, when="teardown")
    elif first.excinfo:
        call = first
    call.start, call.duration = first.start, first.duration + second.duration
    return call


def merged(sections: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``sections`` with equal titles joined: two tear-downs look like one."""
    texts: dict[str, str] = {}
    for title, text in sections:
        texts[title] = texts.get(title, "") + text
    return list(texts.items())
