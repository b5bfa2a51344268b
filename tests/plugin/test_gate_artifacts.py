"""The gate: profiles are kept beside the history and exported, wherever the tests ran."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.model import TestKey
from pytest_goref.plugin.artifacts import Export, ProfileKeeper, parse_export, scratch_directory
from pytest_goref.plugin.measurement import REPORT_ATTRIBUTE
from pytest_goref.plugin.results import Results
from pytest_goref.profile import CPU_VALUES, MEMORY_VALUES, Frame, ProfileKind, StackProfile
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.profile_codec import profile_to_plain
from pytest_goref.store.reference import open_reference

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ("plugin_project",)

_SHOP = """
import itertools

def burn(times):
    for _ in itertools.repeat(None, 20 * times):  # long enough for samples, without a single allocation
        abs(1)
    return [None] * times
"""
_TESTS = """
import pytest, shop

@pytest.mark.profile(rounds=1)
@pytest.mark.parametrize("times", [50_000, 60_000])
def test_burn(times):
    assert len(shop.burn(times)) == times
"""
_FAILS = """
import pytest

@pytest.mark.profile
def test_fails():
    assert False
"""
_MEMORY = "--goref-passes=memory"
_KEYS = tuple(TestKey("test_shop.py", f"test_burn[{times}]") for times in (50000, 60000))
_BURN = "shop.py:burn"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, which nobody else uses."""
    pytest.importorskip("memray", reason="memray does not run on this system")
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


@pytest.fixture(params=[(), ("-n0",), ("-n2",)], ids=["plain", "n0", "n2"])
def shop(pytester: pytest.Pytester, clean_environment: None, request: pytest.FixtureRequest) -> Project:
    """A project whose tests are executed in this process and in workers."""
    project = Project(pytester, request.param)
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    return project


@pytest.fixture
def plain(project: Project) -> Project:
    project.write({"shop.py": _SHOP, "test_shop.py": _TESTS})
    return project


def artifacts(project: Project) -> Artifacts:
    return Artifacts(project.path / ".goref_cache" / "artifacts")


def places(profile: StackProfile | None) -> set[str]:
    return {frame.place for stack in profile.stacks for frame in stack} if profile else set()


def kept(project: Project) -> set[str]:
    """Return the owners that have something."""
    directory = project.path / ".goref_cache" / "artifacts"
    return {path.parent.name for path in directory.glob("*/*")}


def test_profiles_and_captures_are_kept_with_their_run(shop: Project, scratch: Path) -> None:
    result = shop.run_apart("--goref", "--goref-passes=memory,cpu")
    assert result.ret == 0, result.stdout.str()
    for key in _KEYS:
        for kind in ProfileKind:
            assert _BURN in places(artifacts(shop).get(owner_of_run(1), key, kind))
        assert artifacts(shop).capture(owner_of_run(1), key) is not None
    assert kept(shop) == {"run-1"}
    assert list(scratch.glob("goref-*")) == []


def test_a_baseline_keeps_the_profiles_of_what_it_accepts(shop: Project) -> None:
    shop.write({"test_fails.py": _FAILS})
    shop.run_apart("--goref-save=main", _MEMORY)
    assert kept(shop) == {"run-1", "baseline-main"}
    directory = shop.path / ".goref_cache" / "artifacts" / "baseline-main"
    assert len(list(directory.iterdir())) == 4
    cache = CacheDirectory(shop.path / ".goref_cache")
    for spelling in ("main", "last", "run:1"):
        reference = open_reference(spelling, cache, shop.path)
        assert _BURN in places(reference.profile(_KEYS[0], ProfileKind.MEMORY))
        assert reference.profile(_KEYS[0], ProfileKind.CPU) is None
        assert reference.profile(TestKey("test_fails.py", "test_fails"), ProfileKind.MEMORY) is None


def test_saving_again_without_a_profile_leaves_no_old_one(plain: Project) -> None:
    plain.run_untraced("--goref-save=main", _MEMORY)
    plain.run("--goref-save=main", COUNTS)
    assert kept(plain) == {"run-1"}
    profile = artifacts(plain).get(owner_of_baseline("main"), _KEYS[0], ProfileKind.MEMORY)
    assert profile is None


def test_everything_works_without_artifacts(plain: Project) -> None:
    plain.run_untraced("--goref-save=main", _MEMORY)
    for path in (plain.path / ".goref_cache" / "artifacts").glob("*/*"):
        path.write_bytes(b"damaged")
    result = plain.run_untraced("--goref-compare=main", "--goref-passes=memory,cpu")
    assert result.ret == 0
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "2 compared" in closing_line(result)


def test_a_run_without_profiles_has_no_artifacts(plain: Project, scratch: Path) -> None:
    assert plain.run("--goref", COUNTS).ret == 0
    assert not (plain.path / ".goref_cache" / "artifacts").exists()
    assert list(scratch.glob("goref-*")) == []


def test_a_new_history_does_not_inherit_from_an_old_one(plain: Project) -> None:
    plain.run_untraced("--goref", _MEMORY)
    plain.history._path.unlink()
    plain.run("--goref", COUNTS)
    assert plain.history.last_id() == 1
    assert kept(plain) == set()


