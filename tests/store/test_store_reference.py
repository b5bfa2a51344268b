from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from store_values import KEY, RUN, entry_of, record_of

from pytest_goref.errors import BaselineError, CacheError, GorefError, HistoryError, InvalidValueError
from pytest_goref.model import Problem, ProblemKind, Record, TestKey
from pytest_goref.profile import ProfileKind
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, TestResult
from pytest_goref.store.reference import GitReference, check_readable, check_saveable, open_reference
from pytest_goref.store.worktree import Revision

if TYPE_CHECKING:
    from pathlib import Path

OTHER = TestKey("tests/test_other.py", "test_it")


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory(tmp_path / ".goref_cache")


def save(cache: CacheDirectory, name: str, *keys: TestKey) -> list[Path]:
    result = Baselines(cache).save(name, {key: entry_of(key) for key in keys})
    return list(result.files)


def append(cache: CacheDirectory, *results: tuple[TestKey, str, Record | None]) -> int:
    return History(cache.history).append(RUN, [TestResult(*result) for result in results])


def test_a_baseline_by_its_name(cache: CacheDirectory, tmp_path: Path) -> None:
    save(cache, "main", KEY, OTHER)
    reference = open_reference("main", cache, tmp_path)
    assert (reference.words, reference.spelling) == ("baseline main", "main")
    assert sorted(reference.tests()) == sorted([KEY, OTHER])
    assert reference.get(KEY) == entry_of(KEY)
    assert reference.get(TestKey("tests/test_orders.py", "test_new")) is None


def test_a_file_and_a_directory(cache: CacheDirectory, tmp_path: Path) -> None:
    (file, _) = save(cache, "main", KEY, OTHER)
    (tmp_path / "accepted").mkdir()
    copy = tmp_path / "accepted" / file.name
    copy.write_bytes(file.read_bytes())
    reference = open_reference(f"accepted/{file.name}", cache, tmp_path)
    assert reference.profile(KEY, ProfileKind.CPU) is None
    assert (reference.words, reference.spelling) == (f"file accepted/{file.name}", str(copy))
    assert reference.get(KEY) == entry_of(KEY)
    assert reference.get(OTHER) is None
    again = open_reference(reference.spelling, cache, tmp_path / "elsewhere")
    assert list(again.tests()) == list(reference.tests()) == [KEY]
    assert open_reference("accepted", cache, tmp_path).get(KEY) == entry_of(KEY)


def test_a_baseline_wins_over_a_file_of_its_name(cache: CacheDirectory, tmp_path: Path) -> None:
    save(cache, "main", KEY)
    (tmp_path / "main").write_text("no baseline", encoding="utf-8")
    assert open_reference("main", cache, tmp_path).words == "baseline main"


def test_a_run_by_its_number(cache: CacheDirectory, tmp_path: Path) -> None:
    first = append(cache, (KEY, "passed", record_of(refs=3)))
    append(cache, (KEY, "passed", record_of(refs=4)), (OTHER, "passed", record_of(OTHER)))
    reference = open_reference(f"run:{first}", cache, tmp_path)
    assert (reference.words, reference.spelling) == ("run 1", "run:1")
    assert reference.get(KEY) == entry_of(KEY, refs=3)
    assert list(reference.tests()) == [KEY]
    assert reference.get(OTHER) is None


def test_the_last_run_stays_the_one_that_was_the_last(cache: CacheDirectory, tmp_path: Path) -> None:
    append(cache, (KEY, "passed", record_of(refs=3)))
    reference = open_reference("last", cache, tmp_path)
    append(cache, (KEY, "passed", record_of(refs=4)))
    assert reference.get(KEY) == entry_of(KEY, refs=3)
    assert reference.spelling == "run:1"
    assert open_reference("last", cache, tmp_path).get(KEY) == entry_of(KEY, refs=4)


