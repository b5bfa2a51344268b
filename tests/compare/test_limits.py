from __future__ import annotations

from dataclasses import replace

import pytest
from judged import DEFAULT, FAIL, KEY, WARN, measured, refs, ruled

from pytest_goref.compare.limits import judge_alone
from pytest_goref.compare.rules import Rules, parse_limits
from pytest_goref.metrics import LEAKED_REFS, REFS, WALL_TIME
from pytest_goref.model import Limit, Measurements, Round, Severity, Visit
from pytest_goref.verdict import Finding, Outcome, Verdict


def test_without_a_comparison_nothing_is_compared() -> None:
    assert judge_alone(measured(refs(query=2)), DEFAULT) == Verdict(KEY, Outcome.SAME, ())


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
    verdict = judge_alone(measured(LEAK), rules)
    assert verdict.findings == tuple(
        Finding(LEAKED_REFS, "connection", Outcome.OVER_LIMIT, s, None, 2, "left behind by the test")
        for s in severities
    )
    assert verdict.outcome is (Outcome.OVER_LIMIT if severities else Outcome.SAME)


def test_a_leak_that_only_some_executions_show_is_inconclusive() -> None:
    verdict = judge_alone(measured({LEAKED_REFS: {"connection": (0, 1)}}), DEFAULT)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "leaked_refs connection varies between executions (0..1)"


def test_a_limit_fails_the_test_without_a_baseline() -> None:
    limits = parse_limits({"query": 3, "save": 1, "never": 0})
    verdict = judge_alone(measured(refs(query=4, save=1)), DEFAULT, limits)
    assert verdict == Verdict(
        KEY, Outcome.OVER_LIMIT, (Finding(REFS, "query", Outcome.OVER_LIMIT, FAIL, None, 4, "limit 3"),)
    )


def test_the_largest_count_over_a_limit_comes_first() -> None:
    limits = parse_limits({"a": 0, "b": 0})
    verdict = judge_alone(measured(refs(a=1, b=2)), DEFAULT, limits)
    assert [f.subject for f in verdict.findings] == ["b", "a"]


def test_a_limit_holds_for_every_execution() -> None:
    verdict = judge_alone(measured(refs(query=(3, 4))), DEFAULT, parse_limits({"query": 3}))
    assert [(f.outcome, f.after) for f in verdict.findings] == [(Outcome.OVER_LIMIT, 4)]


@pytest.mark.parametrize(("walls_us", "over"), [((60, 50), None), ((60, 51), 51_000), ((51, 99), 51_000)])
def test_the_fastest_round_is_held_against_the_limit(walls_us: tuple[int, ...], over: int | None) -> None:
    record = replace(measured({}), visit=Visit(tuple(Round(us * 1000, 0, 0) for us in walls_us)))
    verdict = judge_alone(record, DEFAULT, parse_limits(None, "50us"))
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
    verdict = judge_alone(measured({}), DEFAULT, [limit])
    finding = Finding(limit.metric, limit.subject, Outcome.INCONCLUSIVE, FAIL, None, None, reason)
    assert verdict.findings == (finding,)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert reason in verdict.reason
