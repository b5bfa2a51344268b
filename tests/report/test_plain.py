from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import CPU_TIME, METRICS, REFS
from pytest_goref.model import Group, Severity, TestKey
from pytest_goref.quantity import Unit
from pytest_goref.report.plain import verdict_from_plain, verdict_to_plain
from pytest_goref.verdict import Column, Finding, Outcome, Place, Verdict, Where

VERDICT = Verdict(
    TestKey("tests/test_a.py", "test_b"),
    Outcome.REGRESSED,
    (
        Finding(REFS, "db.query", Outcome.REGRESSED, Severity.FAIL, 12, 13),
        Finding(CPU_TIME, "", Outcome.INCOMPARABLE, Severity.OFF, None, None, "why"),
    ),
    "reason",
    (Where(Group.COUNTS, (Column("calls", Unit.COUNT),), (Place("f", ((None, 3),), "new"),), 4, "why"),),
)
_INTEGERS = st.none() | st.integers()
_FINDINGS = st.builds(
    Finding,
    st.sampled_from(list(METRICS.values())),
    st.text(),
    st.sampled_from(Outcome),
    st.sampled_from(Severity),
    _INTEGERS,
    _INTEGERS,
    st.text(),
)
_PAIRS = st.tuples(_INTEGERS, _INTEGERS)
_COLUMNS = st.builds(Column, st.text(), st.sampled_from(Unit))


@st.composite
def _wheres(draw: st.DrawFn) -> Where:
    columns = draw(st.lists(_COLUMNS, max_size=3).map(tuple))
    values = st.lists(_PAIRS, min_size=len(columns), max_size=len(columns)).map(tuple)
    places = st.lists(st.builds(Place, st.text(), values, st.text()), max_size=3).map(tuple)
    group, hidden = draw(st.sampled_from(Group)), draw(st.integers(min_value=0))
    return Where(group, columns, draw(places), hidden, draw(st.text()))


_VERDICTS = st.builds(
    Verdict,
    st.builds(TestKey, st.text(), st.text()),
    st.sampled_from(Outcome),
    st.lists(_FINDINGS, max_size=3).map(tuple),
    st.text(),
    st.lists(_wheres(), max_size=2).map(tuple),
)


@given(_VERDICTS)
def test_a_verdict_survives_the_way_through_json(verdict: Verdict) -> None:
    assert verdict_from_plain(json.loads(json.dumps(verdict_to_plain(verdict)))) == verdict


def test_plain_data_is_plain() -> None:
    assert verdict_to_plain(VERDICT) == {
        "path": "tests/test_a.py",
        "name": "test_b",
        "outcome": "regressed",
        "reason": "reason",
        "findings": [
            ["refs", "db.query", "regressed", "fail", 12, 13, ""],
            ["cpu_time", "", "incomparable", "off", None, None, "why"],
        ],
        "where": [["counts", [["calls", "count"]], [["f", [[None, 3]], "new"]], 4, "why"]],
    }


def test_tuples_are_lists_to_some_transports() -> None:
    plain = verdict_to_plain(VERDICT)
    findings = plain["findings"]
    assert isinstance(findings, list)
    assert verdict_from_plain({**plain, "findings": tuple(map(tuple, findings))}) == VERDICT


def test_what_utf8_cannot_hold_is_escaped() -> None:
    odd = replace(VERDICT, key=TestKey("a.py", "t[\udc80]"), reason="\udcff", findings=(), where=())
    plain = verdict_to_plain(odd)
    assert (plain["name"], plain["reason"]) == ("t[\\udc80]", "\\udcff")
    finding = replace(VERDICT.findings[0], subject="k\udc80")
    read = verdict_from_plain(verdict_to_plain(replace(VERDICT, findings=(finding,))))
    assert read.findings[0].subject == "k\\udc80"
    place = Place("f\udc80", (), "n\udc80")
    where = Where(Group.COUNTS, (), (place,), remark="r\udc80")
    (read_where,) = verdict_from_plain(verdict_to_plain(replace(VERDICT, where=(where,)))).where
    assert (read_where.places, read_where.remark) == ((Place("f\\udc80", (), "n\\udc80"),), "r\\udc80")


GOOD = verdict_to_plain(VERDICT)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        "text",
        {},
        {**GOOD, "path": 1},
        {**GOOD, "name": None},
        {**GOOD, "outcome": "worse"},
        {**GOOD, "reason": 5},
        {**GOOD, "findings": "refs"},
        {**GOOD, "findings": {}},
        {**GOOD, "findings": [5]},
        {**GOOD, "findings": [["refs", "db.query"]]},
        {**GOOD, "findings": [["memory", "", "regressed", "fail", 1, 2, ""]]},
        {**GOOD, "findings": [["refs", 1, "regressed", "fail", 1, 2, ""]]},
        {**GOOD, "findings": [["refs", "", "regressed", "often", 1, 2, ""]]},
        {**GOOD, "findings": [["refs", "", "regressed", "fail", "1", 2, ""]]},
        {**GOOD, "findings": [["refs", "", "regressed", "fail", 1, True, ""]]},
        {**GOOD, "findings": [["refs", "", "regressed", "fail", 1.5, 2, ""]]},
        {key: value for key, value in GOOD.items() if key != "findings"},
        {key: value for key, value in GOOD.items() if key != "where"},
        {**GOOD, "where": "counts"},
        {**GOOD, "where": [5]},
        {**GOOD, "where": [["counts", [], [], 0]]},
        {**GOOD, "where": [["weights", [], [], 0, ""]]},
        {**GOOD, "where": [["counts", [], [], None, ""]]},
        {**GOOD, "where": [["counts", [["calls", "miles"]], [], 0, ""]]},
        {**GOOD, "where": [["counts", [[1, "count"]], [], 0, ""]]},
        {**GOOD, "where": [["counts", [], [["f", [[1, 2]], ""]], 0, ""]]},
        {**GOOD, "where": [["counts", [["calls", "count"]], [["f", [[1]], ""]], 0, ""]]},
        {**GOOD, "where": [["counts", [["calls", "count"]], [["f", [[1, "2"]], ""]], 0, ""]]},
        {**GOOD, "where": [["counts", [], [[None, [], ""]], 0, ""]]},
        {**GOOD, "where": [["counts", [], [], 0, 1]]},
    ],
)
def test_what_no_verdict_was_made_of_is_refused(plain: object) -> None:
    with pytest.raises(InvalidValueError, match="same version of pytest-goref"):
        verdict_from_plain(plain)
