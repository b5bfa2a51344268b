"""The cache directory: where everything that this package writes about a project lives."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from pytest_goref.errors import CacheError
from pytest_goref.store.files import is_inside, reason, write_atomically

_GITIGNORE: Final = """\
# Made by pytest-goref. Baselines are reviewed and committed like code; all else stays here.
*
!/.gitignore
!/baselines/
!/baselines/**
*.tmp
"""
_CACHEDIR_TAG: Final = """\
Signature: 8a477f597d28d172789f06886806bc55
# This file marks a cache directory made by pytest-goref.
# For information about cache directory tags see https://bford.info/cachedir/
"""
_README: Final = """\
# pytest-goref

`baselines/` holds what each test is accepted to do: commit it. `history.db` holds the last runs on this
machine; it and everything else here may be deleted at any time.
"""


class CacheDirectory:
    """The directory ``.goref_cache``; it is made when something is first written.

    Args:
        root: the directory, ``<rootdir>/.goref_cache``.

    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def baselines(self) -> Path:
        """The directory that holds a directory for each baseline."""
        return self.root / "baselines"

    @property
    def history(self) -> Path:
        """The database of runs."""
        return self.root / "history.db"

    @property
    def artifacts(self) -> Path:
        """The directory of profiles."""
        return self.root / "artifacts"

    @property
    def locks(self) -> Path:
        """The directory of lock files, kept out of what is committed."""
        return self.root / "locks"

    def ensure(self) -> Path:
        """Make the directory unless it is there, and return it.

        Raises:
            CacheError: it cannot be made, or something else has its name.

        """
        self.check_links()
        try:
            if not self.root.is_dir():
                self._make()
            ignore = self.root / ".gitignore"
            if not ignore.exists():  # a clone has it only when it was committed beside the baselines
                write_atomically(ignore, _GITIGNORE.encode())
        except OSError as error:
            if self.root.exists() and not self.root.is_dir():
                raise CacheError(f"{self.root} is not a directory: rename or delete it") from None
            raise CacheError(
                f"{self.root}: cannot make the cache directory: {reason(error)}: "
                f"make {self.root.parent} writable"
            ) from error
        return self.root

    def check_links(self) -> None:
        """Refuse links that lead out of the cache: a repository may bring them, and they may lead anywhere.

        The cache itself may be elsewhere when what is there is a cache, or empty; its baselines may be
        anywhere in the project.

        Raises:
            CacheError: there is such a link.

        """
        if _is_link(self.root) and not _is_cache(self.root):
            raise CacheError(
                f"{self.root}: a symbolic link to a directory that is no cache is not followed: delete it"
            )
        if _is_link(self.baselines) and not any(
            is_inside(self.baselines, directory) for directory in (self.root, self.root.parent)
        ):
            raise CacheError(
                f"{self.baselines}: a symbolic link that leaves {self.root.parent} is not followed: delete it"
            )

    def check_writable(self, directory: Path) -> None:
        """Make sure that files can be written in ``directory``, which is below this one and need not exist.

        Raises:
            CacheError: they cannot, or the cache directory cannot be made.

        """
        self.ensure()
        for wanted in (self.locks, directory):
            existing = next(d for d in (wanted, *wanted.parents) if os.path.lexists(d))
            try:
                with tempfile.TemporaryFile(dir=existing):
                    pass
            except OSError as error:
                raise CacheError(
                    f"{existing}: cannot write: {reason(error)}: make the directory writable"
                ) from error

    def _make(self) -> None:
        """Make the directory with its files in one step: no other process ever sees half of it."""
        temporary = Path(tempfile.mkdtemp(prefix=".goref-", suffix=".tmp", dir=self.root.parent))
        try:
            made = temporary / "made"  # mkdtemp is for its owner only; this one follows the umask
            made.mkdir()
            for name, text in (
                (".gitignore", _GITIGNORE),
                ("CACHEDIR.TAG", _CACHEDIR_TAG),
                ("README.md", _README),
            ):
                (made / name).write_text(text, encoding="utf-8", newline="\n")
            try:
                os.rename(made, self.root)  # noqa: PTH104 (Path.rename would do the same; os.rename names its errors)
            except OSError:
                if not self.root.is_dir():  # else another process was first
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _is_link(path: Path) -> bool:
    """Return whether ``path`` is a symbolic link; of one that may not be looked at, its user says why."""
    return os.path.islink(path)  # noqa: PTH114 - Path.is_symlink raises


def _is_cache(root: Path) -> bool:
    """Return whether ``root`` is a cache or empty; of one that cannot be read, its user says why."""
    try:
        return not any(root.iterdir()) or _CACHEDIR_TAG.encode() == (root / "CACHEDIR.TAG").read_bytes()
    except FileNotFoundError:
        return not root.exists()
    except OSError:
        return True
