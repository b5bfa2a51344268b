"""Records and entries for the tests of the store: fixed ones, and strategies for any."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from hypothesis import settings
from hypothesis import strategies as st

from pytest_goref.metrics import CALLS, LEAKED_REFS, METRICS, REFS
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Round,
    TestKey,
    Visit,
)
from pytest_goref.store.history import RunInfo

if TYPE_CHECKING:
    from pathlib import Path

MOST: Final = 2**63 - 1
ENVIRONMENT: Final = Environment("cpython-3.12", "x86_64 Linux (2 CPUs)", "abc")
RUN: Final = RunInfo(None, "2024-05-01T12:00:00+00:00", "c0ffee", ENVIRONMENT, 0, True, ("",), "0.1.0")
unhurried: Final = settings(deadline=None)
"""For every property: a busy machine is no failure."""
KEY: Final = TestKey("tests/test_orders.py", "test_total[1]")


def record_of(key: TestKey = KEY, refs: int = 3, calls: int = 2) -> Record:
    """Return a record of ``key`` with ``refs`` queries and ``calls`` called functions."""
    called = {f"shop/orders.py:Order.method_{number}": (number,) for number in range(calls)}
    measurements = {REFS: {"db.query": (refs,)}, CALLS: called, LEAKED_REFS: {}}
    visit = Visit(tuple(Round(1000 + number, 900 + number, number % 2) for number in range(3)))
    return Record(key, ENVIRONMENT, Mode.WARM, measurements, visit, fresh=(visit,), code="c0de")


def entry_of(key: TestKey = KEY, refs: int = 3) -> BaselineEntry:
    """Return an entry that accepts ``refs`` queries of ``key``."""
    return BaselineEntry.from_record(record_of(key, refs))


def start_python(code: str, *arguments: Path | str) -> subprocess.Popen[str]:
    """Start an interpreter that runs ``code`` and imports what this one does."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
    )


numbers: Final = st.integers(0, MOST)
# Two surrogates in the right order are one character to JSON; no file name is ever decoded to them.
texts: Final = st.text(st.characters(exclude_categories=()), max_size=30).filter(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text
)
samples: Final = st.lists(numbers, min_size=1, max_size=5).map(tuple)
subjects: Final = st.dictionaries(texts, samples, max_size=4)
measurements: Final = st.dictionaries(st.sampled_from(list(METRICS.values())), subjects)
rounds: Final = st.builds(Round, *[numbers] * 8, st.integers(1, MOST))
some_rounds: Final = st.lists(rounds, min_size=1, max_size=4).map(tuple)
visits: Final = st.builds(Visit, some_rounds, st.dictionaries(texts, some_rounds, max_size=3))
some_visits: Final = st.lists(visits, max_size=3).map(tuple)
keys: Final = st.builds(TestKey, texts, texts)
environments: Final = st.builds(Environment, texts, texts, texts)
problems: Final = st.builds(Problem, st.sampled_from(ProblemKind), texts)
records: Final = st.builds(
    Record,
    keys,
    environments,
    st.sampled_from(Mode),
    measurements,
    st.none() | visits,
    st.lists(problems, max_size=2).map(tuple),
    st.booleans(),
    some_visits,
    texts,
    numbers,
)
entries: Final = st.builds(
    BaselineEntry,
    keys,
    st.sampled_from(Mode),
    texts,
    measurements,
    st.dictionaries(texts, some_visits.filter(bool), max_size=3),
    texts,
    texts,
)
json_values: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
