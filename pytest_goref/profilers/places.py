"""Places: how a function is named in every table, whichever profiler saw it.

Project code is named by file and qualified name (never by line, so that an edit above moves nothing), all
other code by its module. The code that runs tests has no name: it is not the test's work.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUNNER_PACKAGES: Final = ("_pytest", "pluggy", "pytest", "pytest_goref")
"""Whoever runs the test: what only they call is not the test's work."""

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")


class Places:
    """Names functions by the files that they are in; remembers what it has found.

    Args:
        rootdir: code below it is project code, unless it is installed there (a virtual environment).
        runner_files: source files that help to run tests, such as those of other plugins.

    """

    def __init__(self, rootdir: Path, runner_files: Iterable[str] = ()) -> None:
        self._root = os.path.join(os.path.realpath(rootdir), "")  # noqa: PTH118 - compared as text, per function
        self._runner_files = frozenset(map(os.path.realpath, runner_files))
        self._files: dict[str, tuple[str, bool]] = {}

    def function(self, file: str, qualified_name: str) -> tuple[str, bool]:
        """Return the name of a Python function ("" for the test runner) and whether it is project code.

        Args:
            file: as in ``co_filename``.
            qualified_name: as in ``co_qualname``.

        """
        known = self._files.get(file)
        if known is None:
            known = self._files[file] = self._find_file(file)
        place, is_project = known
        if not place or not (is_project or place.startswith("<")):
            return place, False
        return f"{place}:{qualified_name}", is_project

    def _find_file(self, file: str) -> tuple[str, bool]:
        """Return how ``file`` is shown ("" for the runner) and whether it is project code."""
        if file.startswith("<"):
            frozen = file.removeprefix("<frozen ").removesuffix(">")
            return (frozen, False) if file.startswith("<frozen ") else (_ADDRESS.sub("0x", file), False)
        real = os.path.realpath(file)
        if real.startswith(self._root) and not _is_installed(real, self._root):
            return real[len(self._root) :].replace(os.sep, "/"), True
        module = _module_of(real)
        runs_tests = real in self._runner_files or module.partition(".")[0] in _RUNNER_PACKAGES
        return ("", False) if runs_tests else (module, False)


def _is_installed(file: str, root: str) -> bool:
    """Return whether ``file``, below ``root``, belongs to an environment kept in the project."""
    if "site-packages" in Path(file).parts:
        return True
    prefixes = {os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix)}
    return any(prefix.startswith(root) and file.startswith(prefix + os.sep) for prefix in prefixes)


def _module_of(file: str) -> str:
    """Return the dotted module of ``file``: its path below the longest entry of ``sys.path``."""
    entries = {os.path.realpath(entry) for entry in sys.path if entry}
    holders = [entry for entry in entries if file.startswith(entry + os.sep)]
    relative = file[len(max(holders, key=len)) + 1 :] if holders else Path(file).name
    parts = list(Path(relative).with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)
