from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timed_visits import visit, visits

from pytest_goref.compare.judge import judge, revised
from pytest_goref.compare.rules import Rules, parse_limits, parse_rule
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    CALLS,
    CPU_TIME,
    GC_COLLECTIONS,
    LEAKED_REFS,
    LEAKED_TASKS,
    LEAKED_THREADS,
    LEFT_BYTES,
    OTHER,
    PEAK_BYTES,
    REFS,
    SITE_BYTES,
    WALL_TIME,
)
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Limit,
    Measurements,
    Metric,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Round,
    Rule,
    Samples,
    Severity,
    TestKey,
    Tolerance,
    Visit,
)
from pytest_goref.verdict import Finding, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = TestKey("tests/test_orders.py", "test_total")
HERE = Environment("cpython-3.12", "words", "here")
DEFAULT = Rules.default()
FAIL, WARN, OFF = Severity.FAIL, Severity.WARN, Severity.OFF


def refs(**samples: int | Samples) -> Measurements:
    return {REFS: tupled(samples)}


def tupled(samples: Mapping[str, int | Samples]) -> dict[str, Samples]:
    return {subject: s if isinstance(s, tuple) else (s,) for subject, s in samples.items()}


def measured(
    measurements: Measurements,
    *,
    timed: Visit | None = None,
    fresh: tuple[Visit, ...] = (),
    problem: str = "",
) -> Record:
    problems = (Problem(ProblemKind.SKIPPED, problem),) if problem else ()
    return Record(KEY, HERE, Mode.WARM, measurements, timed, problems, fresh=fresh)


def accepted(measurements: Measurements, *, stored: tuple[Visit, ...] = ()) -> BaselineEntry:
    return BaselineEntry.from_record(measured(measurements, fresh=stored))


def ruled(*texts: str, severity: Severity = FAIL) -> Rules:
    return DEFAULT.with_changes((severity, parse_rule(text)) for text in texts)


def told(verdict: Verdict) -> list[tuple[str, str, Outcome, Severity]]:
    return [(f.metric.name, f.subject, f.outcome, f.severity) for f in verdict.findings]


def test_one_more_use_of_a_key_fails_the_test() -> None:
    verdict = judge(measured(refs(query=13)), accepted(refs(query=12)), DEFAULT)
    assert verdict == Verdict(
        KEY, Outcome.REGRESSED, (Finding(REFS, "query", Outcome.REGRESSED, FAIL, 12, 13),)
    )
    assert verdict.failures


def test_unchanged_numbers_have_nothing_to_tell() -> None:
    verdict = judge(measured(refs(query=12)), accepted(refs(query=12)), DEFAULT)
    assert verdict == Verdict(KEY, Outcome.SAME, ())


def test_a_key_that_is_new_or_gone_counts_zero_on_the_other_side() -> None:
    verdict = judge(measured(refs(save=2)), accepted(refs(query=1)), DEFAULT)
    assert verdict.findings == (
        Finding(REFS, "save", Outcome.REGRESSED, FAIL, 0, 2),
        Finding(REFS, "query", Outcome.IMPROVED, FAIL, 1, 0, "improved or not measured"),
    )
    assert verdict.outcome is Outcome.REGRESSED


def test_a_metric_without_subjects_was_measured_and_is_compared() -> None:
    assert judge(measured({REFS: {}}), accepted({REFS: {}}), DEFAULT) == Verdict(KEY, Outcome.SAME, ())
    assert judge(measured({REFS: {}}), accepted(refs(query=1)), DEFAULT).outcome is Outcome.IMPROVED


def test_executions_that_vary_across_the_accepted_value_are_inconclusive() -> None:
    verdict = judge(measured(refs(query=(12, 13))), accepted(refs(query=12)), DEFAULT)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "refs query varies between executions (12..13)"
    assert told(verdict) == [("refs", "query", Outcome.INCONCLUSIVE, FAIL)]
    assert not verdict.failures


def test_the_reason_of_an_inconclusive_test_is_about_what_varies() -> None:
    before = accepted(refs(query=12, save=9))
    verdict = judge(measured(refs(query=(12, 13), save=5)), before, DEFAULT)
    assert [f.outcome for f in verdict.findings] == [Outcome.IMPROVED, Outcome.INCONCLUSIVE]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "refs query varies between executions (12..13)"


