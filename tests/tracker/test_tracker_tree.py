from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest
from tracker_engines import engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref


def test_the_same_path_is_the_same_tracker() -> None:
    psql = goref.get_tracker("tree", "psql")
    assert goref.get_tracker("tree", "psql") is psql
    assert goref.get_tracker("tree").child("psql") is psql
    assert goref.get_tracker().child("tree", "psql") is psql
    assert psql.child() is psql
    assert goref.get_tracker("tree", "mysql") is not psql


def test_a_child_knows_its_place() -> None:
    root = goref.Tracker()
    database = root.child("backend", "db")
    assert (root.name, root.path, root.parent) == ("", (), None)
    assert (database.name, database.path) == ("db", ("backend", "db"))
    assert database.parent is root.child("backend")
    assert dict(root.children) == {"backend": root.child("backend")}
    assert dict(root.child("backend").children) == {"db": database}
    assert (repr(root), repr(database)) == ("<Tracker 'root'>", "<Tracker 'backend/db'>")


def test_roots_are_independent() -> None:
    root = goref.Tracker()
    root.ref("key").deref()
    assert root is not goref.get_tracker()
    assert goref.Tracker().snapshot().keys() == []
    assert "key" not in goref.Tracker().child("a").snapshot()


def test_children_is_a_copy() -> None:
    root = goref.Tracker()
    copied = root.children
    root.child("late")
    assert copied == {}
    root.children.clear()
    assert list(root.children) == ["late"]


def test_scopes_keep_their_keys_apart() -> None:
    root = goref.Tracker()
    root.ref("key").deref()
    root.child("a").ref("key")
    snapshot = root.snapshot()
    assert (snapshot["key"].count, snapshot["key"].active) == (1, 0)
    assert (snapshot.children["a"]["key"].count, snapshot.children["a"]["key"].active) == (0, 1)


def test_children_inherit_the_clock() -> None:
    root = goref.Tracker(clock_ns=partial(next, itertools.count(0, 9)))
    root.child("a", "b").ref("key").deref()
    assert root.snapshot().children["a"].children["b"]["key"].duration == 9


@pytest.mark.parametrize("path", [("",), ("a", "")])
def test_an_empty_scope_name_is_refused(path: tuple[str, ...]) -> None:
    with pytest.raises(goref.GorefError, match="name of a scope must not be empty"):
        goref.Tracker().child(*path)


@pytest.mark.parametrize("name", [None, 3, b"dao", ("dao",)])
def test_a_scope_name_that_is_no_string_is_refused(name: Any) -> None:
    with pytest.raises(TypeError, match=f"^the name of a scope must be a str, got {type(name).__name__};"):
        goref.get_tracker(name)


def test_a_scope_name_of_a_string_subclass_becomes_a_string() -> None:
    class Name(str):
        __slots__ = ()

    tracker = goref.Tracker().child(Name("a"))
    assert type(tracker.name) is str


def test_reset_forgets_the_figures_of_one_tracker() -> None:
    root = goref.Tracker()
    root.ref("key")
    root.child("a").ref("key").deref()
    root.reset()
    assert root.snapshot().keys() == []
    assert root.snapshot().children["a"]["key"].count == 1


def test_recursive_reset_forgets_the_figures_of_the_subtree_but_keeps_the_trackers() -> None:
    root = goref.Tracker()
    nested = root.child("a", "b")
    nested.ref("key")
    root.ref("key")
    root.reset(recursive=True)
    assert list(root.snapshot().walk()) == []
    assert root.child("a", "b") is nested


def test_a_reference_begun_before_a_reset_counts_nowhere() -> None:
    root = goref.Tracker()
    old = root.ref("key")
    root.reset()
    new = root.ref("key")
    old.deref()
    assert (root.snapshot()["key"].active, root.snapshot()["key"].count) == (1, 0)
    new.deref()
    assert (root.snapshot()["key"].active, root.snapshot()["key"].count) == (0, 1)


def test_a_call_during_which_the_tracker_is_reset_counts_nowhere() -> None:
    root = goref.Tracker()
    root.track("key")(root.reset)()
    assert root.snapshot().keys() == []
