"""What several tests need: pytest's own plugin for testing plugins, and one tour through the examples."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# On a busy machine anything may take long: that is no defect.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

EXAMPLES = Path(__file__).resolve().parent / "examples"


@pytest.fixture(scope="session")
def tour(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Return how ``examples/tour.py`` ended when nothing but the tour itself was measured."""
    pytest.importorskip(
        "pytest_goref.tracker._speed", reason="built without a C compiler", exc_type=ImportError
    )
    # In CI pytest shortens no line; its version 8.4 takes an empty variable for CI too.
    left_out = ("COVERAGE_", "COV_", "CI", "BUILD_NUMBER")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return subprocess.run(  # noqa: S603 - our own example
        [sys.executable, EXAMPLES / "tour.py"],
        cwd=tmp_path_factory.mktemp("tour"),
        # The engine in Python names one caller less, so that the tour is shown with the one in C.
        env=environment | {"COLUMNS": "80", "GOREF_ENGINE": "c"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
