from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules
from pytest_goref.compare.where import Evidence, explain
from pytest_goref.metrics import (
    ALLOCATED_BYTES,
    ALLOCATION_COUNT,
    CALLS,
    LEAKED_REFS,
    OTHER,
    PEAK_BYTES,
    REFS,
    SITE_BYTES,
    SITE_COUNT,
    SITE_PEAK_BYTES,
)
from pytest_goref.model import (
    BaselineEntry,
    Environment,
    Group,
    Limit,
    Metric,
    Mode,
    Problem,
    ProblemKind,
    Record,
    Round,
    TestKey,
    Visit,
)
from pytest_goref.profile import CPU_VALUES, Frame, ProfileKind, StackProfile
from pytest_goref.quantity import Unit

if TYPE_CHECKING:
    from pytest_goref.verdict import Where

KEY = TestKey("tests/test_a.py", "test_b")
PYTHON = "cpython-3.12"
NOTHING = Evidence()

Numbers = Mapping[Metric, Mapping[str, int]]


def record(numbers: Numbers, python: str = PYTHON, round_ns: int = 0) -> Record:
    measured = {metric: {s: (n,) for s, n in subjects.items()} for metric, subjects in numbers.items()}
    fresh = (Visit((Round(round_ns, round_ns, 0),)),) * 6 if round_ns else ()
    return Record(KEY, Environment(python, "machine", "fingerprint"), Mode.WARM, measured, fresh=fresh)


def where(
    before: Record, after: Record, evidence: Evidence = NOTHING, limits: tuple[Limit, ...] = ()
) -> tuple[Where, ...]:
    expected = BaselineEntry.from_record(before)
    verdict = judge(after, expected, Rules.default(), limits)
    return explain(verdict, after, expected, evidence)


def only(found: tuple[Where, ...]) -> Where:
    (one,) = found
    return one


def named(found: Where) -> list[tuple[object, ...]]:
    return [(place.name, *place.values) for place in found.places]


def test_a_key_is_explained_by_functions_and_their_callers() -> None:
    before = {
        REFS: {"db.query": 1},
        CALLS: {"a.py:query": 1, "sqlite3.Connection.execute": 1, "list.append": 9},
    }
    after = {REFS: {"db.query": 101}, CALLS: {"a.py:query": 101, "sqlite3.Connection.execute": 101}}
    callers = {"sqlite3.Connection.execute": "a.py:query", "list.append": "a.py:old"}
    found = only(where(record(before), record(after), Evidence(callers)))
    assert found.group is Group.COUNTS
    assert [(column.title, column.unit) for column in found.columns] == [("calls", Unit.COUNT)]
    assert named(found) == [
        ("sqlite3.Connection.execute", (1, 101)),
        ("a.py:query", (1, 101)),
        ("list.append", (9, 0)),
    ]
    assert [place.note for place in found.places] == ["called by a.py:query", "", ""]
    assert (found.hidden, found.remark) == (0, "")


def test_the_function_that_grew_as_much_as_the_key_explains_it() -> None:
    before = {REFS: {"q": 1}, CALLS: {"a.py:query": 1}}
    after = {REFS: {"q": 11}, CALLS: {"a.py:query": 11, "a.py:row": 500}}
    assert [place.name for place in only(where(record(before), record(after))).places] == [
        "a.py:query",
        "a.py:row",
    ]


def test_calls_alone_are_explained_in_the_same_way_and_only_once() -> None:
    before, after = {CALLS: {"a.py:f": 1}}, {CALLS: {"a.py:f": 40}}
    assert only(where(record(before), record(after))).group is Group.CALLS
    both = where(record({REFS: {"q": 1}, **before}), record({REFS: {"q": 2}, **after}))
    assert only(both).group is Group.COUNTS


def test_eight_places_are_named_and_the_others_counted() -> None:
    after = {CALLS: {f"a.py:f{n}": 20 + n for n in range(11)}}
    found = only(where(record({CALLS: {}}), record(after)))
    assert [place.name for place in found.places] == [f"a.py:f{n}" for n in range(10, 2, -1)]
    assert found.hidden == 3


