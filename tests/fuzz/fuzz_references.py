"""What ``--goref-compare`` may be given: it is opened and read, or refused; nothing is written."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from pathlib import Path
from typing import Final

from pytest_goref.errors import GorefError
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, TestKey
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo, TestResult
from pytest_goref.store.reference import check_readable, open_reference

_ENVIRONMENT: Final = Environment("cpython-3.12", "x86_64 Linux, X", "Example CPU")
_RUN: Final = RunInfo(None, "2025-01-31T12:00:00+00:00", "", _ENVIRONMENT, 0, True, ("",), "0.1.0")
_TEST: Final = TestKey("t.py", "test_x")
SEEDS: Final = (
    *(b"main", b"last", b"run:1", b"run:2", b"run:00000000000000000000001", b"git:main", b"other", b"MAIN"),
    *(
        b"",
        b".",
        b"..",
        b"../..",
        b"main.json",
        b".goref_cache/baselines/main",
        b"\x00",
        b"a/b",
        b"C:\\x",
        b"nul",
    ),
    *(b"file\n{}", b"file\n" + b"[" * 3000, b"file\n\xff", b'file\n{"format": 1, "path": "x", "tests": {}}'),
    *(
        b"run:-1",
        b"run:1e3",
        b"run:" + b"9" * 40,
        b"~",
        b"$HOME",
        b"-x",
        b"x" * 5000,
        "\u202e\ud7ff".encode(),
    ),
)


@functools.cache
def _project() -> tuple[CacheDirectory, Path]:
    """Return the cache of a project with a baseline and a run, and the directory of the project."""
    root = Path(tempfile.mkdtemp(prefix="goref-fuzz-"))
    cache = CacheDirectory(root / ".goref_cache")
    cache.ensure()
    record = Record(_TEST, _ENVIRONMENT, Mode.WARM, {REFS: {"db.query": (3,)}})
    Baselines(cache).save("main", {_TEST: BaselineEntry.from_record(record)})
    History(cache.history).append(_RUN, [TestResult(_TEST, "passed", record)])
    return cache, root


def one_input(data: bytes) -> None:
    """Open what the first line of ``data`` names; the rest, if there is any, is the content of ``file``.

    Raises:
        AssertionError: it was opened and is not the test that is there.

    """
    cache, root = _project()
    name, _, content = data.partition(b"\n")
    text = name.decode("utf-8", "surrogateescape")
    if text.startswith("/"):  # what lies elsewhere on the machine is not part of the input
        return
    file = root / "file"
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
    if content:
        file.write_bytes(content)
    try:
        reference = open_reference(text, cache, root)
        check_readable(reference)
        found = set(reference.tests())
    except GorefError:
        return
    assert content or found == {_TEST}, text
