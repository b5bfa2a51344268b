from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_goref.model import KERNEL_VERSION
from pytest_goref.profilers import kernels
from pytest_goref.profilers.kernels import KERNELS, CalibrationKernels, compute, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = (11_753_596, 20_375_800_525)


def test_the_kernels_are_frozen() -> None:
    """Whoever has to change this test has to make a new version of the kernels."""
    text = Path(kernels.__file__).read_text(encoding="utf-8")
    begin, end = text.index("_COMPUTE_STEPS"), text.index("class Kernels(Protocol)")
    digest = hashlib.sha256("".join(text[begin:end].split()).encode()).hexdigest()[:16]
    assert (KERNEL_VERSION, digest) == (1, "7934f783e94d7b7e")
    assert (compute(), memory()) == RESULTS


def test_a_kernel_does_the_same_each_time() -> None:
    assert [(compute(), memory()) for _ in range(3)] == [RESULTS] * 3


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_the_hash_seed_changes_nothing(seed: str) -> None:
    code = "from pytest_goref.profilers.kernels import compute, memory; print((compute(), memory()))"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == str(RESULTS)


def test_the_clock_is_read_around_each_kernel() -> None:
    readings = iter((100, 350, 1000, 1400))
    timed = CalibrationKernels(lambda: next(readings))
    assert (timed.compute_ns(), timed.memory_ns()) == (250, 400)


def test_a_clock_that_goes_backwards_stands_still() -> None:
    readings = iter((100, 90))
    assert CalibrationKernels(lambda: next(readings)).compute_ns() == 0


def test_the_kernels_take_time() -> None:
    assert KERNELS.compute_ns() > 0
    assert KERNELS.memory_ns() > 0


@pytest.fixture
def collections() -> Iterator[list[str]]:
    """Yield where every collection is noted; there is one for nearly every container that is made."""
    noted: list[str] = []

    def note(phase: str, _info: dict[str, int]) -> None:
        noted.append(phase)

    was_enabled, threshold = gc.isenabled(), gc.get_threshold()
    gc.callbacks.append(note)
    gc.set_threshold(1)
    yield noted
    gc.set_threshold(*threshold)
    gc.callbacks.remove(note)
    (gc.enable if was_enabled else gc.disable)()


def _fills_the_heap() -> int:
    return len([[number] for number in range(5000)])


@pytest.mark.parametrize("switch", [gc.enable, gc.disable])
def test_no_garbage_is_collected_meanwhile(collections: list[str], switch: Callable[[], None]) -> None:
    timed = CalibrationKernels(lambda: len(collections))
    gc.enable()
    _fills_the_heap()
    assert collections
    switch()
    enabled = gc.isenabled()
    assert (timed.memory_ns(), timed.compute_ns(), timed._timed(_fills_the_heap)) == (0, 0, 0)
    assert gc.isenabled() is enabled


def test_an_error_leaves_garbage_collection_on() -> None:
    was_enabled = gc.isenabled()

    def broken() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        CalibrationKernels(broken).compute_ns()
    assert gc.isenabled() is was_enabled