def test_what_is_off_may_vary() -> None:
    before: Measurements = {**refs(query=12), CALLS: {"f": (12,)}}
    after: Measurements = {**refs(query=12), CALLS: {"f": (12, 130)}}
    assert judge(measured(after), accepted(before), ruled("calls:off")) == Verdict(KEY, Outcome.SAME, ())


def test_calls_warn_beyond_their_tolerance() -> None:
    before = {CALLS: {"a.py:f": (100,), "a.py:g": (200,)}}
    # f: +9 is more than 8 and than 5; g: +10 is more than 8 but not more than 5 % of 200
    verdict = judge(measured({CALLS: {"a.py:f": (109,), "a.py:g": (210,)}}), accepted(before), DEFAULT)
    assert verdict.outcome is Outcome.REGRESSED
    assert told(verdict) == [
        ("calls", "a.py:f", Outcome.REGRESSED, WARN),
        ("calls", "a.py:g", Outcome.REGRESSED, OFF),  # told because it may explain
    ]
    assert verdict.findings[1].reason == "within tolerance"
    assert not verdict.failures


def test_a_function_that_is_new_needs_more_than_eight_calls_to_be_told() -> None:
    before = accepted({CALLS: {"a.py:old": (8,)}})
    renamed = judge(measured({CALLS: {"a.py:new": (8,)}}), before, DEFAULT)
    assert renamed == Verdict(KEY, Outcome.SAME, ())
    more = judge(measured({CALLS: {"a.py:new": (9,)}}), before, DEFAULT)
    assert more.findings[0] == Finding(CALLS, "a.py:new", Outcome.REGRESSED, WARN, 0, 9)


@pytest.mark.parametrize("rules", [DEFAULT, ruled("calls:off")])
def test_small_changes_of_calls_explain_a_failure(rules: Rules) -> None:
    before = {REFS: {"query": (1,)}, CALLS: {"execute": (1,), "connect": (3,), "close": (1,)}}
    after = {REFS: {"query": (4,)}, CALLS: {"execute": (4,), "connect": (1,), "close": (1,)}}
    verdict = judge(measured(after), accepted(before), rules)
    assert told(verdict) == [
        ("refs", "query", Outcome.REGRESSED, FAIL),
        ("calls", "execute", Outcome.REGRESSED, OFF),
        ("calls", "connect", Outcome.IMPROVED, OFF),
    ]


def test_what_is_off_neither_gates_nor_counts_as_compared() -> None:
    before, after = refs(query=1), refs(query=100)
    verdict = judge(measured(after), accepted(before), ruled("counts:off"))
    assert verdict == Verdict(
        KEY, Outcome.INCOMPARABLE, (), "no metric that is judged was accepted and measured"
    )


def test_a_metric_that_is_off_may_be_missing() -> None:
    before = {**refs(query=1), CALLS: {"f": (1,)}}
    assert judge(measured(refs(query=1)), accepted(before), ruled("calls:off")) == Verdict(
        KEY, Outcome.SAME, ()
    )


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ("", "calls were not measured in this run"),
        ("memory: no memray here", "calls were not measured in this run"),
        ("recalls are slow", "calls were not measured in this run"),
        (
            "calls: another profiler is active",
            "calls were not measured in this run: calls: another profiler is active",
        ),
    ],
)
def test_a_metric_that_is_not_measured_any_more_is_incomparable(problem: str, reason: str) -> None:
    before = {**refs(query=1), CALLS: {"f": (1,), "g": (2,)}}
    verdict = judge(measured(refs(query=1), problem=problem), accepted(before), DEFAULT)
    assert verdict == Verdict(
        KEY, Outcome.SAME, (Finding(CALLS, "", Outcome.INCOMPARABLE, WARN, None, None, reason),)
    )


