"""Options, ini values and markers as frozen values; nothing deeper sees pytest's configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from pytest_goref.compare.rules import Rules, parse_limits, parse_rule
from pytest_goref.errors import InvalidValueError
from pytest_goref.model import Limit, Severity
from pytest_goref.plugin.artifacts import Export, parse_export
from pytest_goref.plugin.passes import ON_DEMAND, PASSES
from pytest_goref.quantity import Unit, parse_quantity
from pytest_goref.report.text import shorten
from pytest_goref.store.artifacts import DEFAULT_MOST_BYTES

if TYPE_CHECKING:
    from pathlib import Path

MARKERS: Final = ("profile", "goref")
"""The marker that asks for measuring, and its alias."""
_LIMITS: Final = ("max_count", "max_duration", "max_peak", "max_allocations")
_SHOWN_CHARACTERS: Final = 80
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the ini file ask for.

    Attributes:
        rootdir: paths in keys and tables are relative to it.
        save: name of the baseline to store, "" for none.
        compare: what to compare with, as written, "" for nothing.
        strict: whether tests that were not compared fail.
        all_tests: whether unmarked tests are measured too.
        request: what is asked for every test, before its marker.
        export: where profiles are exported to, None when they are not.
        artifacts_limit_bytes: how much room profiles may take in the cache.

    """

    rootdir: Path
    save: str
    compare: str
    strict: bool
    all_tests: bool
    request: Request
    export: Export | None = None
    artifacts_limit_bytes: int = DEFAULT_MOST_BYTES

    @property
    def cache(self) -> Path:
        """Where baselines and history live."""
        return self.rootdir / ".goref_cache"


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


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of a session.

    Raises:
        InvalidValueError: an option or ini value is wrong; the message names it.

    """
    rules = Rules.default()
    for given in (_ini, _option):
        for severity in (Severity.WARN, Severity.FAIL):
            texts, place = given(config, severity.value)
            rules = _with_rules(rules, severity, texts or (), place)
    passes, place = _either(config, "passes")
    export = _export(config)
    by_default = tuple(name for name in PASSES if export or name not in ON_DEMAND)
    return Settings(
        rootdir=config.rootpath,
        save=_not_empty(config, "save", "the name of a baseline"),
        compare=_not_empty(config, "compare", "the name of a baseline, last, run:N or a file"),
        strict=bool(_either(config, "strict")[0]),
        all_tests=bool(_either(config, "all")[0]),
        request=Request(
            passes=by_default if passes is None else _parse(parse_passes, passes, place),
            rounds=_parse(parse_rounds, *_either(config, "rounds", "auto")),
            repeat=True,
            rules=rules,
            on_demand=() if export or passes is not None else ON_DEMAND,
        ),
        export=export,
        artifacts_limit_bytes=_parse(
            lambda text: parse_quantity(text, Unit.BYTE), *_ini(config, "artifacts_limit")
        ),
    )


def _export(config: pytest.Config) -> Export | None:
    """Return where profiles are exported to, None when they are not."""
    text, place = _option(config, "export")
    if text is None:
        return None
    return _parse(lambda given: parse_export(given, config.invocation_params.dir), text, place)


def _option(config: pytest.Config, name: str) -> tuple[Any, str]:
    return config.getoption(f"goref_{name}"), f"--goref-{name}"


def _ini(config: pytest.Config, name: str) -> tuple[Any, str]:
    place = f"ini value goref_{name}"
    try:
        return config.getini(f"goref_{name}"), place
    except (ValueError, pytest.UsageError) as error:  # pytest does not say of which value
        raise InvalidValueError(f"{place}: {error}") from None


def _either(config: pytest.Config, name: str, default: object = None) -> tuple[Any, str]:
    """Return the value of an option, else of its ini twin, else the default, and what to call its place."""
    for value, place in (_option(config, name), _ini(config, name)):
        if value is not None:
            return value, place
    return default, ""


def _parse(parse: Callable[[Any], _T], text: object, place: str) -> _T:
    """Return ``parse(text)``; a wrong value is reported with its place in front."""
    try:
        return parse(text)
    except InvalidValueError as error:
        raise InvalidValueError(f"{place}: {error}") from None


def _with_rules(rules: Rules, severity: Severity, texts: Iterable[str], place: str) -> Rules:
    """Return ``rules`` changed by what ``texts`` say."""

    def changed(texts: Iterable[str]) -> Rules:
        return rules.with_changes((severity, parse_rule(text)) for text in texts)

    return _parse(changed, texts, place)


def _not_empty(config: pytest.Config, name: str, needed: str) -> str:
    """Return the value of an option, "" when it is not given; given, it says something."""
    value, place = _option(config, name)
    if value is not None and not value.strip():
        raise InvalidValueError(f"{place}: needs {needed}")
    return value or ""


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
    text = str(value).strip()
    if text == "auto":
        return None
    most = 10_000
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if isinstance(value, bool) or not is_number or not 1 <= int(text) <= most:
        shown = shorten(repr(text), _SHOWN_CHARACTERS)
        raise InvalidValueError(
            f"{shown} is not a number of rounds: auto, or a whole number from 1 to {most}"
        )
    return int(text)


def executes_tests(config: pytest.Config) -> bool:
    """Return whether this session is to execute tests, and not only to show which, or their fixtures."""
    return not any(config.getoption(flag, False) for flag in ("collectonly", "setuponly", "setupplan"))


def is_measured(item: pytest.Item, settings: Settings) -> bool:
    """Return whether a test is to be measured at all."""
    return settings.all_tests or any(item.get_closest_marker(name) for name in MARKERS)


def read_request(item: pytest.Item, settings: Settings) -> Request:
    """Return what is asked for ``item``: the settings, changed by its nearest marker.

    Raises:
        InvalidValueError: the marker's arguments are wrong; the message names the marker.

    """
    nearest = next((mark for mark in item.iter_markers() if mark.name in MARKERS), None)
    if nearest is None:
        return settings.request
    place = f"@pytest.mark.{nearest.name}"
    try:
        return _changed(settings.request, nearest)
    except InvalidValueError as error:
        raise InvalidValueError(f"{place}: {error}") from None
    except Exception as error:  # a value that cannot even be looked at or shown
        what = type(error).__name__
        raise InvalidValueError(f"{place}: an argument cannot be read: it raises {what}") from error


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
        rules = _with_rules(rules, severity, texts, f"{severity.value}=")
    if "leaks" in arguments:
        severity = _named("leaks", _severity, arguments.pop("leaks"))
        rule = "leaks:off" if severity is Severity.OFF else "leaks:0"
        rules = rules.with_changes([(severity, parse_rule(rule))])
    return replace(request, limits=limits, rules=rules)


def _named(name: str, parse: Callable[[Any], _T], value: object) -> _T:
    """Return ``parse(value)``; a wrong value is reported with the argument's name in front."""
    return _parse(parse, value, f"{name}=")


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
