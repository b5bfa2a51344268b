"""A project under git in which pytest compares the working tree with a commit.

Test modules that need the fixtures name this module in ``pytest_plugins``.

PYTEST_DONT_REWRITE: they import it as well, before pytest does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from plugin_project import Project

SHOP = """
import pytest_goref as goref

def total(orders):
    for _ in range(orders):
        query()

def query():
    with goref.ref("db.query"):
        return 1
"""
TEST_SHOP = """
import pytest
import shop

@pytest.mark.profile
def test_total():
    shop.total(3)
"""


class GitProject:
    """A project with its commits.

    Args:
        project: where the files are, and where pytest runs.

    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.path.resolve()
        git(self.path, "init", "--quiet")

    def commit(self, files: Mapping[str, str], tag: str = "base") -> str:
        """Write files, commit all that git does not ignore under a tag, and return the first 12 digits."""
        self.project.write(files)
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "-m", tag)
        git(self.path, "tag", "--force", tag)
        return git(self.path, "rev-parse", "--short=12", "HEAD")

    def compare(self, *args: str, rev: str = "base") -> pytest.RunResult:
        """Compare the counts of the working tree with a commit, in this process."""
        return self.project.run(f"--goref-compare=git:{rev}", "--goref-passes=counts", *args)

    def assert_worktrees_removed(self) -> None:
        """Make sure that neither git nor the cache knows of a worktree."""
        assert len(git(self.path, "worktree", "list").splitlines()) == 1
        made = self.path / ".goref_cache" / "worktrees"
        assert not made.exists() or list(made.iterdir()) == []


def git(directory: Path, *arguments: str) -> str:
    """Return what git prints."""
    settings = ("user.name=A", "user.email=a@b.invalid", "commit.gpgsign=false", "init.defaultBranch=main")
    options = [part for setting in settings for part in ("-c", setting)]
    command = ["git", *options, *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, check=True, text=True).stdout.strip()


@pytest.fixture
def git_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> GitProject:
    """A project under git, without commits."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return GitProject(project)


@pytest.fixture
def shop(git_project: GitProject) -> GitProject:
    """A project with one module and one test, both at the top; ``base`` is its only commit."""
    git_project.commit({".gitignore": "__pycache__/\n", "shop.py": SHOP, "test_shop.py": TEST_SHOP})
    return git_project
