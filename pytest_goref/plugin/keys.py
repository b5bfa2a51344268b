"""From a pytest item to the key of a test."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pytest_goref.model import TestKey

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_ADDRESS: Final = re.compile(r"\bat 0x[0-9a-fA-F]{4,}")


def key_of_nodeid(nodeid: str) -> TestKey:
    """Return the key that a node id names."""
    path, _, name = nodeid.partition("::")
    return TestKey(path, name)


def key_of(item: pytest.Item) -> TestKey:
    """Return the key of an item, without the group that an xdist worker appends to its name."""
    nodeid = item.nodeid
    mark = item.get_closest_marker("xdist_group")
    if mark is not None and hasattr(item.config, "workerinput"):
        group = mark.args[0] if mark.args else mark.kwargs.get("name", "default")
        nodeid = nodeid.removesuffix(f"@{group}")
    return key_of_nodeid(nodeid)


def is_unstable(key: TestKey) -> bool:
    """Return whether the id holds a memory address, so that the test has another id in every run."""
    return _ADDRESS.search(key.name) is not None


def spelling_of(key: TestKey, rootdir: Path, directory: Path) -> str:
    """Return the node id of ``key`` as it is typed in ``directory``: node ids start at rootdir."""
    try:
        path = os.path.relpath(rootdir / key.path, directory)
    except ValueError:  # on another drive
        return key.nodeid
    return TestKey(path.replace(os.sep, "/"), key.name).nodeid
