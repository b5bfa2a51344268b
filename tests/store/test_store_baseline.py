from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from store_values import KEY, MOST, entry_of, start_python

from pytest_goref.errors import BaselineError, InvalidValueError
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, TestKey
from pytest_goref.store.baseline import Baselines, open_file, validate_name
from pytest_goref.store.cache import CacheDirectory

if TYPE_CHECKING:
    from pathlib import Path

OTHER = TestKey(KEY.path, "test_empty")
ELSEWHERE = TestKey("tests/test_users.py", "test_login")


def changes(*entries: BaselineEntry) -> dict[TestKey, BaselineEntry]:
    return {entry.key: entry for entry in entries}


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory(tmp_path / ".goref_cache")


@pytest.fixture
def baselines(cache: CacheDirectory) -> Baselines:
    return Baselines(cache)


def content(cache: CacheDirectory) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(cache.baselines).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in cache.baselines.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "name", ["main", "Main", "0", "a.b", "release-1.2_x", "x" * 100, "lasting", "connect", "nullable"]
)
def test_names_that_are_legal(name: str) -> None:
    assert validate_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a.",
        ".a",
        "-a",
        "_a",
        "x" * 101,
        "last",
        "LAST",
        "run:1",
        "git:HEAD",
        "CON",
        "nul",
        "com1",
        "lpt9.txt",
        "Aux.x",
        "a b",
        "a\n",
        "é",
        "�",
        "a\x00",
    ],
)
def test_names_that_are_not(name: str, baselines: Baselines) -> None:
    for use in (validate_name, baselines.exists, baselines.open):
        with pytest.raises(InvalidValueError, match="a baseline cannot be named"):
            use(name)
    with pytest.raises(InvalidValueError, match="a baseline cannot be named"):
        baselines.save(name, changes(entry_of()))


def test_what_is_saved_is_found(baselines: Baselines) -> None:
    entries = [entry_of(KEY), entry_of(OTHER), entry_of(ELSEWHERE)]
    result = baselines.save("main", changes(*entries))
    assert (result.new, result.changed, result.unchanged, len(result.files)) == (3, 0, 0, 2)
    baseline = baselines.open("main")
    assert baseline.name == "main"
    assert [baseline.get(entry.key) for entry in entries] == entries
    assert baseline.get(TestKey(KEY.path, "test_new")) is None
    assert baseline.get(TestKey("tests/test_new.py", "test_new")) is None
    assert baseline.paths() == [KEY.path, ELSEWHERE.path]
    assert list(baseline.keys()) == [OTHER, KEY, ELSEWHERE]


def test_a_file_is_readable_and_says_nothing_about_when_or_where(baselines: Baselines) -> None:
    (file,) = baselines.save("main", changes(replace(entry_of(), visits={}, code=""))).files
    assert file.name.startswith("tests_test_orders.py-")
    assert (
        file.read_text(encoding="utf-8")
        == """\
{
 "format": 1,
 "path": "tests/test_orders.py",
 "tests": {
  "test_total[1]": {
   "measurements": {
    "calls": {
     "shop/orders.py:Order.method_0": 0,
     "shop/orders.py:Order.method_1": 1
    },
    "leaked_refs": {},
    "refs": {
     "db.query": 3
    }
   },
   "mode": "warm",
   "python": "cpython-3.12"
  }
 }
}
"""
    )


def test_the_order_of_saving_does_not_matter(tmp_path: Path) -> None:
    caches = [CacheDirectory(tmp_path / name) for name in ("one", "two", "three")]
    one, two = entry_of(KEY), entry_of(OTHER)
    Baselines(caches[0]).save("main", changes(one, two))
    Baselines(caches[1]).save("main", changes(two, one))
    Baselines(caches[2]).save("main", changes(two))
    Baselines(caches[2]).save("main", changes(one))
    first, second, third = ({name: data for name, (data, _) in content(cache).items()} for cache in caches)
    assert first == second == third


