"""Links that a repository brings in its cache: nothing outside is read, written or deleted."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_cache import CliCache
from cli_profiles import CART, cpu, run_with
from profile_values import CPU
from store_values import KEY, entry_of

from pytest_goref.cli.project import find_project
from pytest_goref.errors import BaselineError, CacheError, GorefError
from pytest_goref.model import TestKey
from pytest_goref.profile import ProfileKind
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.files import locked, safe_file_name
from pytest_goref.store.worktree import Worktree, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a privilege")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def cache(project: Path) -> CacheDirectory:
    cache = CacheDirectory(project / ".goref_cache")
    cache.ensure()
    return cache


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory of the user, with names that the cache uses too."""
    home = tmp_path / "home"
    for name in ("run-1", "main", "0123456789ab-1/project", "x/project"):
        (home / name).mkdir(parents=True)
    for name in (
        "run-1/a.json.gz",
        "main/x.json",
        "0123456789ab-1/project/thesis",
        "x/project/thesis",
        "precious",
    ):
        (home / name).write_text("precious")
    return home


def contents(directory: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(directory)): path.read_text() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def test_a_cache_that_is_a_link_to_something_else_is_refused(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".goref_cache").symlink_to(home)
    before = contents(home)
    cache = CacheDirectory(project / ".goref_cache")
    monkeypatch.chdir(project)
    for use in (cache.check_links, cache.ensure, lambda: find_project(None)):
        with pytest.raises(
            CacheError, match="a symbolic link to a directory that is no cache is not followed"
        ):
            use()
    with pytest.raises(CacheError):
        Baselines(cache).save("main", {KEY: entry_of()})
    assert contents(home) == before


def test_a_cache_may_be_on_another_disk(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / ".goref_cache").symlink_to(elsewhere)
    cache = CacheDirectory(project / ".goref_cache")
    cache.check_links()  # empty: the user has just made it
    elsewhere.rmdir()
    CacheDirectory(elsewhere).ensure()
    Baselines(cache).save("main", {KEY: entry_of()})
    assert Baselines(cache).open("main").get(KEY) == entry_of()