def test_a_metric_that_was_not_accepted_is_not_compared() -> None:
    after: Measurements = {**refs(query=1), CALLS: {"f": (1000,)}}
    assert judge(measured(after), accepted(refs(query=1)), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


def test_calls_of_another_python_do_not_compare_and_refs_do() -> None:
    before = replace(accepted({**refs(query=1), CALLS: {"f": (1,)}}), python="cpython-3.11")
    verdict = judge(measured({**refs(query=2), CALLS: {"f": (100,)}}), before, DEFAULT)
    assert verdict.outcome is Outcome.REGRESSED
    assert told(verdict) == [
        ("refs", "query", Outcome.REGRESSED, FAIL),
        ("calls", "", Outcome.INCOMPARABLE, WARN),
    ]
    assert verdict.findings[1].reason == "calls of cpython-3.11 and cpython-3.12 do not compare"


def test_a_test_of_which_nothing_compares_is_incomparable() -> None:
    before = replace(accepted({CALLS: {"f": (1,)}}), python="cpython-3.11")
    verdict = judge(measured({CALLS: {"f": (1,)}}), before, DEFAULT)
    assert verdict.outcome is Outcome.INCOMPARABLE
    assert verdict.reason == "calls of cpython-3.11 and cpython-3.12 do not compare"


def test_a_record_without_measurements_is_incomparable() -> None:
    verdict = judge(measured({}), accepted(refs(query=1)), DEFAULT)
    assert (verdict.outcome, verdict.reason) == (
        Outcome.INCOMPARABLE,
        "refs were not measured in this run",
    )


def test_executions_of_another_kind_are_incomparable() -> None:
    cold = replace(measured(refs(query=100)), mode=Mode.COLD)
    verdict = judge(cold, accepted(refs(query=1)), DEFAULT)
    assert verdict == Verdict(
        KEY,
        Outcome.INCOMPARABLE,
        (),
        "the test was executed once now, and repeatedly when its numbers were accepted",
    )


def test_a_test_that_cannot_repeat_is_incomparable() -> None:
    record = measured(refs(query=100), problem="calls: no")
    problem = Problem(ProblemKind.NOT_REPEATABLE, "the test failed when repeated: KeyError")
    verdict = judge(replace(record, problems=(*record.problems, problem)), accepted(refs(query=1)), DEFAULT)
    assert verdict == Verdict(KEY, Outcome.INCOMPARABLE, (), "the test failed when repeated: KeyError")


def test_a_test_without_accepted_numbers_is_new() -> None:
    verdict = judge(measured(refs(query=100)), None, DEFAULT)
    assert verdict == Verdict(KEY, Outcome.NEW, (), "nothing is accepted for this test yet")


def test_without_a_comparison_nothing_is_compared() -> None:
    for expected in (None, accepted(refs(query=1))):
        assert judge(measured(refs(query=2)), expected, DEFAULT, compare=False) == Verdict(
            KEY, Outcome.SAME, ()
        )


LEAK: Measurements = {LEAKED_REFS: {"connection": (2,)}}


@pytest.mark.parametrize(
    ("rules", "severities"),
    [
        (DEFAULT, [WARN]),
        (ruled("leaks:0"), [FAIL]),
        (ruled("leaks:0", severity=WARN), [WARN]),
        (ruled("leaks:1"), [FAIL]),
        (ruled("leaks:2"), []),
        (ruled("leaks:off"), []),
    ],
)
def test_a_leak_without_a_baseline_warns_unless_rules_say_otherwise(
    rules: Rules, severities: list[Severity]
) -> None:
    verdict = judge(measured(LEAK), None, rules, compare=False)
    assert verdict.findings == tuple(
        Finding(LEAKED_REFS, "connection", Outcome.OVER_LIMIT, s, None, 2, "left behind by the test")
        for s in severities
    )
    assert verdict.outcome is (Outcome.OVER_LIMIT if severities else Outcome.SAME)


def test_a_leak_of_a_new_test_warns_and_the_test_stays_new() -> None:
    verdict = judge(measured(LEAK), None, DEFAULT)
    assert told(verdict) == [("leaked_refs", "connection", Outcome.OVER_LIMIT, WARN)]
    assert verdict.outcome is Outcome.NEW


def test_a_leak_that_only_some_executions_show_is_inconclusive() -> None:
    verdict = judge(measured({LEAKED_REFS: {"connection": (0, 1)}}), None, DEFAULT, compare=False)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "leaked_refs connection varies between executions (0..1)"


def test_a_leak_is_held_against_the_accepted_leaks() -> None:
    before = accepted({LEAKED_REFS: {}})
    verdict = judge(measured(LEAK), before, DEFAULT)
    assert verdict.findings == (Finding(LEAKED_REFS, "connection", Outcome.REGRESSED, FAIL, 0, 2),)
    assert judge(measured(LEAK), accepted(LEAK), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


def test_a_leak_where_leaks_were_never_accepted_only_warns() -> None:
    verdict = judge(measured({**refs(query=1), **LEAK}), accepted(refs(query=1)), DEFAULT)
    assert told(verdict) == [("leaked_refs", "connection", Outcome.OVER_LIMIT, WARN)]
    assert verdict.outcome is Outcome.OVER_LIMIT


def test_a_limit_fails_the_test_without_a_baseline() -> None:
    limits = parse_limits({"query": 3, "save": 1, "never": 0})
    verdict = judge(measured(refs(query=4, save=1)), None, DEFAULT, limits, compare=False)
    assert verdict == Verdict(
        KEY, Outcome.OVER_LIMIT, (Finding(REFS, "query", Outcome.OVER_LIMIT, FAIL, None, 4, "limit 3"),)
    )


def test_the_largest_count_over_a_limit_comes_first() -> None:
    limits = parse_limits({"a": 0, "b": 0})
    verdict = judge(measured(refs(a=1, b=2)), None, DEFAULT, limits, compare=False)
    assert [f.subject for f in verdict.findings] == ["b", "a"]


def test_a_limit_holds_for_every_execution() -> None:
    verdict = judge(measured(refs(query=(3, 4))), None, DEFAULT, parse_limits({"query": 3}), compare=False)
    assert [(f.outcome, f.after) for f in verdict.findings] == [(Outcome.OVER_LIMIT, 4)]


def test_a_test_over_its_limit_tells_also_why_it_did_not_compare() -> None:
    verdict = judge(measured(refs(query=4)), None, DEFAULT, parse_limits({"query": 3}))
    assert (verdict.outcome, verdict.reason) == (
        Outcome.OVER_LIMIT,
        "nothing is accepted for this test yet",
    )


def test_limits_hold_where_numbers_do_not_compare() -> None:
    cold = replace(measured(refs(query=4)), mode=Mode.COLD)
    verdict = judge(cold, accepted(refs(query=4)), DEFAULT, parse_limits({"query": 3}))
    assert verdict.outcome is Outcome.OVER_LIMIT
    assert verdict.failures


@pytest.mark.parametrize(("walls_us", "over"), [((60, 50), None), ((60, 51), 51_000), ((51, 99), 51_000)])
def test_the_fastest_round_is_held_against_the_limit(walls_us: tuple[int, ...], over: int | None) -> None:
    record = replace(measured({}), visit=Visit(tuple(Round(us * 1000, 0, 0) for us in walls_us)))
    verdict = judge(record, None, DEFAULT, parse_limits(None, "50us"), compare=False)
    assert [f.after for f in verdict.findings] == ([] if over is None else [over])
    assert [f.reason for f in verdict.findings] == ([] if over is None else ["limit 50.0 us"])


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (
            Limit(WALL_TIME, "", 50_000_000),
            "wall_time was not measured in this run, so the limit 50.0 ms was not checked",
        ),
        (Limit(REFS, "query", 3), "refs were not measured in this run, so the limit 3 was not checked"),
    ],
)
def test_a_limit_that_cannot_be_checked_is_inconclusive(limit: Limit, reason: str) -> None:
    verdict = judge(measured({}), None, DEFAULT, [limit], compare=False)
    finding = Finding(limit.metric, limit.subject, Outcome.INCONCLUSIVE, FAIL, None, None, reason)
    assert verdict.findings == (finding,)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert reason in verdict.reason


