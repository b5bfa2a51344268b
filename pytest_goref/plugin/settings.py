"""Options, ini values and markers as frozen values; nothing deeper sees pytest's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

from pytest_goref.compare.rules import Rules, parse_rule
from pytest_goref.errors import InvalidValueError
from pytest_goref.model import Group, Severity
from pytest_goref.plugin.artifacts import Export, parse_export
from pytest_goref.plugin.passes import ON_DEMAND, PASSES
from pytest_goref.plugin.request import (
    MARKERS,
    Request,
    narrowed,
    parse_at,
    parse_passes,
    parse_rounds,
    parse_switch,
    parse_visits,
    with_marker,
    with_rules,
)
from pytest_goref.quantity import Unit, parse_quantity
from pytest_goref.store.artifacts import DEFAULT_MOST_BYTES
from pytest_goref.tracker.engines import problem as engine_problem

if TYPE_CHECKING:
    from pathlib import Path

_VISITS: Final = 6


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
        lock: whether sessions of one machine wait for one another to time.
        visits: how many fresh processes time each test that is saved.
        visit_passes: in a visit, the passes that it may take; None in a session of the user.

    """

    rootdir: Path
    save: str
    compare: str
    strict: bool
    all_tests: bool
    request: Request
    export: Export | None = None
    artifacts_limit_bytes: int = DEFAULT_MOST_BYTES
    lock: bool = True
    visits: int = _VISITS
    visit_passes: tuple[str, ...] | None = None

    @property
    def cache(self) -> Path:
        """Where baselines and history live."""
        return self.rootdir / ".goref_cache"


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of a session.

    Raises:
        InvalidValueError: an option, ini value or environment variable is wrong; the message names it.

    """
    if engine_problem:
        raise InvalidValueError(engine_problem)
    rules = Rules.default()
    for given in (_ini, _option):
        for severity in (Severity.WARN, Severity.FAIL):
            texts, place = given(config, severity.value)
            rules = with_rules(rules, severity, texts or (), place)
    if is_distributed(config) and gates_durations(rules):
        _refuse_gate(config)
    passes, place = _either(config, "passes")
    export = _export(config)
    by_default = tuple(name for name in PASSES if export or name not in ON_DEMAND)
    return Settings(
        rootdir=config.rootpath,
        save=_not_empty(config, "save", "the name of a baseline"),
        compare=_not_empty(config, "compare", "the name of a baseline, last, run:N, a file or git:REV"),
        strict=bool(_either(config, "strict")[0]),
        all_tests=bool(_either(config, "all")[0]),
        request=Request(
            passes=by_default if passes is None else parse_at(parse_passes, passes, place),
            rounds=parse_at(parse_rounds, *_either(config, "rounds", "auto")),
            repeat=parse_at(parse_switch, *_either(config, "repeat", "on")),
            rules=rules,
            on_demand=() if export or passes is not None else ON_DEMAND,
        ),
        export=export,
        artifacts_limit_bytes=parse_at(
            lambda text: parse_quantity(text, Unit.BYTE), *_ini(config, "artifacts_limit")
        ),
        lock=parse_at(parse_switch, *_either(config, "lock", "on")),
        visits=parse_at(parse_visits, *_either(config, "visits", _VISITS)),
    )


def is_distributed(config: pytest.Config) -> bool:
    """Return whether workers of xdist are to execute the tests of this session."""
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))


def gates_durations(rules: Rules) -> bool:
    """Return whether a slower test is to fail."""
    return any(
        metric.group is Group.DURATIONS and rule.severity is Severity.FAIL
        for metric, rule in rules.by_metric.items()
    )


def _refuse_gate(config: pytest.Config) -> NoReturn:
    """Refuse the rule that lets slower tests fail: beside other workers no time tells anything."""
    for given in (_option, _ini):
        texts, place = given(config, Severity.FAIL.value)
        for text in reversed(texts or ()):
            change = parse_rule(text)
            if change.tolerances and any(metric.group is Group.DURATIONS for metric in change.metrics):
                raise InvalidValueError(
                    f"{place}: {text}: durations are not judged under xdist (-n), as workers slow each other "
                    f"down: use -n0, or --goref-warn={text} in its place"
                )
    raise AssertionError("only a rule of the user lets slower tests fail")


def _export(config: pytest.Config) -> Export | None:
    """Return where profiles are exported to, None when they are not."""
    text, place = _option(config, "export")
    if text is None:
        return None
    return parse_at(lambda given: parse_export(given, config.invocation_params.dir), text, place)


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


def _not_empty(config: pytest.Config, name: str, needed: str) -> str:
    """Return the value of an option, "" when it is not given; given, it says something."""
    value, place = _option(config, name)
    if value is not None and not value.strip():
        raise InvalidValueError(f"{place}: needs {needed}")
    return value or ""


def executes_tests(config: pytest.Config) -> bool:
    """Return whether this session is to execute tests, and not only to show which, or their fixtures."""
    return not any(config.getoption(flag, False) for flag in ("collectonly", "setuponly", "setupplan"))


def is_measured(item: pytest.Item, settings: Settings) -> bool:
    """Return whether a test is to be measured at all."""
    return settings.all_tests or any(item.get_closest_marker(name) for name in MARKERS)


def read_request(item: pytest.Item, settings: Settings) -> Request:
    """Return what is asked for ``item``: the settings, changed by its nearest marker, as far as a visit goes.

    Raises:
        InvalidValueError: the marker's arguments are wrong; the message names the marker.

    """
    request = with_marker(settings.request, item)
    return request if settings.visit_passes is None else narrowed(request, settings.visit_passes)