def test_a_link_to_a_cache_of_another_program_is_refused(project: Path, home: Path) -> None:
    (home / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    (project / ".goref_cache").symlink_to(home)
    with pytest.raises(CacheError, match="no cache"):
        CacheDirectory(project / ".goref_cache").check_links()


def test_baselines_that_are_a_link_out_of_the_project_are_refused(cache: CacheDirectory, home: Path) -> None:
    cache.baselines.symlink_to(home)
    before = contents(home)
    with pytest.raises(CacheError, match=r"a symbolic link that leaves .* is not followed: delete it"):
        Baselines(cache).save("main", {KEY: entry_of()})
    assert contents(home) == before


@pytest.mark.parametrize("link", ["a.lock", "locks"])
def test_a_lock_is_not_followed(cache: CacheDirectory, home: Path, link: str) -> None:
    before = contents(home)
    if link == "locks":
        cache.locks.symlink_to(home)
    else:
        cache.locks.mkdir()
        (cache.locks / link).symlink_to(home / "precious")
    with (
        pytest.raises(CacheError, match="a symbolic link, which is not followed: delete it"),
        locked(cache.locks / "a.lock"),
    ):
        pass
    assert contents(home) == before


def test_artifacts_behind_a_link_are_not_removed(cache: CacheDirectory, home: Path) -> None:
    before = contents(home)
    cache.artifacts.symlink_to(home)
    artifacts = Artifacts(cache.artifacts)
    artifacts.shrink(0)
    artifacts.drop_runs_before(9)
    uses: tuple[Callable[[], object], ...] = (
        lambda: artifacts.put(owner_of_run(1), KEY, [CPU]),
        lambda: artifacts.drop(owner_of_run(1)),
        lambda: artifacts.drop_tests(owner_of_run(1), [KEY]),
        lambda: artifacts.copy(owner_of_run(1), owner_of_baseline("main"), KEY),
    )
    for use in uses:
        with pytest.raises(CacheError, match="is not a directory of artifacts"):
            use()
    assert contents(home) == before


def test_artifacts_are_not_baselines(cache: CacheDirectory) -> None:
    Baselines(cache).save("run-1", {KEY: entry_of()})
    cache.artifacts.symlink_to("baselines")
    Artifacts(cache.artifacts).drop_runs_before(9)
    assert Baselines(cache).open("run-1").get(KEY) == entry_of()


def test_a_profile_that_is_a_link_is_not_read_and_not_copied(cache: CacheDirectory, home: Path) -> None:
    artifacts = Artifacts(cache.artifacts)
    capture = cache.root / "capture"
    capture.write_text("ours")
    artifacts.put(owner_of_run(1), KEY, [CPU], capture)
    for file in (cache.artifacts / "run-1").iterdir():
        file.unlink()
        file.symlink_to(home / "precious")
    assert artifacts.get(owner_of_run(1), KEY, ProfileKind.CPU) is None
    assert artifacts.capture(owner_of_run(1), KEY) is None
    artifacts.copy(owner_of_run(1), owner_of_baseline("main"), KEY)
    assert not (cache.artifacts / "baseline-main").exists()
    artifacts.put(owner_of_run(1), KEY, [CPU])  # replaces the link
    assert artifacts.get(owner_of_run(1), KEY, ProfileKind.CPU) == CPU
    assert (home / "precious").read_text() == "precious"


def test_a_file_of_a_baseline_that_is_a_link_is_replaced_by_a_save_only_when_it_may_be_read(
    cache: CacheDirectory, home: Path
) -> None:
    (file,) = Baselines(cache).save("main", {KEY: entry_of()}).files
    file.unlink()
    file.symlink_to(home / "precious")
    with pytest.raises(BaselineError, match="a symbolic link that leaves"):
        Baselines(cache).save("main", {KEY: entry_of(refs=9)})
    assert (home / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["../x", "/etc", "C:\\x", "a/b", "a\\b", "a\0b", "..", ".", "NUL", "con.txt", "a."]
)
def test_a_name_is_no_path(cache: CacheDirectory, name: str) -> None:
    with pytest.raises(GorefError):
        Baselines(cache).save(name, {KEY: entry_of()})
    assert not cache.baselines.exists()


@pytest.mark.parametrize(
    "path",
    ["../../../etc/passwd", "/etc/passwd", "C:\\Windows\\x", "a\0b", "..", "~/x", "$HOME", "nul", "x" * 5000],
)
def test_the_path_of_a_test_leads_nowhere(cache: CacheDirectory, path: str) -> None:
    key = TestKey(path, "../\0test")
    (file,) = Baselines(cache).save("main", {key: entry_of(key)}).files
    assert file.parent == cache.baselines / "main"
    assert Baselines(cache).open("main").get(key) == entry_of(key)
    assert Baselines(cache).remove("main", [key]) == 1


def _git(directory: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    git = shutil.which("git")
    assert git is not None
    subprocess.run([git, *who, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def repository(project: Path) -> Path:
    (project / "a.py").write_text("x")
    _git(project, "init", "--initial-branch=main")
    _git(project, "add", "a.py")
    _git(project, "commit", "--message=first")
    (project / "uncommitted").write_text("precious")
    return project


@pytest.mark.parametrize("link", ["worktrees", "worktrees/x", "worktrees/0123456789ab-1", "inner"])
def test_what_looks_like_an_abandoned_worktree_is_not_removed_through_a_link(
    cache: CacheDirectory, repository: Path, home: Path, link: str
) -> None:
    directory = cache.root / "worktrees"
    made = directory / "0123456789ab-2" / "project" if link == "inner" else cache.root / link
    made.parent.mkdir(parents=True, exist_ok=True)
    made.symlink_to(home)
    before = contents(home)
    with contextlib.suppress(CacheError), Worktree.made(resolve("main", repository), cache) as worktree:
        assert (worktree.top / "a.py").exists()
    assert contents(home) == before
    assert (repository / "uncommitted").read_text() == "precious"


def test_an_abandoned_worktree_is_removed_and_other_directories_stay(
    cache: CacheDirectory, repository: Path
) -> None:
    directory = cache.root / "worktrees"
    for name in ("0123456789ab-1", "mine"):
        (directory / name / "project").mkdir(parents=True)
    with Worktree.made(resolve("main", repository), cache):
        pass
    assert [path.name for path in directory.iterdir()] == ["mine"]


def test_an_export_replaces_a_link_that_has_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = CliCache(tmp_path, capsys)
    run_with(project, cpu())
    monkeypatch.chdir(tmp_path)
    link = tmp_path / safe_file_name(CART, ".cpu.collapsed.txt")
    link.symlink_to(home / "precious")
    assert project.goref("export", "last", CART, "--format", "collapsed").status == 0
    assert (home / "precious").read_text() == "precious"
    assert link.read_text().count("\n") == 2
    assert not link.is_symlink()


def test_git_takes_no_options_from_a_name(repository: Path) -> None:
    for name in (
        "--upload-pack=touch x",
        "-x",
        "main\n--all",
        "main..main",
        "main\0",
        "@{-1}",
        "\u202e",
        "x" * 5000,
    ):
        with pytest.raises(GorefError) as caught:
            resolve(name, repository)
        assert str(caught.value).isprintable()
    assert sorted(path.name for path in repository.iterdir()) == [".git", "a.py", "uncommitted"]
