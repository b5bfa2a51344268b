from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.rounds import Series, paired_series, too_short
from pytest_goref.compare.slowdown import SHORTEST_NS
from pytest_goref.metrics import CPU_TIME, WALL_TIME
from pytest_goref.model import Metric, Round, Visit

MS = 1_000_000
COMPUTES = Round(5_050_000, 5 * MS, 0, 5 * MS)
WAITS = Round(50 * MS, 5 * MS, 0, 5 * MS)
CALIBRATED = replace(
    COMPUTES,
    compute_before_ns=200_000,
    compute_after_ns=220_000,
    memory_before_ns=300_000,
    memory_after_ns=310_000,
)
ROUNDS = st.builds(Round, *[st.integers(0, 10**12)] * 8, iterations=st.integers(1, 10**6))
VISITS = st.lists(
    st.builds(
        Visit,
        st.lists(ROUNDS, min_size=1, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("ab"), st.lists(ROUNDS, max_size=2).map(tuple)),
    ),
    max_size=3,
)


def visit(*rounds: Round, **timers: tuple[Round, ...]) -> Visit:
    return Visit(rounds, timers)


def only(before: list[Visit], after: list[Visit]) -> tuple[Metric, Series, Series]:
    """Return the series of the whole test."""
    (((metric, subject), (old, new)),) = paired_series(before, after).items()
    assert subject == ""
    return metric, old, new


def times_ns(series: Series) -> list[list[int]]:
    return [[round(math.exp(value)) for value in of_visit] for of_visit in series.times]


def test_a_test_that_computes_is_read_by_the_cpu_time_of_its_thread() -> None:
    slower = replace(COMPUTES, cpu_ns=6 * MS, process_cpu_ns=6 * MS, wall_ns=6_100_000)
    metric, old, new = only([visit(COMPUTES, slower), visit(COMPUTES)], [visit(slower)])
    assert metric is CPU_TIME
    assert times_ns(old) == [[5 * MS, 6 * MS], [5 * MS]]
    assert times_ns(new) == [[6 * MS]]


@pytest.mark.parametrize(("before", "after"), [(COMPUTES, WAITS), (WAITS, COMPUTES), (WAITS, WAITS)])
def test_both_sides_are_read_by_elapsed_time_when_one_waits(before: Round, after: Round) -> None:
    metric, old, new = only([visit(before)], [visit(after)])
    assert metric is WALL_TIME
    assert (times_ns(old), times_ns(new)) == ([[before.wall_ns]], [[after.wall_ns]])


@pytest.mark.parametrize(
    ("cpu_us", "metric"), [(899, WALL_TIME), (900, CPU_TIME), (1000, CPU_TIME), (0, WALL_TIME)]
)
def test_a_test_waits_below_nine_tenths_of_cpu_time(cpu_us: int, metric: Metric) -> None:
    timed = visit(Round(MS, cpu_us * 1000, 0))
    assert only([visit(COMPUTES)], [timed])[0] is metric
    assert only([timed], [visit(COMPUTES)])[0] is metric


def test_one_round_that_was_held_up_does_not_make_a_test_wait() -> None:
    held_up = replace(COMPUTES, wall_ns=200 * MS)
    assert only([visit(COMPUTES, COMPUTES, held_up)], [visit(COMPUTES)])[0] is CPU_TIME


def test_rounds_that_were_preempted_do_not_tell_whether_a_test_waits() -> None:
    preempted = replace(COMPUTES, wall_ns=20 * MS, preempted=3)
    metric, old, _ = only([visit(preempted, preempted, COMPUTES)], [visit(COMPUTES)])
    assert metric is CPU_TIME
    assert times_ns(old) == [[5 * MS] * 3]  # CPU time goes on counting


def test_work_beside_busy_neighbours_does_not_wait() -> None:
    crowded = replace(COMPUTES, wall_ns=15 * MS, preempted=3)
    assert only([visit(crowded)], [visit(crowded)])[0] is CPU_TIME


def test_a_test_that_was_always_preempted_still_waits_when_it_hardly_works() -> None:
    crowded = replace(WAITS, preempted=1)
    metric, old, _ = only([visit(crowded, crowded)], [visit(crowded)])
    assert metric is WALL_TIME
    assert times_ns(old) == [[50 * MS] * 2]  # all of them, as all were


