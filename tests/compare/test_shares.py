from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.shares import Shift, shifted
from pytest_goref.profile import CPU_VALUES, OTHER, Frame, ProfileKind, Stack, StackProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

MS = 1_000_000
TEST = "test_it.py:test"
F, G = "app.py:f", "app.py:g"


def frame(place: str) -> Frame:
    return Frame(place, "", place.rpartition(":")[2], 0)


def profile(samples: Mapping[tuple[str, ...], int | tuple[int, int]], executions: int = 1) -> StackProfile:
    """Return the profile of stacks that were seen so often, or (so often, for so many ns), below a test."""
    stacks = {
        tuple(frame(place) for place in (TEST, *places)): seen
        if isinstance(seen, tuple)
        else (seen, seen * MS)
        for places, seen in samples.items()
    }
    return StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, executions)


@pytest.mark.parametrize(("before", "after"), [(199, 300), (300, 199), (0, 300)])
def test_under_200_samples_nothing_is_said(before: int, after: int) -> None:
    assert shifted(profile({(F,): before}), profile({(F,): after})) is None


def test_the_same_shares_have_not_shifted() -> None:
    assert shifted(profile({(F,): 100, (G,): 100}), profile({(F,): 200, (G,): 200})) == []


@pytest.mark.parametrize(
    ("after", "found"),
    [
        # the standard error of the difference is sqrt(0.25 * 2 / 200) = 0.05
        (115, []),
        (135, [Shift(F, 500, 675), Shift(G, 500, 325)]),
    ],
)
def test_only_what_is_beyond_three_standard_errors_has_shifted(after: int, found: list[Shift]) -> None:
    assert shifted(profile({(F,): 100, (G,): 100}), profile({(F,): after, (G,): 200 - after})) == found


def test_a_place_that_is_new_may_be_chance() -> None:
    before = profile({(F,): 200})
    assert shifted(before, profile({(F,): 992, (G,): 8})) == []
    found = shifted(before, profile({(F,): 900, (G,): 100}, executions=5))
    assert found == [Shift(G, 0, 100), Shift(F, 1000, 900)]


def test_what_adds_most_time_to_an_execution_comes_first_and_what_saves_most_last() -> None:
    before = profile({("a.py:a",): 250, ("a.py:b",): 250, ("a.py:c",): 250, ("a.py:d",): 250}, executions=10)
    after = profile({("a.py:a",): 100, ("a.py:b",): 500, ("a.py:c",): 390, ("a.py:d",): 10}, executions=5)
    found = shifted(before, after)
    assert found is not None
    # ms per execution: 25 -> 100, 25 -> 78, 25 -> 20, 25 -> 2
    assert [shift.place for shift in found] == ["a.py:b", "a.py:c", "a.py:a", "a.py:d"]
    assert found[0] == Shift("a.py:b", 250, 500)


def test_the_project_function_answers_for_what_it_calls_and_names_it() -> None:
    before = profile({(F, "json", "json.decoder"): 20, (G,): 280})
    after = profile({(F, "json", "json.decoder"): 200, (G,): 100})
    found = shifted(before, after)
    assert found is not None
    assert {shift.place for shift in found} == {F, "json", G}  # neither the caller nor what json calls
    assert found[0] in {Shift(F, 67, 667), Shift("json", 67, 667)}


def test_what_is_called_back_by_a_library_answers_for_itself() -> None:
    before = profile({(F, "functools", G): 20, (F,): 280})
    found = shifted(before, profile({(F, "functools", G): 200, (F,): 100}))
    assert found == [Shift(G, 67, 667), Shift(F, 933, 333)]


def test_without_a_project_function_the_outermost_answers() -> None:
    stack: Stack = (frame("concurrent.futures"), frame("queue"), frame("lock.acquire"))
    waiting = StackProfile(ProfileKind.CPU, CPU_VALUES, {stack: (300, 300 * MS)})
    found = shifted(profile({(F,): 300}), waiting)
    assert found is not None
    assert {shift.place for shift in found} == {F, "concurrent.futures", "queue"}


def test_what_there_was_no_room_for_is_no_place() -> None:
    other = StackProfile(ProfileKind.CPU, CPU_VALUES, {(OTHER,): (300, 300 * MS)})
    assert shifted(profile({(F,): 300}), other) == [Shift(F, 1000, 0)]


def test_one_long_interruption_is_one_observation() -> None:
    before = profile({(F,): 150, (G,): 150})
    interrupted = profile({(F,): 150, (G,): (150, 300 * MS)}), profile({(F,): (151, 300 * MS), (G,): 149})
    assert shifted(before, interrupted[0]) != []  # every sample of g takes twice as long
    long_one = profile({(F, "x"): (1, 150 * MS), (F,): 150, (G,): 150})
    assert shifted(before, long_one) == []  # one sample of f was 150 times too long


def test_few_samples_that_stand_for_much_time_are_believed_when_they_agree() -> None:
    before = profile({(F,): 150, (G,): 150})
    after = profile({(F,): (20, 2_000 * MS), (G,): 20})  # C code, or a loop without calls, of 100 ms
    assert shifted(before, after) == [Shift(F, 500, 990), Shift(G, 500, 10)]


_PROFILES = st.dictionaries(
    st.lists(st.sampled_from((F, G, "json", "re")), max_size=3).map(tuple), st.integers(1, 500), min_size=1
).map(profile)


@given(_PROFILES, _PROFILES)
def test_shares_are_shares_and_going_back_is_the_opposite(before: StackProfile, after: StackProfile) -> None:
    forth, back = shifted(before, after), shifted(after, before)
    assert (forth is None) == (back is None)
    assert shifted(before, before) in ([], None)
    for shift in forth or ():
        assert 0 <= shift.before_permille <= 1000
        assert 0 <= shift.after_permille <= 1000
    reversed_ = {Shift(s.place, s.after_permille, s.before_permille) for s in back or ()}
    assert set(forth or ()) == reversed_
