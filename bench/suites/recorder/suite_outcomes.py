"""A plugin that writes down how each phase of each test ended, for two sessions to be compared.

PYTEST_DONT_REWRITE: it is loaded beside the plugins that are measured.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_PHASES: dict[str, list[list[str]]] = {}


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a file that could not be collected, or that is skipped as a whole."""
    if not report.passed:
        _note(report.nodeid, "collect", report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a phase, or a subtest."""
    _note(report.nodeid, report.when, report)


def _note(nodeid: str, when: str, report: pytest.TestReport | pytest.CollectReport) -> None:
    because = getattr(report, "wasxfail", None)
    if report.skipped and because is None and isinstance(report.longrepr, tuple):
        because = report.longrepr[2]
    word = "xfail" if hasattr(report, "wasxfail") else ""
    _PHASES.setdefault(nodeid, []).append([when, report.outcome, word, str(because or "")])


def pytest_sessionfinish() -> None:
    """Write what was noted."""
    Path(os.environ["SUITE_OUTCOMES"]).write_text(json.dumps(_PHASES), encoding="utf-8")
