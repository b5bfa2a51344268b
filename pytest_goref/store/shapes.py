"""Shapes: what plain data claims to be is checked before it is used; what is wrong is told with its place."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_goref.store.jsontext import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Where = tuple[str, ...]
"""The steps from the outermost object to a value."""

MOST: Final = 2**63 - 1
"""The largest number that is stored."""

_ONE_TYPE: Final = {int}
_E = TypeVar("_E", bound=Enum)


def check_samples(values: Sequence[int], where: Where, subject: str) -> None:
    """Refuse ``values`` unless they are, as claimed, whole numbers: at least one, of 63 bits at most."""
    if not values:
        raise CodecError((*where, subject), "expected at least one number")
    if set(map(type, values)) != _ONE_TYPE:  # by type: True is an int too
        raise CodecError((*where, subject), "expected a whole number or a list of them")
    if min(values) < 0 or max(values) > MOST:
        raise CodecError((*where, subject), f"expected numbers from 0 to {MOST}")


def as_object(value: object, where: Where) -> dict[str, Any]:
    """Return ``value``, which is an object; of what, the caller still checks."""
    if not isinstance(value, dict):
        raise CodecError(where, "expected an object")
    for name in value:
        if not isinstance(name, str):
            raise CodecError(where, "expected the names of members to be text")
    return value


def as_list(value: object, where: Where) -> list[Any]:
    """Return ``value``, which is a list; of what, the caller still checks."""
    if not isinstance(value, list):
        raise CodecError(where, "expected a list")
    return value


def text_member(members: Mapping[str, Any], name: str, where: Where) -> str:
    """Return the member ``name``, which is text."""
    value = members.get(name)
    if not isinstance(value, str):
        raise CodecError((*where, name), "expected text")
    return value


def count_member(members: Mapping[str, Any], name: str, where: Where) -> int:
    """Return the member ``name``, which is a whole number from 0 on; 0 when it is missing."""
    value = members.get(name, 0)
    check_samples((value,), where, name)
    return value  # type: ignore[no-any-return]  # checked right above


def enum_member(kind: type[_E], members: Mapping[str, Any], name: str, where: Where) -> _E:
    """Return the member ``name``, which is the value of a member of ``kind``."""
    value = text_member(members, name, where)
    try:
        return kind(value)
    except ValueError:
        raise CodecError((*where, name), f"expected {_either(item.value for item in kind)}") from None


def _either(words: Iterable[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)
