"""The gzipped protocol buffers of pprof, for ``go tool pprof`` and the many programs that read its files.

Written by hand and not with the library: of protocol buffers, ten lines are needed, and the library is large
and fails when an application and a generated module want different versions of it.
https://github.com/google/pprof/blob/main/proto/profile.proto
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

from pytest_goref.profile import SAMPLE_NS, Frame, ProfileKind, StackProfile
from pytest_goref.quantity import Unit
from pytest_goref.report.export.profiled import label, main_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_goref.report.export.profiled import Profiled

# Field numbers of the messages in profile.proto.
_PROFILE: Final = {
    "sample_type": 1,
    "sample": 2,
    "mapping": 3,
    "location": 4,
    "function": 5,
    "string_table": 6,
    "duration_nanos": 10,
    "period_type": 11,
    "period": 12,
    "comment": 13,
    "default_sample_type": 14,
}
_VALUE_TYPE: Final = {"type": 1, "unit": 2}
_SAMPLE: Final = {"location_id": 1, "value": 2, "label": 3}
_LABEL: Final = {"key": 1, "str": 2}
_MAPPING: Final = {"id": 1, "filename": 5, "has_functions": 7, "has_filenames": 8, "has_line_numbers": 9}
_LOCATION: Final = {"id": 1, "mapping_id": 2, "line": 4}
_LINE: Final = {"function_id": 1, "line": 2}
_FUNCTION: Final = {"id": 1, "name": 2, "system_name": 3, "filename": 4}

_UNITS: Final = {
    Unit.COUNT: "count",
    Unit.NANOSECOND: "nanoseconds",
    Unit.BYTE: "bytes",
    Unit.PERMILLE: "permille",
}
_MAPPING_ID: Final = 1
_TEST: Final = "test"
_VARINT, _BYTES = 0, 2
"""Wire types."""


def render(profiled: Profiled) -> bytes:
    """Return the file: the same bytes for the same profile, with the node id as the label ``test``."""
    return gzip.compress(_Builder().profile(profiled), mtime=0)


class _Builder:
    """Numbers the texts, functions and locations of one file in the order in which they are met."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {"": 0}  # as the format demands
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[tuple[int, int], int] = {}

    def profile(self, profiled: Profiled) -> bytes:
        profile = profiled.profile
        test = _message(_LABEL, key=self._text(_TEST), str=self._text(profiled.test))
        samples = [self._sample(stack, numbers, test) for stack, numbers in profile.stacks.items()]
        types = [self._type(value.name, value.unit) for value in profile.values]
        mapping = _message(
            _MAPPING,
            id=_MAPPING_ID,
            filename=self._text(profiled.test),
            has_functions=1,
            has_filenames=1,
            has_line_numbers=1,
        )
        about = self._about(profile)
        return b"".join(
            [
                _repeated(_PROFILE, "sample_type", types),
                _repeated(_PROFILE, "sample", samples),
                _repeated(_PROFILE, "mapping", [mapping]),
                _repeated(_PROFILE, "location", map(_location, self._locations.items())),
                _repeated(_PROFILE, "function", map(self._function, list(self._functions.items()))),
                about,
                _repeated(
                    _PROFILE,
                    "string_table",
                    (text.encode("utf-8", "backslashreplace") for text in self._texts),
                ),
            ]
        )

    def _about(self, profile: StackProfile) -> bytes:
        """Return what is known of the whole; how often a sample was taken is known of CPU time only."""
        fields: dict[str, int | bytes] = {
            "comment": self._text(f"{profile.executions} executions, under the profiler"),
            "default_sample_type": self._text(profile.values[main_value(profile)].name),
        }
        if profile.kind is ProfileKind.CPU:
            fields["duration_nanos"] = profile.elapsed_ns
            fields["period_type"] = self._type("time", Unit.NANOSECOND)
            fields["period"] = SAMPLE_NS
        return _message(_PROFILE, **fields)

    def _sample(self, stack: Iterable[Frame], numbers: Iterable[int], test: bytes) -> bytes:
        locations = [self._location_id(frame) for frame in stack]
        return _message(
            _SAMPLE,
            location_id=_packed(reversed(locations)),  # the innermost comes first
            value=_packed(numbers),
            label=test,
        )

    def _location_id(self, frame: Frame) -> int:
        functions, locations = self._functions, self._locations
        function = functions.setdefault((label(frame), frame.file), len(functions) + 1)
        return locations.setdefault((function, frame.line), len(locations) + 1)

    def _function(self, item: tuple[tuple[str, str], int]) -> bytes:
        (name, file), number = item
        named = self._text(name)
        return _message(_FUNCTION, id=number, name=named, system_name=named, filename=self._text(file))

    def _type(self, name: str, unit: Unit) -> bytes:
        return _message(_VALUE_TYPE, type=self._text(name), unit=self._text(_UNITS[unit]))

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def _location(item: tuple[tuple[int, int], int]) -> bytes:
    (function, line), number = item
    code = _message(_LINE, function_id=function, line=line)
    return _message(_LOCATION, id=number, mapping_id=_MAPPING_ID, line=code)


def _message(numbers: dict[str, int], **fields: int | bytes) -> bytes:
    """Return a message; as in any encoder, a number that is 0 is left out."""
    parts = []
    for name, value in fields.items():
        if isinstance(value, bytes):
            parts.append(_repeated(numbers, name, [value]))
        elif value:
            parts.append(_varint(numbers[name] << 3 | _VARINT) + _varint(value))
    return b"".join(parts)


def _repeated(numbers: dict[str, int], name: str, values: Iterable[bytes]) -> bytes:
    tag = _varint(numbers[name] << 3 | _BYTES)
    return b"".join(tag + _varint(len(value)) + value for value in values)


def _packed(numbers: Iterable[int]) -> bytes:
    return b"".join(map(_varint, numbers))


def _varint(number: int) -> bytes:
    """Return ``number``, which is not negative, seven bits in a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