def test_elapsed_time_is_that_of_rounds_that_were_not_preempted() -> None:
    preempted = replace(WAITS, wall_ns=90 * MS, preempted=1)
    _, old, new = only([visit(preempted, WAITS), visit(preempted)], [visit(WAITS, preempted, WAITS)])
    assert times_ns(old) == [[50 * MS], [90 * MS]]
    assert times_ns(new) == [[50 * MS] * 2]


def test_the_speed_is_that_beside_the_rounds_that_count() -> None:
    calibrated = replace(WAITS, compute_before_ns=200_000, compute_after_ns=200_000)
    preempted = replace(calibrated, preempted=1, compute_after_ns=900_000)
    _, old, _ = only([visit(calibrated, preempted)], [visit(calibrated)])
    assert times_ns(Series(old.compute)) == [[200_000]]


@pytest.mark.parametrize("threads_on", ["before", "after"])
def test_the_work_of_other_threads_counts_on_both_sides(threads_on: str) -> None:
    threaded = Round(6 * MS, MS, 0, 10 * MS)
    alone = replace(COMPUTES, process_cpu_ns=5_010_000)
    sides = (
        ([visit(threaded)], [visit(alone)]) if threads_on == "before" else ([visit(alone)], [visit(threaded)])
    )
    metric, *series = only(*sides)
    assert metric is CPU_TIME
    assert sorted(times_ns(side)[0][0] for side in series) == [5_010_000, 10 * MS]


@pytest.mark.parametrize(("process_ns", "read_ns"), [(5_100_000, 5 * MS), (5_200_000, 5_200_000)])
def test_what_reading_two_clocks_takes_is_no_other_thread(process_ns: int, read_ns: int) -> None:
    timed = visit(replace(COMPUTES, process_cpu_ns=process_ns, wall_ns=5_300_000))
    assert times_ns(only([timed], [timed])[1]) == [[read_ns]]


def test_the_cpu_time_of_a_process_is_used_only_where_both_sides_know_it() -> None:
    threaded, unknown = Round(11 * MS, 10 * MS, 0, 20 * MS), replace(COMPUTES, process_cpu_ns=0)
    _, old, new = only([visit(unknown)], [visit(threaded)])
    assert (times_ns(old), times_ns(new)) == ([[5 * MS]], [[10 * MS]])


def test_the_speed_is_the_mean_of_right_before_and_right_after_for_each_kernel() -> None:
    _, old, new = only([visit(CALIBRATED, CALIBRATED)], [visit(CALIBRATED)])
    assert times_ns(Series(old.compute)) == [[210_000] * 2]
    assert times_ns(Series(new.memory)) == [[305_000]]


@pytest.mark.parametrize("missing", ["compute_before_ns", "compute_after_ns"])
def test_one_round_without_a_kernel_leaves_the_speed_unknown(missing: str) -> None:
    without = replace(CALIBRATED, **{missing: 0})
    _, old, new = only([visit(CALIBRATED), visit(CALIBRATED, without)], [visit(CALIBRATED)])
    assert old.compute == ()
    assert len(old.memory) == 2
    assert len(new.compute) == 1


def test_a_timer_is_read_per_call_and_by_a_clock_of_its_own() -> None:
    before, after = replace(COMPUTES, iterations=1000), replace(COMPUTES, cpu_ns=10 * MS, iterations=2500)
    sleeps = replace(WAITS, iterations=10)
    series = paired_series(
        [visit(COMPUTES, parse=(before,), poll=(sleeps,))], [visit(COMPUTES, parse=(after,), poll=(sleeps,))]
    )
    assert set(series) == {(CPU_TIME, ""), (CPU_TIME, "parse"), (WALL_TIME, "poll")}
    old, new = series[CPU_TIME, "parse"]
    assert (times_ns(old), times_ns(new)) == ([[5_000]], [[4_000]])
    assert times_ns(series[WALL_TIME, "poll"][0]) == [[5 * MS]]


