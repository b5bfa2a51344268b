from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.change import Change, compare_exact, exceeds
from pytest_goref.model import Samples, Tolerance
from pytest_goref.verdict import Outcome

REGRESSED, IMPROVED = Outcome.REGRESSED, Outcome.IMPROVED
SAME, INCONCLUSIVE = Outcome.SAME, Outcome.INCONCLUSIVE
NONE = Tolerance()
CALLS = Tolerance(0.05, 8)


@pytest.mark.parametrize(
    ("increase", "before", "tolerance", "expected"),
    [
        (1, 12, NONE, True),
        (0, 12, NONE, False),
        (-1, 12, NONE, False),
        (1, 0, NONE, True),
        (8, 100, CALLS, False),  # 8 > 5, but not more than 8
        (9, 100, CALLS, True),  # 9 > 5 and 9 > 8
        (9, 200, CALLS, False),  # 9 > 8, but not more than 10
        (10, 200, CALLS, False),  # exactly 5 %
        (11, 200, CALLS, True),
        (8, 0, CALLS, False),  # from nothing the absolute part decides
        (9, 0, CALLS, True),
        (29, 100, Tolerance(0.29), False),  # 0.29 * 100 is 28.999999999999996
        (30, 100, Tolerance(0.29), True),
        (10**12, 10**13, Tolerance(0.1), False),  # exactly 10 %
        (3, 100, Tolerance(0.0, 3), False),
        (4, 100, Tolerance(0.0, 3), True),
    ],
)
def test_both_parts_of_a_tolerance_must_be_exceeded(
    increase: int,
    before: int,
    tolerance: Tolerance,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert exceeds(increase, before, tolerance) is expected


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "change"),
    [
        ((12,), (12,), NONE, Change(SAME, 12, 12)),
        ((12,), (13,), NONE, Change(REGRESSED, 12, 13)),
        ((12,), (11,), NONE, Change(IMPROVED, 12, 11)),
        (None, (1,), NONE, Change(REGRESSED, 0, 1)),
        (None, None, NONE, Change(SAME, 0, 0)),
        ((0,), (0,), NONE, Change(SAME, 0, 0)),
        # a drop of 90 % or more may as well be a test that measures nothing any more
        ((100,), (11,), NONE, Change(IMPROVED, 100, 11)),
        ((100,), (10,), NONE, Change(IMPROVED, 100, 10, "improved or not measured")),
        ((1,), None, NONE, Change(IMPROVED, 1, 0, "improved or not measured")),
        # one side varies: the nearest values decide, the largest accepted against the smallest measured
        ((12,), (13, 14), NONE, Change(REGRESSED, 12, 13, "varies between executions (13..14)")),
        ((12,), (12, 13), NONE, Change(INCONCLUSIVE, 12, 13, "varies between executions (12..13)")),
        ((12,), (11, 12), NONE, Change(SAME, 12, 12, "varies between executions (11..12)")),
        ((12,), (10, 11), NONE, Change(IMPROVED, 12, 11, "varies between executions (10..11)")),
        ((12, 13), (13,), NONE, Change(SAME, 13, 13)),
        ((12, 13), (14,), NONE, Change(REGRESSED, 13, 14)),
        ((12, 13), (12,), NONE, Change(SAME, 13, 12)),
        ((12, 13), (11,), NONE, Change(IMPROVED, 12, 11)),
        ((10, 20), (15, 21), NONE, Change(INCONCLUSIVE, 20, 21, "varies between executions (15..21)")),
        # where the accepted value varies, the one that is compared with is also what the percentage is of
        ((100, 200), (210,), CALLS, Change(SAME, 200, 210)),  # 10 is 5 % of 200
        ((100, 200), (150, 210), CALLS, Change(SAME, 200, 210, "varies between executions (150..210)")),
        ((100, 200), (91,), CALLS, Change(IMPROVED, 100, 91)),  # 9 is more than 5 % of 100
        ((100, 900), (10,), CALLS, Change(IMPROVED, 100, 10, "improved or not measured")),
        ((13, 12), (12, 13), NONE, Change(SAME, 13, 13, "varies between executions (12..13)")),
        # 109 is too much and 101 is not
        ((100,), (101, 109), CALLS, Change(INCONCLUSIVE, 100, 109, "varies between executions (101..109)")),
        ((100,), (101, 108), CALLS, Change(SAME, 100, 108, "varies between executions (101..108)")),
        ((100,), (92,), CALLS, Change(SAME, 100, 92)),
        ((100,), (91,), CALLS, Change(IMPROVED, 100, 91)),
        ((8,), None, CALLS, Change(SAME, 8, 0)),
    ],
)
def test_exact_samples_compare(
    before: Samples | None, after: Samples | None, tolerance: Tolerance, change: Change
) -> None:
    assert compare_exact(before, after, tolerance) == change


_SAMPLES = st.lists(st.integers(0, 60), min_size=1, max_size=3).map(tuple)
_TOLERANCES = st.builds(Tolerance, st.sampled_from([0.0, 0.05, 0.29, 1.0]), st.integers(0, 9))
_BADNESS = {IMPROVED: 0, SAME: 1, INCONCLUSIVE: 2, REGRESSED: 3}


@given(_SAMPLES, _SAMPLES, _TOLERANCES, st.integers(0, 60))
def test_more_is_never_better(before: Samples, after: Samples, tolerance: Tolerance, increase: int) -> None:
    less = compare_exact(before, after, tolerance)
    more = compare_exact(before, tuple(sample + increase for sample in after), tolerance)
    assert _BADNESS[more.outcome] >= _BADNESS[less.outcome]


@given(_SAMPLES, _TOLERANCES)
def test_unchanged_samples_are_the_same(samples: Samples, tolerance: Tolerance) -> None:
    change = compare_exact(samples, samples, tolerance)
    assert (change.outcome, change.before) == (SAME, change.after)


@given(_SAMPLES, _SAMPLES, _TOLERANCES)
def test_the_order_and_number_of_executions_do_not_matter(
    before: Samples, after: Samples, tolerance: Tolerance
) -> None:
    change = compare_exact(before, after, tolerance)
    assert compare_exact(before[::-1] * 2, after[::-1] * 2, tolerance) == change


@given(_SAMPLES, _SAMPLES, _TOLERANCES)
def test_only_executions_that_vary_are_inconclusive(
    before: Samples, after: Samples, tolerance: Tolerance
) -> None:
    change = compare_exact(before, after[:1], tolerance)
    assert change.outcome is not INCONCLUSIVE
    assert change.reason in {"", "improved or not measured"}
