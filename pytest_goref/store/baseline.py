"""Baselines: what tests are accepted to do, by name, in files that are reviewed and committed like code.

``baselines/NAME/`` holds a JSON file per test module: branches that touch different modules do not conflict.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import BaselineError, InvalidValueError
from pytest_goref.model import BaselineEntry, TestKey
from pytest_goref.store.document import (
    SUFFIX,
    Change,
    Document,
    document_files,
    open_document,
    read_document,
    write_documents,
)
from pytest_goref.store.files import is_inside, is_reserved, locked, reason, safe_file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_goref.store.cache import CacheDirectory

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def validate_name(name: str) -> str:
    """Return ``name`` when a baseline may have it.

    Raises:
        InvalidValueError: it is no portable directory name, or means something else to ``--goref-compare``.

    """
    if name.lower() == "last":
        raise InvalidValueError(f"a baseline cannot be named {name!r}: it stands for the last run")
    if is_reserved(name):
        raise InvalidValueError(f"a baseline cannot be named {name!r}: Windows keeps that name for a device")
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InvalidValueError(
            f"a baseline cannot be named {name!a}: use 1 to 100 of A-Z a-z 0-9 . _ - "
            f"with a letter or digit first and no . at the end"
        )
    return name


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What saving did.

    Attributes:
        new: tests that had no entry.
        changed: tests whose entry was replaced by a different one.
        unchanged: tests whose entry was the same.
        files: what was written; a file in which nothing changed is not touched.

    """

    new: int
    changed: int
    unchanged: int
    files: tuple[Path, ...]


class Baseline:
    """Accepted entries, read when first asked for.

    Args:
        name: what the user calls it.
        directory: the directory with a file for each test module; None when ``documents`` is all there is.
        documents: what is read already, by the path of the test module.

    """

    def __init__(
        self, name: str, directory: Path | None, documents: Mapping[str, Document] | None = None
    ) -> None:
        self.name = name
        self._directory = directory
        self._documents: dict[str, Document | None] = dict(documents or {})

    def get(self, key: TestKey) -> BaselineEntry | None:
        """Return what is accepted for ``key``, or None when nothing is.

        Raises:
            BaselineError: the file of its module is damaged or cannot be read.

        """
        document = self._document(key.path)
        return None if document is None else document.get(key.name)

    def paths(self) -> list[str]:
        """Return the paths of all test modules, sorted; reads every file, but not yet its entries.

        Raises:
            BaselineError: a file is damaged or cannot be read.

        """
        return [document.path for document in self._all_documents()]

    def keys(self) -> Iterator[TestKey]:
        """Yield all tests, in the order of their paths and names; reads every file, but not yet its entries.

        Raises:
            BaselineError: a file is damaged or cannot be read.

        """
        for document in self._all_documents():
            yield from (TestKey(document.path, name) for name in document.names())

    def _all_documents(self) -> list[Document]:
        """Return the documents of all test modules by their paths; a file that was read is not read again."""
        if self._directory is not None:
            known = {safe_file_name(path, SUFFIX) for path in self._documents}
            for file in document_files(self._directory):
                document = None if file.name in known else read_document(file, inside=self._directory)
                if document is not None:  # it may have been pruned a moment ago
                    self._documents[document.path] = document
        found = (document for document in self._documents.values() if document is not None)
        return sorted(found, key=lambda document: document.path)

    def _document(self, path: str) -> Document | None:
        if path not in self._documents:
            self._documents[path] = (
                None
                if self._directory is None
                else read_document(self._directory / safe_file_name(path, SUFFIX), inside=self._directory)
            )
        return self._documents[path]


