from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
import math
import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracker_engines import engine  # noqa: F401 - every test runs with both engines

import pytest_goref as goref
from pytest_goref.tracker import ledger
from pytest_goref.tracker.entry import Entry

TS_NS = 1_483_272_000_123_456_789  # 2017-01-01 12:00:00 UTC and a bit

# What goref's json.Marshal(snapshot) prints in the same situation.
GOLDEN = """
{
  "_children": {
    "db": {
      "data": {
        "query": {"active": 0, "count": 2, "duration": 3000000, "avgMsec": 1.5}
      },
      "ts": "2017-01-01T12:00:00.123456Z"
    },
    "idle": {
      "ts": "2017-01-01T12:00:00.123456Z"
    }
  },
  "data": {
    "a": {"active": 1, "count": 0, "duration": 0, "avgMsec": 0},
    "b": {"active": 0, "count": 1, "duration": 250, "avgMsec": 0.00025}
  },
  "ts": "2017-01-01T12:00:00.123456Z"
}
"""


def example() -> goref.Snapshot:
    database = goref.Snapshot({"query": [Entry(), None, None, 1_000_000, 2_000_000]}, ts_ns=TS_NS)
    idle = goref.Snapshot({}, ts_ns=TS_NS)
    return goref.Snapshot(
        {"b": [Entry(), None, 250], "a": [Entry(), None]}, {"idle": idle, "db": database}, ts_ns=TS_NS
    )


def test_json_has_the_shape_and_names_of_goref() -> None:
    assert json.loads(example().to_json()) == json.loads(GOLDEN)
    assert json.dumps(example().to_dict()) == json.dumps(
        json.loads(GOLDEN)
    )  # the same order, the same numbers
    assert "\n" in example().to_json(indent=2)
    assert "\n" not in example().to_json()


def test_json_leaves_empty_parts_out() -> None:
    assert goref.Snapshot({}).to_json() == '{"ts": "1970-01-01T00:00:00Z"}'


def test_every_node_has_its_own_time_with_a_zone() -> None:
    root = goref.Tracker()
    root.child("a")
    begin = dt.datetime.now(dt.UTC)
    snapshot = root.snapshot()
    end = dt.datetime.now(dt.UTC)
    for node in (snapshot, snapshot.children["a"]):
        assert node.ts.utcoffset() == dt.timedelta(0)
        assert begin - dt.timedelta(microseconds=1) <= node.ts <= end


def test_a_snapshot_reads_like_a_mapping() -> None:
    snapshot = example()
    assert sorted(snapshot.keys()) == sorted(snapshot) == ["a", "b"]
    assert "a" in snapshot
    assert "query" not in snapshot
    assert snapshot["b"].duration == snapshot.data["b"].duration == 250
    assert dict(snapshot.data) == {key: snapshot[key] for key in snapshot}
    assert set(snapshot.children) == {"db", "idle"}
    with pytest.raises(KeyError, match="query"):
        snapshot["query"]
    assert repr(snapshot) == "<Snapshot of 2 keys and 2 children>"


def test_walk_yields_the_subtree_in_a_fixed_order() -> None:
    root = goref.Tracker()
    for path, key in [(("b",), "k"), ((), "z"), (("a", "c"), "k"), ((), "a"), (("a",), "k2"), (("a",), "k1")]:
        root.child(*path).ref(key).deref()
    assert [(path, key, figures.count) for path, key, figures in root.snapshot().walk()] == [
        ((), "a", 1),
        ((), "z", 1),
        (("a",), "k1", 1),
        (("a",), "k2", 1),
        (("a", "c"), "k", 1),
        (("b",), "k", 1),
    ]
    assert [path for path, _, _ in root.child("a").snapshot().walk()] == [(), (), ("c",)]


