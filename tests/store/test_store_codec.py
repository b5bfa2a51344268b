from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_values import (
    ENVIRONMENT,
    KEY,
    MOST,
    entries,
    entry_of,
    json_values,
    numbers,
    record_of,
    records,
    texts,
    unhurried,
)

from pytest_goref.metrics import CALLS, REFS, SITE_BYTES, SITE_COUNT, SITE_PEAK_BYTES
from pytest_goref.model import BaselineEntry, Environment, Mode, Problem, ProblemKind, Record, Round, Visit
from pytest_goref.store.codec import (
    entry_from_plain,
    entry_to_plain,
    environment_from_plain,
    environment_to_plain,
    record_from_plain,
    record_to_plain,
)
from pytest_goref.store.jsontext import CodecError


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside ``value``."""
    members: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [path, *(place for name, inner in members for place in places(inner, (*path, name)))]


def put(value: Any, path: tuple[Any, ...], new: object) -> Any:
    """Return a copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return changed


PLAIN_RECORD = record_to_plain(replace(record_of(), problems=(Problem(ProblemKind.ONCE, "it sleeps"),)))
PLAIN_ENTRY = entry_to_plain(entry_of())


@unhurried
@given(records)
def test_a_record_survives_a_report(record: Record) -> None:
    assert record_from_plain(json.loads(json.dumps(record_to_plain(record)))) == record


@unhurried
@given(entries)
def test_an_entry_survives_a_file(entry: BaselineEntry) -> None:
    plain = json.loads(json.dumps(entry_to_plain(entry)))
    assert entry_from_plain(entry.key.path, entry.key.name, plain) == entry


def test_an_environment_survives() -> None:
    assert environment_from_plain(environment_to_plain(ENVIRONMENT)) == ENVIRONMENT


def test_the_plain_form_is_this() -> None:
    fresh = Visit(
        (Round(11, 10, 0, 9, 8, 7, 6, 5), Round(13, 12, 1)), {"sort": (Round(5, 4, 0, iterations=3),)}
    )
    record = Record(
        KEY,
        Environment("p", "m", "f"),
        Mode.COLD,
        {REFS: {"a": (1,), "b": (2, 3)}, CALLS: {}},
        Visit((Round(2, 1, 0),)),
        fresh=(fresh,),
        code="c0de",
    )
    plain_fresh = {
        "rounds": [[11, 10, 0, 9, 8, 7, 6, 5, 1], [13, 12, 1, 0, 0, 0, 0, 0, 1]],
        "timers": {"sort": [[5, 4, 0, 0, 0, 0, 0, 0, 3]]},
    }
    assert record_to_plain(record) == {
        "path": "tests/test_orders.py",
        "name": "test_total[1]",
        "environment": {"python": "p", "machine": "m", "fingerprint": "f"},
        "mode": "cold",
        "measurements": {"refs": {"a": 1, "b": [2, 3]}, "calls": {}},
        "visit": {"rounds": [[2, 1, 0, 0, 0, 0, 0, 0, 1]]},
        "fresh": [plain_fresh],
        "code": "c0de",
    }
    assert entry_to_plain(BaselineEntry.from_record(record)) == {
        "mode": "cold",
        "python": "p",
        "measurements": {"refs": {"a": 1, "b": [2, 3]}, "calls": {}},
        "visits": {"f": [plain_fresh]},
        "code": "c0de",
    }


SITES = {
    SITE_COUNT: {"a.py:f": (3,), "a.py:g": (9,)},
    SITE_BYTES: {"a.py:f": (900,)},
    SITE_PEAK_BYTES: {"a.py:f": (100,), "json": (0,)},
}
ROWS = {"a.py:f": [3, 900, 100], "a.py:g": [9, None, None], "json": [None, None, 0]}


def with_sites(sites: Any) -> BaselineEntry:
    return replace(entry_of(), measurements={**entry_of().measurements, **sites})


def test_the_numbers_of_a_site_are_a_row() -> None:
    plain = entry_to_plain(with_sites(SITES))
    assert plain == {**PLAIN_ENTRY, "sites": ROWS}
    assert entry_from_plain(KEY.path, KEY.name, plain) == with_sites(SITES)


def test_a_test_that_allocates_nowhere_has_no_rows() -> None:
    nothing: Any = {metric: {} for metric in SITES}
    assert entry_to_plain(with_sites(nothing)) == {**PLAIN_ENTRY, "sites": {}}


@pytest.mark.parametrize(
    "sites",
    [
        {SITE_COUNT: {"f": (1,)}, SITE_BYTES: {"f": (1,)}},
        {**SITES, SITE_BYTES: {}},
        {**SITES, SITE_BYTES: {"f": (1, 2)}},
    ],
)
def test_sites_that_make_no_rows_are_stored_by_metric(sites: Any) -> None:
    plain = entry_to_plain(with_sites(sites))
    assert "sites" not in plain
    assert entry_from_plain(KEY.path, KEY.name, plain) == with_sites(sites)


