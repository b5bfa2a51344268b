"""A second working tree of the project: another revision, checked out beside the first for one session.

Submodules are left empty, as ``git worktree add`` leaves them: a test that needs one fails in the worktree,
and the user is told so. Files of Git LFS are fetched by its filter, as in any checkout, when it is installed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import CacheError, GorefError
from pytest_goref.store.files import locked, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_goref.store.cache import CacheDirectory

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT: Final = 12
_HOLDER: Final = re.compile(r"[0-9a-f]{12}-\d+", re.ASCII)
"""The directories that hold a worktree: its commit, and the process that made it."""
_QUERY_SECONDS: Final = 60
_OF_ANOTHER_REPOSITORY: Final = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
"""What git sets for its hooks: what is done here has nothing to do with the commit that is under way."""


class RevisionError(GorefError):
    """The revision to compare with is not there, or cannot be checked out."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of a repository.

    Attributes:
        name: as the user wrote it.
        commit: its full hash.
        top: the directory of the repository's working tree, with symbolic links followed.

    """

    name: str
    commit: str
    top: Path

    @property
    def short(self) -> str:
        """The commit as it is shown."""
        return self.commit[:_SHORT]

    @property
    def words(self) -> str:
        """What it is called in messages."""
        return f"git:{self.name} ({self.short})"


def resolve(name: str, directory: Path) -> Revision:
    """Return the commit that ``name`` means in the repository that ``directory`` belongs to.

    Raises:
        RevisionError: git or the repository is not there, or it has no such commit.

    """
    if not name.strip() or name.startswith("-") or "\0" in name:
        raise RevisionError(f"{name!r} is not a revision: give a branch, a tag or a commit, such as git:main")
    top = _top(directory)
    # Without the option --end-of-options, which rev-parse before git 2.30 takes for a revision.
    found = _git(top, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").stdout.strip()
    if not _COMMIT.fullmatch(found):
        raise RevisionError(_why_unknown(name, top))
    return Revision(name, found, top)


def has_changes(top: Path) -> bool:
    """Return whether tracked files in the working tree ``top`` differ from its last commit."""
    paths = (":(top)", ":(top,exclude,glob)**/.goref_cache/**")
    return bool(_git(top, "status", "--porcelain", "--untracked-files=no", "--", *paths).stdout.strip())


def ignored(top: Path, files: Iterable[Path]) -> Iterator[Path]:
    """Yield those of ``files`` in the working tree ``top`` that its repository leaves out on purpose."""
    for file in files:
        if _git(top, "check-ignore", "--quiet", "--", os.fspath(file)).returncode == 0:
            yield file


def _top(directory: Path) -> Path:
    """Return the directory of the working tree that ``directory`` is in.

    Raises:
        RevisionError: there is none.

    """
    answer = _git(directory, "rev-parse", "--is-inside-work-tree")
    if answer.returncode != 0:
        why = _last_line(answer)
        if not why or "not a git repository" in why:
            why = "it is not in a git repository"
        raise RevisionError(f"{directory}: {why}")
    if answer.stdout.strip() != "true":
        raise RevisionError(f"{directory}: it is in a bare repository, which has no working tree to compare")
    found = _git(directory, "rev-parse", "--show-toplevel").stdout.removesuffix("\n")
    return Path(os.path.realpath(found))


def _why_unknown(name: str, top: Path) -> str:
    """Return why ``name`` is no commit of the repository, and what to do."""
    if not _git(top, "rev-list", "--max-count=1", "--all").stdout.strip():
        return f"the repository {top} has no commits yet: there is nothing to compare with"
    if _git(top, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        return (
            f"{name!r} is not in this shallow clone: fetch the rest with 'git fetch --unshallow', "
            "in GitHub Actions with 'fetch-depth: 0'"
        )
    return (
        f"{name!r} is not a commit of the repository {top}: 'git branch --all' and 'git tag' list what it "
        "knows, 'git fetch' brings what only the server has"
    )


class Worktree:
    """A revision checked out beside the project, for as long as the session lasts.

    Args:
        revision: what is checked out.
        holder: the directory that holds nothing but the worktree, which is called as the repository's is:
            a project that is itself a package is imported by the same name.

    """

    def __init__(self, revision: Revision, holder: Path) -> None:
        self.revision = revision
        self.top = holder / revision.top.name

    @classmethod
    @contextlib.contextmanager
    def made(cls, revision: Revision, cache: CacheDirectory) -> Iterator[Worktree]:
        """Check out ``revision``; it is removed at the end, at the latest when the interpreter exits.

        What a session that was killed has left is removed first.

        Args:
            revision: what to check out.
            cache: where to put it.

        Raises:
            RevisionError: git cannot check it out.
            CacheError: the cache directory cannot be written.

        """
        directory = cache.ensure() / "worktrees"
        if directory.is_symlink():  # what is in there would be removed as if a session had left it
            raise CacheError(f"{directory}: a symbolic link, which is not followed: delete it")
        with contextlib.ExitStack() as stack:
            with locked(cache.locks / "worktrees.lock"):
                _remove_abandoned(directory, revision.top)
                holder = _made(directory / f"{revision.short}-{os.getpid()}")
                lock = stack.enter_context(contextlib.ExitStack())
                lock.enter_context(locked(_lock_of(holder)))
            worktree = cls(revision, holder)

            process = os.getpid()

            def remove() -> None:
                if os.getpid() != process:  # a child that a test has forked
                    return
                lock.close()
                _remove(worktree.top, revision.top)

            atexit.register(remove)
            stack.callback(atexit.unregister, remove)
            stack.callback(remove)
            worktree._check_out()
            yield worktree

    def _check_out(self) -> None:
        top = os.fspath(self.top)
        command = ("worktree", "add", "--detach", "--force", top, self.revision.commit)
        added = _git(self.revision.top, *command, limit_s=None)
        if added.returncode != 0:
            raise RevisionError(
                f"{self.revision.words} cannot be checked out in {top}: "
                f"{_last_line(added) or f'git ended with status {added.returncode}'}"
            )

    def mapped(self, path: Path) -> Path | None:
        """Return where the worktree has ``path``, whether or not it exists there; None outside the project.

        Args:
            path: in the project, or its directory's parent.

        """
        real = Path(os.path.realpath(path))
        if real != self.revision.top.parent and not real.is_relative_to(self.revision.top):
            return None
        return self.top.parent / real.relative_to(self.revision.top.parent)


def _made(holder: Path) -> Path:
    try:
        holder.mkdir(parents=True)
    except OSError as error:
        raise CacheError(
            f"{holder}: cannot make the directory: {reason(error)}: make {holder.parent} writable"
        ) from error
    return holder


def _lock_of(holder: Path) -> Path:
    """Return the file that is locked while the worktree in ``holder`` is in use: ids of processes recur."""
    return holder / "in-use.lock"


def _remove_abandoned(directory: Path, top: Path) -> None:
    """Remove the worktrees below ``directory`` that no session uses any more; nothing else that is there."""
    for holder in directory.iterdir() if directory.is_dir() else ():
        if not _HOLDER.fullmatch(holder.name) or holder.is_symlink():
            continue
        try:
            with locked(_lock_of(holder), timeout_s=0):
                pass
        except CacheError:
            continue
        _remove(holder / top.name, top)


def _remove(worktree: Path, top: Path) -> None:
    """Remove ``worktree`` with its holder, and what the repository in ``top`` knows of it.

    Not with ``git worktree prune``: it also forgets worktrees of the user on a disk that is not there now.
    """
    command = ("worktree", "remove", "--force", "--force", os.fspath(worktree))
    with contextlib.suppress(RevisionError):
        if not worktree.is_symlink():  # git would follow it
            removed = _git(top, *command)
            if removed.returncode != 0 and worktree.exists():
                shutil.rmtree(worktree, ignore_errors=True)
                _git(top, *command)  # what is missing can be removed too
    shutil.rmtree(worktree.parent, ignore_errors=True)


def _git(
    directory: Path, *arguments: str, limit_s: float | None = _QUERY_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Return how git ended, started in ``directory``, without hooks, questions or translations.

    Raises:
        RevisionError: it is not installed, cannot be started, or took longer than ``limit_s`` seconds.

    """
    git = shutil.which("git")
    if git is None:
        raise RevisionError("git is not installed, or not on PATH: comparing with git:REV needs it")
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(  # noqa: S603 - no shell; what the user wrote never begins with a dash
            [git, "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RevisionError(f"git {arguments[0]} took more than {limit_s:g} s in {directory}") from None
    except OSError as error:
        raise RevisionError(f"git cannot be started in {directory}: {reason(error)}") from None


def _last_line(answer: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of what git complained about, without its ``fatal:``."""
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else ""