def test_a_function_that_the_baseline_may_have_summed_up_has_no_number_before() -> None:
    before = {CALLS: {"a.py:f": 1, OTHER: 20}}
    found = only(where(record(before), record({CALLS: {"a.py:f": 40, "json": 25}})))
    assert named(found) == [("a.py:f", (1, 40)), ("json", (None, 25))]


@pytest.mark.parametrize(
    ("before", "after", "python", "remark"),
    [
        (
            {CALLS: {}},
            {CALLS: {"f": 9}},
            "cpython-3.13",
            "calls of cpython-3.12 and cpython-3.13 do not compare",
        ),
        ({CALLS: {}}, {}, PYTHON, "calls were not measured in this run"),
        ({}, {CALLS: {}}, PYTHON, "calls are not in the baseline: save it again to see where"),
        (
            {CALLS: {"f": 1}},
            {CALLS: {"f": 1}},
            PYTHON,
            "the thread of the test calls the same functions as often as before",
        ),
    ],
)
def test_a_table_without_functions_says_why(
    before: Numbers, after: Numbers, python: str, remark: str
) -> None:
    found = only(where(record({REFS: {"q": 1}, **before}), record({REFS: {"q": 2}, **after}, python)))
    assert (found.places, found.remark) == ((), remark)


def test_what_neither_side_measured_is_not_missed() -> None:
    assert where(record({REFS: {"q": 1}}), record({REFS: {"q": 2}})) == ()
    assert where(record({ALLOCATED_BYTES: {"": 9}}), record({ALLOCATED_BYTES: {"": 99_000}})) == ()


def test_a_limit_that_was_always_exceeded_has_no_place() -> None:
    same = {REFS: {"q": 5}, CALLS: {"f": 1}}
    limits = (Limit(REFS, "q", 3),)
    assert where(record(same), record(same), limits=limits) == ()
    more = {REFS: {"q": 5}, CALLS: {"f": 2}}
    assert named(only(where(record(same), record(more), limits=limits))) == [("f", (1, 2))]


BEFORE_SITES = {
    ALLOCATION_COUNT: {"": 1000},
    ALLOCATED_BYTES: {"": 100_000},
    PEAK_BYTES: {"": 500_000},
    SITE_COUNT: {"a.py:f": 10, "a.py:g": 50, "a.py:same": 5},
    SITE_BYTES: {"a.py:f": 1000, "a.py:g": 9000, "a.py:same": 77},
    SITE_PEAK_BYTES: {"a.py:f": 10, "a.py:g": 20, "a.py:same": 7},
}
AFTER_SITES = {
    **BEFORE_SITES,
    SITE_COUNT: {"a.py:f": 20, "a.py:h": 500, "a.py:same": 5},
    SITE_BYTES: {"a.py:f": 900_000, "a.py:h": 2000, "a.py:same": 77},
    SITE_PEAK_BYTES: {"a.py:f": 30, "a.py:h": 900_000, "a.py:same": 7},
}


def test_more_bytes_are_explained_by_the_sites_with_most_of_them() -> None:
    found = only(where(record(BEFORE_SITES), record({**AFTER_SITES, ALLOCATED_BYTES: {"": 999_000}})))
    assert found.group is Group.ALLOCATIONS
    assert [(column.title, column.unit) for column in found.columns] == [
        ("bytes", Unit.BYTE),
        ("number", Unit.COUNT),
    ]
    assert named(found) == [
        ("a.py:f", (1000, 900_000), (10, 20)),
        ("a.py:h", (0, 2000), (0, 500)),
        ("a.py:g", (9000, 0), (50, 0)),
    ]


def test_more_allocations_are_explained_by_the_sites_with_most_of_them() -> None:
    found = only(where(record(BEFORE_SITES), record({**AFTER_SITES, ALLOCATION_COUNT: {"": 2000}})))
    assert [place.name for place in found.places] == ["a.py:h", "a.py:f", "a.py:g"]
    assert found.columns[0].title == "bytes"


