from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from store_values import start_python

from pytest_goref.errors import CacheError
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.files import locked
from pytest_goref.store.worktree import Revision, RevisionError, Worktree, has_changes, ignored, resolve

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

NAME = ("-c", "user.name=A", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false")


MAKE = """
import os, sys
from pathlib import Path
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.worktree import Worktree, resolve

top, root = map(Path, sys.argv[1:])
made = Worktree.made(resolve("main", top), CacheDirectory(root))
print(made.__enter__().top, flush=True)
"""


def git(directory: Path, *arguments: str) -> str:
    """Return what git prints."""
    command = ["git", *NAME, "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, check=True, text=True).stdout.strip()


def commit(top: Path, name: str, text: str) -> str:
    """Commit a file, and return the hash."""
    file = top / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    git(top, "add", "--force", "--", name)
    git(top, "commit", "--quiet", "-m", name)
    return git(top, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def _no_git_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with two commits: ``a.txt`` says one in the first, two in the second."""
    top = tmp_path.resolve() / "my project"
    top.mkdir()
    git(top, "init", "--quiet")
    commit(top, "sub/a.txt", "one")
    git(top, "tag", "first")
    commit(top, "sub/a.txt", "two")
    return top


@pytest.fixture
def cache(top: Path) -> CacheDirectory:
    return CacheDirectory(top / "sub" / ".goref_cache")


def worktrees(top: Path) -> list[str]:
    """Return the worktrees that git knows, but for the project itself."""
    lines = git(top, "worktree", "list", "--porcelain").splitlines()
    return [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")][1:]


def printed_by(program: str, *arguments: Path) -> str:
    """Return what a fresh interpreter prints."""
    process = start_python(program, *arguments)
    printed, complaint = process.communicate()
    assert not complaint
    return printed.strip()


def assert_nothing_is_left(top: Path, cache: CacheDirectory) -> None:
    assert worktrees(top) == []
    assert list((cache.root / "worktrees").iterdir()) == []


def test_a_revision_has_its_commit_and_repository(top: Path) -> None:
    first = git(top, "rev-parse", "HEAD~1")
    git(top, "tag", "-a", "-m", "annotated", "v1", first)
    for name in ("first", "HEAD~1", first, first[:8], "v1"):
        assert resolve(name, top / "sub") == Revision(name, first, top)
    assert resolve("first", top).short == first[:12]


def test_a_repository_is_found_through_a_link(top: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(top, target_is_directory=True)
    assert resolve("main", link / "sub").top == top


@pytest.mark.parametrize("name", ["", " ", "-h", "--all", "a\0b"])
def test_what_cannot_be_a_revision_is_refused_before_git_sees_it(
    name: str, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(RevisionError, match=r"is not a revision: give a branch, a tag or a commit"):
        resolve(name, top)


@pytest.mark.parametrize("name", ["nowhere", "first..main", "^first", "HEAD:sub", "main extra"])
def test_an_unknown_revision_says_how_to_get_it(name: str, top: Path) -> None:
    with pytest.raises(RevisionError) as caught:
        resolve(name, top)
    assert str(caught.value) == (
        f"{name!r} is not a commit of the repository {top}: 'git branch --all' and 'git tag' list what it "
        "knows, 'git fetch' brings what only the server has"
    )


def test_a_shallow_clone_names_the_remedy(top: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", top.as_uri(), str(clone))
    with pytest.raises(RevisionError, match="is not in this shallow clone") as caught:
        resolve("HEAD~1", clone)
    assert "git fetch --unshallow" in str(caught.value)
    assert "fetch-depth: 0" in str(caught.value)
    assert resolve("HEAD", clone).commit == git(top, "rev-parse", "HEAD")


def test_a_repository_without_commits_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(RevisionError, match="has no commits yet"):
        resolve("HEAD", tmp_path)


def test_no_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(RevisionError) as caught:
        resolve("main", tmp_path)
    assert str(caught.value) == f"{tmp_path}: it is not in a git repository"


def test_a_bare_repository_says_so(top: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(top), "bare")
    with pytest.raises(RevisionError, match="it is in a bare repository"):
        resolve("main", tmp_path / "bare")


@pytest.mark.skipif(os.name == "nt", reason="Windows decides ownership otherwise")
def test_what_else_git_refuses_is_told_in_its_words(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (top / ".git" / "config").write_text("[core\n", encoding="utf-8")
    with pytest.raises(RevisionError, match=r"bad config line 1 in file \.git/config"):
        resolve("main", top)


def test_git_may_be_missing(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RevisionError, match="git is not installed, or not on PATH"):
        resolve("main", top)


def test_git_may_not_start(top: Path, tmp_path: Path) -> None:
    with pytest.raises(RevisionError, match=r"git cannot be started in .*missing"):
        resolve("main", tmp_path / "missing")


def test_git_may_hang(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(RevisionError, match=r"git rev-parse took more than 60 s in"):
        resolve("main", top)


def test_changes_are_those_of_tracked_files_that_are_not_baselines(top: Path) -> None:
    commit(top, "sub/.goref_cache/baselines/main/a.json", "{}")
    (top / "untracked.txt").touch()
    (top / "sub/.goref_cache/baselines/main/a.json").write_text("[]")
    assert not has_changes(top)
    (top / "sub/a.txt").write_text("three")
    assert has_changes(top)
    git(top, "add", "--all")
    assert has_changes(top)


def test_files_are_ignored_as_the_repository_says(top: Path) -> None:
    commit(top, ".gitignore", "made_*\n")
    commit(top, "made_and_committed", "")
    files = [top / "sub" / "a.txt", top / "sub" / "made_here", top / "made_and_committed", top / "new"]
    assert list(ignored(top, files)) == [top / "sub" / "made_here"]


def test_a_worktree_holds_the_revision_and_is_removed(top: Path, cache: CacheDirectory) -> None:
    first = resolve("first", top)
    with Worktree.made(first, cache) as worktree:
        assert worktree.top == cache.root / "worktrees" / f"{first.short}-{os.getpid()}" / "my project"
        assert (worktree.top / "sub" / "a.txt").read_text() == "one"
        assert worktrees(top) == [worktree.top.as_posix()]
        assert git(top, "status", "--porcelain", "--untracked-files=all") == "?? sub/.goref_cache/.gitignore"
        (worktree.top / "made by a test").touch()
    assert_nothing_is_left(top, cache)
    assert git(top, "rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_a_branch_that_is_checked_out_can_be_compared_with(top: Path, cache: CacheDirectory) -> None:
    with Worktree.made(resolve("main", top), cache) as worktree:
        assert (worktree.top / "sub" / "a.txt").read_text() == "two"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_removed_whatever_happens(error: type[BaseException], top: Path, cache: CacheDirectory) -> None:
    with pytest.raises(error), Worktree.made(resolve("main", top), cache):
        raise error
    assert_nothing_is_left(top, cache)


def test_it_is_removed_when_the_interpreter_exits(top: Path, cache: CacheDirectory) -> None:
    made = printed_by(MAKE, top, cache.root)
    assert Path(made).is_relative_to(cache.root)
    assert_nothing_is_left(top, cache)


def test_what_a_killed_session_left_is_removed_by_the_next(top: Path, cache: CacheDirectory) -> None:
    left = printed_by(MAKE + "os._exit(0)\n", top, cache.root)
    assert worktrees(top) == [left]
    with Worktree.made(resolve("main", top), cache) as worktree:
        assert worktrees(top) == [worktree.top.as_posix()]
    assert_nothing_is_left(top, cache)


def test_a_worktree_that_is_in_use_stays(top: Path, cache: CacheDirectory) -> None:
    used = cache.ensure() / "worktrees" / "0123456789ab-1"
    used.mkdir(parents=True)
    with locked(used / "in-use.lock"), Worktree.made(resolve("main", top), cache):
        pass
    assert used.exists()


def test_worktrees_of_the_user_stay_known(top: Path, cache: CacheDirectory, tmp_path: Path) -> None:
    git(top, "worktree", "add", "--quiet", "--detach", str(tmp_path / "on a disk"))
    (tmp_path / "on a disk").rename(tmp_path / "that is not there")
    with Worktree.made(resolve("main", top), cache):
        pass
    assert worktrees(top) == [(tmp_path.resolve() / "on a disk").as_posix()]


def test_what_git_cannot_remove_is_removed_nevertheless(top: Path, cache: CacheDirectory) -> None:
    with Worktree.made(resolve("main", top), cache) as worktree:
        (worktree.top / ".git").write_text("damaged", encoding="utf-8")
    assert_nothing_is_left(top, cache)


@pytest.mark.skipif(os.name == "nt", reason="what git writes is read-only")
def test_a_repository_that_has_vanished_leaves_no_worktree(
    top: Path, tmp_path: Path, cache: CacheDirectory
) -> None:
    elsewhere = CacheDirectory(tmp_path / "elsewhere")
    with Worktree.made(resolve("main", top), elsewhere) as worktree:
        shutil.rmtree(top)
    assert not worktree.top.parent.exists()


def test_hooks_of_the_repository_do_not_run(top: Path, cache: CacheDirectory, tmp_path: Path) -> None:
    hook = top / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path.as_posix()}/it ran'\n", encoding="utf-8")
    hook.chmod(0o755)
    git(top, "checkout", "--quiet", "--detach")
    assert (tmp_path / "it ran").exists()
    (tmp_path / "it ran").unlink()
    with Worktree.made(resolve("main", top), cache):
        pass
    assert not (tmp_path / "it ran").exists()


def test_variables_of_a_git_hook_do_not_confuse_it(
    top: Path, cache: CacheDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    index = tmp_path / "index"
    shutil.copy(top / ".git" / "index", index)
    before = index.read_bytes()
    expected = resolve("first", top)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    assert resolve("first", top) == expected
    assert not has_changes(top)
    with Worktree.made(expected, cache) as worktree:
        assert (worktree.top / "sub" / "a.txt").read_text() == "one"
    assert index.read_bytes() == before


def test_a_worktree_that_cannot_be_made_is_told_in_the_words_of_git(top: Path, cache: CacheDirectory) -> None:
    missing = Revision("gone", "0" * 40, top)
    with (
        pytest.raises(RevisionError, match=r"git:gone \(0{12}\) cannot be checked out in .*: .*0{40}"),
        Worktree.made(missing, cache),
    ):
        pass
    assert_nothing_is_left(top, cache)


def test_a_directory_that_cannot_be_made_is_named(top: Path, cache: CacheDirectory) -> None:
    (cache.ensure() / "worktrees").touch()
    with (
        pytest.raises(CacheError, match=r"worktrees.*: cannot make the directory: "),
        Worktree.made(resolve("main", top), cache),
    ):
        pass


def test_paths_of_the_project_have_their_place_in_the_worktree(top: Path, tmp_path: Path) -> None:
    worktree = Worktree(Revision("main", "0" * 40, top), tmp_path / "holder")
    assert worktree.mapped(top) == worktree.top == tmp_path / "holder" / "my project"
    assert worktree.mapped(top / "sub" / "a.txt") == worktree.top / "sub" / "a.txt"
    assert worktree.mapped(top / "sub" / "..") == worktree.top
    assert worktree.mapped(top.parent) == tmp_path / "holder"
    assert worktree.mapped(top.with_name("my project 2")) is None
    assert worktree.mapped(top.parent.parent) is None
