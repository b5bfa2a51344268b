from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import pytest
from plugin_project import ALONE, IN_PROCESS

from pytest_goref.errors import InvalidValueError
from pytest_goref.metrics import (
    ALLOCATION_COUNT,
    CALLS,
    DEFAULT_RULES,
    LEAKED_REFS,
    LEAKED_TASKS,
    LEAKED_THREADS,
    PEAK_BYTES,
    REFS,
    WALL_TIME,
)
from pytest_goref.model import Limit, Rule, Severity, Tolerance
from pytest_goref.plugin.passes import PASSES
from pytest_goref.plugin.request import Request, parse_passes, parse_rounds, parse_switch, parse_visits
from pytest_goref.plugin.settings import Settings, is_measured, read_request, read_settings

_EVERY: Final = ("counts", "time")
KNOWN: Final = f"known: {', '.join(PASSES)}"
_ADDOPTS: Final = f"[pytest]\naddopts = {IN_PROCESS}\n"


@pytest.fixture(autouse=True)
def _rootdir(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest from looking for its configuration further up, and for other plugins."""
    pytester.makefile(".ini", pytest=_ADDOPTS)
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)


def _settings(pytester: pytest.Pytester, *args: str) -> Settings:
    return read_settings(pytester.parseconfig(*args))


def _request(pytester: pytest.Pytester, marker: str, *args: str) -> Request:
    item = pytester.getitem(f"import pytest\n\n@pytest.mark.{marker}\ndef test_func():\n    pass\n")
    return read_request(item, _settings(pytester, *args))


def test_what_is_asked_for_by_default(pytester: pytest.Pytester) -> None:
    settings = _settings(pytester)
    assert (settings.save, settings.compare, settings.strict, settings.all_tests) == ("", "", False, False)
    assert settings.cache == pytester.path / ".goref_cache"
    request = settings.request
    assert (request.rounds, request.repeat, request.limits) == (None, True, ())
    assert (request.passes, request.on_demand) == (("counts", "memory", "time"), ("cpu",))
    assert request.rules.by_metric == DEFAULT_RULES
    assert request.rules.chosen == frozenset()


@pytest.mark.parametrize("args", [("--goref-passes=time",), ("-ogoref_passes=time",)])
def test_passes_that_are_named_are_all_there_are(pytester: pytest.Pytester, args: tuple[str, ...]) -> None:
    request = _settings(pytester, *args).request
    assert (request.passes, request.on_demand) == (("time",), ())


def test_a_marker_that_names_passes_names_all_there_are(pytester: pytest.Pytester) -> None:
    request = _request(pytester, "profile(passes='cpu, counts')")
    assert (request.passes, request.on_demand) == (("counts", "cpu"), ())


def test_a_marker_that_names_no_passes_leaves_them_as_they_are(pytester: pytest.Pytester) -> None:
    assert _request(pytester, "profile(rounds=5)").on_demand == ("cpu",)


def test_options_are_read(pytester: pytest.Pytester) -> None:
    settings = _settings(
        pytester,
        "--goref-save=main",
        "--goref-compare=run:3",
        "--goref-strict",
        "--goref-all",
        "--goref-passes=counts",
        "--goref-rounds=7",
        "--goref-fail=calls:1%",
        "--goref-warn=counts:3",
    )
    assert (settings.save, settings.compare, settings.strict, settings.all_tests) == (
        "main",
        "run:3",
        True,
        True,
    )
    assert (settings.request.passes, settings.request.rounds) == (("counts",), 7)
    assert settings.request.rules.rule(CALLS) == Rule(Tolerance(0.01), Severity.FAIL)
    assert settings.request.rules.rule(REFS) == Rule(Tolerance(absolute=3), Severity.WARN)


_INI: Final = f"""{_ADDOPTS}
goref_strict = true
goref_all = true
goref_passes = time
goref_rounds = 4
goref_visits = 2
goref_fail =
    calls:1%
    leaks:2
goref_warn = counts:3
"""


def test_ini_values_are_read(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=_INI)
    settings = _settings(pytester)
    assert (settings.strict, settings.all_tests) == (True, True)
    assert (settings.request.passes, settings.request.rounds) == (("time",), 4)
    assert settings.visits == 2
    assert _settings(pytester, "--goref-visits=0").visits == 0
    rules = settings.request.rules
    assert rules.rule(CALLS) == Rule(Tolerance(0.01), Severity.FAIL)
    assert rules.rule(LEAKED_REFS) == Rule(Tolerance(absolute=2), Severity.FAIL)
    assert rules.rule(REFS) == Rule(Tolerance(absolute=3), Severity.WARN)


def test_the_command_line_wins_over_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=_INI)
    settings = _settings(pytester, "--goref-rounds=auto", "--goref-passes=counts", "--goref-warn=calls:2%")
    assert (settings.request.passes, settings.request.rounds) == (("counts",), None)
    assert settings.request.rules.rule(CALLS) == Rule(Tolerance(0.02), Severity.WARN)


def test_fail_wins_over_warn_of_one_place(pytester: pytest.Pytester) -> None:
    rules = _settings(pytester, "--goref-fail=calls:1%", "--goref-warn=calls:2%").request.rules
    assert rules.rule(CALLS) == Rule(Tolerance(0.01), Severity.FAIL)


def test_the_last_rule_wins(pytester: pytest.Pytester) -> None:
    rules = _settings(pytester, "--goref-fail=calls:1%", "--goref-fail=calls:2%").request.rules
    assert rules.rule(CALLS).tolerance == Tolerance(0.02)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--goref-compare=",), "--goref-compare: needs the name of a baseline, last, run:N, a file"),
        (("--goref-save= ",), "--goref-save: needs the name of a baseline"),
        (("--goref-rounds=0",), "--goref-rounds: '0' is not a number of rounds"),
        (("--goref-visits=11",), "--goref-visits: '11' is not a number of fresh processes"),
        (("-ogoref_visits=-1",), "ini value goref_visits: '-1' is not a number of fresh processes"),
        (("--goref-passes=foo",), f"--goref-passes: 'foo' is not a pass; {KNOWN}"),
        (("--goref-fail=nothing",), "--goref-fail: rule 'nothing': there is no ':'"),
        (("--goref-warn=calls:x",), "--goref-warn: rule 'calls:x':"),
        (("--goref-repeat=no",), "--goref-repeat: 'no' is neither 'on' nor 'off'"),
        (("-ogoref_repeat=",), "ini value goref_repeat: '' is neither 'on' nor 'off'"),
        (("-ogoref_rounds=many",), "ini value goref_rounds: 'many' is not a number of rounds"),
        (("-ogoref_fail=calls",), "ini value goref_fail: rule 'calls': there is no ':'"),
    ],
)
def test_a_wrong_value_names_its_place(
    pytester: pytest.Pytester, args: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=f"^{re.escape(message)}"):
        _settings(pytester, *args)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("time,counts", _EVERY),
        (" time ", ("time",)),
        (["counts"], ("counts",)),
        (("time", "counts", "time"), _EVERY),
        ({"time"}, ("time",)),
    ],
)
def test_passes(text: object, passes: tuple[str, ...]) -> None:
    assert parse_passes(text) == passes


@pytest.mark.parametrize("text", ["", ",", "time,", "Time", 3, None, [], [1], {"time": 1}])
def test_no_passes(text: object) -> None:
    with pytest.raises(InvalidValueError, match=KNOWN):
        parse_passes(text)


@pytest.mark.parametrize(
    ("value", "rounds"), [("auto", None), ("1", 1), (" 20 ", 20), (10_000, 10_000), ("007", 7)]
)
def test_rounds(value: object, rounds: int | None) -> None:
    assert parse_rounds(value) == rounds


@pytest.mark.parametrize(
    "value", ["", "0", "-1", "1.5", "10001", "9" * 10_000, True, None, 1.0, "Auto", "²", "٣", [1]]
)
def test_no_rounds(value: object) -> None:
    with pytest.raises(InvalidValueError, match="is not a number of rounds: auto, or a whole number"):
        parse_rounds(value)


@pytest.mark.parametrize(("value", "visits"), [("0", 0), (" 6 ", 6), (10, 10), ("007", 7)])
def test_visits(value: object, visits: int) -> None:
    assert parse_visits(value) == visits


@pytest.mark.parametrize("value", ["", "-1", "11", "auto", "1.5", "\u0663", True, None, "9" * 5000])
def test_no_visits(value: object) -> None:
    with pytest.raises(
        InvalidValueError, match=r"is not a number of fresh processes: a whole number from 0 to"
    ):
        parse_visits(value)


def test_a_switch_is_on_or_off() -> None:
    assert parse_switch("on") is True
    assert parse_switch(" off ") is False
    for wrong in ("", "On", "1", True, None, "x" * 1000):
        with pytest.raises(InvalidValueError, match="is neither 'on' nor 'off'") as caught:
            parse_switch(wrong)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("marker", "args", "repeat"),
    [
        ("profile", ("--goref-repeat=off",), False),
        ("profile", ("-ogoref_repeat=off",), False),
        ("profile", ("-ogoref_repeat=off", "--goref-repeat=on"), True),
        ("profile(repeat=True)", ("--goref-repeat=off",), True),
        ("profile(repeat=False)", ("--goref-repeat=on",), False),
    ],
)
def test_the_marker_decides_before_options_whether_its_test_is_repeated(
    pytester: pytest.Pytester, marker: str, args: tuple[str, ...], *, repeat: bool
) -> None:
    assert _request(pytester, marker, *args).repeat is repeat


def test_a_visit_takes_no_other_passes_and_has_no_limits(pytester: pytest.Pytester) -> None:
    marker = "@pytest.mark.profile(max_count={'a': 1})"
    item = pytester.getitem(f"import pytest\n{marker}\ndef test_func(): pass\n")
    settings = read_settings(item.config)
    request = read_request(item, settings)
    assert (request.passes, request.on_demand) == (("counts", "memory", "time"), ("cpu",))
    for given, taken in ((("time",), ("time",)), (("cpu", "time", "x"), ("time", "cpu")), ((), ())):
        visited = read_request(item, replace(settings, visit_passes=given))
        assert visited == replace(request, passes=taken, limits=(), on_demand=())


def test_the_marker_changes_what_is_asked_for(pytester: pytest.Pytester) -> None:
    marker = (
        'profile(rounds=3, repeat=False, passes="time", max_count={"db": 2, "x": 0}, max_duration="5ms", '
        'max_peak="1 kB", max_allocations=7, '
        'fail=["calls:1%", "counts:2"], warn="durations:50%", leaks="warn")'
    )
    request = _request(pytester, marker, "--goref-rounds=9", "--goref-passes=counts", "--goref-fail=calls:9%")
    assert (request.rounds, request.repeat, request.passes) == (3, False, ("time",))
    assert request.limits == (
        Limit(REFS, "db", 2),
        Limit(REFS, "x", 0),
        Limit(WALL_TIME, "", 5_000_000),
        Limit(PEAK_BYTES, "", 1000),
        Limit(ALLOCATION_COUNT, "", 7),
    )
    assert request.rules.rule(CALLS) == Rule(Tolerance(0.01), Severity.FAIL)
    assert request.rules.rule(REFS) == Rule(Tolerance(absolute=2), Severity.FAIL)
    assert request.rules.rule(WALL_TIME) == Rule(Tolerance(0.5), Severity.WARN)
    assert request.rules.rule(LEAKED_REFS) == Rule(Tolerance(), Severity.WARN)


def test_what_the_marker_does_not_say_stays(pytester: pytest.Pytester) -> None:
    request = _request(pytester, "goref", "--goref-rounds=9", "--goref-fail=calls:9%")
    assert request == _settings(pytester, "--goref-rounds=9", "--goref-fail=calls:9%").request


@pytest.mark.parametrize(
    ("marker", "severity"),
    [("fail", Severity.FAIL), ("warn", Severity.WARN), ("off", Severity.OFF)],
)
def test_leaks(pytester: pytest.Pytester, marker: str, severity: Severity) -> None:
    rules = _request(pytester, f'profile(leaks="{marker}")').rules
    leaks = {LEAKED_REFS, LEAKED_THREADS, LEAKED_TASKS}
    assert {rules.rule(metric).severity for metric in leaks} == {severity}
    assert rules.chosen == leaks


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("profile(5)", "@pytest.mark.profile: takes keyword arguments only, not 5; known: rounds, repeat,"),
        ("goref(speed=1)", "@pytest.mark.goref: unknown argument 'speed'; known: rounds, repeat,"),
        ("profile(rounds=0)", "@pytest.mark.profile: rounds=: '0' is not a number of rounds"),
        ("profile(repeat=1)", "@pytest.mark.profile: repeat=: 1 is neither True nor False"),
        ("profile(passes=[])", "@pytest.mark.profile: passes=: no pass is named"),
        ("profile(max_count=3)", "@pytest.mark.profile: max_count=3: not a mapping"),
        ('profile(max_duration="1")', "@pytest.mark.profile: max_duration='1'"),
        ("profile(max_peak=1)", "@pytest.mark.profile: max_peak=1: not text with a unit"),
        ("profile(max_allocations=-1)", "@pytest.mark.profile: max_allocations: -1; write a whole number"),
        (
            "profile(fail=3)",
            "@pytest.mark.profile: fail=: 3 is neither a rule such as 'calls:5%+8' nor a list",
        ),
        ('profile(warn=["x"])', "@pytest.mark.profile: warn=: rule 'x'"),
        ('profile(leaks="no")', "@pytest.mark.profile: leaks=: 'no' is not one of 'fail', 'warn', 'off'"),
        ("profile(leaks=[])", "@pytest.mark.profile: leaks=: [] is not one of"),
        (
            "profile(rounds=type('X', (), {'__str__': None})())",
            "@pytest.mark.profile: an argument cannot be read",
        ),
    ],
)
def test_a_wrong_marker_names_itself(pytester: pytest.Pytester, marker: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=f"^{re.escape(message)}"):
        _request(pytester, marker)


def test_the_nearest_marker_is_read(pytester: pytest.Pytester) -> None:
    items = pytester.getitems(
        """
        import pytest
        pytestmark = pytest.mark.goref(rounds=1)

        @pytest.mark.profile(rounds=2)
        class TestIt:
            @pytest.mark.goref(rounds=3)
            @pytest.mark.profile(rounds=4)
            def test_function(self): pass
            def test_class(self): pass

        def test_module(): pass
        """
    )
    settings = _settings(pytester)
    rounds = {item.name: read_request(item, settings).rounds for item in items}
    assert rounds == {"test_function": 4, "test_class": 2, "test_module": 1}


def test_what_is_measured(pytester: pytest.Pytester) -> None:
    items = pytester.getitems(
        """
        import pytest

        @pytest.mark.profile
        def test_profile(): pass
        @pytest.mark.goref
        def test_goref(): pass
        def test_other(): pass
        """
    )
    marked = [item.name for item in items if is_measured(item, _settings(pytester))]
    assert marked == ["test_profile", "test_goref"]
    assert all(is_measured(item, _settings(pytester, "--goref-all")) for item in items)
    (other,) = (item for item in items if item.name == "test_other")
    settings = _settings(pytester, "--goref-all")
    assert read_request(other, settings) == settings.request