MS = 1_000_000
STORED = visits(6, 5 * MS)
SLOWER, FASTER = visits(6, 9 * MS, first=50), visits(6, 3 * MS, first=50)


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


def test_revised_findings_make_a_revised_verdict() -> None:
    before, record = accepted(refs(query=1), stored=STORED), measured(refs(query=1), timed=visit(50, 9 * MS))
    suspect = judge(record, before, ruled("durations:10%"))
    confirmed = judge(replace(record, fresh=SLOWER), before, ruled("durations:10%"))
    assert suspect.reason
    assert revised(suspect, confirmed.findings) == confirmed
    same = Finding(CPU_TIME, "", Outcome.SAME, FAIL, 5 * MS, 5 * MS)
    assert revised(suspect, [same]) == Verdict(KEY, Outcome.SAME, ())


def test_findings_are_told_by_importance_then_by_group_then_by_size() -> None:
    before: Measurements = {
        REFS: {"a": (5,), "b": (5,), "c": (5,), "v": (5,)},
        CALLS: {"f": (10,), "g": (100,), "h": (10,), "i": (1,)},
    }
    after: Measurements = {
        REFS: {"a": (6,), "b": (9,), "c": (4,), "v": (5, 6)},
        CALLS: {"f": (30,), "g": (10,), "h": (50,), "i": (2,)},
    }
    verdict = judge(measured(after, fresh=SLOWER), accepted(before, stored=STORED), DEFAULT)
    assert [(f.metric.name, f.subject) for f in verdict.findings] == [
        ("refs", "b"),  # failures: +4, +1
        ("refs", "a"),
        ("calls", "h"),  # warnings: +40, +20, then the noisy ones
        ("calls", "f"),
        ("cpu_time", ""),
        ("refs", "c"),  # improved: -1 of the group that says most, then -90
        ("calls", "g"),
        ("refs", "v"),  # the rest: inconclusive +1, within tolerance +1
        ("calls", "i"),
    ]


