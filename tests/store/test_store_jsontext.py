from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_values import texts, unhurried

from pytest_goref.store.jsontext import CodecError, parse_json, render_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**300), 10**300) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


@unhurried
@given(values)
def test_what_is_rendered_is_parsed(value: object) -> None:
    assert parse_json(render_json(value)) == value


def test_members_are_sorted_and_each_number_has_a_line() -> None:
    assert render_json({"b": [1, 22], "a": {"é": "ü"}, "c": []}).decode() == (
        '{\n "a": {\n  "é": "ü"\n },\n "b": [\n  1,\n  22\n ],\n "c": []\n}\n'
    )


def test_three_numbers_are_a_row() -> None:
    value = {"rows": {"f": [1, None, 3], "g": [1, 2, 3, 4], "h": [1, [2, 3, 4]], "[\n 1,\n 2,\n 3\n]": "x"}}
    assert render_json(value).decode().splitlines() == [
        "{",
        ' "rows": {',
        '  "[\\n 1,\\n 2,\\n 3\\n]": "x",',
        '  "f": [1, null, 3],',
        '  "g": [',
        "   1,",
        "   2,",
        "   3,",
        "   4",
        "  ],",
        '  "h": [',
        "   1,",
        "   [2, 3, 4]",
        "  ]",
        " }",
        "}",
    ]


def test_a_list_of_lists_of_numbers_is_a_table() -> None:
    value = {
        "rounds": [[11, 10, 0, 9], [-1, 2]],
        "one": [[1]],
        "mixed": [[1, 2, 3, 4], [], ["1", 2], [[5, 6], 7], {"a": [8, 9]}, [1, True], [10, 11]],
        "[\n  1,\n  2\n ]": ["[\n 1,\n 2\n]"],
    }
    assert render_json(value).decode().splitlines() == [
        "{",
        ' "[\\n  1,\\n  2\\n ]": [',
        '  "[\\n 1,\\n 2\\n]"',
        " ],",
        ' "mixed": [',
        "  [1, 2, 3, 4],",
        "  [],",
        "  [",
        '   "1",',
        "   2",
        "  ],",
        "  [",
        "   [5, 6],",
        "   7",
        "  ],",
        "  {",
        '   "a": [',
        "    8,",
        "    9",
        "   ]",
        "  },",
        "  [",
        "   1,",
        "   true",
        "  ],",
        "  [10, 11]",
        " ],",
        ' "one": [',
        "  [1]",
        " ],",
        ' "rounds": [',
        "  [11, 10, 0, 9],",
        "  [-1, 2]",
        " ]",
        "}",
    ]


rows = st.lists(st.lists(st.integers(-(10**30), 10**30), max_size=10), max_size=5)


@unhurried
@given(st.recursive(rows | texts, lambda inner: st.dictionaries(texts, inner, max_size=3) | st.lists(inner)))
def test_tables_are_parsed(value: object) -> None:
    assert parse_json(render_json(value)) == value


def test_a_lone_surrogate_is_escaped_and_the_rest_is_not() -> None:
    assert render_json(["é\udc80"]) == '[\n "é\\udc80"\n]\n'.encode()


@unhurried
@given(st.binary())
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    try:
        value = parse_json(data)
    except CodecError:
        return
    assert value == json.loads(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": 1', "not JSON (Expecting ',' delimiter, line 1 column 8)"),
        (b"SQLite format 3\x00", "not JSON (Expecting value, line 1 column 1)"),
        (b"\xff\xfe{}", "not UTF-8 text (byte 0)"),
        (b'{"a": 1, "b": 2, "a": 1}', "holds a twice"),
        (b"[NaN]", "holds NaN, which is not a whole number"),
        (b"[-Infinity]", "holds -Infinity, which is not a whole number"),
        (b"[1.0]", "holds 1.0, which is not a whole number"),
        (b"[1e999]", "holds 1e999, which is not a whole number"),
        (b"[" + b"9" * 5000 + b"]", "holds a number that is too large"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (
            b'{\n<<<<<<< HEAD\n "a": 1\n=======\n "a": 2\n>>>>>>> x\n}',
            "holds the conflict markers of a merge",
        ),
        (b'["\n"]', "not JSON (Invalid control character at, line 1 column 3)"),
    ],
)
def test_bad_json_is_refused_in_words(data: bytes, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        parse_json(data)
    assert str(caught.value) == message


def test_a_byte_order_mark_and_line_ends_of_windows_are_accepted() -> None:
    assert parse_json(b'\xef\xbb\xbf{\r\n"a": 1\r\n}\r\n') == {"a": 1}


def test_what_nests_too_deeply_is_not_rendered() -> None:
    value: object = 1
    for _ in range(200_000):
        value = [value]
    with pytest.raises(CodecError, match="nested too deeply"):
        render_json(value)
    while isinstance(value, list):  # or freeing it would nest as deeply
        value = value.pop()
