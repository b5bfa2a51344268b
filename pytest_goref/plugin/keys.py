"""From a pytest item to the key of a test."""

from __future__ import annotations

import functools
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
    """Return the key of an item, without the group that an xdist worker may have appended to its id."""
    nodeid = item.nodeid
    if hasattr(item.config, "workerinput") and item.parent is not None:
        own = f"{item.parent.nodeid}::{item.name}"
        if nodeid.startswith(f"{own}@"):
            nodeid = own
    return key_of_nodeid(nodeid)


def is_unstable(key: TestKey) -> bool:
    """Return whether the id holds a memory address, so that the test has another id in every run."""
    return _ADDRESS.search(key.name) is not None


def spelling_of(key: TestKey, rootdir: Path, directory: Path) -> str:
    """Return the node id of ``key`` as it is typed in ``directory``: node ids start at rootdir."""
    return TestKey(_spelling_of_path(key.path, str(rootdir), str(directory)), key.name).nodeid


@functools.lru_cache(maxsize=16)  # tests of one file follow each other
def _spelling_of_path(path: str, rootdir: str, directory: str) -> str:
    try:
        return os.path.relpath(f"{rootdir}/{path}", directory).replace(os.sep, "/")
    except ValueError:  # on another drive
        return path
