"""The entry point: options, markers and the fixture; it loads the rest only when a session measures.

PYTEST_DONT_REWRITE: loaded at every start of pytest, so it stays small.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from pytest_goref.plugin.options import add_options, is_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_goref.plugin.fixture import GorefFixture

_MARKER = (
    "profile(rounds=, repeat=, passes=, max_count=, max_duration=, max_peak=, max_allocations=, "
    "fail=, warn=, leaks=): measure this test when --goref is given (pytest-goref)."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini twins."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers and, when the session measures, start it."""
    config.addinivalue_line("markers", _MARKER)
    config.addinivalue_line("markers", "goref(...): the same as profile(...) (pytest-goref).")
    try:
        on = is_on(config)
    except (ValueError, pytest.UsageError) as error:  # pytest does not say of which ini value
        raise pytest.UsageError(f"goref: ini value goref: {error}") from None
    if on:
        from pytest_goref.plugin.start import start  # noqa: PLC0415 - not needed when off

        start(config)


@pytest.fixture
def goref(request: pytest.FixtureRequest) -> Iterator[GorefFixture]:
    """Track, snapshot, time and watch memory inside a test, whether ``--goref`` is given or not."""
    from pytest_goref.plugin.fixture import GorefFixture  # noqa: PLC0415 - needed only where it is used

    with contextlib.closing(GorefFixture.of(request.config)) as fixture:
        yield fixture
