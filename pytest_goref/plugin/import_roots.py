"""Import roots: the directories from which the project's own modules are imported, here and in a worktree.

They are found from the modules that are loaded, so it does not matter how the project got onto the path: by
where pytest was started, its setting ``pythonpath``, PYTHONPATH, or an editable install of either kind.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import GorefError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_goref.store.worktree import Worktree

_INSTALLED: Final = ("site-packages", "dist-packages")
_NOT_OF_THE_PROJECT: Final = (*_INSTALLED, ".goref_cache")


class ForeignCodeError(GorefError):
    """What was to be measured in a worktree was measured with other code."""


class ProjectFiles:
    """Tells the project's own files from those of an environment, or a worktree, that is kept in it.

    Args:
        top: the directory of the project, with symbolic links followed.

    """

    def __init__(self, top: Path) -> None:
        self.top = top
        prefixes = {Path(os.path.realpath(prefix)) for prefix in (sys.prefix, sys.base_prefix)}
        self._prefixes = tuple(p for p in prefixes if p != top and p.is_relative_to(top))

    def find(self, path: str) -> Path | None:
        """Return ``path`` with symbolic links followed if it is the project's own, else None."""
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.top) or any(real.is_relative_to(p) for p in self._prefixes):
            return None
        inner = real.relative_to(self.top).parts
        return None if any(part in _NOT_OF_THE_PROJECT for part in inner) else real


def import_roots(
    files: ProjectFiles, path: Sequence[str], modules: Mapping[str, object], finders: Sequence[object]
) -> tuple[Path, ...]:
    """Return the directories that the project's modules are imported from, in the order they are looked in.

    Args:
        files: of the project.
        path: where modules are looked for, as ``sys.path``.
        modules: those that are loaded, as ``sys.modules``.
        finders: what finds modules beside the path, as ``sys.meta_path``: editable installs add their own.

    """
    on_path = (files.find(entry or os.curdir) for entry in path)
    found: dict[Path, None] = dict.fromkeys(filter(None, on_path))
    asked: set[tuple[Path, str]] = set()
    for name, file in loaded_files(modules):
        real = files.find(file)
        root = real and _root_of(name, real)
        package = name.partition(".")[0]
        if root is None or root in found or (root, package) in asked:
            continue
        asked.add((root, package))
        if _is_found(package, root, finders):
            found[root] = None
    return tuple(found)


def loaded_files(modules: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield name and file of each module; without asking it, as some import more when they are asked."""
    for name, module in tuple(modules.items()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(file, str):
            yield name, file


def _root_of(name: str, file: Path) -> Path | None:
    """Return the directory that the module ``name`` in ``file`` was looked for in, None when it was not."""
    stem = file.name.partition(".")[0]
    own = file.parent.parts if stem == "__init__" else file.with_name(stem).parts
    parts = tuple(name.split("."))
    return Path(*own[: -len(parts)]) if own[-len(parts) :] == parts else None


def _is_found(package: str, root: Path, finders: Iterable[object]) -> bool:
    """Return whether an import would find ``package`` in ``root``; pytest loads tests without looking."""
    for finder in finders:
        try:
            spec = finder.find_spec(package, None)  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001, S112 - the finder of someone else
            continue
        if spec is not None:
            packages = map(os.path.realpath, spec.submodule_search_locations or ())
            origin = Path(os.path.realpath(spec.origin or ""))
            return _root_of(package, origin) == root or any(Path(p).parent == root for p in packages)
    return False


def check_modules(
    imported: Iterable[str], files: ProjectFiles, worktree: Worktree, roots: Iterable[Path]
) -> None:
    """Make sure that a process that was to import the project from ``worktree`` has done so.

    Args:
        imported: the files of the modules that it has imported.
        files: of the project.
        worktree: where it was to import from.
        roots: where the project's packages may be in the worktree.

    Raises:
        ForeignCodeError: a module is the project's own, or is an installed copy.

    """
    words = worktree.revision.words
    packages: frozenset[str] | None = None
    for file in imported:
        own = files.find(file)
        if own is not None:
            inner = own.relative_to(files.top).as_posix()
            raise ForeignCodeError(
                f"{words} cannot be compared with: there, too, {inner} of the working tree was imported; let "
                "no absolute path in conftest.py or sys.path lead to it, and install the project with "
                "'pip install -e .', or set pytest's pythonpath"
            )
        installed = _installed_name(file)
        if installed is None:
            continue
        if packages is None:
            packages = frozenset(_packages(roots))
        if installed in packages:
            raise ForeignCodeError(
                f"{words} cannot be compared with: both sides import {installed} as it is installed, {file}, "
                "not as it is in the repository; install the project with 'pip install -e .'"
            )


def _installed_name(file: str) -> str | None:
    """Return the top-level name of the installed module in ``file``, None when it is not installed."""
    parts = Path(file).parts
    places = [index for index, part in enumerate(parts) if part in _INSTALLED]
    return parts[places[-1] + 1].partition(".")[0] if places and places[-1] + 1 < len(parts) else None


def _packages(roots: Iterable[Path]) -> Iterator[str]:
    """Yield the name of each top-level module and package in ``roots``."""
    for root in roots:
        for path in root.iterdir() if root.is_dir() else ():
            if path.suffix == ".py" or (path / "__init__.py").is_file():
                yield path.stem
