from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.compare.growth import Growth, growths, is_everyday, most_telling_first
from pytest_goref.metrics import CALLS, OTHER

Numbers = Mapping[str, int]


def changes(before: Numbers, after: Numbers) -> list[Growth]:
    old, new = ({name: (number,) for name, number in side.items()} for side in (before, after))
    return growths(CALLS, old, new)


def order(
    before: Numbers,
    after: Numbers,
    callers: Mapping[str, str] | None = None,
    differences: Collection[int] = (),
) -> list[str]:
    telling = most_telling_first(changes(before, after), callers or {}, differences)
    return [change.subject for change in telling]


QUERY = {
    "a.py:query": "a.py:orders",
    "sqlite3.Connection.execute": "a.py:query",
    "sqlite3.Cursor.fetchall": "a.py:query",
}


def test_an_n_plus_one_names_the_statement_before_what_wraps_it() -> None:
    once = {"a.py:orders": 1, "a.py:query": 1, "sqlite3.Connection.execute": 1, "sqlite3.Cursor.fetchall": 1}
    often = {**dict.fromkeys(once, 101), "a.py:orders": 1, "list.append": 900}
    assert order(once, often, {**QUERY, "list.append": "a.py:orders"}) == [
        "sqlite3.Connection.execute",
        "sqlite3.Cursor.fetchall",
        "a.py:query",
        "list.append",
    ]


def test_the_statement_comes_first_among_what_a_wrapper_calls() -> None:
    names = ("sqlite3.Connection.cursor", "sqlite3.Cursor.execute", "sqlite3.Cursor.close")
    before, after = ({"a.py:query": n, **dict.fromkeys(names, n)} for n in (1, 101))
    assert order(before, after, dict.fromkeys(names, "a.py:query"))[0] == "sqlite3.Cursor.execute"


def test_a_statement_that_was_known_comes_before_the_new_function_that_repeats_it() -> None:
    callers = {**QUERY, "a.py:query": "a.py:items", "a.py:items": "a.py:orders"}
    once = {"a.py:orders": 1, "a.py:query": 1, "sqlite3.Connection.execute": 1}
    often = {"a.py:orders": 1, "a.py:query": 101, "sqlite3.Connection.execute": 101, "a.py:items": 100}
    assert order(once, often, callers) == ["sqlite3.Connection.execute", "a.py:items", "a.py:query"]


def test_a_lost_cache_names_the_function_that_is_computed_again() -> None:
    callers = {
        "a.py:rate": "a.py:total",
        "a.py:step": "a.py:rate",
        "json": "a.py:rate",
        "json.decoder": "json",
        "re.Match.end": "json.decoder",
    }
    before = {
        "a.py:total": 30,
        "a.py:rate": 1,
        "a.py:step": 20,
        "json": 1,
        "json.decoder": 2,
        "re.Match.end": 2,
    }
    after = {**{name: number * 30 for name, number in before.items()}, "a.py:total": 30}
    assert order(before, after, callers) == ["a.py:rate", "a.py:step", "json", "json.decoder", "re.Match.end"]
    warm = {"a.py:total": 30}
    assert order(warm, after, callers) == ["a.py:rate", "a.py:step", "json", "json.decoder", "re.Match.end"]


def test_a_lost_cache_of_a_query_names_the_function_that_asks_again() -> None:
    callers = {**QUERY, "a.py:query": "a.py:rate", "a.py:rate": "a.py:total"}
    before = {"a.py:rate": 1, "a.py:query": 1, "sqlite3.Connection.execute": 1}
    after = dict.fromkeys(before, 30)
    assert order(before, after, callers) == ["a.py:rate", "a.py:query", "sqlite3.Connection.execute"]


COPYING = {"copy": "a.py:product", "dict.get": "copy", "builtins.id": "copy", "list.append": "copy"}
COPIED = {"copy": 600, "dict.get": 700, "builtins.id": 420, "list.append": 90}


def test_a_needless_copy_is_named_before_what_it_calls() -> None:
    after = {"a.py:product": 30, **COPIED}
    assert order({"a.py:product": 30}, after, COPYING) == ["copy", "dict.get", "builtins.id", "list.append"]


def test_a_needless_copy_is_named_before_the_new_function_that_copies() -> None:
    after = {"a.py:page": 1, "a.py:product": 30, **COPIED}
    assert order({"a.py:page": 1}, after, {**COPYING, "a.py:product": "a.py:page"})[0] == "copy"
    assert order({"a.py:page": 1}, after, {**COPYING, "a.py:product": "a.py:page"})[-1] == "a.py:product"