def test_only_what_changed_is_written(baselines: Baselines, cache: CacheDirectory) -> None:
    baselines.save("main", changes(entry_of(KEY), entry_of(OTHER), entry_of(ELSEWHERE)))
    before = content(cache)
    result = baselines.save("main", changes(entry_of(KEY), entry_of(ELSEWHERE)))
    assert (result.new, result.changed, result.unchanged, result.files) == (0, 0, 2, ())
    assert content(cache) == before

    result = baselines.save("main", changes(entry_of(KEY, refs=4), entry_of(ELSEWHERE)))
    assert (result.new, result.changed, result.unchanged) == (0, 1, 1)
    after = content(cache)
    changed = f"main/{result.files[0].name}"
    assert [name for name in after if after[name] != before[name]] == [changed]
    old, new = (state[changed][0].splitlines() for state in (before, after))
    assert [line for line in new if line not in old] == [b'     "db.query": 4']


def test_a_file_that_only_looks_different_is_not_rewritten(baselines: Baselines) -> None:
    (file,) = baselines.save("main", changes(entry_of())).files
    file.write_bytes(json.dumps(json.loads(file.read_bytes())).replace("\n", "\r\n").encode())
    before = file.read_bytes()
    assert baselines.save("main", changes(entry_of())).unchanged == 1
    assert file.read_bytes() == before


def test_what_a_newer_version_added_is_kept(baselines: Baselines) -> None:
    (file,) = baselines.save("main", changes(entry_of(KEY))).files
    plain = json.loads(file.read_bytes())
    plain["reviewed"] = ["by", {"whom": None}]
    plain["tests"][KEY.name]["measurements"]["energy"] = {"": 1}
    file.write_text(json.dumps(plain))
    baselines.save("main", changes(entry_of(OTHER)))
    after = json.loads(file.read_bytes())
    assert after["reviewed"] == plain["reviewed"]
    assert after["tests"][KEY.name] == plain["tests"][KEY.name]
    assert OTHER.name in after["tests"]


@pytest.mark.parametrize(
    "names",
    [
        ["test_x[a/b]", "test_x[a-b]"],
        ["test_x", "test_X"],
        ["test_x[\u00e9]", "test_x[e\u0301]", "test_x[\udc80]", "test_x[\x00\n]", "test_x[\U0001f600]"],
        ["test_x[" + "a" * 4000 + "]", "test_x[" + "a" * 4001 + "]"],
        [""],
    ],
)
def test_ids_of_every_kind_are_kept_apart(baselines: Baselines, names: list[str]) -> None:
    entries = [
        entry_of(TestKey(path, name), refs) for refs, name in enumerate(names) for path in (*names, "t.py")
    ]
    baselines.save("main", changes(*entries))
    baseline = baselines.open("main")
    assert [baseline.get(entry.key) for entry in entries] == entries
    assert sorted(baseline.keys()) == sorted(entry.key for entry in entries)


def test_a_save_of_nothing_makes_nothing(baselines: Baselines, cache: CacheDirectory) -> None:
    result = baselines.save("main", {})
    assert (result.new, result.changed, result.unchanged, result.files) == (0, 0, 0, ())
    assert not cache.root.exists()


def test_names_are_those_of_directories(baselines: Baselines, cache: CacheDirectory) -> None:
    for name in ("b", "a"):
        baselines.save(name, changes(entry_of()))
    (cache.baselines / "file").write_text("")
    (cache.baselines / ".hidden").mkdir()
    assert baselines.names() == ["a", "b"]
    assert baselines.exists("a")
    assert not baselines.exists("file")


def test_a_missing_baseline_is_an_error_that_helps(baselines: Baselines) -> None:
    with pytest.raises(
        BaselineError, match=r"no baseline 'main' .*: there are none yet; .* pytest --goref-save=main$"
    ):
        baselines.open("main")
    for name in ("b", "a"):
        baselines.save(name, changes(entry_of()))
    with pytest.raises(BaselineError, match=r"there are a, b; make it with"):
        baselines.open("main")


def test_names_that_differ_in_case_only_are_refused(baselines: Baselines) -> None:
    baselines.save("main", changes(entry_of()))
    with pytest.raises(
        BaselineError, match=r"there is a baseline 'main', and 'Main' differs from it in case only"
    ):
        baselines.save("Main", changes(entry_of()))


def test_locks_are_not_beside_what_is_committed(baselines: Baselines, cache: CacheDirectory) -> None:
    baselines.save("main", changes(entry_of()))
    assert {path.suffix for path in cache.baselines.rglob("*") if path.is_file()} == {".json"}


