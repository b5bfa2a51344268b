from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.profilers.code import code_digest, fingerprint


def codes(source: str, file: str = "a.py") -> dict[str, CodeType]:
    """Return all code that ``source`` compiles to, by its qualified name."""
    found: dict[str, CodeType] = {}
    waiting = [compile(textwrap.dedent(source), file, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        found[code.co_qualname] = code
        waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))
    return found


def digest(source: str, name: str = "f", file: str = "a.py") -> str:
    return code_digest(codes(source, file)[name])


PLAIN = """
def f(number, factor=2):
    total = number * factor
    return total
"""


@pytest.mark.parametrize(
    "other",
    [
        "\n\n\n# moved down" + PLAIN,
        PLAIN.replace("    total = n", "    # a comment\n\n    total = n"),
        PLAIN.replace("    total = n", '    """A new docstring takes a number."""\n    total = n'),
        PLAIN.replace("factor=2", "factor=3"),
        PLAIN.replace("(number, factor=2)", "(number: int, factor: int = 2) -> int"),
        "from __future__ import annotations\n" + PLAIN,
        "class Shop: pass\n" + PLAIN,
    ],
    ids=["line", "comment", "docstring", "default", "annotations", "future", "neighbour"],
)
def test_what_does_the_same_is_the_same(other: str) -> None:
    assert other != PLAIN
    assert digest(other) == digest(PLAIN)


def test_another_checkout_is_the_same() -> None:
    assert digest(PLAIN, file="/home/a/shop.py") == digest(PLAIN, file="/tmp/b/shop.py")  # noqa: S108 - a name


BODIES = [
    "total = number * factor\n    return total",
    "total = number + factor\n    return total",
    "total = number * factor * 2\n    return total",
    "sum_ = number * factor\n    return sum_",
    "total = number * abs(factor)\n    return total",
    "total = number * int(factor)\n    return total",
    "total = number * factor\n    return 1",
    "total = number * factor\n    return 2",
    "total = number * factor\n    return True",
    "total = number * factor\n    return 1.0",
    "total = number * factor\n    return '1'",
    "total = number * factor\n    return b'1'",
    "total = number * factor\n    return (1, 2)",
    "total = number * factor\n    return ((1, 2), 1)",
    "total = number * factor\n    return number in {1, 2}",
    "total = number * factor\n    return number in {1, 3}",
    "total = number * factor\n    return number in (1, 2)",
    "total = number * factor\n    return '\\udc80'",
    f"total = number * factor\n    return 0x{'f' * 9000}",
    f"total = number * factor\n    return 0x{'f' * 9001}",
    "total = number * factor\n    yield total",
]


def test_another_body_is_another_digest() -> None:
    digests = {digest(f"def f(number, factor=2):\n    {body}\n") for body in BODIES}
    assert len(digests) == len(BODIES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a, b): return a", "def f(b, a): return a"),
        ("def f(a, b): return a", "def f(a, /, b): return a"),
        ("def f(a, b): return a", "def f(a, *, b): return a"),
        ("def f(a, b): return a", "def f(a, *b): return a"),
        ("def f(*a): return a", "def f(**a): return a"),
        ("def f(): return 1", "async def f(): return 1"),
        ("def f(a): return g(k=a)", "def f(a): return g(n=a)"),
        ("def f(a): return a.x", "def f(a): return a.y"),
        ("def f(a): return a < 1", "def f(a): return a > 1"),
        ("def f():\n try: g()\n except KeyError: h()", "def f():\n try: g()\n except OSError: h()"),
    ],
)
def test_what_is_called_or_taken_otherwise_is_another_digest(one: str, other: str) -> None:
    assert digest(one) != digest(other)


def test_a_constant_beyond_the_first_256_counts() -> None:
    source = f"def f(): return [{', '.join(f'g({n}.5)' for n in range(300))}]"
    assert digest(source) != digest(source.replace("g(299.5)", "g(299.25)"))
    assert digest(source) == digest(source)


def test_functions_within_count_when_they_run_themselves() -> None:
    one = codes("def f():\n    def g(): return 1\n    return g")
    other = codes("def f():\n    def g(): return 2\n    return g")
    assert code_digest(one["f"]) == code_digest(other["f"])
    assert code_digest(one["f.<locals>.g"]) != code_digest(other["f.<locals>.g"])


