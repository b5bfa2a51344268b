from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_goref.compare.rules import Rules
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, Round, TestKey, Visit
from pytest_goref.plugin.invocation import Invocation
from pytest_goref.plugin.request import Request
from pytest_goref.plugin.revision import Counterparts, RevisionHooks
from pytest_goref.plugin.settings import Settings
from pytest_goref.plugin.visits import VisitRequest, VisitResult
from pytest_goref.store.reference import GitReference
from pytest_goref.store.worktree import Revision
from pytest_goref.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pytest_goref.plugin.base import Base

KEY = TestKey("test_a.py", "test_a")
REQUEST = Request(("time",), None, repeat=True, rules=Rules.default())
ROOT = Path("project")


def visit_of(number: int) -> Visit:
    return Visit((Round(1_000_000 + number, 900_000 + number, 0),))


def record_of(refs: int = 3, visit: Visit | None = None) -> Record:
    environment = Environment("cpython-3.12", "x86_64 Linux", "abc")
    return Record(KEY, environment, Mode.WARM, {REFS: {"db.query": (refs,)}}, visit)


@pytest.fixture
def reference() -> GitReference:
    return GitReference(Revision("main", "1a2b3c4d5e6f" + "0" * 28, ROOT))


class Measuring:
    """Stands for a base: times the test once in each process."""

    def __init__(self) -> None:
        self.seeds: list[str] = []

    def visit(self, request: VisitRequest, limit_ns: int) -> VisitResult:
        assert request.passes == ("time",)
        assert limit_ns > 0
        self.seeds.append(request.seed)
        return VisitResult({KEY: record_of(visit=visit_of(len(self.seeds) + 1))})


def hooks_of(reference: GitReference, visits: int) -> RevisionHooks:
    settings = Settings(ROOT, "", "git:main", strict=False, all_tests=False, request=REQUEST, visits=visits)
    invocation = Invocation((), (), (), ROOT, ROOT, None, {})
    return RevisionHooks(reference, settings, invocation, contextlib.nullcontext)


def entries(hooks: RevisionHooks, base: Measuring, *records: Record) -> list[BaselineEntry]:
    stand_in: Base = base  # type: ignore[assignment]
    hooks._base = stand_in
    return list(hooks._entries(records))


def test_what_is_timed_is_timed_as_often_as_a_screening_needs(
    reference: GitReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    base = Measuring()
    (entry,) = entries(hooks_of(reference, visits=6), base, record_of(visit=visit_of(1)))
    assert entry.visits == {"abc": (visit_of(1), visit_of(2), visit_of(3))}
    assert base.seeds == ["2", "3"]


def test_what_is_not_to_be_confirmed_is_not_timed_again(reference: GitReference) -> None:
    base = Measuring()
    (without,) = entries(hooks_of(reference, visits=0), base, record_of(visit=visit_of(1)))
    (untimed,) = entries(hooks_of(reference, visits=6), base, record_of())
    assert without.visits == untimed.visits == {}
    assert base.seeds == []


def test_nothing_is_measured_in_a_worktree_that_is_removed(reference: GitReference) -> None:
    result = hooks_of(reference, visits=6).visit(VisitRequest((KEY,), ("time",), "1"), 1)
    assert result == VisitResult(failure="the worktree of git:main (1a2b3c4d5e6f) is removed")


def test_numbers_of_processes_that_were_started_alike_are_judged(reference: GitReference) -> None:
    reference.fill([BaselineEntry.from_record(record_of(refs=3))], {})
    regressed = Verdict(KEY, Outcome.REGRESSED, ())
    counterparts = Counterparts()
    record = record_of(refs=4, visit=visit_of(1))
    assert counterparts.checked(record, regressed, reference, Rules.default(), 1) == (record, regressed)
    counterparts.fill({KEY: record_of(refs=3)})
    alike, verdict = counterparts.checked(record, regressed, reference, Rules.default(), 1)
    assert alike == replace(record, measurements={REFS: {"db.query": (3,)}})
    assert verdict.outcome is Outcome.SAME
    counterparts.fill({KEY: record_of(refs=5)})
    _, verdict = counterparts.checked(record, regressed, reference, Rules.default(), 1)
    assert [(f.before, f.after) for f in verdict.failures] == [(3, 5)]


@pytest.mark.parametrize("outcome", [Outcome.NEW, Outcome.INCOMPARABLE])
def test_what_was_not_compared_stays_so(outcome: Outcome, reference: GitReference) -> None:
    counterparts = Counterparts()
    counterparts.fill({KEY: record_of()})
    found = Verdict(KEY, outcome, (), "why")
    assert counterparts.checked(record_of(), found, reference, Rules.default(), 1) == (record_of(), found)


def test_a_test_that_was_executed_otherwise_keeps_its_verdict(reference: GitReference) -> None:
    reference.fill([BaselineEntry.from_record(record_of())], {})
    counterparts = Counterparts()
    counterparts.fill({KEY: replace(record_of(refs=9), mode=Mode.COLD)})
    found = Verdict(KEY, Outcome.SAME, ())
    assert counterparts.checked(record_of(), found, reference, Rules.default(), 1) == (record_of(), found)