class Baselines:
    """The baselines of a project.

    Args:
        cache: the cache directory; it is made by the first save.

    """

    def __init__(self, cache: CacheDirectory) -> None:
        self._cache = cache

    def names(self) -> list[str]:
        """Return the names of all baselines, sorted.

        Raises:
            BaselineError: the directory of baselines cannot be read.

        """
        try:
            found = [entry.name for entry in self._cache.baselines.iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BaselineError(f"{self._cache.baselines}: cannot read: {reason(error)}") from error
        return sorted(name for name in found if _is_valid(name))

    def exists(self, name: str) -> bool:
        """Return whether there is a baseline ``name``.

        Raises:
            InvalidValueError: no baseline may have that name.

        """
        # A directory that may not be looked at is none here; what opens or makes it then says why.
        return os.path.isdir(self._cache.baselines / validate_name(name))  # noqa: PTH112 - Path.is_dir raises

    def open(self, name: str) -> Baseline:
        """Return the baseline ``name``; its files are read when they are asked for.

        Raises:
            InvalidValueError: no baseline may have that name.
            BaselineError: there is none.

        """
        if not self.exists(name):
            names = self.names()
            others = f"there are {', '.join(names)}" if names else "there are none yet"
            raise BaselineError(
                f"no baseline {name!r} in {self._cache.baselines}: {others}; "
                f"make it with: pytest --goref-save={name}"
            )
        return Baseline(name, self._directory(name))

    def save(self, name: str, changes: Mapping[TestKey, BaselineEntry]) -> SaveResult:
        """Make ``changes`` the accepted entries of their tests; every other test keeps its own.

        All files are read and merged, under a lock, before the first is written.

        Raises:
            InvalidValueError: no baseline may have that name.
            BaselineError: a file is damaged, of a newer format, or cannot be written.
            CacheError: the cache directory cannot be made, or another process keeps the lock.

        """
        validate_name(name)
        if not changes:
            return SaveResult(0, 0, 0, ())
        with self._locked(name):
            directory = self._directory(name)
            self._refuse_case_variant(name)
            documents: dict[str, Document] = {}
            touched: dict[str, Document] = {}
            counts = Counter[Change]()
            for entry in changes.values():
                path = entry.key.path
                if path not in documents:
                    documents[path] = open_document(directory, path)
                change = documents[path].accept(entry)
                counts[change] += 1
                if change is not Change.NONE:
                    touched[path] = documents[path]
            files = write_documents(touched.values())
        return SaveResult(counts[Change.NEW], counts[Change.CHANGED], counts[Change.NONE], files)

    def remove(self, name: str, keys: Iterable[TestKey]) -> int:
        """Remove the entries of ``keys`` and what becomes empty by that; return how many there were.

        Raises:
            InvalidValueError: no baseline may have that name.
            BaselineError: there is none, a file is damaged, of a newer format, or cannot be written.
            CacheError: another process keeps the lock.

        """
        names_by_path: dict[str, list[str]] = {}
        for key in keys:
            names_by_path.setdefault(key.path, []).append(key.name)
        self.open(name)
        with self._locked(name):
            directory = self._directory(name)
            removed = 0
            documents: list[Document] = []
            for path, names in names_by_path.items():
                document = open_document(directory, path)
                dropped = document.drop(names)
                if dropped:
                    removed += dropped
                    documents.append(document)
            write_documents(documents)
            with contextlib.suppress(OSError):  # not empty, or gone already
                directory.rmdir()
        return removed

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self._cache.ensure()
        with locked(self._cache.locks / safe_file_name(name.lower(), ".lock")):
            yield

    def _directory(self, name: str) -> Path:
        directory = self._cache.baselines / name
        if not is_inside(directory, self._cache.baselines):
            raise BaselineError(
                f"{directory}: a symbolic link that leaves {self._cache.baselines} is not followed: "
                f"replace it by the directory"
            )
        return directory

    def _refuse_case_variant(self, name: str) -> None:
        """Refuse ``Main`` beside ``main``: a clone on a file system that ignores case would mix them."""
        for other in self.names():
            if other != name and other.lower() == name.lower():
                raise BaselineError(
                    f"there is a baseline {other!r}, and {name!r} differs from it in case only: use it"
                )


def open_file(path: Path) -> Baseline:
    """Return the baseline in ``path``, one file of a baseline or a directory of such files.

    Raises:
        BaselineError: there is nothing, or a single file is damaged, of a newer format or cannot be read.

    """
    if path.is_dir():
        if not document_files(path):
            raise BaselineError(f"{path}: no baseline: expected the directory to hold {SUFFIX} files")
        return Baseline(str(path), path)
    document = read_document(path, inside=None)
    if document is None:
        raise BaselineError(f"{path}: no such file: expected a file of a baseline, or a directory of them")
    return Baseline(str(path), None, {document.path: document})


def _is_valid(name: str) -> bool:
    try:
        validate_name(name)
    except InvalidValueError:
        return False
    return True
