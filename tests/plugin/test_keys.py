from __future__ import annotations

from pathlib import Path

import pytest

from pytest_goref.model import TestKey
from pytest_goref.plugin.keys import spelling_of


@pytest.mark.parametrize(
    ("directory", "spelling"),
    [
        ("", "tests/unit/test_it.py::test[a/b]"),
        ("tests", "unit/test_it.py::test[a/b]"),
        ("tests/unit", "test_it.py::test[a/b]"),
        ("docs", "../tests/unit/test_it.py::test[a/b]"),
    ],
)
def test_a_test_is_named_from_where_pytest_was_started(directory: str, spelling: str) -> None:
    root = Path("/project").absolute()
    key = TestKey("tests/unit/test_it.py", "test[a/b]")
    assert spelling_of(key, root, root / directory) == spelling
