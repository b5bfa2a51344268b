"""Samples as pyinstrument takes them, turned into stacks."""

from __future__ import annotations

import asyncio.runners
import inspect
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_goref.profile import CPU_VALUES, OTHER, Frame, ProfileKind, Stack, StackProfile
from pytest_goref.profilers import sampled
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.sampled import FrameNames, bounded, described, named_as, summed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOURCE = """
    import functools

    class Shop:
        class Till:
            def open(self):
                return [n for n in range(3)]

        @functools.cache
        def price(self):
            def inner():
                return (lambda: 1)()
            return inner()
"""
PYTEST = "/usr/lib/_pytest/python.py"
MAIN = "MainThread\x00<thread>\x00140"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(textwrap.dedent(SOURCE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def names(project: Path) -> FrameNames:
    return FrameNames(Places(project, [PYTEST]))


def text(function: str, file: object, first_line: int = 1, marks: str = "") -> str:
    return f"{function}\x00{file}\x00{first_line}{marks}"


@pytest.mark.parametrize(
    ("function", "first_line", "qualified"),
    [
        ("Till", 5, "Shop.Till"),
        ("open", 6, "Shop.Till.open"),
        ("price", 9, "Shop.price"),  # the line of its decorator
        ("inner", 11, "Shop.price.<locals>.inner"),
        ("<lambda>", 12, "Shop.price.<locals>.inner.<locals>.<lambda>"),
    ],
)
def test_functions_have_the_names_that_python_gives_them(
    names: FrameNames, project: Path, function: str, first_line: int, qualified: str
) -> None:
    file = str(project / "shop.py")
    found = names.frame(text(function, file, first_line, "\x01cAnything\x01l14\x01h1"))
    assert found == Frame(f"shop.py:{qualified}", file, qualified, 14)


def test_a_module_is_no_function(names: FrameNames, project: Path) -> None:
    file = str(project / "shop.py")
    assert names.frame(text("<module>", file, 1, "\x01l2")) == Frame("shop.py:<module>", file, "(module)", 2)


@pytest.mark.parametrize("source", [None, "def broken(:", "\x00", "def method(self): ..."])
def test_without_its_source_a_method_is_named_by_the_class_of_self(
    names: FrameNames, project: Path, source: str | None
) -> None:
    if source is not None:
        (project / "gone.py").write_text(source, encoding="utf-8")
    file = project / "gone.py"
    assert names.frame(text("method", file, 7, "\x01cDog\x01l8")).place == "gone.py:Dog.method"
    assert names.frame(text("function", file, 7)).place == "gone.py:function"


def test_a_source_that_warns_is_still_read(names: FrameNames, project: Path) -> None:
    (project / "odd.py").write_text("class A:\n    def f(self):\n        return 1 is 1\n", encoding="utf-8")
    assert names.frame(text("f", project / "odd.py", 2)).place == "odd.py:A.f"


def test_code_that_is_not_in_the_project_is_named_by_its_module(names: FrameNames) -> None:
    found = names.frame(text("loads", textwrap.__file__, 1, "\x01l9"))
    assert found == Frame("textwrap", textwrap.__file__, "loads", 9)
    assert names.frame(text("f", "<string>")) == Frame("<string>:f", "", "f", 0)


@pytest.mark.parametrize(
    ("function", "file"),
    [("start", sampled.__file__), ("pyfunc", PYTEST), ("MainThread", "<thread>")],
)
def test_the_runner_has_no_place(names: FrameNames, function: str, file: str) -> None:
    assert names.frame(text(function, file)).place == ""


def sums(names: FrameNames, *samples: tuple[Sequence[str], float], begun_in: Sequence[str] = ()) -> object:
    """Return the sums by the places of each stack."""
    return {
        tuple(frame.place for frame in stack): numbers
        for stack, numbers in summed(samples, names, begun_in).items()
    }


@pytest.fixture
def stem() -> list[str]:
    """The stack in which sampling begins: a call of pytest by a program of nobody's."""
    return [MAIN, text("main", "/usr/bin/start.py", 1, "\x01l5"), text("hook", PYTEST, 3, "\x01l4")]


def test_stacks_begin_at_the_test(names: FrameNames, stem: list[str], project: Path) -> None:
    later = [*stem[:2], text("hook", PYTEST, 3, "\x01l8")]  # the same function, in another line
    call, test = text("call", PYTEST), text("test", project / "shop.py", 99, "\x01l100")
    assert sums(
        names,
        ([*later, call, test], 0.001),
        ([*later, call, test, text("sleep", "<built-in>", 0)], 0.0205),
        ([*later, call, test], 0.0012),
        begun_in=stem,
    ) == {("shop.py:test",): (2, 2_200_000), ("shop.py:test", "sleep"): (1, 20_500_000)}


def test_what_the_runner_does_itself_is_left_out(names: FrameNames, stem: list[str]) -> None:
    nothing = (
        (stem, 0.001),
        ([*stem, text("perf_counter_ns", "<built-in>", 0)], 0.001),
        ([*stem, text("call", PYTEST), text("len", "<built-in>", 0)], 0.001),
        ([*stem, text("call", PYTEST), text("unwrap", inspect.__file__)], 0.001),
    )
    assert sums(names, *nothing, begun_in=stem) == {}


def test_starting_and_stopping_a_profiler_is_left_out(names: FrameNames, stem: list[str]) -> None:
    start, stop = text("start", sampled.__file__), text("stop", sampled.__file__)
    library = text("setprofile", threading.__file__)
    begun_in = [*stem, start]
    left_out = ([*begun_in, library], 0.001), ([*stem, text("leave", PYTEST), stop, library], 0.001)
    assert sums(names, *left_out, begun_in=begun_in) == {}


def test_an_event_loop_that_waits_is_kept(names: FrameNames, stem: list[str]) -> None:
    wait = [text("run", asyncio.runners.__file__), text("poll", "<built-in>", 0)]
    found = sums(names, ([*stem, text("call", PYTEST), *wait], 0.02), begun_in=stem)
    assert found == {("asyncio.runners", "poll"): (1, 20_000_000)}


def test_the_runner_in_the_middle_is_left_out(names: FrameNames, stem: list[str], project: Path) -> None:
    test, raised = text("test", project / "shop.py", 99), text("raised", project / "shop.py", 98)
    found = sums(names, ([*stem, test, text("raises", PYTEST), raised], 0.001), begun_in=stem)
    assert found == {("shop.py:test", "shop.py:raised"): (1, 1_000_000)}


def test_a_stack_that_shares_nothing_with_the_beginning_is_kept(
    names: FrameNames, stem: list[str], project: Path
) -> None:
    found = sums(names, ([text("test", project / "shop.py", 99)], 0.001), begun_in=stem)
    assert found == {("shop.py:test",): (1, 1_000_000)}


def test_a_thread_begins_at_its_function(names: FrameNames, project: Path) -> None:
    begun = [text("_bootstrap", threading.__file__), text("run", threading.__file__)]
    work = text("work", project / "shop.py", 99)
    assert sums(
        names,
        ([*begun, work, text("wait", threading.__file__)], 0.002),
        ([*begun, text("sleep", "<built-in>", 0)], 0.001),
        (begun, 0.001),
    ) == {("shop.py:work", "threading"): (1, 2_000_000), ("sleep",): (1, 1_000_000)}


def test_the_middle_of_a_deep_recursion_is_left_out(names: FrameNames, project: Path) -> None:
    down = [text("down", project / "shop.py", 99)] * 500
    leaf = text("leaf", project / "shop.py", 98)
    (stack,) = summed([([*down, leaf], 0.001)], names)
    assert len(stack) == 64
    assert stack[32] == OTHER
    assert stack[-1].place == "shop.py:leaf"
    (whole,) = summed([(down[:64], 0.001)], names)
    assert len(whole) == 64
    assert OTHER not in whole


def c_frame(name: str) -> Frame:
    return Frame(name, "", name, 0)


def profile(stacks: dict[Stack, tuple[int, int]]) -> StackProfile:
    return StackProfile(ProfileKind.CPU, CPU_VALUES, dict(stacks), 3, 30, 20)


def test_a_c_function_gets_its_dotted_name_where_only_one_is_meant() -> None:
    test = Frame("a.py:sleep", "/a.py", "sleep", 1)
    module = Frame("sleep", "/sleep.py", "nap", 1)
    taken = profile(
        {
            (test, c_frame("sleep")): (1, 10),
            (test, c_frame("Connection.execute")): (2, 20),
            (test, c_frame("list.append")): (1, 10),
            (test, c_frame("len")): (1, 10),
            (test, c_frame("unheard_of")): (1, 10),
            (test, module): (1, 10),
        }
    )
    found = named_as(
        taken,
        {
            "time.sleep",
            "a.py:sleep",
            "sqlite3.Connection.execute",
            "list.append",
            "x.list.append",
            "builtins.len",
            "other.len",
        },
    )
    assert {stack[1].place: numbers for stack, numbers in found.stacks.items() if stack[1] != module} == {
        "time.sleep": (1, 10),
        "sqlite3.Connection.execute": (2, 20),
        "list.append": (1, 10),
        "len": (1, 10),
        "unheard_of": (1, 10),
    }
    assert found.stacks[test, module] == (1, 10)
    assert (found.executions, found.elapsed_ns, found.covered_ns) == (3, 30, 20)


def many(number: int) -> StackProfile:
    test = Frame("a.py:test", "/root/a.py", "test", 1)
    return profile(
        {(test, Frame(f"a.py:f{n}", "/root/a.py", f"f{n}", n)): (n, n * 1_000_000) for n in range(1, number)}
    )


def test_what_has_room_is_left_as_it_is() -> None:
    assert bounded(many(10), 10_000) == many(10)


def test_the_lightest_stacks_are_summed_up() -> None:
    whole, small = many(300), bounded(many(300), 3_000)
    assert 20 < len(small.stacks) < 100
    assert small.total(0) == whole.total(0)
    assert small.total(1) == whole.total(1)
    kept = {stack[-1].line for stack in small.stacks if stack != (OTHER,)}
    assert kept == set(range(300 - len(kept), 300))
    assert bounded(whole, 0).stacks == {(OTHER,): (whole.total(0), whole.total(1))}
    assert len(bounded(whole, 6_000).stacks) > len(small.stacks)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Frame("a.py:f", "/a.py", "f", 7), "f\x00/a.py\x003\x01l7"),
        (Frame("time.sleep", "", "sleep", 0), "sleep\x00<built-in>\x003"),
        (Frame("<string>:f", "", "f", 0), "f\x00<unknown>\x003"),
    ],
)
def test_a_frame_is_described_as_pyinstrument_does(frame: Frame, expected: str) -> None:
    assert described(frame, 3) == expected