def test_a_new_function_that_is_called_once_may_be_an_old_one() -> None:
    callers = {"a.py:query": "a.py:list_orders", "a.py:list_orders": "a.py:page"}
    after = {"a.py:list_orders": 1, "a.py:query": 4}
    assert order({"a.py:orders": 1}, after, callers) == ["a.py:query", "a.py:list_orders", "a.py:orders"]
    assert order({}, after, callers) == ["a.py:list_orders", "a.py:query"]


def test_a_moved_function_has_not_grown() -> None:
    before = {"old.py:orders": 5, "a.py:f": 1, "old.py:Shop.load": 1}
    after = {"new.py:orders": 5, "a.py:f": 3, "new.py:Shop.load": 4}
    assert order(before, after) == [
        "new.py:Shop.load",
        "a.py:f",
        "new.py:orders",
        "old.py:orders",
        "old.py:Shop.load",
    ]


def test_what_is_called_oftener_for_each_call_stands_for_itself() -> None:
    callers = {"a.py:query": "a.py:page"}
    assert order({"a.py:page": 1, "a.py:query": 1}, {"a.py:page": 3, "a.py:query": 300}, callers) == [
        "a.py:query",
        "a.py:page",
    ]


def test_a_new_call_in_a_function_that_is_called_oftener_stands_for_itself() -> None:
    callers = {"copy": "a.py:page"}
    assert order({"a.py:page": 100}, {"a.py:page": 101, "copy": 600}, callers)[0] == "copy"


def test_everyday_callers_are_seen_through() -> None:
    callers = {
        "a.py:rate": "a.py:total.<locals>.<genexpr>",
        "a.py:total.<locals>.<genexpr>": "builtins.sum",
        "builtins.sum": "a.py:total",
    }
    before = {"a.py:total": 1, "builtins.sum": 1, "a.py:total.<locals>.<genexpr>": 31, "a.py:rate": 30}
    after = {name: number * 2 for name, number in before.items()}
    assert order(before, after, callers) == [
        "a.py:total",
        "a.py:rate",
        "a.py:total.<locals>.<genexpr>",
        "builtins.sum",
    ]


@pytest.mark.parametrize("telling", ["a.py:f", "copy"])
def test_everyday_functions_come_after_others_that_grew_much(telling: str) -> None:
    assert order({telling: 1}, {telling: 40, "dict.get": 5000}) == [telling, "dict.get"]
    assert order({telling: 1}, {telling: 2, "dict.get": 5000}) == ["dict.get", telling]


def test_what_grew_as_much_as_a_key_comes_first() -> None:
    after = {"a.py:query": 11, "a.py:row": 500}
    assert order({"a.py:query": 1}, after) == ["a.py:row", "a.py:query"]
    assert order({"a.py:query": 1}, after, differences={10}) == ["a.py:query", "a.py:row"]


def test_of_equal_families_the_known_come_first_then_those_with_a_known_caller() -> None:
    assert order({"b.py:f": 1}, {"a.py:f": 100, "b.py:f": 101}) == ["b.py:f", "a.py:f"]
    after = {"a.py:f": 100, "b.py:g": 100}
    assert order({}, after, {"b.py:g": "a.py:main"}) == ["b.py:g", "a.py:f"]
    assert order({}, {"a.py:f": 100, "sqlite3.Connection.cursor": 100, "z.C.execute": 100}) == [
        "z.C.execute",
        "sqlite3.Connection.cursor",
        "a.py:f",
    ]


def test_functions_that_call_each_other_have_one_head() -> None:
    callers = {"a.py:even": "a.py:odd", "a.py:odd": "a.py:even", "a.py:leaf": "a.py:odd"}
    after = {"a.py:even": 50, "a.py:odd": 50, "a.py:leaf": 50}
    assert order({}, after, callers) == ["a.py:even", "a.py:odd", "a.py:leaf"]
    loop = {"a.py:f": "builtins.sum", "builtins.sum": "builtins.map", "builtins.map": "builtins.sum"}
    assert order({}, {"a.py:f": 50, "builtins.sum": 9}, loop) == ["a.py:f", "builtins.sum"]


def test_what_is_called_less_comes_last_the_most_first() -> None:
    before = {"a.py:f": 9, "b.py:g": 90, "dict.get": 900, "a.py:more": 1}
    after = {"a.py:f": 1, "b.py:g": 1, "a.py:more": 2}
    assert order(before, after) == ["a.py:more", "b.py:g", "a.py:f", "dict.get"]