CLASS = '''
def f():
    class Shop:
        """{doc}"""
        size = {size}
        def __init__(self):
            self.a = self.b = self.c = 1
    return Shop
'''


def test_a_class_body_counts_without_its_text_and_line() -> None:
    name = "f.<locals>.Shop"
    shop = digest(CLASS.format(doc="Sells.", size=1), name)
    assert digest("\n# moved\n" + CLASS.format(doc="Sells things.", size=1), name) == shop
    assert digest(CLASS.format(doc="Sells.", size=2), name) != shop


def test_a_class_whose_docstring_is_computed_counts() -> None:
    one = "class Shop:\n    __doc__ = Base.__doc__\n"
    assert digest(one, "Shop") != digest(one.replace("Base", "Other"), "Shop")


_IN_A_PROCESS = """
import sys
from pytest_goref.profilers.code import code_digest
source = sys.stdin.read()
module = compile(source, "a.py", "exec", dont_inherit=True)
function = module.co_consts[0]
print([code_digest(c) for c in (module, function, *function.co_consts) if hasattr(c, "co_code")])
"""


def test_hash_seeds_change_nothing() -> None:
    names = ", ".join(f"'name{number}'" for number in range(30))
    source = CLASS.format(doc="Sells.", size=f"1 if x in {{{names}, None, 1, (2, 'b')}} else 2")
    printed = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        answer = subprocess.run(
            [sys.executable, "-c", _IN_A_PROCESS],
            input=source,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(answer.stdout)
    (only,) = printed
    assert only.count(",") == 2  # module, function and class


@given(st.frozensets(st.one_of(st.integers(), st.text(), st.binary(), st.booleans(), st.none()), max_size=8))
def test_constants_that_are_sets_differ_when_their_members_do(members: frozenset[object]) -> None:
    template = codes("def f(x): return x in {1, 2}")["f"]

    def with_set(value: frozenset[object]) -> CodeType:
        consts = (value if isinstance(const, frozenset) else const for const in template.co_consts)
        return template.replace(co_consts=tuple(consts))

    assert code_digest(with_set(members)) == code_digest(with_set(frozenset(reversed(list(members)))))
    assert code_digest(with_set(members)) != code_digest(with_set(members | {1.5}))


def test_running_code_is_what_it_was_before_it_ran() -> None:
    def busy(times: int) -> int:
        total = 0
        for number in range(times):
            total += number * 3
        return total

    before = code_digest.__wrapped__(busy.__code__)
    for _ in range(100):  # the interpreter specializes it meanwhile
        busy(100)
    assert code_digest.__wrapped__(busy.__code__) == before


def ran(source: str, *names: str) -> list[tuple[str, CodeType]]:
    found = codes(source)
    return [(f"a.py:{name}", found[name]) for name in names]


TWO = """
def f(): return 1
def g(): return 2
"""


def test_nothing_that_ran_has_no_fingerprint() -> None:
    assert fingerprint([]) == ""


def test_a_fingerprint_has_16_digits_in_any_order() -> None:
    both = fingerprint(ran(TWO, "f", "g"))
    assert both == fingerprint(ran(TWO, "g", "f", "g"))
    assert len(both) == 16
    assert int(both, 16) >= 0


def test_a_function_more_or_another_name_is_another_fingerprint() -> None:
    prints = {
        fingerprint(ran(TWO, "f", "g")),
        fingerprint(ran(TWO, "f")),
        fingerprint(ran(TWO, "g")),
        fingerprint([("b.py:f", codes(TWO)["f"])]),
        fingerprint(ran(TWO.replace("2", "3"), "f", "g")),
    }
    assert len(prints) == 5


def lambdas(source: str) -> list[tuple[str, CodeType]]:
    module = codes(source)["<module>"]
    return [("a.py:<lambda>", const) for const in module.co_consts if isinstance(const, CodeType)]


def test_what_shares_a_name_is_told_apart_by_its_order() -> None:
    one = "f = lambda: 1\ng = lambda: 2\n"
    assert fingerprint(lambdas("\n\n" + one)) == fingerprint(lambdas(one))
    assert fingerprint(lambdas("f = lambda: 2\ng = lambda: 1\n")) != fingerprint(lambdas(one))
