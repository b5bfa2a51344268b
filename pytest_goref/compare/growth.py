"""Growth: what is called or allocates more than before, and of the functions which of them explains the rest.

Counts tell exactly which functions are called more often, but most of them only follow from another one. The
rule that brings what explains the rest to the top uses no time, so it gives the same order in every run:

1. A function *follows* from its most frequent caller when that was called more often too and the function is
   called no oftener for each of these calls (beyond the default tolerance of calls). Of a caller that is new,
   the calls for each call are not known: a function follows from it unless it is called at least eight times
   as often and the test called it before already or it is library code. Nothing follows from a new function
   that is called once when one that was called once is gone: it may be that one, renamed. Everyday functions
   (built-in ones, methods of built-in types and of their like, comprehensions) always follow from a caller
   that grew, and are seen through when they call: ``sum``.
2. What follows from each other is a family; its head is the function that follows from no other.
3. Families are in this order: those with a function that grew by exactly as much as a key that regressed;
   those that grew beyond the default tolerance, heads that are everyday functions last; then by the largest
   growth of a function that is not an everyday one; those whose head the test called before; those whose head
   has a known caller (what a tracked function follows from is not known); library code first; by name.
4. In a family the head comes first: the function that is computed again, the copy that nobody needs. Before
   it only library functions that call nothing else and grew exactly as much as it, if it calls them itself,
   or if it is new and the test called them before: what a thin wrapper wraps, such as
   ``sqlite3.Connection.execute``. Then those nearest to the head, the largest growth first; everyday
   functions are last.
5. A project function that is new under the name of one that is gone, in another file, is that function moved:
   it has grown only by the difference.
   Moved functions, then what is called less, are last.
"""

from __future__ import annotations

import builtins
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.bounding import aligned
from pytest_goref.compare.change import exceeds
from pytest_goref.metrics import CALLS, DEFAULT_RULES, OTHER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_goref.model import Metric, Samples

_TOLERANCE: Final = DEFAULT_RULES[CALLS].tolerance
_MANY: Final = 8  # so many calls for each call of a new function are a loop of their own
_BUILT_IN: Final = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))
_EVERYDAY: Final = _BUILT_IN | {
    *("builtins", "math", "cmath", "itertools", "functools", "_functools", "operator", "_operator"),
    *("datetime", "decimal", "_abc", "_weakref", "__new__"),
}
_EVERYDAY_TYPES: Final = ("re.Match.", "re.Pattern.", "collections.deque.", "collections.OrderedDict.")
_NAMELESS: Final = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
_ASKING: Final = frozenset({"execute", "executemany", "executescript", "send", "sendall", "sendto"})
"""Functions that ask another program: of equals they tell most."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How often something happened before and after, where that differs for certain.

    Attributes:
        subject: the function, the module, or ``(other)``.
        before: the accepted number; None when the baseline does not name the subject.
        after: the measured number.

    """

    subject: str
    before: int | None
    after: int

    @property
    def delta(self) -> int:
        """By how much it grew; below zero when it shrank."""
        return self.after - (self.before or 0)


def growths(metric: Metric, before: Mapping[str, Samples], after: Mapping[str, Samples]) -> list[Growth]:
    """Return what differs for certain, by subject.

    What one side sums up is compared as a sum; of the subjects in it those are named that exceed it alone, or
    that could be all of what was added to it, if that is much.
    """
    old, new = aligned(metric, before, after)
    subjects = sorted((old.keys() | new.keys()) - {OTHER})
    pairs = ((subject, old.get(subject, (0,)), new.get(subject, (0,))) for subject in subjects)
    found = [Growth(subject, *values) for subject, *both in pairs if (values := _certain(*both))]
    if OTHER in old or OTHER in new:
        found.extend(
            _unnamed(max(old.get(OTHER, (0,))), {s: min(after[s]) for s in after.keys() - set(new)}, new)
        )
    return found


def _unnamed(most: int, numbers: Mapping[str, int], folded: Mapping[str, Samples]) -> list[Growth]:
    """Return what has grown of the subjects whose sum was ``most``, and which of them may be the cause."""
    larger = {subject for subject in numbers if numbers[subject] > most}
    rest = min(folded.get(OTHER, (0,))) - sum(numbers[subject] for subject in larger)
    if exceeds(rest - most, most, _TOLERANCE):
        larger |= {subject for subject in numbers if numbers[subject] >= rest - most}
    found = [Growth(subject, None, numbers[subject]) for subject in sorted(larger)]
    return [*found, Growth(OTHER, most, rest)] if rest > most else found


def _certain(before: Samples, after: Samples) -> tuple[int, int] | None:
    """Return the nearest values of samples that do not overlap, None when they do."""
    if min(after) > max(before):
        return max(before), min(after)
    if max(after) < min(before):
        return min(before), max(after)
    return None


def is_everyday(subject: str) -> bool:
    """Return whether ``subject`` is a function that all code calls: its calls alone say little."""
    if ":" in subject:
        return subject.endswith(_NAMELESS)
    return subject.partition(".")[0] in _EVERYDAY or subject.startswith(_EVERYDAY_TYPES)