def test_a_higher_peak_is_explained_by_what_was_allocated_at_it() -> None:
    found = only(where(record(BEFORE_SITES), record({**AFTER_SITES, PEAK_BYTES: {"": 5_000_000}})))
    assert found.columns[0].title == "bytes at the peak"
    assert named(found)[0] == ("a.py:h", (0, 900_000), (0, 500))


def test_a_site_that_the_baseline_may_have_summed_up_has_no_number_before() -> None:
    before = {**BEFORE_SITES, SITE_COUNT: {OTHER: 3}, SITE_BYTES: {OTHER: 3}}
    found = only(where(record(before), record({**AFTER_SITES, ALLOCATED_BYTES: {"": 999_000}})))
    assert named(found)[0] == ("a.py:f", (None, 900_000), (None, 20))
    more = {**AFTER_SITES, ALLOCATED_BYTES: {"": 999_000}, SITE_BYTES: {"a.py:f": 9001, "a.py:g": 9000}}
    before = {**BEFORE_SITES, SITE_COUNT: {OTHER: 3}, SITE_BYTES: {OTHER: 10_000}}
    assert named(only(where(record(before), record(more)))) == [
        ("a.py:f", (None, 9001), (None, 20)),
        ("a.py:g", (None, 9000), (None, 0)),
        (OTHER, (10_000, 18_001), (3, 525)),
    ]


def test_allocations_of_another_python_or_without_sites_say_why() -> None:
    totals = {ALLOCATED_BYTES: {"": 9}}
    more = {**AFTER_SITES, ALLOCATED_BYTES: {"": 999_000}}
    found = only(where(record(totals), record(more)))
    assert found.remark == "allocation sites are not in the baseline: save it again to see where"


def test_leaks_need_no_table() -> None:
    found = where(record({LEAKED_REFS: {}, CALLS: {}}), record({LEAKED_REFS: {"q": 1}, CALLS: {"f": 1}}))
    assert found == ()


def cpu(samples: Mapping[str, int]) -> StackProfile:
    test = Frame("tests/test_a.py:test_b", "/p/tests/test_a.py", "test_b", 1)
    stacks: dict[tuple[Frame, ...], tuple[int, ...]] = {
        (test, Frame(name, "/p/a.py", name, 1)): (n, n * 10**6) for name, n in samples.items()
    }
    return StackProfile(ProfileKind.CPU, CPU_VALUES, stacks, 10, 10**9, 10**9)


EVEN, UNEVEN = cpu({"a.py:f": 150, "a.py:g": 150}), cpu({"a.py:f": 10, "a.py:g": 290})
SAME_WORK = {
    REFS: {"q": 1},
    CALLS: {"a.py:f": 3, "a.py:g": 4},
    ALLOCATION_COUNT: {"": 5},
    ALLOCATED_BYTES: {"": 50},
}
FAST, SLOW = record(SAME_WORK, round_ns=10**6), record(SAME_WORK, round_ns=10**7)


def test_a_slower_test_that_does_the_same_work_names_where_the_time_is() -> None:
    found = only(where(FAST, SLOW, Evidence(cpu_before=EVEN, cpu_after=UNEVEN)))
    assert found.group is Group.DURATIONS
    assert [(column.title, column.unit) for column in found.columns] == [
        ("calls", Unit.COUNT),
        ("share of time", Unit.PERMILLE),
    ]
    assert named(found)[0] == ("a.py:g", (4, 4), (500, 967))
    assert named(found)[-1] == ("a.py:f", (3, 3), (500, 33))
    assert found.remark == (
        "same calls, same allocations: the time is in the functions below; shares are under the profiler"
    )


