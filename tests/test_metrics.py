from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pytest_goref.metrics import DEFAULT_RULES, METRICS, subject_of_key
from pytest_goref.model import Exactness, Group, Severity

_NAMES = st.text("ab/:\\", max_size=4)
_PLACES = st.tuples(st.lists(_NAMES.filter(bool), max_size=3).map(tuple), _NAMES)


def test_every_metric_is_listed_under_its_own_name_and_has_a_rule_if_it_is_judged() -> None:
    assert all(metric.name == name for name, metric in METRICS.items())
    assert set(DEFAULT_RULES) == {metric for metric in METRICS.values() if metric.judged}


def test_what_is_only_shown_is_in_groups_of_its_own() -> None:
    judged, shown = ({m.group for m in METRICS.values() if m.judged is judged} for judged in (True, False))
    assert shown == {Group.SITES, Group.RUNTIME}
    assert not judged & shown


def test_no_noisy_metric_fails_a_test_by_default() -> None:
    noisy = [rule for metric, rule in DEFAULT_RULES.items() if metric.exactness is Exactness.NOISY]
    assert noisy
    assert all(rule.severity is Severity.WARN for rule in noisy)


def test_the_subject_of_a_key_names_its_scope() -> None:
    assert subject_of_key((), "db.query") == "db.query"
    assert subject_of_key(("dao", "psql"), "query") == "/dao/psql:query"
    assert subject_of_key(("a/b", "c:d", "e\\f"), "g") == "/a\\/b/c\\:d/e\\\\f:g"
    assert subject_of_key((), "/dao:query") == "/:/dao:query"
    assert subject_of_key((), "/dao") == "/dao"


@given(_PLACES, _PLACES)
@example(((), "/a:b"), (("a",), "b"))
@example((("a", "b"), "c"), (("a/b",), "c"))
@example((("a",), "b:c"), (("a:b",), "c"))
def test_different_keys_have_different_subjects(
    one: tuple[tuple[str, ...], str], other: tuple[tuple[str, ...], str]
) -> None:
    assert (subject_of_key(*one) == subject_of_key(*other)) == (one == other)