def test_a_number_that_cannot_be_stored_stops_before_anything_is_written(baselines: Baselines) -> None:
    bad = replace(entry_of(OTHER), measurements={REFS: {"db.query": (MOST + 1,)}})
    with pytest.raises(
        BaselineError, match=r"test_orders\.py::test_empty: cannot be stored: measurements\.refs\.db"
    ):
        baselines.save("main", changes(entry_of(ELSEWHERE), bad))
    assert baselines.names() == []


def test_an_opened_baseline_reads_each_file_once(baselines: Baselines, cache: CacheDirectory) -> None:
    baselines.save("main", changes(entry_of(KEY), entry_of(ELSEWHERE)))
    baseline = baselines.open("main")
    assert baseline.get(KEY) == entry_of(KEY)
    baselines.save("main", changes(entry_of(KEY, refs=9), entry_of(ELSEWHERE, refs=9)))
    assert list(baseline.keys()) == [KEY, ELSEWHERE]
    assert baseline.get(KEY) == entry_of(KEY)
    assert baseline.get(ELSEWHERE) == entry_of(ELSEWHERE, refs=9)


def test_removing(baselines: Baselines, cache: CacheDirectory) -> None:
    baselines.save("main", changes(entry_of(KEY), entry_of(OTHER), entry_of(ELSEWHERE)))
    before = content(cache)
    unknown = [TestKey(KEY.path, "test_new"), TestKey("tests/test_new.py", "test_new")]
    assert baselines.remove("main", unknown) == 0
    assert content(cache) == before
    assert baselines.remove("main", [KEY, ELSEWHERE, *unknown]) == 2
    assert list(baselines.open("main").keys()) == [OTHER]
    assert len(content(cache)) == 1
    assert baselines.remove("main", [OTHER]) == 1
    assert baselines.names() == []
    with pytest.raises(BaselineError, match="no baseline 'main'"):
        baselines.remove("main", [OTHER])


def test_a_baseline_can_be_one_file_of_any_name(baselines: Baselines, tmp_path: Path) -> None:
    (file,) = baselines.save("main", changes(entry_of(KEY))).files
    copy = tmp_path / "from the other machine.txt"
    copy.write_bytes(file.read_bytes())
    baseline = open_file(copy)
    assert baseline.name == str(copy)
    assert baseline.get(KEY) == entry_of(KEY)
    assert baseline.get(ELSEWHERE) is None
    assert baseline.paths() == [KEY.path]
    assert list(baseline.keys()) == [KEY]


def test_a_baseline_can_be_a_directory_of_files(
    baselines: Baselines, cache: CacheDirectory, tmp_path: Path
) -> None:
    baselines.save("main", changes(entry_of(KEY), entry_of(ELSEWHERE)))
    copied = (cache.baselines / "main").rename(tmp_path / "downloaded")
    (copied / "notes.txt").write_text("not a baseline")
    (copied / "._x.json").write_text("made by a file manager")
    baseline = open_file(copied)
    assert list(baseline.keys()) == [KEY, ELSEWHERE]
    assert baseline.get(ELSEWHERE) == entry_of(ELSEWHERE)


def test_a_file_that_is_no_baseline_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no such file: expected a file of a baseline"):
        open_file(tmp_path / "missing")
    with pytest.raises(BaselineError, match=r"no baseline: expected the directory to hold \.json files"):
        open_file(tmp_path)


SAVER = """
import sys, pathlib
from pytest_goref.model import BaselineEntry, Mode, TestKey
from pytest_goref.metrics import REFS
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory

root, letter = sys.argv[1:]
baselines = Baselines(CacheDirectory(pathlib.Path(root)))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    key = TestKey("tests/test_orders.py", f"test_{letter}_{number}")
    baselines.save("main", {key: BaselineEntry(key, Mode.WARM, "p", {REFS: {"": (number,)}})})
"""


def test_processes_that_save_at_once_lose_nothing(baselines: Baselines, cache: CacheDirectory) -> None:
    children: list[Any] = [start_python(SAVER, cache.root, letter) for letter in "abc"]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate()[1] for child in children] == [""] * 3
    names = {key.name for key in baselines.open("main").keys()}  # noqa: SIM118 (not a mapping)
    assert names == {f"test_{letter}_{number}" for letter in "abc" for number in range(20)}
    assert not [path for path in cache.baselines.rglob("*") if re.search(r"tmp|lock", path.name)]
