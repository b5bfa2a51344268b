"""One file of a baseline: what is accepted for the tests of one module.

Formats, each readable by every later version of this package:

1. ``{"format": 1, "path": "tests/test_x.py", "tests": {name: entry}}``, entries as ``codec`` makes them.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from pytest_goref.errors import BaselineError
from pytest_goref.store.codec import entry_from_plain, entry_to_plain
from pytest_goref.store.files import reason, safe_file_name, write_atomically
from pytest_goref.store.jsontext import CodecError, parse_json, render_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_goref.model import BaselineEntry

SUFFIX: Final = ".json"
_FORMAT: Final = 1
_MOST_BYTES: Final = 64 * 2**20


class Document:
    """The entries of one test module and the plain data they came from.

    What this version does not know stays in the plain data and is written back with it.

    Args:
        path: the path of the test module, as in its ``TestKey``.
        plain: the content of the file.
        entries: what is accepted, by the name of the test.

    """

    def __init__(self, path: str, plain: dict[str, object], entries: dict[str, BaselineEntry]) -> None:
        self.path = path
        self.entries = entries
        self._plain = plain

    @classmethod
    def empty(cls, path: str) -> Document:
        """Return a document that accepts nothing yet."""
        return cls(path, {"format": _FORMAT, "path": path, "tests": {}}, {})

    def accept(self, entry: BaselineEntry) -> bool:
        """Put ``entry`` in the place of what was accepted for its test; return whether that differs.

        Raises:
            BaselineError: the entry holds a number that no file may hold.

        """
        name = entry.key.name
        if self.entries.get(name) == entry:
            return False
        try:
            self._tests[name] = entry_to_plain(entry)
        except CodecError as error:
            raise BaselineError(f"{entry.key.nodeid}: cannot be stored: {error}") from error
        self.entries[name] = entry
        return True

    def drop(self, names: Iterable[str]) -> int:
        """Remove what is accepted for the tests ``names``; return how many there were."""
        known = [name for name in names if name in self.entries]
        for name in known:
            del self._tests[name], self.entries[name]
        return len(known)

    def render(self) -> bytes:
        """Return the content of the file.

        Raises:
            BaselineError: it would be too large to be read again.

        """
        data = render_json(self._plain)
        if len(data) > _MOST_BYTES:
            raise BaselineError(
                f"the baseline of {self.path} would take {len(data)} bytes; the limit is {_MOST_BYTES}: "
                f"mark fewer of its tests, or split the module"
            )
        return data

    @property
    def _tests(self) -> dict[str, object]:
        tests = self._plain["tests"]
        assert isinstance(tests, dict)  # noqa: S101 (both ways to make a document see to it)
        return tests


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
        document = _decode(file, parse_json(data))
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
    document = read_document(file, inside=directory) or Document.empty(path)
    if document.path != path:
        raise damaged(file, f"this is the file of another module, {document.path!a}")
    return document


def write_documents(directory: Path, documents: Iterable[Document]) -> tuple[Path, ...]:
    """Write each of ``documents`` to its file, or delete the file of one that accepts nothing any more.

    Returns:
        The files that were written or deleted.

    Raises:
        BaselineError: a file cannot be written, or would be too large to be read again.

    """
    contents = {
        directory / safe_file_name(document.path, SUFFIX): document.render() if document.entries else None
        for document in documents
    }
    try:
        for file, data in contents.items():
            if data is None:
                file.unlink(missing_ok=True)
            else:
                directory.mkdir(parents=True, exist_ok=True)
                write_atomically(file, data)
    except OSError as error:
        raise BaselineError(
            f"{directory}: cannot write the baseline: {reason(error)}: free space or make it writable"
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
    if inside is not None and file.is_symlink() and not file.resolve().is_relative_to(inside.resolve()):
        raise BaselineError(
            f"{file}: a symbolic link that leaves {inside} is not followed: replace it by the file"
        )
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise damaged(file, "not a file")
    if status.st_size > _MOST_BYTES:
        raise damaged(file, f"{status.st_size} bytes; the limit is {_MOST_BYTES}")
    return file.read_bytes()


def _decode(file: Path, plain: object) -> Document:
    if not isinstance(plain, dict):
        raise CodecError((), "expected an object")
    number = plain.get("format")
    if type(number) is not int or number < 1:
        raise CodecError(("format",), "expected the number of a format")
    if number > _FORMAT:
        raise BaselineError(
            f"{file}: written by a newer pytest-goref (format {number}; this one reads up to {_FORMAT}): "
            f"upgrade, or save it anew under another name"
        )
    path, tests = plain.get("path"), plain.get("tests")
    if not isinstance(path, str):
        raise CodecError(("path",), "expected text")
    if not isinstance(tests, dict):
        raise CodecError(("tests",), "expected an object")
    return Document(path, plain, {name: entry_from_plain(path, name, entry) for name, entry in tests.items()})
