from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import DEFAULT, FAIL, HERE, KEY, OFF, WARN, accepted, measured, refs, ruled, told
from timed_visits import MS, SLOWER, STORED, visit

from pytest_goref.compare.judge import judge, revised
from pytest_goref.compare.rules import Rules, parse_limits
from pytest_goref.metrics import (
    ALLOCATION_COUNT,
    CALLS,
    CPU_TIME,
    LEAKED_REFS,
    OTHER,
    REFS,
)
from pytest_goref.model import (
    BaselineEntry,
    Measurements,
    Metric,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Round,
    Visit,
)
from pytest_goref.verdict import Finding, Outcome, Verdict


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


LEAK: Measurements = {LEAKED_REFS: {"connection": (2,)}}


def test_a_leak_of_a_new_test_warns_and_the_test_stays_new() -> None:
    verdict = judge(measured(LEAK), None, DEFAULT)
    assert told(verdict) == [("leaked_refs", "connection", Outcome.OVER_LIMIT, WARN)]
    assert verdict.outcome is Outcome.NEW


def test_a_leak_is_held_against_the_accepted_leaks() -> None:
    before = accepted({LEAKED_REFS: {}})
    verdict = judge(measured(LEAK), before, DEFAULT)
    assert verdict.findings == (Finding(LEAKED_REFS, "connection", Outcome.REGRESSED, FAIL, 0, 2),)
    assert judge(measured(LEAK), accepted(LEAK), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


def test_a_leak_where_leaks_were_never_accepted_only_warns() -> None:
    verdict = judge(measured({**refs(query=1), **LEAK}), accepted(refs(query=1)), DEFAULT)
    assert told(verdict) == [("leaked_refs", "connection", Outcome.OVER_LIMIT, WARN)]
    assert verdict.outcome is Outcome.OVER_LIMIT


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
