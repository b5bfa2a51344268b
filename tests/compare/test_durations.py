from __future__ import annotations

from dataclasses import replace

import pytest
from timed_visits import visit, visits

from pytest_goref.compare.durations import (
    at_last_look,
    confirmed,
    duration_findings,
    duration_obstacle,
    is_suspect,
    measured_durations,
    screened,
)
from pytest_goref.compare.rules import Rules, parse_rule
from pytest_goref.compare.slowdown import Decision, Opinion
from pytest_goref.metrics import CALLS, CPU_TIME, WALL_TIME
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, Round, Severity, TestKey, Visit
from pytest_goref.verdict import Finding, Outcome

KEY = TestKey("tests/test_orders.py", "test_total")
RULES = Rules.default()
MS = 1_000_000
STORED = visits(6, 5 * MS)
DECIDED = Decision(Opinion.SLOWER, 5 * MS, 6 * MS, 0.2, 0.187, 0.221, 0.002, (6, 6), 0.1)


def record(timed: Visit | None, *, fresh: tuple[Visit, ...] = (), machine: str = "here") -> Record:
    return Record(KEY, Environment("cpython-3.12", "words", machine), Mode.WARM, {}, timed, fresh=fresh)


def entry(**by_machine: tuple[Visit, ...]) -> BaselineEntry:
    return BaselineEntry(KEY, Mode.WARM, "cpython-3.12", {}, by_machine)


def rules(severity: Severity, *texts: str) -> Rules:
    return RULES.with_changes((severity, parse_rule(text)) for text in texts)


def finding_of(decision: Decision, *, why_open: str = "", same: str = "") -> Finding:
    timings = [replace(timing, decision=decision) for timing in confirmed(STORED, STORED, RULES)]
    (finding,) = duration_findings(timings, RULES, why_open=why_open, same=same)
    return finding


def test_what_was_not_timed_has_no_durations() -> None:
    assert measured_durations(None) == {}


def test_limits_may_use_both_clocks_and_the_time_of_one_call() -> None:
    timed = Visit(
        (Round(2_000, 1_000, 0), Round(3_000, 2_000, 0)), {"parse": (Round(9, 5_000, 0, iterations=100),)}
    )
    assert measured_durations(timed) == {
        WALL_TIME: {"": (2_000, 3_000)},
        CPU_TIME: {"": (1_000, 2_000), "parse": (50,)},
    }


def test_one_process_clears_what_did_not_change() -> None:
    (timing,) = screened(record(visit(99, 5 * MS)), entry(here=STORED), RULES)
    assert (timing.metric, timing.subject) == (CPU_TIME, "")
    assert timing.decision.opinion is Opinion.CLEAR


def test_one_process_makes_a_suspect_and_never_convicts() -> None:
    (timing,) = screened(record(visit(99, 9 * MS)), entry(here=STORED), RULES)
    assert timing.decision.opinion is Opinion.OPEN


@pytest.mark.parametrize(
    ("timed", "expected"),
    [
        (None, entry(here=STORED)),
        (visit(1, 9 * MS), entry()),
        (visit(1, 9 * MS), entry(there=STORED)),
        (visit(1, 9 * MS), entry(here=STORED[:2])),
    ],
    ids=["not timed", "nothing stored", "another machine", "too few"],
)
def test_what_does_not_compare_is_not_screened(timed: Visit | None, expected: BaselineEntry) -> None:
    assert screened(record(timed), expected, RULES) == ()


def test_what_is_switched_off_is_not_judged() -> None:
    off = rules(Severity.WARN, "durations:off")
    assert screened(record(visit(1, 9 * MS)), entry(here=STORED), off) == ()


def test_fresh_processes_convict() -> None:
    (timing,) = confirmed(STORED, visits(6, 6 * MS, first=50), RULES)
    assert timing.decision.opinion is Opinion.SLOWER


def test_each_inner_loop_is_judged_by_itself() -> None:
    stored = visits(6, 5 * MS, parse=30_000, render=40_000)
    now = visits(6, 5 * MS, first=50, parse=30_000, render=60_000)
    opinions = {timing.subject: timing.decision.opinion for timing in confirmed(stored, now, RULES)}
    assert opinions == {"": Opinion.CLEAR, "parse": Opinion.CLEAR, "render": Opinion.SLOWER}


def test_nothing_on_one_side_decides_nothing() -> None:
    assert confirmed((), STORED, RULES) == confirmed(STORED, (), RULES) == ()


def test_both_parts_of_a_tolerance_must_be_exceeded() -> None:
    now = visits(6, 6 * MS, first=50)
    (below,) = confirmed(STORED, now, rules(Severity.WARN, "durations:10%+4ms"))
    (above,) = confirmed(STORED, now, rules(Severity.WARN, "durations:10%+600us"))
    assert (below.decision.opinion, above.decision.opinion) == (Opinion.CLEAR, Opinion.SLOWER)


@pytest.mark.parametrize(
    ("round_us", "slower_us", "opinion"),
    [
        (30, 36, Opinion.CLEAR),
        (30, 50, Opinion.SLOWER),
        (90, 97, Opinion.CLEAR),
        (90, 110, Opinion.SLOWER),
        (120, 140, Opinion.SLOWER),
    ],
)
def test_a_short_round_must_change_by_more_than_it_resolves(
    round_us: int, slower_us: int, opinion: Opinion
) -> None:
    stored, now = visits(6, 1_000 * round_us), visits(12, 1_000 * slower_us, first=50)
    (timing,) = confirmed(stored, now, rules(Severity.WARN, "durations:5%"))
    assert timing.decision.opinion is opinion