@pytest.mark.parametrize("outcome", ["failed", "skipped", "xfailed", "xpassed"])
def test_a_test_that_did_not_pass_counts_as_before(
    cache: CacheDirectory, tmp_path: Path, outcome: str
) -> None:
    append(cache, (KEY, "passed", record_of(refs=3)))
    append(cache, (KEY, outcome, record_of(refs=4)))
    assert open_reference("last", cache, tmp_path).get(KEY) == entry_of(KEY, refs=3)


def test_what_is_not_comparable_is_not_accepted(cache: CacheDirectory, tmp_path: Path) -> None:
    flaky = replace(record_of(), problems=(Problem(ProblemKind.NOT_REPEATABLE, "it failed when repeated"),))
    append(cache, (KEY, "passed", flaky))
    assert open_reference("last", cache, tmp_path).get(KEY) is None


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("last", HistoryError, "there is no run to compare with yet: make one with pytest --goref"),
        ("run:1", HistoryError, "no run 1 in the history"),
        ("run:", InvalidValueError, "'run:' is neither a baseline, nor last, nor run:N, nor a file"),
        ("run:x", InvalidValueError, "'run:x' is neither"),
        ("run:٣", InvalidValueError, "is neither"),
        ("run:" + "9" * 19, InvalidValueError, "is neither"),
        ("git:main", InvalidValueError, "'git:main' has to be measured: pytest"),
        ("nothing", BaselineError, "no baseline 'nothing' in .*: there are none yet"),
        ("no/such/file", InvalidValueError, "and there is no file of that name"),
        ("a\0b", GorefError, "and there is no file of that name"),
        ("x" * 5000, InvalidValueError, "and there is no file of that name"),
    ],
)
def test_what_cannot_be_compared_with(
    cache: CacheDirectory, tmp_path: Path, text: str, error: type[GorefError], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_reference(text, cache, tmp_path)
    assert not cache.root.exists()


def test_a_sound_reference_is_readable(cache: CacheDirectory, tmp_path: Path) -> None:
    save(cache, "main", KEY)
    append(cache, (KEY, "passed", record_of()))
    for text in ("main", "last"):
        check_readable(open_reference(text, cache, tmp_path))


@pytest.mark.parametrize(("old", "new"), [(b'"format"', b'"form'), (b'"db.query": 3', b'"db.query": -3')])
def test_damage_is_found(cache: CacheDirectory, tmp_path: Path, old: bytes, new: bytes) -> None:
    (file,) = save(cache, "main", KEY)
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(BaselineError, match="damaged baseline"):
        check_readable(open_reference("main", cache, tmp_path))
    with pytest.raises(BaselineError, match="damaged baseline"):
        check_saveable("main", cache)


def test_a_new_baseline_can_be_saved(cache: CacheDirectory) -> None:
    check_saveable("main", cache)
    assert not (cache.baselines / "main").exists()
    save(cache, "main", KEY)
    check_saveable("main", cache)


def test_what_cannot_be_saved(cache: CacheDirectory) -> None:
    with pytest.raises(InvalidValueError, match="cannot be named"):
        check_saveable("a/b", cache)
    cache.root.write_text("a file", encoding="utf-8")
    with pytest.raises(CacheError):
        check_saveable("main", cache)


def test_a_revision_tells_what_was_measured_in_it_and_why_not(tmp_path: Path) -> None:
    reference = GitReference(Revision("main", "1a2b3c4d5e6f" + "0" * 28, tmp_path))
    check_readable(reference)
    failing = TestKey("tests/test_orders.py", "test_fails")
    reference.fill([entry_of(KEY)], {failing: "not measured: it fails"})
    assert reference.words == "git:main (1a2b3c4d5e6f)"
    assert reference.spelling == "git:1a2b3c4d5e6f" + "0" * 28
    assert reference.tests() == (KEY,)
    assert reference.get(KEY) == entry_of(KEY)
    assert reference.get(TestKey("tests/test_orders.py", "test_new")) is None
    with pytest.raises(GorefError, match=r"^not measured: it fails$"):
        reference.get(failing)
    assert reference.profile(KEY, ProfileKind.CPU) is None
