"""Exports: a profile in the formats that other programs open, one module for each.

A format turns what was profiled into bytes and writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_goref.errors import InvalidValueError
from pytest_goref.report.export import chrome, collapsed, html, json, pprof, speedscope
from pytest_goref.store.files import safe_file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_goref.report.export.profiled import Profiled


class Format(NamedTuple):
    """One format.

    Attributes:
        suffix: what the name of its files ends with.
        render: returns the content of a file.

    """

    suffix: str
    render: Callable[[Profiled], bytes]


FORMATS: Final[Mapping[str, Format]] = {
    "speedscope": Format(".speedscope.json", speedscope.render),
    "pprof": Format(".pb.gz", pprof.render),
    "collapsed": Format(".collapsed.txt", collapsed.render),
    "chrome": Format(".trace.json", chrome.render),
    "html": Format(".html", html.render),
    "json": Format(".json", json.render),
}
"""Every format by its name."""


def format_named(name: str) -> Format:
    """Return the format ``name``.

    Raises:
        InvalidValueError: there is none.

    """
    if name not in FORMATS:
        raise InvalidValueError(f"{name!r} is not a format of exports; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def file_name(profiled: Profiled, form: Format) -> str:
    """Return a name for the file with a profile: legal everywhere, and another for every test and kind."""
    return safe_file_name(profiled.test, f".{profiled.profile.kind.value}{form.suffix}")
