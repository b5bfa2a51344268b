"""What is asked for one test: the options' part of it, changed by the marker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_goref.compare.rules import Rules, parse_limits, parse_rule
from pytest_goref.errors import InvalidValueError
from pytest_goref.model import Limit, Severity
from pytest_goref.plugin.passes import PASSES
from pytest_goref.report.text import shorten

if TYPE_CHECKING:
    import pytest

MARKERS: Final = ("profile", "goref")
"""The marker that asks for measuring, and its alias."""
_LIMITS: Final = ("max_count", "max_duration", "max_peak", "max_allocations")
_SHOWN_CHARACTERS: Final = 80
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for one test.

    Attributes:
        passes: names out of ``PASSES``.
        rounds: timed executions; None for as many as are needed.
        repeat: whether the test may be executed more than once.
        rules: tolerance and severity of each metric.
        limits: absolute limits of the marker.
        on_demand: names of passes that are taken where their results are needed.

    """

    passes: tuple[str, ...]
    rounds: int | None
    repeat: bool
    rules: Rules
    limits: tuple[Limit, ...] = ()
    on_demand: tuple[str, ...] = ()


def parse_passes(text: object) -> tuple[str, ...]:
    """Return the passes named in a comma-separated list, in the order they are executed.

    Raises:
        InvalidValueError: a name is unknown, or there is none.

    """
    names = text.split(",") if isinstance(text, str) else text
    known = ", ".join(PASSES)
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise InvalidValueError(f"{text!r} is not a list of passes; known: {known}")
    wanted = [str(name).strip() for name in names]
    for name in wanted:
        if name not in PASSES:
            raise InvalidValueError(f"{name!r} is not a pass; known: {known}")
    if not wanted:
        raise InvalidValueError(f"no pass is named; known: {known}")
    return tuple(name for name in PASSES if name in wanted)


def parse_rounds(value: object) -> int | None:
    """Return a number of rounds, None for ``auto``.

    Raises:
        InvalidValueError: the value is neither ``auto`` nor a whole number from 1 to 10 000.

    """
    if str(value).strip() == "auto":
        return None
    return _whole_number(value, "is not a number of rounds: auto, or a whole number", 1, 10_000)


def parse_visits(value: object) -> int:
    """Return a number of fresh processes.

    Raises:
        InvalidValueError: the value is no whole number from 0 to 10.

    """
    return _whole_number(value, "is not a number of fresh processes: a whole number", 0, 10)


def parse_switch(value: object) -> bool:
    """Return whether a value turns something on.

    Raises:
        InvalidValueError: the value is neither ``on`` nor ``off``.

    """
    text = str(value).strip()
    if text not in ("on", "off"):
        shown = shorten(repr(text), _SHOWN_CHARACTERS)
        raise InvalidValueError(f"{shown} is neither 'on' nor 'off'")
    return text == "on"


def _whole_number(value: object, what_not: str, least: int, most: int) -> int:
    text = str(value).strip()
    digits = text.lstrip("0") or "0"
    is_number = text.isascii() and text.isdigit() and len(digits) <= len(str(most))
    if isinstance(value, bool) or not is_number or not least <= int(digits) <= most:
        shown = shorten(repr(text), _SHOWN_CHARACTERS)
        raise InvalidValueError(f"{shown} {what_not} from {least} to {most}")
    return int(digits)


def parse_at(parse: Callable[[Any], _T], text: object, place: str) -> _T:
    """Return ``parse(text)``; a wrong value is reported with its place in front."""
    try:
        return parse(text)
    except InvalidValueError as error:
        raise InvalidValueError(f"{place}: {error}") from None


def with_rules(rules: Rules, severity: Severity, texts: Iterable[str], place: str) -> Rules:
    """Return ``rules`` changed by what ``texts`` say."""

    def changed(texts: Iterable[str]) -> Rules:
        return rules.with_changes((severity, parse_rule(text)) for text in texts)

    return parse_at(changed, texts, place)


def with_marker(request: Request, item: pytest.Item) -> Request:
    """Return ``request``, changed by the nearest marker of ``item``.

    Raises:
        InvalidValueError: the marker's arguments are wrong; the message names the marker.

    """
    nearest = next((mark for mark in item.iter_markers() if mark.name in MARKERS), None)
    if nearest is None:
        return request
    place = f"@pytest.mark.{nearest.name}"
    try:
        return _changed(request, nearest)
    except InvalidValueError as error:
        raise InvalidValueError(f"{place}: {error}") from None
    except Exception as error:  # a value that cannot even be looked at or shown
        what = type(error).__name__
        raise InvalidValueError(f"{place}: an argument cannot be read: it raises {what}") from error


def narrowed(request: Request, passes: Collection[str]) -> Request:
    """Return ``request`` as far as it is about ``passes``: nothing else is measured, and nothing judged."""
    wanted = {*request.passes, *request.on_demand}
    taken = tuple(name for name in PASSES if name in passes and name in wanted)
    return replace(request, passes=taken, limits=(), on_demand=())


def _changed(request: Request, mark: pytest.Mark) -> Request:
    """Return ``request`` changed by the arguments of a marker."""
    known = f"rounds, repeat, passes, {', '.join(_LIMITS)}, fail, warn, leaks"
    if mark.args:
        shown = shorten(repr(mark.args[0]), _SHOWN_CHARACTERS)
        raise InvalidValueError(f"takes keyword arguments only, not {shown}; known: {known}")
    arguments = dict(mark.kwargs)
    request = _with_arguments(request, arguments)
    if arguments:
        shown = shorten(repr(next(iter(arguments))), _SHOWN_CHARACTERS)
        raise InvalidValueError(f"unknown argument {shown}; known: {known}")
    return request


def _with_arguments(request: Request, arguments: dict[str, Any]) -> Request:
    """Return ``request`` changed by a marker's ``arguments``; what is understood is taken out of them."""
    if "rounds" in arguments:
        request = replace(request, rounds=_named("rounds", parse_rounds, arguments.pop("rounds")))
    if "passes" in arguments:
        passes = _named("passes", parse_passes, arguments.pop("passes"))
        request = replace(request, passes=passes, on_demand=())
    if "repeat" in arguments:
        request = replace(request, repeat=_named("repeat", _boolean, arguments.pop("repeat")))
    limits = parse_limits(*(arguments.pop(name, None) for name in _LIMITS))
    rules = request.rules
    for severity in (Severity.WARN, Severity.FAIL):
        texts = _named(severity.value, _rule_texts, arguments.pop(severity.value, ()))
        rules = with_rules(rules, severity, texts, f"{severity.value}=")
    if "leaks" in arguments:
        severity = _named("leaks", _severity, arguments.pop("leaks"))
        rule = "leaks:off" if severity is Severity.OFF else "leaks:0"
        rules = rules.with_changes([(severity, parse_rule(rule))])
    return replace(request, limits=limits, rules=rules)


def _named(name: str, parse: Callable[[Any], _T], value: object) -> _T:
    """Return ``parse(value)``; a wrong value is reported with the argument's name in front."""
    return parse_at(parse, value, f"{name}=")


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValueError(f"{value!r} is neither True nor False")
    return value


def _severity(value: object) -> Severity:
    try:
        return Severity(value)
    except ValueError:
        raise InvalidValueError(f"{value!r} is not one of 'fail', 'warn', 'off'") from None


def _rule_texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise InvalidValueError(f"{value!r} is neither a rule such as 'calls:5%+8' nor a list of rules")
