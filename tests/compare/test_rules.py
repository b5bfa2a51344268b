from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.rules import RuleChange, Rules, parse_limits, parse_rule
from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    CALLS,
    CPU_TIME,
    DEFAULT_RULES,
    LEAKED_REFS,
    LEAKED_TASKS,
    LEAKED_THREADS,
    LEFT_BYTES,
    METRICS,
    PEAK_BYTES,
    REFS,
    WALL_TIME,
)
from pytest_goref.model import Limit, Metric, Rule, Severity, Tolerance
from pytest_goref.quantity import Unit

DURATIONS = (CPU_TIME, WALL_TIME)
LEAKS = (LEAKED_REFS, LEAKED_THREADS, LEAKED_TASKS)
ALLOCATIONS = (ALLOCATION_COUNT, ALLOCATED_BYTES, PEAK_BYTES, LEFT_BYTES)


@pytest.mark.parametrize(
    ("text", "metrics", "tolerance"),
    [
        ("counts:0", (REFS,), Tolerance()),
        ("refs:3", (REFS,), Tolerance(absolute=3)),
        ("calls:off", (CALLS,), None),
        ("calls:OFF", (CALLS,), None),
        ("durations:10%", DURATIONS, Tolerance(0.1)),
        ("calls:5%+8", (CALLS,), Tolerance(0.05, 8)),
        ("cpu_time:10%+1ms", (CPU_TIME,), Tolerance(0.1, 1_000_000)),
        ("durations:0.5%+1.5us", DURATIONS, Tolerance(0.005, 1_500)),
        ("wall_time:2ms", (WALL_TIME,), Tolerance(absolute=2_000_000)),
        ("  Calls : 5 % + 1_000 ", (CALLS,), Tolerance(0.05, 1000)),
        ("leaks:0", LEAKS, Tolerance()),
        ("LEAKED_REFS:0%", (LEAKED_REFS,), Tolerance()),
        ("calls:1000000%", (CALLS,), Tolerance(10_000.0)),
        ("allocations:off", ALLOCATIONS, None),
        ("allocations:0", ALLOCATIONS, Tolerance()),
        ("allocations:5%+0", ALLOCATIONS, Tolerance(0.05)),
        ("allocations:5%", ALLOCATIONS, Tolerance(0.05)),
        ("allocation_count:16", (ALLOCATION_COUNT,), Tolerance(absolute=16)),
        ("peak_bytes:5%+1.5 MB", (PEAK_BYTES,), Tolerance(0.05, 1_500_000)),
    ],
)
def test_a_rule_says_what_is_accepted(
    text: str, metrics: tuple[Metric, ...], tolerance: Tolerance | None
) -> None:
    tolerances = None if tolerance is None else dict.fromkeys(metrics, tolerance)
    assert parse_rule(text) == RuleChange(metrics, tolerances, text)


