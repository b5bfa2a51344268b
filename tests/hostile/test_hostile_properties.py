"""Whatever can be read can be judged, shown and written; what was changed by chance is read or refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import drive
import fuzz_codec
import fuzz_references
import fuzz_rules
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_values import ENVIRONMENT, KEY, problems, samples, visits

from pytest_goref.compare.accept import accept
from pytest_goref.compare.judge import judge
from pytest_goref.compare.rules import Rules, parse_rule
from pytest_goref.compare.where import Evidence, explain
from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import METRICS
from pytest_goref.model import BaselineEntry, Environment, Mode, Record
from pytest_goref.quantity import Unit, parse_quantity
from pytest_goref.report.plain import verdict_from_plain, verdict_to_plain
from pytest_goref.report.rows import failure_text
from pytest_goref.report.summary import Summary
from pytest_goref.report.terminal import render_summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

HARNESSES: Final = (fuzz_codec, fuzz_rules, fuzz_references)
bounded: Final = settings(deadline=None, max_examples=60)

_subjects = st.sampled_from(["", "a", "a.py:f", "\x1b[31m\n"])
_measurements = st.dictionaries(
    st.sampled_from(list(METRICS.values())), st.dictionaries(_subjects, samples, max_size=3)
)
_places = st.sampled_from(
    [ENVIRONMENT, Environment("cpython-3.12", "\u202e, x", "\x1b"), Environment("", "", "")]
)
_visits = st.lists(visits, max_size=7).map(tuple)
_records = st.builds(
    Record,
    st.just(KEY),
    _places,
    st.sampled_from(Mode),
    _measurements,
    st.none() | visits,
    st.lists(problems, max_size=2).map(tuple),
    st.booleans(),
    _visits,
    st.sampled_from(["", "x", "y"]),
)
_entries = st.builds(
    BaselineEntry,
    st.just(KEY),
    st.sampled_from(Mode),
    st.sampled_from(["cpython-3.12", "\x9b"]),
    _measurements,
    st.dictionaries(st.sampled_from([ENVIRONMENT.fingerprint, "\x1b"]), _visits.filter(bool)),
    st.sampled_from(["", ENVIRONMENT.platform]),
    st.sampled_from(["", "x"]),
)


@bounded
@given(_records, st.none() | _entries)
def test_any_record_is_judged_against_any_entry_and_shown(
    record: Record, entry: BaselineEntry | None
) -> None:
    judged = judge(record, entry, Rules.default())
    verdict = replace(judged, where=explain(judged, record, entry, Evidence(cpu_before=None, cpu_after=None)))
    sent = verdict_from_plain(verdict_to_plain(verdict))
    lines = failure_text(sent, "file \x1b").split("\n")
    for verbosity in (-1, 0, 1):
        lines += render_summary(Summary((sent,), "file \x1b"), verbosity)
    assert [line for line in lines if not line.isprintable()] == []
    assert accept(record, entry).key == KEY


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.__name__)
def test_a_harness_finds_nothing_in_its_seeds(harness: ModuleType) -> None:
    for seed in harness.SEEDS:
        harness.one_input(seed)
    harness.one_input(b"")


@bounded
@given(st.data())
def test_valid_texts_that_were_changed_are_read_or_refused(data: st.DataObject) -> None:
    harness = data.draw(st.sampled_from(HARNESSES))
    seed = data.draw(st.sampled_from(harness.SEEDS))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 20)))
    pieces = st.binary(max_size=8) | st.sampled_from(
        [b"{}", b"[]", b"null", b"-1", b"1e9", b'"\\ud800"', b"9" * 30]
    )
    harness.one_input(seed[:start] + data.draw(pieces) + seed[end:])


@bounded
@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_is_a_rule_and_a_quantity_or_refused_in_a_line(text: str) -> None:
    parsers: list[Callable[[str], object]] = [
        parse_rule,
        *(partial(parse_quantity, unit=unit) for unit in Unit),
    ]
    for parse in parsers:
        message = ""
        try:
            parse(text)
        except InvalidValueError as error:
            message = str(error)
        assert message.isprintable()
        assert len(message) < 1000


def test_a_refusal_of_a_long_text_is_short() -> None:
    for text in ("x" * 10**6, "9" * 10**6, "\x1b" * 10**6):
        for unit in Unit:
            with pytest.raises(InvalidValueError) as caught:
                parse_quantity(text, unit)
            assert len(str(caught.value)) < 1000


def test_the_driver_names_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    with pytest.raises(ImportError, match="atheris"):
        drive.main()