def test_the_limit_of_the_ini_file_drops_the_oldest(plain: Project) -> None:
    plain.run_untraced("--goref", _MEMORY)
    directory = plain.path / ".goref_cache" / "artifacts"
    size = round(1.2 * sum(path.stat().st_size for path in directory.glob("*/*")))
    plain.write(
        {"pytest.ini": (plain.path / "pytest.ini").read_text() + f"goref_artifacts_limit = {size} B\n"}
    )
    assert plain.run_untraced("--goref", _MEMORY).ret == 0
    assert len(list(directory.glob("run-1/*.memray"))) < 2
    assert len(list(directory.glob("run-2/*.memray"))) == 2
    assert sum(path.stat().st_size for path in directory.glob("*/*")) <= size


def test_a_wrong_limit_is_named(plain: Project) -> None:
    result = plain.run("--goref", "-o", "goref_artifacts_limit=much")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ini value goref_artifacts_limit: 'much' is not a size such as 64KiB*"])


def test_artifacts_that_cannot_be_kept_are_no_reason_to_fail(plain: Project) -> None:
    plain.run("--goref", COUNTS)
    (plain.path / ".goref_cache" / "artifacts").write_text("in the way")
    result = plain.run_untraced("--goref", _MEMORY)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*the profiles of this run were not kept: *artifacts*"])


def test_every_profile_is_exported(shop: Project) -> None:
    result = shop.run_apart("--goref-export=out/profiles:collapsed")
    assert result.ret == 0, result.stdout.str()
    names = sorted(path.name for path in (shop.path / "out" / "profiles").iterdir())
    assert [name.partition("-")[0] for name in names] == [
        f"test_shop.py_test_burn_{times}_" for times in (50000, 50000, 60000, 60000)
    ]
    assert [name.partition(".")[2].partition(".")[2] for name in names] == [
        f"{kind}.collapsed.txt" for kind in ("cpu", "memory", "cpu", "memory")
    ]
    for name in names:
        assert _BURN in (shop.path / "out" / "profiles" / name).read_text(encoding="utf-8")


def test_passes_that_are_asked_for_are_the_only_ones_exported(plain: Project) -> None:
    assert plain.run_untraced("--goref-export=out:html", _MEMORY, "-k", "50000").ret == 0
    (page,) = (plain.path / "out").iterdir()
    assert page.name.endswith(".memory.html")
    assert "memray" in page.read_text(encoding="utf-8")
    assert artifacts(plain).capture(owner_of_run(1), _KEYS[0]) is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("pprof", "--goref-export: 'pprof' is not DIR:FORMAT; formats: speedscope, pprof, collapsed, chrome"),
        (":pprof", "--goref-export: ':pprof' is not DIR:FORMAT"),
        ("out:svg", "--goref-export: 'svg' is not a format of exports; known: speedscope, pprof"),
        ("out:", "--goref-export: '' is not a format of exports"),
        (
            "test_shop.py:json",
            "--goref-export: *test_shop.py: cannot write: File exists: name another directory",
        ),
        (
            "test_shop.py/in:json",
            "--goref-export: *test_shop.py/in: cannot write: Not a directory: name another directory",
        ),
    ],
)
def test_a_wrong_export_ends_the_session_before_any_test(plain: Project, value: str, message: str) -> None:
    result = plain.run(f"--goref-export={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: goref: {message}*"])
    assert not (plain.path / ".goref_cache").exists()


def test_showing_tests_exports_nothing(plain: Project) -> None:
    assert plain.run("--goref-export=out:json", "--collect-only").ret == 0
    assert not (plain.path / "out").exists()


def test_an_export_that_fails_later_fails_the_session(plain: Project) -> None:
    plain.write(
        {"conftest.py": "import shutil\ndef pytest_runtest_teardown():\n    shutil.rmtree('out', True)\n"}
    )
    result = plain.run_untraced("--goref-export=out:json", _MEMORY)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["goref: test_shop.py::test_burn?50000?: its memory profile was not exported: No such file*"]
    )
    assert kept(plain) == {"run-1"}


def test_exporting_is_off_when_goref_is(plain: Project) -> None:
    assert plain.run("--no-goref", "--goref-export=out:json").ret == 0
    assert not (plain.path / "out").exists()


def test_what_follows_the_last_colon_is_the_format(tmp_path: Path) -> None:
    assert parse_export("C:/profiles:pprof", tmp_path) == Export(tmp_path / "C:/profiles", "pprof")


class _Report:
    """What a test report looks like to whoever gathers results."""

    nodeid = "a.py::test"
    outcome = "passed"
    passed = True
    failed = skipped = False
    duration = 0.0

    def __init__(self, when: str, **plain: object) -> None:
        self.when = when
        setattr(self, REPORT_ATTRIBUTE, json.dumps({"key": ["a.py", "test"], **plain}))