@pytest.mark.parametrize(
    "subject",
    [
        "builtins.len",
        "dict.get",
        "str.startswith",
        "re.Pattern.match",
        "collections.deque.append",
        "functools.reduce",
        "a.py:f.<locals>.<genexpr>",
    ],
)
def test_what_all_code_calls_is_everyday(subject: str) -> None:
    assert is_everyday(subject)


@pytest.mark.parametrize(
    "subject",
    ["", "re", "copy", "json.decoder", "sqlite3.Connection.execute", "dict.py:get", "a.py:f.<lambda>"],
)
def test_libraries_and_named_functions_are_not_everyday(subject: str) -> None:
    assert not is_everyday(subject)


def test_only_certain_differences_count() -> None:
    before = {"a": (1, 3), "b": (5,), "c": (4, 6), "same": (2,)}
    after = {"a": (3, 5), "b": (7, 8), "c": (1, 2), "new": (3, 4), "same": (2,)}
    assert growths(CALLS, before, after) == [Growth("b", 5, 7), Growth("c", 4, 2), Growth("new", 0, 3)]
    assert [growth.delta for growth in growths(CALLS, before, after)] == [2, -2, 3]


def test_what_a_baseline_sums_up_is_compared_as_a_sum() -> None:
    before = {"a.py:f": (5,), OTHER: (20,)}
    assert growths(CALLS, before, {"a.py:f": (5,), "x": (12,), "y": (8,)}) == []
    assert growths(CALLS, before, {"a.py:f": (5,), "x": (12,), "y": (3,)}) == []
    assert growths(CALLS, before, {"a.py:f": (5,), "x": (12,), "y": (16,)}) == [Growth(OTHER, 20, 28)]
    assert growths(CALLS, before, {"a.py:f": (5,), "x": (12,), "y": (17,)}) == [
        Growth("x", None, 12),
        Growth("y", None, 17),
        Growth(OTHER, 20, 29),
    ]
    assert growths(CALLS, before, {"a.py:f": (5,), "x": (8,), "y": (4,), "z": (18,)}) == [
        Growth("z", None, 18),
        Growth(OTHER, 20, 30),
    ]
    assert growths(CALLS, before, {"a.py:f": (5,), "x": (12,), "y": (80,)}) == [Growth("y", None, 80)]
    assert growths(CALLS, {OTHER: (9,), "f": (1,)}, {OTHER: (11,), "f": (1,)}) == [Growth(OTHER, 9, 11)]


def test_a_sum_comes_after_what_grew_by_name() -> None:
    before = {OTHER: 20, "a.py:f": 1, "a.py:g": 9}
    assert order(before, {"x": 90, "y": 9, "z": 15, "a.py:f": 2}) == ["x", "a.py:f", OTHER, "a.py:g"]


def test_what_may_have_grown_within_a_sum_counts_with_what_was_added_to_it() -> None:
    before = {OTHER: 500, "a.py:f": 1}
    after = {"sqlite3.Connection.execute": 101, "json": 499, "a.py:f": 102, "a.py:g": 3}
    assert changes(before, after)[-1] == Growth(OTHER, 500, 603)
    assert order(before, {**after, "a.py:f": 1}) == ["json", OTHER]
    after["a.py:g"] = 0
    assert order(before, after) == ["a.py:f", "sqlite3.Connection.execute", "json", OTHER]
    assert order(before, after, differences={100})[0] == "sqlite3.Connection.execute"


NAMES = [
    "a.py:f",
    "a.py:g",
    "b.py:f",
    "copy",
    "json.decoder",
    "dict.get",
    "builtins.sum",
    "x.C.execute",
    OTHER,
]
COUNTS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 40))
CALLERS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(NAMES))


@given(COUNTS, COUNTS, CALLERS, st.frozensets(st.integers(1, 40)))
def test_every_change_is_in_the_order_once_whoever_calls_whom(
    before: Numbers, after: Numbers, callers: Mapping[str, str], differences: frozenset[int]
) -> None:
    found = changes(before, after)
    ordered = most_telling_first(found, callers, differences)
    assert sorted(ordered, key=lambda c: c.subject) == sorted(found, key=lambda c: c.subject)
    assert most_telling_first(reversed(found), callers, differences) == ordered
    signs = [change.delta > 0 for change in ordered]
    assert signs == sorted(signs, reverse=True)