@pytest.mark.parametrize(
    ("text", "tolerances"),
    [
        ("allocations:5%+64KiB", [(0.05, 16), (0.05, 65_536), (0.05, 65_536), (0.05, 65_536)]),
        ("allocations:2%+3", [(0.02, 3), (0.02, 4096), (0.02, 65_536), (0.02, 65_536)]),
        ("allocations:3", [(0.0, 3), (0.01, 4096), (0.05, 65_536), (0.05, 65_536)]),
        ("allocations:1kB", [(0.01, 16), (0.0, 1000), (0.0, 1000), (0.0, 1000)]),
    ],
)
def test_an_absolute_part_is_about_the_metrics_of_its_unit(
    text: str, tolerances: list[tuple[float, int]]
) -> None:
    change = parse_rule(text)
    assert change.tolerances == {
        metric: Tolerance(*tolerance) for metric, tolerance in zip(ALLOCATIONS, tolerances, strict=True)
    }
    rules = Rules.default().with_changes([(Severity.WARN, change)])
    assert [rules.rule(metric).tolerance for metric in ALLOCATIONS] == list(change.tolerances.values())
    assert {rules.rule(metric).severity for metric in ALLOCATIONS} == {Severity.WARN}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "a rule is empty"),
        ("   ", "a rule is empty"),
        ("counts", "no ':' after the name"),
        ("counts 5%", "no ':' after the name"),
        ("counts:", "nothing stands after the ':'"),
        ("counts:  ", "nothing stands after the ':'"),
        (":5%", "no group or metric is named"),
        (":", "no group or metric is named"),
        ("counts::5%", "more than one ':'"),
        ("counts:5%:8", "more than one ':'"),
        ("cal:5%", "did you mean calls?"),
        ("cpu:5%", "'cpu' is no group or metric"),
        ("5%:calls", "'5%' is no group or metric"),
        ("sites:5%", "known are counts, allocations, calls, durations, leaks, refs, allocation_count"),
        ("site_bytes:5%", "'site_bytes' is no group or metric"),
        ("gc_pause:5%", "'gc_pause' is no group or metric"),
        (
            "allocations:5%+1ms",
            "neither a percentage nor a whole number that can be stored, such as 8, nor a size",
        ),
        ("peak_bytes:16", "neither a percentage nor a size"),
        ("calls:5.0.1%", "is no percentage"),
        ("calls:5%%", "is no percentage"),
        ("calls:-5%", "is no percentage"),
        ("calls:+5%", "comes first and only once"),
        ("calls:nan%", "is no percentage"),
        ("calls:inf%", "is no percentage"),
        ("calls:%", "is no percentage"),
        ("calls:%5", "is no percentage"),
        ("calls:5% trailing", "is no percentage"),
        ("calls:1e3%", "is no percentage"),
        ("calls:\u0665%", "is no percentage"),  # a digit to Python, not to us
        ("calls:1000001%", "use 'off' to accept any increase"),
        ("calls:" + "9" * 5000 + "%", "use 'off' to accept any increase"),
        ("calls:5+8", "before the '+' is no percentage"),
        ("calls:8+5%", "comes first and only once"),
        ("calls:5%+5%", "comes first and only once"),
        ("calls:5%+8+9", "more than one '+'"),
        ("calls:5%+", "nothing stands after the '+'"),
        ("calls:-5", "neither a percentage nor a whole number"),
        ("calls:nan", "neither a percentage nor a whole number"),
        ("calls:1e400", "neither a percentage nor a whole number"),
        ("calls:5%+1.5", "neither a percentage nor a whole number"),
        ("calls:5%+1ms", "neither a percentage nor a whole number"),
        ("calls:" + "9" * 5000, "neither a percentage nor a whole number"),
        ("calls:offf", "neither a percentage nor a whole number"),
        ("durations:10", "neither a percentage nor a time"),
        ("durations:10%+64KiB", "neither a percentage nor a time"),
        (5, "a rule is text, not int"),
        (None, "a rule is text, not NoneType"),
    ],
)
def test_a_malformed_rule_is_refused(text: object, what: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_rule(text)
    message = str(caught.value)
    assert what in message
    assert repr(text)[:40] in message
    assert "write for example counts:0" in message
    assert len(message) < 500


def test_an_unknown_name_that_is_near_nothing_gets_no_guess() -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_rule("xyzzy:5%")
    assert "did you mean" not in str(caught.value)


@given(st.one_of(st.text(), st.text("counts:calls%+0123456789. -off")))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidValueError):
        assert parse_rule(text).text == text


_SPACES = st.text(" \t", max_size=2)


@given(
    st.sampled_from(sorted(metric.name for metric in DEFAULT_RULES)),
    st.integers(0, 10**8),
    st.integers(0, 10**12),
    _SPACES,
)
def test_a_rule_says_what_was_written(name: str, hundredths: int, absolute: int, space: str) -> None:
    # 1234 hundredths of a percent are written 12.34%, which is the fraction 0.1234.
    percent = f"{hundredths // 100}.{hundredths % 100:02}"
    suffix = {Unit.NANOSECOND: "ns", Unit.BYTE: "B"}.get(METRICS[name].unit, "")
    change = parse_rule(space.join(("", name, ":", percent, "%", "+", f"{absolute}{suffix}", "")))
    assert change.metrics == (METRICS[name],)
    assert change.tolerances == {METRICS[name]: Tolerance(float(percent) / 100, absolute)}


def test_the_default_rules_are_those_of_the_catalogue() -> None:
    rules = Rules.default()
    judged = [metric for metric in METRICS.values() if metric.judged]
    assert {metric: rules.rule(metric) for metric in judged} == DEFAULT_RULES
    shown = [metric for metric in METRICS.values() if not metric.judged]
    assert shown
    assert {rules.rule(metric).severity for metric in shown} == {Severity.OFF}
    assert rules.chosen == frozenset()


def test_the_last_change_of_a_metric_wins_and_the_others_stay() -> None:
    before = Rules.default()
    after = before.with_changes(
        [
            (Severity.FAIL, parse_rule("calls:5%")),
            (Severity.WARN, parse_rule("counts:1")),
            (Severity.FAIL, parse_rule("calls:7%+8")),
        ]
    )
    assert after.rule(CALLS) == Rule(Tolerance(0.07, 8), Severity.FAIL)
    assert after.rule(REFS) == Rule(Tolerance(0.0, 1), Severity.WARN)
    assert after.rule(LEAKED_REFS) == DEFAULT_RULES[LEAKED_REFS]
    assert after.chosen == {CALLS, REFS}
    assert before == Rules.default()


