"""Code: one short fingerprint of the functions that ran, so that a later run can tell that none has changed.

It tells only what executes: instructions, the constants that they load, and names. Line numbers, docstrings,
comments and places of files are no part of it, and neither is a hash seed. Bytecode differs between versions
of Python, so fingerprints compare within one.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import types
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGITS: Final = 16
_LOADS: Final = frozenset(dis.hasconst)
_STORE_NAME: Final = dis.opmap["STORE_NAME"]
_ABOUT_SOURCE: Final = frozenset({"__doc__", "__firstlineno__", "__static_attributes__"})
"""What a class body stores that changes with its text or its line, or with the hash seed (3.13)."""
_FLAGS: Final = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)
"""The others say what follows from the rest, or from the module."""


def fingerprint(ran: Iterable[tuple[str, types.CodeType]]) -> str:
    """Return 16 hexadecimal digits that stand for all code in ``ran``, "" when that is nothing.

    Args:
        ran: each function by the name it is shown with, and its code, in any order.

    """
    # Lines only order what shares a name, such as two lambdas: that order stays when both move.
    found = sorted({(subject, code.co_firstlineno, code_digest(code)) for subject, code in ran})
    if not found:
        return ""
    return _hash(*((subject, digest) for subject, _, digest in found))[:_DIGITS]


@functools.lru_cache(maxsize=10_000)
def code_digest(code: types.CodeType) -> str:
    """Return what is equal for code that does the same; the code of functions within it is not looked at."""
    return _hash(
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & _FLAGS,
        code.co_names,
        code.co_varnames,
        code.co_cellvars,
        code.co_freevars,
        code.co_exceptiontable,
        *_executed(code),
    )


def _executed(code: types.CodeType) -> tuple[bytes, list[str]]:
    """Return the instructions without the numbers of constants, and the constants in the order loaded.

    A docstring takes a number, so that a new one would change those of all others.
    """
    instructions = bytearray(code.co_code)
    loaded: list[str] = []
    operation = extended = 0
    for at in range(0, len(instructions), 2):
        before, operation = operation, instructions[at]
        number = extended | instructions[at + 1]
        extended = number << 8 if operation == dis.EXTENDED_ARG else 0
        if operation in _LOADS:
            loaded.append(_constant(code.co_consts[number]))
            instructions[at + 1] = 0
        elif operation == _STORE_NAME and code.co_names[number] in _ABOUT_SOURCE and before in _LOADS:
            loaded.pop()
    return bytes(instructions), loaded


def _constant(value: object) -> str:
    """Return a text that differs for values that differ, and is the same in every process."""
    if isinstance(value, types.CodeType):
        return "code"
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(_constant, value))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    # The decimal digits of a long int are refused by Python, by default from 4300 on.
    return hex(value) if type(value) is int else repr(value)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
