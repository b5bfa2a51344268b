from __future__ import annotations

from pytest_goref.profile import CPU_VALUES, Frame, ProfileKind, Stack, StackProfile, merged, sample_count


def stack(*places: str) -> Stack:
    return tuple(Frame(place, "", place, 0) for place in places)


def profile(stacks: dict[Stack, tuple[int, ...]], *sums: int) -> StackProfile:
    return StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, *sums)


def test_a_recursive_function_counts_a_stack_once() -> None:
    taken = profile({stack("a", "b", "a"): (2, 20), stack("a"): (1, 5), stack("c"): (0, 0)})
    assert taken.total(0) == 3
    assert taken.flat(1) == {"a": 25}
    assert taken.cumulative(1) == {"a": 25, "b": 20}


def test_executions_add_up() -> None:
    first = profile({stack("a"): (1, 10), stack("b"): (1, 1)}, 1, 100, 90)
    second = profile({stack("a"): (2, 20), stack("c"): (3, 3)}, 2, 200, 180)
    assert merged((first, second)) == profile(
        {stack("a"): (3, 30), stack("b"): (1, 1), stack("c"): (3, 3)}, 3, 300, 270
    )
    assert merged((first,)) == first


def test_a_late_sample_is_worth_those_that_it_stands_for() -> None:
    assert sample_count(profile({stack("a"): (1, 50_400_000), stack("b"): (2, 2_000_000)})) == 52
    assert sample_count(profile({})) == 0
