from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from judged import DEFAULT, FAIL, HERE, KEY, OFF, WARN, accepted, measured, refs, ruled, told
from timed_visits import FASTER, MS, SLOWER, STORED, visit, visits

from pytest_goref.compare.judge import judge
from pytest_goref.metrics import CPU_TIME
from pytest_goref.verdict import Finding, Outcome, Verdict

if TYPE_CHECKING:
    from pytest_goref.compare.rules import Rules
    from pytest_goref.model import Severity, Visit


def test_one_process_makes_a_suspect_and_convicts_nobody() -> None:
    record = measured(refs(query=1), timed=visit(50, 9 * MS))
    verdict = judge(record, accepted(refs(query=1), stored=STORED), ruled("durations:10%"))
    assert told(verdict) == [("cpu_time", "", Outcome.INCONCLUSIVE, FAIL)]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == (
        "cpu_time perhaps 81 % slower, not confirmed: one process is not enough to tell"
    )
    assert not verdict.failures


@pytest.mark.parametrize("now_ns", [5 * MS, 3 * MS], ids=["unchanged", "perhaps faster"])
def test_one_process_that_is_no_slower_has_nothing_to_tell(now_ns: int) -> None:
    record = measured(refs(query=1), timed=visit(50, now_ns))
    before = accepted(refs(query=1), stored=STORED)
    assert judge(record, before, DEFAULT) == Verdict(KEY, Outcome.SAME, ())


@pytest.mark.parametrize(
    ("rules", "severity", "failures"),
    [(DEFAULT, WARN, 0), (ruled("durations:10%"), FAIL, 1), (ruled("cpu_time:10%", severity=WARN), WARN, 0)],
)
def test_a_confirmed_slower_test_warns_and_fails_where_a_rule_says_so(
    rules: Rules, severity: Severity, failures: int
) -> None:
    record = measured(refs(query=1), timed=visit(50, 9 * MS), fresh=SLOWER)
    verdict = judge(record, accepted(refs(query=1), stored=STORED), rules)
    assert told(verdict) == [("cpu_time", "", Outcome.REGRESSED, severity)]
    assert (verdict.outcome, verdict.reason) == (Outcome.REGRESSED, "")
    assert len(verdict.failures) == failures
    (finding,) = verdict.findings
    assert finding.reason.startswith("slower by ")
    assert "99 % sure; 6 fresh processes against 6" in finding.reason
    assert 4.9 * MS < (finding.before or 0) < 5.2 * MS
    assert 8.8 * MS < (finding.after or 0) < 9.3 * MS


def test_a_rule_that_accepts_more_lets_a_slower_test_pass() -> None:
    record = measured(refs(query=1), fresh=SLOWER)
    verdict = judge(record, accepted(refs(query=1), stored=STORED), ruled("durations:300%"))
    assert verdict == Verdict(KEY, Outcome.SAME, ())


def test_a_confirmed_faster_test_is_improved() -> None:
    record = measured(refs(query=1), fresh=FASTER)
    verdict = judge(record, accepted(refs(query=1), stored=STORED), DEFAULT)
    assert verdict.outcome is Outcome.IMPROVED
    assert verdict.findings[0].reason.startswith("faster by ")


def test_fresh_processes_count_before_the_session_that_was_slow() -> None:
    record = measured(refs(query=1), timed=visit(50, 9 * MS), fresh=visits(6, 5 * MS, first=60))
    before = accepted(refs(query=1), stored=STORED)
    assert judge(record, before, DEFAULT) == Verdict(KEY, Outcome.SAME, ())


def test_fresh_processes_too_few_for_a_look_leave_it_open() -> None:
    record = measured(refs(query=1), fresh=SLOWER[:5])
    verdict = judge(record, accepted(refs(query=1), stored=STORED), ruled("durations:10%"))
    assert told(verdict) == [("cpu_time", "", Outcome.INCONCLUSIVE, FAIL)]
    assert " in 5 fresh processes against 6: " in verdict.reason
    assert not verdict.failures


