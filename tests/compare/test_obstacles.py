from __future__ import annotations

import pytest

from pytest_goref.compare.obstacles import fingerprint_change

HERE = "Xeon B 6 85 7, 2 CPUs, kvm; Linux x86_64; CPython 3.12.1 build aaaaaaaa; pytest-goref 0.1.0 kernels 1"


def machine(*changes: tuple[str, str]) -> str:
    there = HERE
    for now, then in changes:
        assert now in there
        there = there.replace(now, then)
    return there


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("Xeon B 6 85 7", "Xeon A 6 79 1")], "Xeon A 6 79 1 -> Xeon B 6 85 7"),
        ([("2 CPUs", "8 CPUs")], "8 CPUs -> 2 CPUs"),
        ([("3.12.1 build aaaaaaaa", "3.12.0 build bbbbbbbb")],
         "CPython 3.12.0 build bbbbbbbb -> CPython 3.12.1 build aaaaaaaa"),
        ([("2 CPUs", "8 CPUs"), ("kernels 1", "kernels 2")],
         "8 CPUs, pytest-goref 0.1.0 kernels 2 -> 2 CPUs, pytest-goref 0.1.0 kernels 1"),
        ([(", kvm", "")], "unknown -> kvm"),
        ([("kvm", "kvm, nested")], "nested -> unknown"),
    ],
    ids=["processor", "number", "interpreter", "two parts", "a part more", "a part less"],
)  # fmt: skip
def test_only_the_parts_that_differ_are_named(changes: list[tuple[str, str]], told: str) -> None:
    assert fingerprint_change([machine(*changes)], HERE) == told


def test_the_most_similar_machine_is_named() -> None:
    similar = machine(("2 CPUs", "8 CPUs"))
    others = [machine(("Xeon B 6 85 7", "Xeon A"), ("kvm", "xen")), similar, "aaaa", "zzzz"]
    assert fingerprint_change(others, HERE) == fingerprint_change(others[::-1], HERE) == "8 CPUs -> 2 CPUs"


def test_of_equally_similar_machines_always_the_same_one_is_named() -> None:
    assert fingerprint_change(["cccc", "bbbb"], "here") == fingerprint_change(["bbbb", "cccc"], "here")
    assert fingerprint_change(["cccc", "bbbb"], "here") == "bbbb -> here"