def allocations(number: int, total: int, peak: int = 0, left: int = 0) -> Measurements:
    values = {ALLOCATION_COUNT: number, ALLOCATED_BYTES: total, PEAK_BYTES: peak, LEFT_BYTES: left}
    return {metric: {"": (value,)} for metric, value in values.items()}


@pytest.mark.parametrize(
    ("number", "total", "peak", "left", "regressed"),
    [
        (10_100, 1_010_000, 2_100_000, 2_100_000, {}),  # 1 %, 1 %, 5 %, 5 %
        (10_101, 1_000_000, 2_000_000, 2_000_000, {"allocation_count": FAIL}),
        (10_000, 1_010_001, 2_000_000, 2_000_000, {"allocated_bytes": FAIL}),
        (10_000, 1_000_000, 2_100_001, 2_000_000, {"peak_bytes": FAIL}),
        (10_000, 1_000_000, 2_000_000, 2_100_001, {"left_bytes": WARN}),
    ],
)
def test_allocations_regress_beyond_their_tolerance(
    number: int, total: int, peak: int, left: int, regressed: dict[str, Severity]
) -> None:
    before = accepted(allocations(10_000, 1_000_000, 2_000_000, 2_000_000))
    verdict = judge(measured(allocations(number, total, peak, left)), before, DEFAULT)
    found = {f.metric.name: f.severity for f in verdict.findings if f.outcome is Outcome.REGRESSED}
    assert found == regressed


def test_few_allocations_more_are_no_regression_however_few_there_were() -> None:
    verdict = judge(measured(allocations(26, 5096)), accepted(allocations(10, 1000)), DEFAULT)
    assert verdict == Verdict(KEY, Outcome.SAME, ())
    assert judge(measured(allocations(27, 5097)), accepted(allocations(10, 1000)), DEFAULT).failures


@pytest.mark.parametrize(
    ("number", "rules", "outcome"),
    [
        (10_500, DEFAULT, Outcome.SAME),
        (10_501, DEFAULT, Outcome.REGRESSED),
        (10_300, ruled("allocations:2%"), Outcome.REGRESSED),  # what the user chose holds
        (10_300, ruled("calls:2%"), Outcome.SAME),
        (9_500, DEFAULT, Outcome.SAME),
        (9_499, DEFAULT, Outcome.IMPROVED),
    ],
)
def test_allocations_of_a_concurrent_test_vary_by_five_percent(
    number: int, rules: Rules, outcome: Outcome
) -> None:
    record = replace(measured(allocations(number, 0)), concurrent=True)
    assert judge(record, accepted(allocations(10_000, 0)), rules).outcome is outcome


def test_counts_of_a_concurrent_test_are_exact() -> None:
    record = replace(measured(refs(query=101)), concurrent=True)
    assert judge(record, accepted(refs(query=100)), DEFAULT).outcome is Outcome.REGRESSED