def test_more_work_outranks_a_slower_test_and_both_are_told() -> None:
    record = measured(refs(query=2), fresh=SLOWER)
    verdict = judge(record, accepted(refs(query=1), stored=STORED), DEFAULT)
    assert told(verdict) == [
        ("refs", "query", Outcome.REGRESSED, FAIL),
        ("cpu_time", "", Outcome.REGRESSED, WARN),
    ]


@pytest.mark.parametrize("fresh", [(), STORED[:1]], ids=["session", "fresh"])
def test_durations_alone_are_a_comparison(fresh: tuple[Visit, ...]) -> None:
    record = measured({}, timed=visit(50, 5 * MS), fresh=fresh)
    assert judge(record, accepted({}, stored=STORED), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


SHORT = visits(6, 3_000)
ELSEWHERE = "durations of another machine do not compare (here -> there); use --goref-compare=git:REV"
NONE_STORED = "no durations of fresh processes are stored: save with --goref-save"
TOO_FEW = "durations of 2 processes are too few to compare with: save with --goref-visits=6"
TOO_SHORT = "rounds below 20.0 us cannot be compared: time the function with goref.measure"


@pytest.mark.parametrize("in_fresh_processes", [False, True])
@pytest.mark.parametrize(
    ("stored", "now", "machine", "reason"),
    [
        (STORED, SLOWER, "there", ELSEWHERE),
        ((), SLOWER, "here", NONE_STORED),
        (STORED[:2], SLOWER, "here", TOO_FEW),
        (SHORT, SHORT, "here", TOO_SHORT),
    ],
    ids=["another machine", "none stored", "too few", "too short"],
)
def test_durations_that_do_not_compare_are_told_to_those_who_ask_and_of_another_machine_to_all(
    stored: tuple[Visit, ...],
    now: tuple[Visit, ...],
    machine: str,
    reason: str,
    in_fresh_processes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    timed = measured({}, timed=now[0], fresh=now if in_fresh_processes else ())
    timed = replace(timed, environment=replace(HERE, fingerprint=machine))
    record, before = replace(timed, measurements=refs(query=1)), accepted(refs(query=1), stored=stored)

    def finding(severity: Severity) -> Finding:
        return Finding(CPU_TIME, "", Outcome.INCOMPARABLE, severity, None, None, reason)

    severity = WARN if reason == ELSEWHERE else OFF
    assert judge(record, before, DEFAULT) == Verdict(KEY, Outcome.SAME, (finding(severity),))
    asked = judge(record, before, ruled("durations:10%"))
    assert asked == Verdict(KEY, Outcome.SAME, (finding(FAIL),))
    assert not asked.failures
    assert judge(record, before, ruled("durations:off")).findings == ()
    only_timed = judge(timed, accepted({}, stored=stored), DEFAULT)
    assert (only_timed.outcome, only_timed.reason) == (Outcome.INCOMPARABLE, reason)


def test_durations_that_are_off_are_not_told() -> None:
    before = accepted(refs(query=1), stored=STORED)
    verdict = judge(measured(refs(query=1), fresh=SLOWER), before, ruled("durations:off"))
    assert verdict == Verdict(KEY, Outcome.SAME, ())


def test_a_slower_test_is_no_explanation_of_a_failure_when_durations_are_off() -> None:
    before = accepted(refs(query=1), stored=STORED)
    verdict = judge(measured(refs(query=2), fresh=SLOWER), before, ruled("durations:off"))
    assert told(verdict) == [("refs", "query", Outcome.REGRESSED, FAIL)]


def test_timers_are_judged_by_their_names() -> None:
    before = accepted({}, stored=visits(6, 5 * MS, parse=30_000, render=40_000, old=50_000))
    now = visits(6, 5 * MS, first=50, parse=30_000, render=60_000, new=50_000)
    verdict = judge(measured({}, fresh=now), before, ruled("durations:10%"))
    assert told(verdict) == [("cpu_time", "render", Outcome.REGRESSED, FAIL)]
    assert (verdict.findings[0].after or 0) < MS  # of one call, not of a hundred