_SITE_COLUMNS = st.dictionaries(texts, numbers.map(lambda number: (number,)), min_size=1, max_size=4)


@unhurried
@given(_SITE_COLUMNS, _SITE_COLUMNS, _SITE_COLUMNS)
def test_any_sites_survive_a_file(count: Any, total: Any, peak: Any) -> None:
    entry = with_sites({SITE_COUNT: count, SITE_BYTES: total, SITE_PEAK_BYTES: peak})
    plain = json.loads(json.dumps(entry_to_plain(entry)))
    assert "sites" in plain
    assert entry_from_plain(KEY.path, KEY.name, plain) == entry


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ([], "tests.t.sites: expected an object"),
        ({"f": 1}, "tests.t.sites.f: expected a list of 3 numbers or null"),
        ({"f": [1, 2]}, "tests.t.sites.f: expected a list of 3 numbers or null"),
        ({"f": [1, 2, True]}, f"tests.t.sites.f: expected numbers from 0 to {MOST}"),
        ({"f": [1, -2, 3]}, f"tests.t.sites.f: expected numbers from 0 to {MOST}"),
        ({"f": [MOST + 1, 2, 3]}, f"tests.t.sites.f: expected numbers from 0 to {MOST}"),
    ],
)
def test_an_error_in_a_row_names_the_site(sites: Any, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        entry_from_plain("p", "t", {**PLAIN_ENTRY, "sites": sites})
    assert str(caught.value) == message


def test_a_row_that_could_not_be_read_again_is_not_written() -> None:
    with pytest.raises(CodecError, match=r"^sites\.json: expected numbers"):
        entry_to_plain(with_sites({**SITES, SITE_BYTES: {"json": (-1,)}}))


def test_what_is_empty_is_left_out() -> None:
    assert record_to_plain(replace(record_of(), visit=None, fresh=(), code="")).keys() == {
        "path",
        "name",
        "environment",
        "mode",
        "measurements",
    }
    assert entry_to_plain(replace(entry_of(), visits={}, code="")).keys() == {
        "mode",
        "python",
        "measurements",
    }
    plain: Any = record_to_plain(record_of())
    assert "timers" not in plain["visit"]


def test_what_a_newer_version_adds_is_skipped() -> None:
    plain: Any = copy.deepcopy(PLAIN_ENTRY)
    plain["mood"] = {"any": ["thing", 1.5, None]}
    plain["measurements"]["energy"] = {"unknown": "shape"}
    plain["visits"]["abc"][0]["rounds"][0] += [7, 7]
    plain["visits"]["abc"][0]["mood"] = "fine"
    assert entry_from_plain(KEY.path, KEY.name, plain) == entry_of()


@unhurried
@given(json_values)
def test_any_value_is_a_record_or_refused(value: object) -> None:
    for decode in (record_from_plain, environment_from_plain, lambda obj: entry_from_plain("p", "n", obj)):
        with pytest.raises(CodecError):
            decode(value)


@unhurried
@given(st.data(), json_values)
def test_a_record_with_any_value_in_it_is_a_record_or_refused(data: st.DataObject, value: object) -> None:
    plain = put(PLAIN_RECORD, data.draw(st.sampled_from(places(PLAIN_RECORD))), value)
    try:
        record = record_from_plain(plain)
    except CodecError:
        return
    assert record_from_plain(record_to_plain(record)) == record


@unhurried
@given(st.data(), json_values)
def test_an_entry_with_any_value_in_it_is_an_entry_or_refused(data: st.DataObject, value: object) -> None:
    whole = {**PLAIN_ENTRY, "sites": ROWS}
    plain = put(whole, data.draw(st.sampled_from(places(whole))), value)
    try:
        entry = entry_from_plain(KEY.path, KEY.name, plain)
    except CodecError:
        return
    assert entry_from_plain(KEY.path, KEY.name, entry_to_plain(entry)) == entry


@pytest.mark.parametrize(
    "number", [True, False, 1.0, -1, MOST + 1, 10**400, "1", None, [], [[1]], [1, True], [1, -1]]
)
def test_only_whole_numbers_of_63_bits_are_samples(number: object) -> None:
    plain = put(PLAIN_RECORD, ("measurements", "refs", "db.query"), number)
    with pytest.raises(CodecError, match=r"^measurements\.refs\.db\.query: expected "):
        record_from_plain(plain)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), [], "expected an object"),
        (("path",), 1, "path: expected text"),
        (("name",), None, "name: expected text"),
        (("environment",), None, "environment: expected an object"),
        (("environment", "machine"), 5, "environment.machine: expected text"),
        (("mode",), "tepid", 'mode: expected "warm" or "cold"'),
        (("measurements",), None, "measurements: expected an object"),
        (("measurements", "refs"), [], "measurements.refs: expected an object"),
        (
            ("measurements", "refs", "db.query"),
            [],
            "measurements.refs.db.query: expected at least one number",
        ),
        (("visit",), 1, "visit: expected an object"),
        (("visit", "rounds"), 1, "visit.rounds: expected a list"),
        (("visit", "rounds"), [], "visit.rounds: expected at least one round"),
        (("visit", "rounds", 1), 1, "visit.rounds.1: expected a list"),
        (("visit", "rounds", 1), [1] * 8, "visit.rounds.1: expected 9 numbers"),
        (("visit", "rounds", 0, 1), -1, f"visit.rounds.0: expected numbers from 0 to {MOST}"),
        (("visit", "rounds", 0, 1), "1", "visit.rounds.0: expected a whole number or a list of them"),
        (("visit", "rounds", 0, 8), 0, "visit.rounds.0: expected at least one iteration"),
        (("visit", "timers"), [], "visit.timers: expected an object"),
        (("visit", "timers"), {"sort": "x"}, "visit.timers.sort: expected a list"),
        (("fresh",), {}, "fresh: expected a list"),
        (("fresh", 0), [], "fresh.0: expected an object"),
        (("fresh", 0, "rounds", 2), None, "fresh.0.rounds.2: expected a list"),
        (("code",), None, "code: expected text"),
        (("problems",), {}, "problems: expected a list"),
        (("problems", 0), "x", "problems.0: expected an object"),
        (("problems", 0, "kind"), "bad", 'expected "not-repeatable" or "skipped" or "once"'),
        (("problems", 0, "text"), [], "problems.0.text: expected text"),
    ],
)
def test_an_error_names_the_place(path: tuple[Any, ...], value: object, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        record_from_plain(put(PLAIN_RECORD, path, value))
    assert message in str(caught.value)


def test_an_error_in_an_entry_names_the_test() -> None:
    with pytest.raises(CodecError, match=r"^tests\.test_a\.measurements\.refs: expected an object$"):
        entry_from_plain("p", "test_a", put(PLAIN_ENTRY, ("measurements", "refs"), 1))
    with pytest.raises(CodecError, match=r"^tests\.test_a\.visits\.abc: expected a list$"):
        entry_from_plain("p", "test_a", put(PLAIN_ENTRY, ("visits", "abc"), 1))


def test_an_error_is_one_short_line_whatever_the_name() -> None:
    name = "\x1b[31m\n\u202e\ud800" + "x" * 5000
    with pytest.raises(CodecError) as caught:
        entry_from_plain("p", name, 1)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("names", [{1: 2}, {None: 2}, {b"a": 2}])
def test_names_that_are_no_text_are_refused(names: dict[Any, int]) -> None:
    with pytest.raises(CodecError, match="expected the names of members to be text"):
        record_from_plain(put(PLAIN_RECORD, ("measurements", "refs"), names))


@pytest.mark.parametrize("number", [-1, MOST + 1, True, 1.5])
def test_what_could_not_be_read_again_is_not_written(number: Any) -> None:
    with pytest.raises(CodecError, match=r"^measurements\.refs\.db\.query: expected "):
        record_to_plain(record_of(refs=number))
    good, bad = Round(1, 1, 0), Round(1, 1, 0, number)
    with pytest.raises(CodecError, match=r"^visit\.rounds\.1: expected "):
        record_to_plain(replace(record_of(), visit=Visit((good, bad))))
    with pytest.raises(CodecError, match=r"^fresh\.0\.rounds\.0: expected "):
        record_to_plain(replace(record_of(), fresh=(Visit((bad,)),)))
    with pytest.raises(CodecError, match=r"^visits\.abc\.timers\.sort\.0: expected "):
        entry_to_plain(replace(entry_of(), visits={"abc": (Visit((good,), {"sort": (bad,)}),)}))


@pytest.mark.parametrize("visit", [Visit(()), Visit((Round(1, 1, 0),), {"sort": ()})])
def test_a_visit_without_rounds_is_not_written(visit: Visit) -> None:
    with pytest.raises(CodecError, match=r"expected at least one round$"):
        record_to_plain(replace(record_of(), visit=visit))


def test_a_round_of_no_iterations_is_not_written() -> None:
    with pytest.raises(CodecError, match=r"^visit\.rounds\.0: expected at least one iteration$"):
        record_to_plain(replace(record_of(), visit=Visit((Round(1, 1, 0, iterations=0),))))