def test_a_slower_test_of_which_no_function_has_changed_says_so() -> None:
    before, after = replace(FAST, code="c0de"), replace(SLOW, code="c0de")
    found = only(where(before, after, Evidence(cpu_before=EVEN, cpu_after=UNEVEN)))
    assert found.remark == (
        "same calls, same allocations, same code: the time is in the functions below; "
        "shares are under the profiler"
    )


def test_the_work_is_only_called_the_same_where_it_was_compared() -> None:
    profiles = Evidence(cpu_before=EVEN, cpu_after=UNEVEN)
    more = record({CALLS: {"a.py:f": 300, "a.py:g": 4}}, round_ns=10**7)
    remarks = [
        found.remark for found in where(record({CALLS: {"a.py:f": 3}}, round_ns=10**6), more, profiles)
    ]
    assert remarks[-1] == "shares are under the profiler"
    calls = {REFS: {}, CALLS: {"a.py:f": 3}}
    little = only(where(record(calls, round_ns=10**6), record(calls, round_ns=10**7), profiles))
    assert little.remark.startswith("same calls: the time is")
    other = only(where(record({}, round_ns=10**6), SLOW, profiles))
    assert other.remark == "shares are under the profiler"
    assert other.places[0].values[0] == (None, None)


@pytest.mark.parametrize(
    ("evidence", "remark"),
    [
        (Evidence(), "no CPU profile in this run: take the pass cpu to see where the time goes"),
        (Evidence(cpu_after=EVEN), "no CPU profile in the baseline: save it again to get one"),
        (
            Evidence(cpu_before=cpu({"a.py:f": 199}), cpu_after=EVEN),
            "too few samples to say where the time goes: each profile needs 200",
        ),
    ],
)
def test_without_shares_a_remark_says_why(evidence: Evidence, remark: str) -> None:
    found = only(where(FAST, SLOW, evidence))
    assert (found.places, found.remark) == ((), remark)


def test_a_test_that_became_slower_everywhere_names_where_the_time_was_and_is() -> None:
    five = {f"a.py:{name}": 100 + number for number, name in enumerate("abcde")}
    found = only(where(FAST, SLOW, Evidence(cpu_before=cpu(five), cpu_after=cpu(five))))
    assert named(found) == [
        ("a.py:e", (0, 0), (204, 204)),
        ("a.py:d", (0, 0), (202, 202)),
        ("a.py:c", (0, 0), (200, 200)),
    ]
    assert found.remark == (
        "all functions have kept their share of the time; same calls, same allocations: the time is in the "
        "functions below; shares are under the profiler"
    )


def test_each_group_has_its_table() -> None:
    before = record({**SAME_WORK, SITE_COUNT: {}, SITE_BYTES: {}}, round_ns=10**6)
    numbers = {
        **SAME_WORK,
        REFS: {"q": 2},
        ALLOCATION_COUNT: {"": 500},
        SITE_COUNT: {"f": 9},
        SITE_BYTES: {"f": 9},
    }
    found = where(before, record(numbers, round_ns=10**7), Evidence(cpu_before=EVEN, cpu_after=UNEVEN))
    assert [one.group for one in found] == [Group.COUNTS, Group.ALLOCATIONS, Group.DURATIONS]


def test_what_was_not_compared_is_not_explained() -> None:
    before, after = record({REFS: {"q": 1}, CALLS: {}}), record({REFS: {"q": 9}, CALLS: {"f": 9}})
    expected = BaselineEntry.from_record(before)
    verdict = judge(after, expected, Rules.default())
    assert explain(verdict, after, expected, NOTHING)
    assert explain(verdict, after, None, NOTHING) == ()
    cold = BaselineEntry(KEY, Mode.COLD, PYTHON, before.measurements)
    assert explain(verdict, after, cold, NOTHING) == ()
    problem = Problem(ProblemKind.NOT_REPEATABLE, "it failed")
    broken = Record(KEY, after.environment, Mode.WARM, after.measurements, problems=(problem,))
    assert explain(verdict, broken, expected, NOTHING) == ()
    assert explain(judge(before, expected, Rules.default()), before, expected, NOTHING) == ()