_PROFILE = StackProfile(ProfileKind.CPU, CPU_VALUES, {(Frame("a", "/a", "f", 1),): (1, 2)})
_RECORD = {
    "path": "a.py",
    "name": "test",
    "environment": {"python": "", "machine": "", "fingerprint": ""},
    "mode": "warm",
    "measurements": {},
}


def _gathered(*reports: _Report) -> Results:
    results = Results()
    for report in reports:
        results.add(report)  # type: ignore[arg-type]
    return results


def test_a_result_keeps_what_its_call_has_brought() -> None:
    plain = [profile_to_plain(_PROFILE)]
    results = _gathered(
        _Report("setup"), _Report("call", record=_RECORD, profiles=plain, capture="/x"), _Report("teardown")
    )
    (result,) = results.by_key.values()
    assert result.profiles() == (_PROFILE,)
    assert result.capture == Path("/x")


def test_a_test_that_is_executed_again_starts_again() -> None:
    call = _Report("call", record=_RECORD, profiles=[profile_to_plain(_PROFILE)])
    results = _gathered(_Report("setup"), call, _Report("setup"), _Report("call", record=_RECORD))
    (result,) = results.by_key.values()
    assert result.profiles() == ()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: {"profiles": [{"kind": "wall"}]},
        lambda: {"profiles": 7},
        lambda: {"capture": 7},
    ],
)
def test_what_does_not_arrive_whole_is_told(wrong: Callable[[], dict[str, object]]) -> None:
    results = _gathered(_Report("setup"), _Report("call", record=_RECORD, **wrong()))
    (told,) = results.unreadable
    assert told.startswith("a.py::test: its measurements did not arrive whole")


_MEMORY_PROFILE = StackProfile(ProfileKind.MEMORY, MEMORY_VALUES, {(Frame("a", "/a", "f", 1),): (1, 2, 3, 4)})
_BOTH = [profile_to_plain(_PROFILE), profile_to_plain(_MEMORY_PROFILE)]


@pytest.fixture
def keeper(tmp_path: Path, scratch: Path) -> ProfileKeeper:
    return ProfileKeeper(CacheDirectory(tmp_path / ".goref_cache"), scratch)


def test_a_capture_is_moved_from_the_directory_of_the_session(keeper: ProfileKeeper, tmp_path: Path) -> None:
    capture = keeper.scratch / "1.bin"
    capture.write_bytes(b"captured")
    results = _gathered(_Report("call", record=_RECORD, profiles=_BOTH, capture=str(capture)))
    assert list(keeper.keep(results, 3, "main", 10_000)) == []
    assert not capture.exists()
    kept = Artifacts(tmp_path / ".goref_cache" / "artifacts")
    for owner in ("run-3", "baseline-main"):
        path = kept.capture(owner, TestKey("a.py", "test"))
        assert path is not None
        assert path.read_bytes() == b"captured"
        assert kept.get(owner, TestKey("a.py", "test"), ProfileKind.CPU) == _PROFILE


@pytest.mark.parametrize("place", ["elsewhere.bin", "scratch/gone.bin"])
def test_no_other_file_is_touched(keeper: ProfileKeeper, tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere.bin").touch()
    results = _gathered(_Report("call", record=_RECORD, profiles=_BOTH, capture=str(tmp_path / place)))
    assert list(keeper.keep(results, 3, "", 10_000)) == []
    assert (tmp_path / "elsewhere.bin").exists()
    assert not list(tmp_path.glob(".goref_cache/artifacts/*/*.memray"))


def test_without_a_run_the_baseline_alone_has_profiles(keeper: ProfileKeeper, tmp_path: Path) -> None:
    results = _gathered(_Report("call", record=_RECORD, profiles=_BOTH))
    assert list(keeper.keep(results, None, "main", 10_000)) == []
    assert [path.name for path in (tmp_path / ".goref_cache" / "artifacts").iterdir()] == ["baseline-main"]


def test_each_kind_is_a_file_and_what_cannot_be_made_is_told(keeper: ProfileKeeper, tmp_path: Path) -> None:
    results = _gathered(_Report("call", record=_RECORD, profiles=_BOTH))
    assert list(keeper.export(results, Export(tmp_path, "json"))) == []
    assert sorted(path.suffixes[-2] for path in tmp_path.glob("*.json")) == [".cpu", ".memory"]
    (told,) = keeper.export(results, Export(tmp_path, "html"))
    assert told.startswith("a.py::test: its memory profile was not exported: no page: memray's capture")
    assert len(list(tmp_path.glob("*.html"))) == 1


def test_a_worker_uses_the_directory_of_the_controller_if_it_is_there(
    pytestconfig: pytest.Config, scratch: Path
) -> None:
    class Worker:
        workerinput: ClassVar[dict[str, str]] = {"goref_scratch": str(scratch)}
        add_cleanup = pytestconfig.add_cleanup

    assert scratch_directory(Worker()) == scratch  # type: ignore[arg-type]
    Worker.workerinput["goref_scratch"] = str(scratch / "on another machine")
    assert scratch_directory(Worker()).parent == scratch  # type: ignore[arg-type]
