"""Collapsed stacks, plain JSON, names of files and formats."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from exported import ADD, CPU, EMPTY, MEMORY, NODEID, SAMPLED, SLEEP, TEST

from pytest_goref.errors import InvalidValueError
from pytest_goref.profile import Frame
from pytest_goref.report.export import FORMATS, file_name, format_named
from pytest_goref.report.export.profiled import Profiled, label


def test_collapsed_stacks_of_time() -> None:
    assert FORMATS["collapsed"].render(CPU).decode().splitlines() == [
        "tests/test_shop.py:test_cart;json.decoder.JSONDecoder.decode 1500000",
        "tests/test_shop.py:test_cart;shop.py:(module) 500000",
        "tests/test_shop.py:test_cart;shop.py:Cart.add 3000000",
        "tests/test_shop.py:test_cart;shop.py:Cart.add;shop.py:Cart.<lambda> 2000000",
        "tests/test_shop.py:test_cart;shop.py:Cart.add;time.sleep 5000000",
    ]


def test_collapsed_stacks_of_the_peak_leave_out_what_was_not_there() -> None:
    assert FORMATS["collapsed"].render(MEMORY).decode().splitlines() == [
        "tests/test_shop.py:test_cart 64",
        "tests/test_shop.py:test_cart;shop.py:Cart.add 2048",
    ]


def test_no_name_breaks_a_line_or_a_stack() -> None:
    odd = Frame("a;b\n.py:f", "/a", "f", 1)
    profile = replace(CPU.profile, stacks={(odd,): (1, 7)})
    assert FORMATS["collapsed"].render(Profiled(NODEID, profile)) == b"a,b\\n.py:f 7\n"


def test_plain_json_holds_all_of_a_profile() -> None:
    document = json.loads(FORMATS["json"].render(CPU))
    stacks = document.pop("stacks")
    assert document == {
        "format": 1,
        "test": NODEID,
        "kind": "cpu",
        "executions": 2,
        "elapsed_ns": 13_000_000,
        "covered_ns": 12_500_000,
        "units": {"samples": "count", "time": "ns"},
    }
    assert stacks[1] == {
        "frames": [TEST._asdict(), ADD._asdict() | {"line": 3}, SLEEP._asdict()],
        "samples": 5,
        "time": 5_000_000,
    }
    assert len(stacks) == len(CPU.profile.stacks)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("profiled", SAMPLED, ids=["cpu", "memory", "empty"])
def test_every_format_takes_every_profile_and_is_the_same_each_time(name: str, profiled: Profiled) -> None:
    if name == "html":
        return  # pages are made by others, from other data
    first = FORMATS[name].render(profiled)
    assert FORMATS[name].render(profiled) == first
    assert first or (name, profiled) == ("collapsed", EMPTY)


def test_a_name_of_a_file_tells_test_kind_and_format() -> None:
    names = {file_name(profiled, form) for profiled in (CPU, MEMORY) for form in FORMATS.values()}
    assert len(names) == 2 * len(FORMATS)
    (name,) = (name for name in names if name.endswith(".memory.pb.gz"))
    assert name.startswith("tests_test_shop.py_test_cart_1_-")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    message = "'svg' is not a format of exports; known: speedscope, pprof, collapsed, chrome, html, json"
    with pytest.raises(InvalidValueError, match=message):
        format_named("svg")


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        (Frame("a.py:C.f", "/a.py", "C.f", 1), "a.py:C.f"),
        (Frame("a.py:<module>", "/a.py", "(module)", 1), "a.py:(module)"),
        (Frame("json", "/json.py", "dumps", 1), "json.dumps"),
        (Frame("json", "/json.py", "(module)", 1), "json.(module)"),
        (Frame("time.sleep", "", "sleep", 0), "time.sleep"),
        (Frame("(other)", "", "(other)", 0), "(other)"),
    ],
)
def test_labels(frame: Frame, shown: str) -> None:
    assert label(frame) == shown
