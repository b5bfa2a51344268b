from __future__ import annotations

import pytest

from pytest_goref.compare.change import Change
from pytest_goref.compare.durations import (
    comparable_durations,
    compare_fastest,
    duration_obstacle,
    measured_durations,
)
from pytest_goref.metrics import CPU_TIME, WALL_TIME
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Mode,
    Record,
    Round,
    Samples,
    TestKey,
    Tolerance,
    Visit,
)
from pytest_goref.verdict import Outcome

KEY = TestKey("tests/test_orders.py", "test_total")
TENTH = Tolerance(0.1)
NOT_CONFIRMED = "fastest of 2 rounds in one process, not confirmed"


def visit(*rounds: tuple[int, int], **timers: Samples) -> Visit:
    return Visit(tuple(Round(wall_us * 1000, cpu_us * 1000, 0) for wall_us, cpu_us in rounds), timers)


def record(timed: Visit | None, machine: str = "here") -> Record:
    return Record(KEY, Environment("cpython-3.12", "words", machine), Mode.WARM, {}, timed)


def entry(**visits: tuple[Visit, ...]) -> BaselineEntry:
    return BaselineEntry(KEY, Mode.WARM, "cpython-3.12", {}, visits)


COMPUTES = visit((101, 100), (110, 105))
WAITS = visit((200, 100), (300, 110))


def test_what_was_not_timed_has_no_durations() -> None:
    assert measured_durations(None) == {}


def test_limits_may_use_both_clocks_and_the_timers() -> None:
    assert measured_durations(visit((2, 1), (3, 2), parse=(50, 40))) == {
        WALL_TIME: {"": (2_000, 3_000)},
        CPU_TIME: {"": (1_000, 2_000), "parse": (50, 40)},
    }


def test_a_test_that_computes_is_compared_by_cpu_time_over_all_visits_of_the_machine() -> None:
    before, after = comparable_durations(record(COMPUTES), entry(here=(COMPUTES, WAITS), there=(WAITS,)))
    assert before == {CPU_TIME: {"": (100_000, 105_000, 100_000, 110_000)}}
    assert after == {CPU_TIME: {"": (100_000, 105_000)}}


def test_a_test_that_waits_is_compared_by_elapsed_time_and_its_timers_by_cpu_time() -> None:
    timed = visit((200, 100), parse=(40,))
    before, after = comparable_durations(record(timed), entry(here=(COMPUTES, timed, timed)))
    assert before == {
        WALL_TIME: {"": (101_000, 110_000, 200_000, 200_000)},
        CPU_TIME: {"parse": (40, 40)},
    }
    assert after == {WALL_TIME: {"": (200_000,)}, CPU_TIME: {"parse": (40,)}}


@pytest.mark.parametrize(
    ("cpu_us", "metric"),
    [(899, WALL_TIME), (900, CPU_TIME), (1000, CPU_TIME), (0, WALL_TIME)],  # of 1000 us elapsed
)
def test_a_test_waits_below_nine_tenths_of_cpu_time(cpu_us: int, metric: object) -> None:
    timed = visit((600, 0), (400, cpu_us))
    _, after = comparable_durations(record(timed), entry(here=(timed,)))
    assert metric in after
    assert (WALL_TIME in after) == (metric is WALL_TIME)


def test_rounds_of_no_length_do_not_wait() -> None:
    _, after = comparable_durations(record(visit((0, 0))), entry(here=(COMPUTES,)))
    assert list(after) == [CPU_TIME]


def test_short_rounds_count_as_20_us_and_timers_as_they_are() -> None:
    timed = visit((19, 19), (21, 21), parse=(7,))
    _, after = comparable_durations(record(timed), entry(here=(timed,)))
    assert after == {CPU_TIME: {"": (20_000, 21_000), "parse": (7,)}}


@pytest.mark.parametrize(
    ("timed", "accepted", "reason"),
    [
        (COMPUTES, entry(here=(COMPUTES,)), ""),
        (COMPUTES, entry(), ""),  # durations were never accepted: there is nothing to compare
        (None, entry(there=(COMPUTES,)), ""),
        (COMPUTES, entry(there=(COMPUTES,)), "no rounds of this machine in the baseline"),
        (COMPUTES, entry(there=(COMPUTES,), here=()), "no rounds of this machine in the baseline"),
    ],
)
def test_durations_compare_only_on_one_machine(
    timed: Visit | None, accepted: BaselineEntry, reason: str
) -> None:
    assert duration_obstacle(record(timed), accepted) == reason
    if reason or timed is None:
        assert comparable_durations(record(timed), accepted) == ({}, {})


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ((100, 130), (109, 900), Change(Outcome.SAME, 100, 109)),
        ((100, 130), (110, 110), Change(Outcome.SAME, 100, 110)),  # exactly 10 %
        ((130, 100), (150, 111), Change(Outcome.REGRESSED, 100, 111, NOT_CONFIRMED)),
        ((130, 100), (90, 95), Change(Outcome.SAME, 100, 90)),
        ((130, 100), (95, 89), Change(Outcome.IMPROVED, 100, 89, NOT_CONFIRMED)),
        (None, (7, 8), Change(Outcome.NEW, None, 7, "not timed before")),
        ((7, 6), None, Change(Outcome.GONE, 6, None, "not timed in this run")),
    ],
)
def test_the_fastest_rounds_compare(before: Samples | None, after: Samples | None, change: Change) -> None:
    assert compare_fastest(before, after, TENTH) == change