def test_a_loop_resolves_more_than_one_execution() -> None:
    stored = visits(6, MS, parse=3_000)
    now = visits(6, MS, first=50, parse=3_600)
    opinions = {timing.subject: timing.decision.opinion for timing in confirmed(stored, now, RULES)}
    assert opinions == {"": Opinion.CLEAR, "parse": Opinion.SLOWER}


@pytest.mark.parametrize(("stored", "used"), [(3, 3), (5, 5), (6, 6), (7, 6), (11, 8), (12, 12)])
def test_what_is_stored_is_looked_at_as_if_it_had_been_taken_now(stored: int, used: int) -> None:
    assert len(at_last_look(visits(stored, MS))) == used


def test_an_established_change_says_how_sure_it_is_and_what_is_the_same() -> None:
    finding = finding_of(DECIDED, same="same calls")
    assert finding == Finding(
        CPU_TIME,
        "",
        Outcome.REGRESSED,
        Severity.WARN,
        5 * MS,
        6 * MS,
        "slower by 19 % to 22 % (99 % sure; 6 fresh processes against 6 see 10 % and more); same calls",
    )


def test_an_improvement_is_named_in_the_same_way() -> None:
    decision = replace(DECIDED, opinion=Opinion.FASTER, shift=-0.2, low=-0.221, high=-0.05, visits=(6, 8))
    finding = finding_of(decision)
    assert finding.outcome is Outcome.IMPROVED
    assert finding.reason == (
        "faster by 5.0 % to 22 % (99 % sure; 8 fresh processes against 6 see 10 % and more)"
    )


@pytest.mark.parametrize(
    ("low", "high", "span"),
    [
        (-0.03, 0.14, "between 3.0 % faster and 14 % slower"),
        (0.01, 0.14, "between 1.0 % and 14 % slower"),
        (-0.14, -0.01, "between 1.0 % and 14 % faster"),
        (float("-inf"), float("inf"), "about 20 % slower"),
    ],
)
def test_what_stays_open_says_what_could_have_been_seen(low: float, high: float, span: str) -> None:
    decision = replace(DECIDED, opinion=Opinion.OPEN, low=low, high=high, visits=(6, 12), detectable=0.15)
    finding = finding_of(decision)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.reason == (
        f"{span} in 12 fresh processes against 6: only a change of 15 % or more could be seen"
    )
    assert is_suspect(finding)


def test_a_suspect_that_was_not_confirmed_says_why() -> None:
    finding = finding_of(replace(DECIDED, opinion=Opinion.OPEN), why_open="the session was stopped")
    assert finding.reason == "perhaps 20 % slower, not confirmed: the session was stopped"


def test_perhaps_faster_is_not_told() -> None:
    faster = replace(DECIDED, opinion=Opinion.OPEN, shift=-0.2)
    assert finding_of(faster, why_open="the session was stopped").outcome is Outcome.SAME


def test_a_limit_that_was_not_checked_is_no_suspect() -> None:
    unchecked = Finding(WALL_TIME, "", Outcome.INCONCLUSIVE, Severity.FAIL, None, None, "not measured")
    counted = Finding(CALLS, "f", Outcome.INCONCLUSIVE, Severity.WARN, 1, 2, "varies")
    assert not is_suspect(unchecked)
    assert not is_suspect(counted)


def test_the_rounds_of_another_machine_are_an_obstacle_that_names_both() -> None:
    stored = entry(**{"Xeon A, 2 CPUs; Linux": STORED})
    here = record(visit(1, MS), machine="Xeon B, 2 CPUs; Linux")
    assert duration_obstacle(here, stored) == (
        "durations of another machine do not compare (Xeon A -> Xeon B); use --goref-compare=git:REV"
    )


@pytest.mark.parametrize(("count", "processes"), [(1, "1 process"), (2, "2 processes")])
def test_too_few_stored_processes_are_an_obstacle(count: int, processes: str) -> None:
    assert duration_obstacle(record(visit(1, MS)), entry(here=STORED[:count])) == (
        f"durations of {processes} are too few to compare with: save with --goref-visits=6"
    )


def test_rounds_that_are_too_short_are_an_obstacle() -> None:
    short = visits(6, 3_000)
    assert duration_obstacle(record(short[0]), entry(here=short)) == (
        "rounds below 20.0 us cannot be compared: time the function with goref.measure"
    )


def test_nothing_stored_is_an_obstacle() -> None:
    assert duration_obstacle(record(visit(1, 5 * MS)), entry()) == (
        "no durations of fresh processes are stored: save with --goref-save"
    )


def test_what_compares_or_was_never_timed_has_no_obstacle() -> None:
    assert duration_obstacle(record(visit(1, 5 * MS)), entry(here=STORED)) == ""
    assert duration_obstacle(record(None), entry(there=STORED)) == ""


def test_what_fresh_processes_timed_is_looked_at_when_the_session_timed_nothing() -> None:
    assert duration_obstacle(record(None, fresh=STORED), entry(there=STORED)) != ""


def test_a_timer_that_few_stored_visits_know_is_not_judged() -> None:
    stored = (*visits(4, 5 * MS), *visits(2, 5 * MS, first=4, parse=30_000))
    now = record(visit(99, 5 * MS, parse=90_000))
    assert [timing.subject for timing in screened(now, entry(here=stored), RULES)] == [""]
    assert [t.subject for t in confirmed(stored, visits(6, 5 * MS, first=50, parse=90_000), RULES)] == [""]