def most_telling_first(
    changes: Iterable[Growth], callers: Mapping[str, str], differences: Collection[int] = ()
) -> tuple[Growth, ...]:
    """Return ``changes`` of calls in the order that the description of this module states.

    Args:
        changes: functions that are called more or less often.
        callers: for each function the one that calls it most, as far as that is known.
        differences: by how much each key that is to be explained is used more often.

    """
    known = tuple(changes)
    bases = {**_moved(known), **_unnamed_bases(known)}
    grown = {
        change.subject: _Grown(change.subject, base, change.after)
        for change in known
        if change.subject != OTHER and change.after > (base := bases.get(change.subject, change.before or 0))
    }
    renamed = any(change.before == 1 and not change.after and ":" in change.subject for change in known)
    families = sorted(
        _families(grown, callers, renamed=renamed), key=lambda family: family.rank(callers, differences)
    )
    first = [subject for family in families for subject in family.members()]
    position = {subject: number for number, subject in enumerate(first)}

    def place(change: Growth) -> tuple[int, int, bool, int, str]:
        if change.subject in position:
            return 0, position[change.subject], False, 0, ""
        shrunk = change.delta < 0
        return 1 + shrunk, 0, is_everyday(change.subject), -abs(change.delta), change.subject

    return tuple(sorted(known, key=place))


@dataclass(frozen=True, slots=True)
class _Grown:
    subject: str
    before: int
    after: int

    @property
    def delta(self) -> int:
        return self.after - self.before

    @property
    def is_project(self) -> bool:
        return ":" in self.subject

    @property
    def is_everyday(self) -> bool:
        return is_everyday(self.subject)

    def follows(self, caller: _Grown, *, renamed: bool) -> bool:
        """Return whether this is called more often because ``caller`` is.

        Args:
            caller: called more often too.
            renamed: whether a new function that is called once may be an old one.

        """
        if self.is_everyday:
            return True
        if caller.before:
            expected = -(-self.before * caller.after // caller.before)
            return not exceeds(self.after - expected, expected, _TOLERANCE)
        if renamed and caller.after == 1 and caller.is_project:
            return False
        own = self.before or not self.is_project
        return not own or self.delta < _MANY * caller.delta


@dataclass(frozen=True, slots=True)
class _Family:
    """Functions that follow from each other.

    Attributes:
        head: the one that follows from no other.
        depths: how many callers away from the head each function is, in order of names.
        parents: which caller each function but the head follows from.

    """

    head: _Grown
    depths: Mapping[_Grown, int]
    parents: Mapping[str, str]

    def rank(self, callers: Mapping[str, str], differences: Collection[int]) -> tuple[object, ...]:
        telling = [one for one in self.depths if not one.is_everyday]
        much = any(exceeds(one.delta, one.before, _TOLERANCE) for one in telling or self.depths)
        head = self.head
        return (
            not any(one.delta in differences for one in telling),
            not much,
            head.is_everyday,
            -max(one.delta for one in telling or self.depths),
            not head.before,
            head.subject not in callers,
            head.is_project,
            _last_name(head.subject) not in _ASKING,
            head.subject,
        )

    def members(self) -> list[str]:
        callers = set(self.parents.values())
        return [one.subject for one in sorted(self.depths, key=lambda one: self._member_rank(one, callers))]

    def _member_rank(self, one: _Grown, callers: Collection[str]) -> tuple[object, ...]:
        head = self.head
        wrapped = (
            head.is_project
            and not (one.is_project or one.is_everyday or one.subject in callers)
            and one.delta == head.delta
            and (self.depths[one] == 1 or (one.before > 0 and not head.before))
        )
        if wrapped:
            return 0, _last_name(one.subject) not in _ASKING, one.subject
        return 1, one.is_everyday and one != head, self.depths[one], -one.delta, one.subject


def _last_name(subject: str) -> str:
    return subject.rpartition(".")[2]


def _moved(changes: Sequence[Growth]) -> dict[str, int]:
    """Return for each new project function how often the gone one of its name was called in another file."""
    gone = {_own_name(c.subject): c.before or 0 for c in changes if not c.after and ":" in c.subject}
    new = (c for c in changes if not c.before and ":" in c.subject)
    return {c.subject: gone[_own_name(c.subject)] for c in new if _own_name(c.subject) in gone}


def _unnamed_bases(changes: Sequence[Growth]) -> dict[str, int]:
    """Return how often those were called at least that may be all of what was added to the sum of others."""
    rest = next((change for change in changes if change.subject == OTHER), Growth(OTHER, 0, 0))
    within = (c for c in changes if c.before is None and c.after <= (rest.before or 0))
    return {change.subject: change.after - rest.delta for change in within}


def _own_name(subject: str) -> str:
    return subject.rpartition(":")[2]


def _families(grown: Mapping[str, _Grown], callers: Mapping[str, str], *, renamed: bool) -> list[_Family]:
    parents = {}
    for subject, one in grown.items():
        caller = _telling_caller(subject, callers)
        if caller != subject and caller in grown and one.follows(grown[caller], renamed=renamed):
            parents[subject] = caller
    for subject in sorted(parents):
        if subject in _ancestors(subject, parents):  # they call each other: the first by name is the head
            del parents[subject]
    depths: defaultdict[str, dict[_Grown, int]] = defaultdict(dict)
    of_head: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for subject in sorted(grown):
        ancestors = _ancestors(subject, parents)
        head = ancestors[-1] if ancestors else subject
        depths[head][grown[subject]] = len(ancestors)
        if ancestors:
            of_head[head][subject] = ancestors[0]
    return [_Family(grown[head], depths[head], of_head[head]) for head in depths]


def _telling_caller(subject: str, callers: Mapping[str, str]) -> str:
    """Return the most frequent caller, or what calls that where it is an everyday function; "" for none."""
    seen = {subject}
    caller = callers.get(subject, "")
    while is_everyday(caller):
        if caller in seen:
            return ""
        seen.add(caller)
        caller = callers.get(caller, "")
    return caller


def _ancestors(subject: str, parents: Mapping[str, str]) -> list[str]:
    """Return what ``subject`` follows from, the nearest first; each once where they call each other."""
    found: dict[str, None] = {}
    while subject in parents and parents[subject] not in found:
        subject = parents[subject]
        found[subject] = None
    return list(found)
