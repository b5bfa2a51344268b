"""What a tracked function is to those that use it: still a function, as far as it matters."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import typing
import weakref
from typing import Any
from unittest import mock

import pytest
from tracker_engines import engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref


def greet(name: str, *, loud: bool = False) -> str:
    """Greet."""
    return name.upper() if loud else name


original = greet


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> Any:
    function = goref.track("greet")(greet)
    monkeypatch.setattr(f"{__name__}.greet", function)
    return function


def test_it_is_pickled_and_copied_by_its_name(tracked: Any) -> None:
    for same in (pickle.loads(pickle.dumps(tracked)), copy.copy(tracked), copy.deepcopy(tracked)):  # noqa: S301
        assert same is tracked


def test_it_can_be_looked_into(tracked: Any) -> None:
    assert inspect.unwrap(tracked) is original
    looked_into: object = tracked
    assert inspect.isroutine(looked_into)
    assert str(inspect.signature(tracked)) == "(name: 'str', *, loud: 'bool' = False) -> 'str'"
    assert inspect.getsource(tracked).startswith("def greet(")
    assert typing.get_type_hints(tracked) == {"name": str, "loud": bool, "return": str}
    assert tracked.__code__.co_name in ("greet", "call")
    assert isinstance(tracked.__globals__, dict)
    assert weakref.ref(tracked)() is tracked
    assert "greet" in repr(tracked)


def test_it_takes_attributes(tracked: Any) -> None:
    tracked.mark = 5
    assert vars(tracked)["mark"] == 5
    del tracked.mark
    assert not hasattr(tracked, "mark")


def test_it_binds_as_a_method() -> None:
    class Owner:
        @goref.track("method")
        def method(self, value: int) -> tuple[Owner, int]:
            return self, value

        value = property(goref.track("property")(lambda self: self))
        cached = functools.cached_property(goref.track("cached")(lambda self: 7))
        partial = functools.partialmethod(goref.track("partial")(lambda self, x: x), 5)

    owner = Owner()
    bound: Any = owner.method
    assert bound(3) == owner.method(3) == Owner.method(owner, 3) == (owner, 3)
    assert bound.__self__ is owner
    assert (owner.value, owner.cached, owner.partial()) == (owner, 7, 5)
    assert goref.snapshot()["method"].count == 3


def test_it_can_be_replaced_by_a_mock(tracked: Any) -> None:
    with mock.patch(f"{__name__}.greet", autospec=True) as replaced:
        greet("a")
    replaced.assert_called_once_with("a")


def test_arguments_pass_as_they_are(tracked: Any) -> None:
    assert tracked("a") == tracked(name="a") == "a"
    named = {"loud": True}
    assert tracked("a", loud=True) == tracked("a", **named) == "A"
    with pytest.raises(TypeError, match=r"greet\(\) missing 1 required"):
        tracked()
    assert goref.snapshot()["greet"].count == 5


def test_it_runs_other_decorators() -> None:
    @functools.lru_cache
    @goref.track("cached")
    def double(x: int) -> int:
        return 2 * x

    @goref.track("outer")
    @goref.track("inner")
    def both() -> int:
        return double(2) + double(2)

    assert both() == 8
    counts = goref.snapshot()
    assert [counts[key].count for key in ("cached", "outer", "inner")] == [1, 1, 1]


def test_a_function_without_code_has_none() -> None:
    tracked: Any = goref.track("partial")(functools.partial(len))
    if goref.engine == "c":
        assert not hasattr(tracked, "__code__")
    assert tracked("ab") == 2