def test_changes_add_up_over_several_calls() -> None:
    rules = Rules.default().with_changes([(Severity.FAIL, parse_rule("calls:5%"))])
    assert rules.with_changes([(Severity.FAIL, parse_rule("leaks:0"))]).chosen == {CALLS, *LEAKS}


@pytest.mark.parametrize("severity", [Severity.FAIL, Severity.WARN])
def test_off_turns_a_group_off_whatever_asks_for_it(severity: Severity) -> None:
    rules = Rules.default().with_changes([(severity, parse_rule("durations:off"))])
    assert {rules.rule(metric).severity for metric in DURATIONS} == {Severity.OFF}


@pytest.mark.parametrize("severity", [Severity.FAIL, Severity.WARN])
@pytest.mark.parametrize(
    ("text", "tolerances"),
    [
        ("durations:10%", {CPU_TIME: Tolerance(0.1), WALL_TIME: Tolerance(0.1)}),
        ("cpu_time:10%+1ms", {CPU_TIME: Tolerance(0.1, 1_000_000)}),
        ("wall_time:1s", {WALL_TIME: Tolerance(0.0, 1_000_000_000)}),
    ],
)
def test_durations_fail_or_warn_as_any_other_metric(
    text: str, tolerances: dict[Metric, Tolerance], severity: Severity
) -> None:
    rules = Rules.default().with_changes([(severity, parse_rule(text))])
    assert rules.chosen == set(tolerances)
    assert {metric: rules.rule(metric) for metric in tolerances} == {
        metric: Rule(tolerance, severity) for metric, tolerance in tolerances.items()
    }


@pytest.mark.parametrize("metric", DURATIONS)
def test_slower_tests_warn_by_default(metric: Metric) -> None:
    assert Rules.default().rule(metric).severity is Severity.WARN


def test_limits_are_read_from_a_marker() -> None:
    assert parse_limits({"db.query": 3, "/dao:get": 0}, "50ms", "20 MB", 5000) == (
        Limit(REFS, "db.query", 3),
        Limit(REFS, "/dao:get", 0),
        Limit(WALL_TIME, "", 50_000_000),
        Limit(PEAK_BYTES, "", 20_000_000),
        Limit(ALLOCATION_COUNT, "", 5000),
    )
    assert parse_limits(max_allocations=0) == (Limit(ALLOCATION_COUNT, "", 0),)


def test_no_limits_are_none() -> None:
    assert parse_limits(None, None) == ()
    assert parse_limits({}) == ()


@pytest.mark.parametrize(
    ("max_count", "what"),
    [
        (3, "not a mapping"),
        (["db.query"], "not a mapping"),
        ({1: 3}, "1 is no key"),
        ({"": 3}, "'' is no key"),
        ({"db.query": -1}, "the limit of 'db.query' is -1"),
        ({"db.query": True}, "the limit of 'db.query' is True"),
        ({"db.query": 3.0}, "the limit of 'db.query' is 3.0"),
        ({"db.query": "3"}, "the limit of 'db.query' is '3'"),
        ({"db.query": None}, "the limit of 'db.query' is None"),
    ],
)
def test_a_wrong_count_limit_is_refused(max_count: object, what: str) -> None:
    with pytest.raises(InvalidValueError, match="max_count") as caught:
        parse_limits(max_count)
    assert what in str(caught.value)
    assert "for example" in str(caught.value)


@pytest.mark.parametrize("max_duration", [50, 0.05, True, b"50ms", "", "50", "-50ms", "0ms", "0.4ns", "5 MB"])
def test_a_wrong_duration_limit_is_refused(max_duration: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_limits(None, max_duration)
    assert f"max_duration={max_duration!r}" in str(caught.value)
    assert 'write a time such as max_duration="50ms"' in str(caught.value)


@pytest.mark.parametrize(
    "max_peak", [20, 2.5, True, b"1 MB", "", "20", "-1 MB", "0 MB", "0.4B", "5ms", "5 TB"]
)
def test_a_wrong_peak_limit_is_refused(max_peak: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_limits(max_peak=max_peak)
    assert f"max_peak={max_peak!r}" in str(caught.value)
    assert 'write a size such as max_peak="20 MB"' in str(caught.value)


@pytest.mark.parametrize("max_allocations", [-1, True, 1.0, "5", [], "9" * 5000])
def test_a_wrong_limit_of_allocations_is_refused(max_allocations: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^max_allocations: .*; write a whole number from 0"):
        parse_limits(max_allocations=max_allocations)