def test_a_larger_tolerance_than_five_percent_stays_when_a_test_is_concurrent() -> None:
    peak = Rules({**DEFAULT.by_metric, PEAK_BYTES: Rule(Tolerance(0.2), FAIL)})
    record = replace(measured({PEAK_BYTES: {"": (115,)}}), concurrent=True)
    assert judge(record, accepted({PEAK_BYTES: {"": (100,)}}), peak).outcome is Outcome.SAME


def test_several_samples_of_a_concurrent_test_compare_like_exact_ones() -> None:
    def record(*samples: int) -> Record:
        return replace(measured({ALLOCATION_COUNT: {"": samples}}), concurrent=True)

    before = BaselineEntry.from_record(record(900, 1000))
    assert judge(record(1040, 1050), before, DEFAULT).outcome is Outcome.SAME
    assert judge(record(1040, 1060), before, DEFAULT).outcome is Outcome.INCONCLUSIVE
    assert judge(record(1051, 1060), before, DEFAULT).outcome is Outcome.REGRESSED


def test_what_fails_most_surely_comes_first_and_bytes_are_not_held_against_counts() -> None:
    before: Measurements = {**refs(query=1), **allocations(1000, 100_000), CALLS: {"execute": (1,)}}
    after: Measurements = {**refs(query=31), **allocations(3000, 250_000), CALLS: {"execute": (31,)}}
    verdict = judge(measured(after), accepted(before), DEFAULT)
    assert [f.metric.name for f in verdict.findings] == [
        "refs",
        "allocation_count",  # three times as many
        "allocated_bytes",  # two and a half times as much
        "calls",
    ]


def test_a_pass_that_was_not_taken_is_told_in_one_line() -> None:
    before: Measurements = {**refs(query=1), **allocations(9, 900), SITE_BYTES: {"a.py:f": (900,)}}
    reason = "allocations were not measured in this run"
    verdict = judge(measured(refs(query=1)), accepted(before), DEFAULT)
    finding = Finding(ALLOCATED_BYTES, "", Outcome.INCOMPARABLE, FAIL, None, None, reason)
    assert verdict == Verdict(KEY, Outcome.SAME, (finding,))
    explained = judge(
        measured(refs(query=1), problem="allocations: no memray here"), accepted(before), DEFAULT
    )
    assert explained.findings[0].reason == f"{reason}: allocations: no memray here"


def test_metrics_of_a_group_that_were_not_measured_are_named_when_others_were() -> None:
    before: Measurements = {LEAKED_REFS: {}, LEAKED_THREADS: {}, LEAKED_TASKS: {}}
    verdict = judge(measured({LEAKED_REFS: {}}), accepted(before), DEFAULT)
    assert [f.reason for f in verdict.findings] == [
        "leaked_tasks, leaked_threads were not measured in this run"
    ]


def test_allocations_of_another_python_do_not_compare() -> None:
    before = replace(
        accepted({**refs(query=1), **allocations(9, 900), CALLS: {"f": (1,)}}), python="cpython-3.11"
    )
    after: Measurements = {**refs(query=1), **allocations(9000, 900_000), CALLS: {"f": (1,)}}
    verdict = judge(measured(after), before, DEFAULT)
    assert verdict.outcome is Outcome.SAME
    assert [f.reason for f in verdict.findings] == [
        "allocations of cpython-3.11 and cpython-3.12 do not compare",
        "calls of cpython-3.11 and cpython-3.12 do not compare",
    ]


