"""One file of a baseline: what is accepted for the tests of one module.

Formats, each readable by every later version of this package:

1. ``{"format": 1, "path": "tests/test_x.py", "tests": {name: entry}}``, entries as ``codec`` makes them.
   The member ``sites`` of an entry came later: versions before it skip it.
"""

from __future__ import annotations

import enum
import stat
from typing import TYPE_CHECKING, Any, Final

from pytest_goref.errors import BaselineError
from pytest_goref.store.codec import entry_from_plain, entry_to_plain
from pytest_goref.store.files import (
    is_inside,
    reason,
    remove_leftovers,
    safe_file_name,
    write_atomically,
)
from pytest_goref.store.jsontext import CodecError, parse_json, render_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_goref.model import BaselineEntry

SUFFIX: Final = ".json"
_FORMAT: Final = 1
_MOST_BYTES: Final = 64 * 2**20


class Change(enum.Enum):
    """What accepting an entry does to a document."""

    NONE = "none"
    NEW = "new"
    CHANGED = "changed"


class Document:
    """The entries of one test module, kept as plain data and decoded when asked for.

    Most of a file is not needed when few of its tests run, and what this version of the package does not know
    is written back as it was.

    Args:
        file: where it was read from, or will be written to.
        path: the path of the test module, as in its ``TestKey``.
        plain: the content of the file.
        tests: the member of ``plain`` that holds the entries by the names of their tests.

    """

    def __init__(self, file: Path, path: str, plain: dict[str, Any], tests: dict[str, Any]) -> None:
        self.file = file
        self.path = path
        self._plain = plain
        self._tests = tests

    @classmethod
    def empty(cls, file: Path, path: str) -> Document:
        """Return a document that accepts nothing yet."""
        tests: dict[str, Any] = {}
        return cls(file, path, {"format": _FORMAT, "path": path, "tests": tests}, tests)

    @classmethod
    def from_plain(cls, file: Path, plain: object) -> Document:
        """Return the document that ``plain``, the content of ``file``, describes.

        Raises:
            CodecError: it is not of that shape.
            BaselineError: it is of a newer format.

        """
        if not isinstance(plain, dict):
            raise CodecError((), "expected an object")
        number, path, tests = plain.get("format"), plain.get("path"), plain.get("tests")
        if type(number) is not int or number < 1:
            raise CodecError(("format",), "expected the number of a format")
        if number > _FORMAT:
            raise BaselineError(
                f"{file}: written by a newer pytest-goref (format {number}; this one reads up to {_FORMAT}): "
                f"upgrade, or save it anew under another name"
            )
        if not isinstance(path, str):
            raise CodecError(("path",), "expected text")
        if not isinstance(tests, dict):
            raise CodecError(("tests",), "expected an object")
        return cls(file, path, plain, tests)

    def names(self) -> list[str]:
        """Return the names of all tests with an entry, sorted."""
        return sorted(self._tests)

    def get(self, name: str) -> BaselineEntry | None:
        """Return what is accepted for the test ``name``, or None when nothing is.

        Raises:
            BaselineError: the entry is damaged.

        """
        if name not in self._tests:
            return None
        try:
            return entry_from_plain(self.path, name, self._tests[name])
        except CodecError as error:
            raise damaged(self.file, str(error)) from None

    def accept(self, entry: BaselineEntry) -> Change:
        """Put ``entry`` in the place of what was accepted for its test; return what that changed.

        Raises:
            BaselineError: what was accepted is damaged, or the entry holds a number that no file may hold.

        """
        before = self.get(entry.key.name)
        if before == entry:
            return Change.NONE
        try:
            self._tests[entry.key.name] = entry_to_plain(entry)
        except CodecError as error:
            raise BaselineError(f"{entry.key.nodeid}: cannot be stored: {error}") from error
        return Change.CHANGED if before else Change.NEW

    def drop(self, names: Iterable[str]) -> int:
        """Remove what is accepted for the tests ``names``; return how many there were."""
        return sum(self._tests.pop(name, None) is not None for name in names)

    def render(self) -> bytes:
        """Return the content of the file.

        Raises:
            BaselineError: it could not be read again.

        """
        try:
            data = render_json(self._plain)
        except CodecError as error:  # of what was read from the file and is not known here
            raise BaselineError(f"{self.file}: cannot be written: {error}") from error
        if len(data) > _MOST_BYTES:
            raise BaselineError(
                f"{self.file}: the baseline of {self.path} would take {len(data)} bytes; the limit is "
                f"{_MOST_BYTES}: mark fewer of its tests, or split the module"
            )
        return data


def document_files(directory: Path) -> list[Path]:
    """Return the files of a baseline in ``directory``, sorted; none when there is no such directory.

    Raises:
        BaselineError: the directory cannot be read.

    """
    try:
        return sorted(
            file for file in directory.iterdir() if file.suffix == SUFFIX and not file.name.startswith(".")
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BaselineError(f"{directory}: cannot read the baseline: {reason(error)}") from error


def read_document(file: Path, *, inside: Path | None) -> Document | None:
    """Return the content of ``file``, or None when there is no such file.

    Args:
        file: the file to read.
        inside: the directory that a symbolic link must not leave, and where ``file`` must be named for its
            module; None for a file that the user named.

    Raises:
        BaselineError: the file cannot be read, is damaged, misplaced, or of a newer format.

    """
    try:
        data = _read(file, inside)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{file}: cannot read the baseline: {reason(error)}") from error
    try:
        document = Document.from_plain(file, parse_json(data))
    except CodecError as error:
        raise damaged(file, str(error)) from None
    if inside is not None and file.name != safe_file_name(document.path, SUFFIX):
        raise damaged(file, f"this is the file of another module, {document.path!a}")
    return document


def open_document(directory: Path, path: str) -> Document:
    """Return what ``directory`` accepts for the test module ``path``: nothing when it has no file.

    Raises:
        BaselineError: the file cannot be read, is damaged, misplaced, or of a newer format.

    """
    file = directory / safe_file_name(path, SUFFIX)
    return read_document(file, inside=directory) or Document.empty(file, path)


def write_documents(documents: Iterable[Document]) -> tuple[Path, ...]:
    """Write each of ``documents`` to its file, or delete the file of one that accepts nothing any more.

    The caller holds the lock of the baseline.

    Returns:
        The files that were written or deleted.

    Raises:
        BaselineError: a file cannot be written, or could not be read again; the latter before any is written.

    """
    contents = {document.file: document.render() if document.names() else None for document in documents}
    for directory in {file.parent for file in contents}:
        remove_leftovers(directory)
    for file, data in contents.items():
        try:
            if data is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(file, data)
        except OSError as error:
            raise BaselineError(
                f"{file}: cannot write the baseline: {reason(error)}: free space or make it writable"
            ) from error
    return tuple(contents)


def damaged(file: Path, what: str) -> BaselineError:
    """Return the error that ``file`` cannot be used, and the remedy."""
    return BaselineError(
        f"{file}: damaged baseline: {what}: restore it from version control, "
        f"or delete it and save again with --goref-save"
    )


def _read(file: Path, inside: Path | None) -> bytes:
    """Return the bytes of ``file``; a link that leads out, a device and a huge file are never opened."""
    if inside is not None and file.is_symlink() and not is_inside(file, inside):
        raise BaselineError(
            f"{file}: a symbolic link that leaves {inside} is not followed: replace it by the file"
        )
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise damaged(file, "not a file")
    if status.st_size > _MOST_BYTES:
        raise damaged(file, f"{status.st_size} bytes; the limit is {_MOST_BYTES}")
    return file.read_bytes()
