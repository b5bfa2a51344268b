"""The code that a source file compiles to: what a profiler does not tell of a function is looked up there."""

from __future__ import annotations

import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def code_in(file: str) -> Iterator[types.CodeType]:
    """Yield all code in a source file, the module's first; nothing if it has no source that can be read."""
    try:
        source = Path(file).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            waiting = [compile(source, file, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError):
        return
    while waiting:
        code = waiting.pop()
        yield code
        waiting.extend(const for const in code.co_consts if isinstance(const, types.CodeType))