def test_a_snapshot_does_not_change_when_the_tracker_does() -> None:
    root = goref.Tracker(clock_ns=partial(next, itertools.count()))
    for read_before in (True, False):
        root.ref("key").deref()
        root.child("a").ref("key")
        snapshot = root.snapshot()
        expected = copy.deepcopy(snapshot)
        if read_before:
            assert snapshot["key"].count
        for _ in range(1000):
            root.ref("key").deref()
            root.child("a").ref("key")
        root.ref("new")
        root.child("b")
        root.reset(recursive=True)
        assert snapshot == expected
        assert list(snapshot.children) == list(expected.children)


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot: Any = example()
    for name in ("ts", "data", "children", "other"):
        with pytest.raises(AttributeError):
            setattr(snapshot, name, {})
    for mapping in (snapshot, snapshot.data, snapshot.children):
        with pytest.raises(TypeError):
            mapping["new"] = 1
    snapshot.keys().clear()
    assert snapshot == example()


def test_snapshots_are_equal_when_their_figures_are() -> None:
    later = goref.Snapshot(
        {"b": [Entry((0, 1, 250, 250, 250), {44: 1}), None], "a": [Entry()]}, ts_ns=TS_NS + 10**9
    )
    assert example() == example()
    assert hash(example()) == hash(example())
    assert example() != goref.Snapshot({"b": [Entry(), None, 250], "a": [Entry(), None]})
    assert later != example()
    assert example() != "snapshot"
    assert len({example(), later, example()}) == 2


def test_a_snapshot_survives_pickling_and_copying() -> None:
    snapshot = example()
    assert snapshot.data
    for same in (pickle.loads(pickle.dumps(snapshot)), copy.deepcopy(snapshot)):  # noqa: S301 - our own bytes
        assert same == snapshot
        assert same.ts == snapshot.ts


def test_a_difference_leaves_out_what_did_nothing() -> None:
    root = goref.Tracker()
    idle = root.ref("idle")
    root.ref("idle too").deref()
    root.child("a").ref("key").deref()
    before = root.snapshot()
    with root.ref("busy"):
        pass
    idle.deref()
    root.child("new").ref("leaked")
    after = root.snapshot()
    difference = after - before
    assert [(path, key) for path, key, _ in difference.walk()] == [
        ((), "busy"),
        ((), "idle"),
        (("new",), "leaked"),
    ]
    assert (difference["idle"].active, difference["idle"].count) == (0, 1)
    assert difference.children["new"]["leaked"].active == 1
    assert difference.ts == after.ts
    assert list((after - after).walk()) == []


def test_a_difference_in_the_wrong_order_is_empty_and_never_negative() -> None:
    root = goref.Tracker()
    early = root.snapshot()
    root.ref("key").deref()
    middle = root.snapshot()
    root.ref("key")
    root.ref("key").deref()
    late = root.snapshot()
    assert list((middle - late).walk()) == []
    assert list((early - late).walk()) == []


def test_the_extremes_of_a_difference_are_exact_where_they_are_new() -> None:
    earlier = Entry().after([100, 1000])
    assert (earlier.after([40, 45, 50]).since(earlier).min, earlier.after([4000, 5]).since(earlier).max) == (
        40,
        4000,
    )
    hidden = earlier.after([200, 500, 800]).since(earlier)
    assert hidden.min == pytest.approx(200, rel=0.0625)
    assert hidden.max == pytest.approx(800, rel=0.0625)
    same = earlier.after([1000, 100]).since(earlier)
    assert same.min == pytest.approx(100, rel=0.0625)
    assert same.max == pytest.approx(1000, rel=0.0625)
    once = earlier.after([333]).since(earlier)
    assert (once.min, once.percentile(50), once.max) == (333, 333, 333)


def test_a_difference_with_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        example() - 1  # type: ignore[operator]


def test_after_a_reset_the_earlier_snapshot_counts_as_zero() -> None:
    root = goref.Tracker(clock_ns=partial(next, itertools.count(0, 4)))
    for _ in range(100):
        root.ref("key").deref()
    root.ref("gone").deref()
    before = root.snapshot()
    root.reset()
    for _ in range(7):
        root.ref("key").deref()
    difference = root.snapshot() - before
    assert (difference["key"].count, difference["key"].duration) == (7, 28)
    assert difference.keys() == ["key"]