def test_allocations_that_were_never_accepted_are_new_and_say_nothing() -> None:
    after: Measurements = {**refs(query=1), **allocations(9000, 900_000), SITE_BYTES: {"a.py:f": (900,)}}
    assert judge(measured(after), accepted(refs(query=1)), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


def test_what_is_not_judged_makes_no_findings() -> None:
    before: Measurements = {**refs(query=1), SITE_BYTES: {"a.py:f": (1,)}, GC_COLLECTIONS: {"0": (1,)}}
    after: Measurements = {**refs(query=2), SITE_BYTES: {"a.py:g": (900,)}, GC_COLLECTIONS: {}}
    verdict = judge(measured(after), accepted(before), DEFAULT)
    assert told(verdict) == [("refs", "query", Outcome.REGRESSED, FAIL)]
    assert judge(measured({**after, **refs(query=1)}), accepted(before), DEFAULT).findings == ()
    alone = judge(measured({SITE_BYTES: {}}), accepted({SITE_BYTES: {}}), DEFAULT)
    assert (alone.outcome, alone.reason) == (
        Outcome.INCOMPARABLE,
        "no metric that is judged was accepted and measured",
    )


def test_allocations_that_all_but_vanished_may_not_have_been_measured() -> None:
    verdict = judge(measured(allocations(1000, 0)), accepted(allocations(10_000, 0)), DEFAULT)
    assert [f.reason for f in verdict.findings] == ["improved or not measured"]


def test_functions_that_a_baseline_does_not_name_are_compared_by_their_sum() -> None:
    before = accepted({CALLS: {"a.py:f": (100,), OTHER: (50,)}})
    same = judge(measured({CALLS: {"a.py:f": (100,), "a.py:g": (20,), "len": (30,)}}), before, DEFAULT)
    assert same == Verdict(KEY, Outcome.SAME, ())
    more = judge(measured({CALLS: {"a.py:f": (100,), "a.py:g": (29,), "len": (30,)}}), before, DEFAULT)
    assert more.findings == (Finding(CALLS, OTHER, Outcome.REGRESSED, WARN, 50, 59),)


_SUBJECTS = st.sampled_from(["a", "b", "c"])
_SAMPLES = st.lists(st.integers(0, 40), min_size=1, max_size=3).map(tuple)
_METRICS = st.sampled_from([REFS, CALLS, LEAKED_REFS, ALLOCATION_COUNT])
_MEASUREMENTS = st.dictionaries(_METRICS, st.dictionaries(_SUBJECTS, _SAMPLES), min_size=1)
_ROUNDS = st.builds(Round, st.integers(0, 10**6), st.integers(0, 10**6), st.just(0))
_TIMED = st.lists(_ROUNDS, min_size=1, max_size=3).map(tuple)
_VISITS = st.builds(Visit, _TIMED, st.fixed_dictionaries({"a": _TIMED}))
_RECORDS = st.builds(
    Record,
    st.just(KEY),
    st.just(HERE),
    st.sampled_from(Mode),
    _MEASUREMENTS,
    st.none(),
    concurrent=st.booleans(),
    fresh=st.lists(_VISITS, max_size=6).map(tuple),
)


@given(_RECORDS)
def test_a_record_held_against_itself_is_the_same(record: Record) -> None:
    verdict = judge(record, BaselineEntry.from_record(record), DEFAULT)
    assert verdict.outcome is Outcome.SAME
    # Durations that are too few or too short are told to those who ask.
    assert {(f.outcome, f.severity) for f in verdict.findings} <= {(Outcome.INCOMPARABLE, OFF)}


@given(_RECORDS, _RECORDS, _METRICS, _SUBJECTS, st.integers(1, 40))
def test_more_work_never_heals_a_test(
    old: Record, new: Record, metric: Metric, subject: str, increase: int
) -> None:
    entry = BaselineEntry.from_record(replace(old, mode=new.mode))
    less = {**new.measurements, metric: {subject: (0,), **new.measurements.get(metric, {})}}
    samples = tuple(sample + increase for sample in less[metric][subject])
    more = {**less, metric: {**less[metric], subject: samples}}
    lighter = judge(replace(new, measurements=less), entry, DEFAULT)
    heavier = judge(replace(new, measurements=more), entry, DEFAULT)
    failed = {(f.metric, f.subject) for f in lighter.failures}
    assert failed <= {(f.metric, f.subject) for f in heavier.failures}


@given(_RECORDS, _RECORDS)
def test_every_verdict_has_the_outcome_that_its_findings_amount_to(old: Record, new: Record) -> None:
    verdict = judge(new, BaselineEntry.from_record(old), DEFAULT)
    judged = {f.outcome for f in verdict.findings if f.severity is not OFF}
    assert Outcome.SAME not in {f.outcome for f in verdict.findings}
    assert (verdict.outcome is Outcome.REGRESSED) == (Outcome.REGRESSED in judged)
    assert bool(verdict.reason) == (verdict.outcome in {Outcome.INCOMPARABLE, Outcome.INCONCLUSIVE})
