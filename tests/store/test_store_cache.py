from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from store_values import KEY, RUN, entry_of, start_python

from pytest_goref.errors import CacheError
from pytest_goref.store.baseline import Baselines
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory(tmp_path / ".goref_cache")


def test_nothing_is_made_before_it_is_needed(cache: CacheDirectory) -> None:
    Baselines(cache).names()
    History(cache.history).runs()
    assert not cache.root.exists()


def test_it_is_made_whole(cache: CacheDirectory, tmp_path: Path) -> None:
    assert cache.ensure() == cache.root
    assert sorted(path.name for path in cache.root.iterdir()) == [".gitignore", "CACHEDIR.TAG", "README.md"]
    tag = (cache.root / "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert list(tmp_path.iterdir()) == [cache.root]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_it_has_the_permissions_of_any_directory(cache: CacheDirectory, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert cache.ensure().stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_is_there_stays(cache: CacheDirectory) -> None:
    cache.root.mkdir()
    (cache.root / ".gitignore").write_text("!history.db\n")
    cache.ensure()
    assert [path.name for path in cache.root.iterdir()] == [".gitignore"]
    assert (cache.root / ".gitignore").read_text() == "!history.db\n"


def test_a_clone_that_has_baselines_only_gets_its_gitignore(cache: CacheDirectory) -> None:
    cache.baselines.mkdir(parents=True)
    cache.ensure()
    assert "!/baselines/" in (cache.root / ".gitignore").read_text().splitlines()


def test_a_process_that_is_second_uses_what_the_first_made(
    cache: CacheDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(source: Path, target: Path) -> None:
        target.mkdir()
        (target / ".gitignore").write_text("first")
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(os, "rename", lose)
    cache.ensure()
    assert (cache.root / ".gitignore").read_text() == "first"
    assert list(tmp_path.iterdir()) == [cache.root]


def test_a_file_in_its_place_is_named(cache: CacheDirectory) -> None:
    cache.root.write_text("")
    with pytest.raises(CacheError, match=r"\.goref_cache is not a directory: rename or delete it$"):
        cache.ensure()


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.ENOSPC, "No space left on device")],
)
def test_a_directory_that_cannot_be_made_is_named(
    cache: CacheDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(
        CacheError, match=r"\.goref_cache: cannot make the cache directory: (Perm|No space).*: make "
    ):
        cache.ensure()
    assert list(tmp_path.iterdir()) == []


def git(directory: Path, *arguments: str) -> list[str]:
    executable = shutil.which("git")
    if executable is None:
        pytest.skip("git is not installed")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        [executable, *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("added", [".goref_cache/baselines", ".goref_cache", "."])
def test_git_takes_the_baselines_and_nothing_else(cache: CacheDirectory, tmp_path: Path, added: str) -> None:
    git(tmp_path, "init", "--quiet")
    result = Baselines(cache).save("main", {KEY: entry_of()})
    History(cache.history).append(RUN, [])
    (result.files[0].parent / ".goref-0123456789abcdef.tmp").write_text("left by a crash")
    git(tmp_path, "add", added)
    (baseline,) = (file.relative_to(tmp_path).as_posix() for file in result.files)
    ignore = [] if added.endswith("baselines") else [".goref_cache/.gitignore"]
    assert git(tmp_path, "ls-files") == [*ignore, baseline]
    git(tmp_path, "add", ".")
    assert git(tmp_path, "status", "--porcelain") == [
        f"A  {path}" for path in (".goref_cache/.gitignore", baseline)
    ]


def test_many_processes_make_one_directory(cache: CacheDirectory, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from pytest_goref.store.cache import CacheDirectory; sys.stdin.readline();"
        "CacheDirectory(pathlib.Path(sys.argv[1])).ensure()"
    )
    children = [start_python(code, cache.root) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate()[1] for child in children] == [""] * 4
    assert list(tmp_path.iterdir()) == [cache.root]
    assert sorted(path.name for path in cache.root.iterdir()) == [".gitignore", "CACHEDIR.TAG", "README.md"]