def test_differences_of_differences_add_up() -> None:
    root = goref.Tracker(clock_ns=partial(next, itertools.count(0, 4)))
    snapshots = [root.snapshot()]
    for uses in (3, 40, 500):
        for _ in range(uses):
            root.ref("key").deref()
        snapshots.append(root.snapshot())
    first, *_, last = snapshots
    parts = [late - early for early, late in itertools.pairwise(snapshots)]
    assert [part["key"].count for part in parts] == [3, 40, 500]
    assert ((last - first) - parts[0])["key"].count == 540


class Model:
    """What a tracker should know, worked out the slow way."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.tracker = goref.Tracker(clock_ns=lambda: self.now_ns)
        self.open: list[tuple[str, str, int, int, goref.Ref]] = []
        self.ended: list[tuple[str, str, int, int]] = []  # scope, key, epoch, duration
        self.epochs = {"": 0, "a": 0}

    def node(self, scope: str) -> goref.Tracker:
        return self.tracker.child(scope) if scope else self.tracker

    def act(self, action: tuple[str, str, str, int]) -> None:
        kind, scope, key, number = action
        self.now_ns += number
        if kind == "begin":
            self.open.append((scope, key, self.epochs[scope], self.now_ns, self.node(scope).ref(key)))
        elif kind == "reset":
            self.node(scope).reset()
            self.epochs[scope] += 1
        elif self.open:
            begun_in, begun_key, epoch, begun_ns, handle = self.open.pop(number % len(self.open))
            handle.deref()
            self.ended.append((begun_in, begun_key, epoch, self.now_ns - begun_ns))

    def active(self) -> dict[tuple[str, str], int]:
        current = [(scope, key) for scope, key, epoch, _, _ in self.open if epoch == self.epochs[scope]]
        return {pair: current.count(pair) for pair in current}


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["begin"] * 5 + ["end"] * 6 + ["reset"]),
        st.sampled_from(["", "a"]),
        st.sampled_from(["x", "y"]),
        st.integers(0, 1000),
    ),
    max_size=120,
)


@given(ACTIONS, ACTIONS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_difference_is_what_happened_in_between(before: Any, between: Any, read: bool) -> None:  # noqa: FBT001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_FIRST_LIMIT", 4)  # else no example would be long enough to be absorbed
        patch.setattr(ledger, "_LAST_LIMIT", 16)
        model = Model()
        for action in before:
            model.act(action)
        earlier, active, epochs = model.tracker.snapshot(), model.active(), dict(model.epochs)
        if read:
            assert all(figures.count >= 0 for _, _, figures in earlier.walk())
        already = len(model.ended)
        for action in between:
            model.act(action)
        difference = model.tracker.snapshot() - earlier
    for scope, key in itertools.product(["", "a"], ["x", "y"]):
        node = difference.children.get(scope, goref.Snapshot({})) if scope else difference
        was_reset = epochs[scope] != model.epochs[scope]
        durations_ns = [
            duration_ns
            for ended_in, ended_key, epoch, duration_ns in model.ended[already:]
            if (ended_in, ended_key, epoch) == (scope, key, model.epochs[scope])
        ]
        was_active = 0 if was_reset else active.get((scope, key), 0)
        now_active = max(0, model.active().get((scope, key), 0) - was_active)
        assert (key in node) == bool(durations_ns or now_active)
        if key in node:
            check(node[key], now_active, sorted(durations_ns))


def check(figures: Entry, active: int, durations_ns: list[int]) -> None:
    assert (figures.active, figures.count, figures.duration) == (active, len(durations_ns), sum(durations_ns))
    if not durations_ns:
        assert (figures.min, figures.max, figures.percentile(50)) == (None, None, None)
        return
    assert figures.min is not None
    assert figures.max is not None
    assert figures.min <= figures.max
    for q in (0, 10, 50, 90, 100):
        exact = durations_ns[max(1, math.ceil(q * len(durations_ns) / 100)) - 1]
        got = figures.percentile(q)
        assert got is not None
        assert abs(got - exact) <= exact * 0.0625
    assert (figures.min, figures.max) == (figures.percentile(0), figures.percentile(100))