def test_a_timer_of_one_side_says_nothing() -> None:
    timed, plain = visit(COMPUTES, parse=(COMPUTES,)), visit(COMPUTES)
    assert set(paired_series([timed], [plain])) == {(CPU_TIME, "")}
    assert set(paired_series([plain], [timed])) == {(CPU_TIME, "")}
    assert set(paired_series([timed], [visit(COMPUTES, parse=())])) == {(CPU_TIME, "")}


def test_a_visit_without_the_timer_is_not_one_of_its_visits() -> None:
    timed, plain = visit(COMPUTES, parse=(COMPUTES,)), visit(COMPUTES)
    old, new = paired_series([timed, plain, timed], [plain, timed])[CPU_TIME, "parse"]
    assert (len(old.times), len(new.times)) == (2, 1)


def test_without_visits_on_a_side_nothing_compares() -> None:
    assert paired_series([], [visit(COMPUTES)]) == {}
    assert paired_series([visit(COMPUTES)], []) == {}
    assert too_short([], []) == ()


@pytest.mark.parametrize(
    ("before_ns", "after_ns", "is_too_short"),
    [
        (SHORTEST_NS, SHORTEST_NS, False),
        (SHORTEST_NS - 1, SHORTEST_NS, True),
        (SHORTEST_NS, SHORTEST_NS - 1, True),
        (SHORTEST_NS - 1, MS, True),
    ],
)
def test_rounds_that_are_too_short_are_left_out_and_named(
    before_ns: int, after_ns: int, *, is_too_short: bool
) -> None:
    before, after = (visit(COMPUTES, t=(Round(ns, ns, 0),)) for ns in (before_ns, after_ns))
    assert too_short([before], [after]) == (("t",) if is_too_short else ())
    assert ((CPU_TIME, "t") in paired_series([before], [after])) is not is_too_short
    assert (CPU_TIME, "") in paired_series([before], [after])


def test_a_round_is_as_long_as_all_its_calls() -> None:
    timed = visit(COMPUTES, t=(Round(MS, MS, 0, iterations=1_000_000),))
    assert too_short([timed], [timed]) == ()
    assert times_ns(paired_series([timed], [timed])[CPU_TIME, "t"][0]) == [[1]]


def test_one_short_round_does_not_make_a_subject_too_short() -> None:
    timed = visit(COMPUTES, COMPUTES, replace(COMPUTES, cpu_ns=1, process_cpu_ns=1))
    assert too_short([timed], [timed]) == ()


def test_the_typical_time_of_a_series_is_that_of_its_visits() -> None:
    series = Series((logs(1, 2, 90), logs(3, 3), logs(50, 60, 70)))
    assert series.typical_ns == 3


def test_the_first_visits_of_a_series() -> None:
    series = Series((logs(1), logs(2), logs(3)), (logs(4), logs(5), logs(6)))
    assert series.first(2) == Series((logs(1), logs(2)), (logs(4), logs(5)))
    assert series.first(9) == series


def logs(*times_ns: int) -> tuple[float, ...]:
    return tuple(math.log(ns) for ns in times_ns)


@given(VISITS, VISITS)
def test_any_rounds_give_finite_numbers_of_one_shape(before: list[Visit], after: list[Visit]) -> None:
    compared = paired_series(before, after)
    subjects = {subject for _, subject in compared}
    assert len(subjects) == len(compared)
    assert subjects.isdisjoint(too_short(before, after))
    for pair in compared.values():
        for side, series in zip((before, after), pair, strict=True):
            assert 0 < len(series.times) <= len(side)
            shape = [len(visit_times) for visit_times in series.times]
            for speeds in (series.compute, series.memory):
                assert not speeds or [len(of_visit) for of_visit in speeds] == shape
            values = [value for part in (series.times, series.compute) for logs in part for value in logs]
            assert all(math.isfinite(value) for value in values)


@given(VISITS, VISITS)
def test_both_sides_are_treated_alike(before: list[Visit], after: list[Visit]) -> None:
    turned = {key: (new, old) for key, (old, new) in paired_series(after, before).items()}
    assert paired_series(before, after) == turned
    assert set(too_short(before, after)) == set(too_short(after, before))
