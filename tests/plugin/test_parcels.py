"""What a test report brings, and who parses it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_goref.errors import GorefError, InvalidValueError
from pytest_goref.metrics import REFS
from pytest_goref.model import Environment, Mode, Record, Round, Severity, TestKey, Visit
from pytest_goref.plugin.parcels import Parcel, Parcels
from pytest_goref.verdict import Finding, Outcome, Verdict

KEY = TestKey("tests/test_a.py", "test_b[\x1b\udc80]")
RECORD = Record(
    KEY,
    Environment("cpython-3.12", "x86_64 Linux, a processor (2 CPUs)", "a fingerprint"),
    Mode.COLD,
    {REFS: {"db.query": (3,)}},
    Visit((Round(2, 1, 0),)),
)
VERDICT = Verdict(KEY, Outcome.REGRESSED, (Finding(REFS, "", Outcome.REGRESSED, Severity.FAIL, 1, 2),))
FULL = Parcel(KEY, RECORD, VERDICT, [], Path("directory/file"), is_untimed=True)


@pytest.mark.parametrize(
    "parcel",
    [
        Parcel(KEY),
        Parcel(KEY, RECORD),
        Parcel(KEY, RECORD, capture=Path("file")),
        Parcel(KEY, RECORD, is_untimed=True),
        Parcel(TestKey("tests/test_a.py", "test_b"), verdict=replace(VERDICT, key=KEY, findings=())),
    ],
    ids=["label", "record", "capture", "untimed", "verdict"],
)
def test_a_parcel_arrives_as_it_was_sent(parcel: Parcel) -> None:
    arrived = Parcels().open(Parcels().send(parcel))
    if parcel.verdict is not None:  # what UTF-8 cannot hold is escaped there
        assert arrived.verdict is not None
        assert arrived.verdict.outcome is parcel.verdict.outcome
        arrived, parcel = replace(arrived, verdict=None), replace(parcel, verdict=None)
    assert arrived == parcel


def test_the_text_is_one_line_of_ascii() -> None:
    text = Parcels().send(FULL)
    assert text.isascii()
    assert text.isprintable()


def test_who_has_sent_a_parcel_is_given_it_back_and_nothing_is_written_out() -> None:
    parcels = Parcels(stay=True)
    text = parcels.send(FULL)
    assert len(text) < 20
    assert parcels.open(text) is FULL


def test_an_equal_text_from_elsewhere_is_the_same_parcel() -> None:
    parcels = Parcels(stay=True)
    text = "".join(list(parcels.send(FULL)))
    assert parcels.open(text) is FULL


def test_a_parcel_waits_for_its_reader() -> None:
    parcels = Parcels(stay=True)
    text = parcels.send(FULL)
    for number in range(100):
        parcels.send(Parcel(TestKey("tests/test_a.py", str(number)), RECORD))
    assert parcels.open(text) is FULL


def test_a_parcel_can_be_read_again_soon() -> None:
    parcels = Parcels(stay=True)
    text = parcels.send(FULL)
    assert parcels.open(text) is FULL
    for number in range(7):
        parcels.open(parcels.send(Parcel(TestKey("tests/test_a.py", str(number)), RECORD)))
    assert parcels.open(text) is FULL
    for number in range(8):
        parcels.open(parcels.send(Parcel(TestKey("tests/test_a.py", str(number)), RECORD)))
    with pytest.raises(ValueError, match="Expecting value"):
        parcels.open(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_what_a_forked_process_sends_is_written_out() -> None:
    parcels = Parcels(stay=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - coverage does not see it
        os.write(writing, parcels.send(FULL).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert Parcels().open(stream.read()) == Parcels().open(FULL.to_text())
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    "changed",
    [{"record": {}}, {"verdict": []}, {"key": ["only a path"]}, {"profiles": [{}]}, {"profiles": 1}],
    ids=["record", "verdict", "key", "profile", "profiles"],
)
def test_what_is_not_a_parcel_is_refused(changed: dict[str, object]) -> None:
    text = json.dumps({**json.loads(FULL.to_text()), **changed})
    with pytest.raises((GorefError, ValueError, KeyError, TypeError)):
        Parcels().open(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"key": 1}'])
def test_a_text_without_a_test_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Parcels().open(text)


def test_a_verdict_that_cannot_be_read_says_what_to_do() -> None:
    plain = json.loads(FULL.to_text())
    plain["verdict"]["outcome"] = "better than ever"
    with pytest.raises(InvalidValueError, match="use the same version"):
        Parcels().open(json.dumps(plain))


def test_a_number_that_could_not_be_read_again_is_not_sent() -> None:
    with pytest.raises(GorefError):
        Parcels().send(Parcel(KEY, replace(RECORD, measurements={REFS: {"db.query": (-1,)}})))
