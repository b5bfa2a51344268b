"""pprof's files: read back by hand, and by ``go tool pprof`` where that is installed."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from exported import ADD, CPU, EMPTY, MEMORY, NODEID, SLEEP, SOURCE, TEST
from hypothesis import given
from hypothesis import strategies as st

from pytest_goref.report.export import FORMATS
from pytest_goref.report.export.pprof import _varint
from pytest_goref.report.export.profiled import Profiled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Fields = dict[int, list[int | bytes]]
"""The values of a message by field number; numbers as they are, everything else as bytes."""

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="go tool pprof is not installed")


def render(profiled: Profiled) -> bytes:
    return FORMATS["pprof"].render(profiled)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
        shift += 7


def read(data: bytes) -> Fields:
    fields: Fields = defaultdict(list)
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, at = read_varint(data, at)
        if tag & 7 == 2:
            fields[tag >> 3].append(data[at : at + number])
            at += number
        else:
            assert tag & 7 == 0
            fields[tag >> 3].append(number)
    return fields


def read_packed(data: int | bytes) -> list[int]:
    assert isinstance(data, bytes)
    numbers, at = [], 0
    while at < len(data):
        number, at = read_varint(data, at)
        numbers.append(number)
    return numbers


def message(data: int | bytes) -> Fields:
    assert isinstance(data, bytes)
    return read(data)


class Read:
    """A file of pprof, read back."""

    def __init__(self, data: bytes) -> None:
        self.fields = read(gzip.decompress(data))
        self.texts = [text.decode() for text in self.fields[6] if isinstance(text, bytes)]

    def text(self, fields: Fields, number: int) -> str:
        (index,) = fields.get(number, [0])
        assert isinstance(index, int)
        return self.texts[index]

    @property
    def types(self) -> list[tuple[str, str]]:
        return [(self.text(t, 1), self.text(t, 2)) for t in map(message, self.fields[1])]

    @property
    def functions(self) -> dict[int, tuple[str, str]]:
        return {f[1][0]: (self.text(f, 2), self.text(f, 4)) for f in map(message, self.fields[5])}  # type: ignore[misc]

    @property
    def samples(self) -> list[tuple[list[tuple[str, int]], list[int], dict[str, str]]]:
        """Names and lines from the outermost, values, labels."""
        lines = {}
        for location in map(message, self.fields[4]):
            assert location[2] == [1]
            (line,) = map(message, location[4])
            lines[location[1][0]] = (self.functions[line[1][0]][0], line.get(2, [0])[0])  # type: ignore[index]
        return [
            (
                [lines[number] for number in reversed(read_packed(sample[1][0]))],  # type: ignore[misc]
                read_packed(sample[2][0]),
                {self.text(label, 1): self.text(label, 2) for label in map(message, sample[3])},
            )
            for sample in map(message, self.fields[2])
        ]


def test_samples_of_time() -> None:
    made = Read(render(CPU))
    assert made.texts[0] == ""
    assert made.types == [("samples", "count"), ("time", "nanoseconds")]
    assert made.samples[1] == (
        [("tests/test_shop.py:test_cart", 7), ("shop.py:Cart.add", 3), ("time.sleep", 0)],
        [5, 5_000_000],
        {"test": NODEID},
    )
    assert len(made.samples) == len(CPU.profile.stacks)
    assert made.fields[10] == [13_000_000]
    assert made.fields[12] == [1_000_000]
    assert made.text(made.fields, 14) == "time"
    assert made.text(made.fields, 13) == "2 executions, under the profiler"


def test_samples_of_memory() -> None:
    made = Read(render(MEMORY))
    assert made.types == [("peak", "bytes"), ("total", "bytes"), ("left", "bytes"), ("allocations", "count")]
    assert made.samples[0][1] == [2048, 4096, 0, 3]
    assert made.text(made.fields, 14) == "peak"
    assert not made.fields[10]
    assert not made.fields[12]


def test_there_is_one_mapping_that_needs_no_symbols() -> None:
    made = Read(render(CPU))
    (mapping,) = map(message, made.fields[3])
    assert mapping[1] == [1]
    assert [mapping[number] for number in (7, 8, 9)] == [[1], [1], [1]]


def test_a_function_is_there_once_and_the_module_is_no_template() -> None:
    functions = Read(render(CPU)).functions
    assert sorted(functions) == [1, 2, 3, 4, 5, 6]
    assert sorted(functions.values()) == sorted(
        [
            ("tests/test_shop.py:test_cart", TEST.file),
            ("shop.py:Cart.add", ADD.file),
            ("shop.py:Cart.<lambda>", ADD.file),
            ("shop.py:(module)", ADD.file),
            ("json.decoder.JSONDecoder.decode", "/python/json/decoder.py"),
            ("time.sleep", SLEEP.file),
        ]
    )


def test_the_bytes_do_not_depend_on_the_time() -> None:
    assert render(CPU)[4:8] == b"\0\0\0\0"
    assert Read(render(EMPTY)).samples == []


@given(st.integers(0, 2**63 - 1))
def test_numbers_of_any_size(number: int) -> None:
    assert read_varint(_varint(number), 0) == (number, len(_varint(number)))


def pprof(*arguments: str) -> str:
    done = subprocess.run(
        ["go", "tool", "pprof", *arguments],  # noqa: S607 - whichever go is installed
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "PPROF_TMPDIR": os.devnull},
    )
    return done.stdout


def table(text: str) -> dict[str, list[str]]:
    """Return the rows below the header of pprof's top, by name."""
    rows = text[text.index("flat%") :].splitlines()[1:]
    return {row.split()[5]: row.split()[:5] for row in rows}


@pytest.fixture
def files(tmp_path: Path) -> Sequence[str]:
    """A profile, and a slower one of another test."""
    stacks = dict(CPU.profile.stacks)
    stacks[(TEST, ADD, SLEEP)] = (20, 20_000_000)
    slower = Profiled("tests/test_shop.py::test_slow", replace(CPU.profile, stacks=stacks))
    for name, profiled in (("a", CPU), ("b", slower)):
        (tmp_path / f"{name}.pb.gz").write_bytes(render(profiled))
    return [str(tmp_path / f"{name}.pb.gz") for name in ("a", "b")]


@needs_go
def test_pprof_shows_the_top(files: Sequence[str]) -> None:
    rows = table(pprof("-top", "-unit=ms", files[0]))
    assert rows["time.sleep"] == ["5ms", "41.67%", "41.67%", "5ms", "41.67%"]
    assert rows["shop.py:Cart.add"] == ["3ms", "25.00%", "66.67%", "10ms", "83.33%"]
    assert set(rows) == {name for name, _ in Read(render(CPU)).functions.values()}


@needs_go
def test_pprof_lists_the_source(files: Sequence[str]) -> None:
    text = pprof("-list", "Cart.add", "-unit=ms", files[0])
    assert f"ROUTINE ======================== shop.py:Cart.add in {SOURCE}" in text
    assert "3ms        3ms      2:    def add(self, item):" in text
    assert ".        7ms      3:        self.items.append(lambda: item)" in text


@needs_go
def test_pprof_shows_the_difference(files: Sequence[str]) -> None:
    rows = table(pprof("-top", "-unit=ms", "-diff_base", *files))
    assert rows["time.sleep"][0] == "20ms"
    assert "json.decoder.JSONDecoder.decode" not in rows


@needs_go
def test_pprof_focuses_on_a_test(files: Sequence[str]) -> None:
    assert "Total samples = 44ms" in pprof("-top", *files)
    focused = table(pprof("-top", "-unit=ms", "-tagfocus", "test=test_slow", *files))
    assert focused["time.sleep"][0] == "25ms"
    assert table(pprof("-top", "-unit=ms", "-tagignore", "test=test_slow", *files))["time.sleep"][0] == "5ms"


@needs_go
def test_pprof_shows_memory(tmp_path: Path) -> None:
    file = tmp_path / "memory.pb.gz"
    file.write_bytes(render(MEMORY))
    assert table(pprof("-top", "-unit=kb", str(file)))["shop.py:Cart.add"][0] == "2kB"
    assert table(pprof("-top", "-unit=kb", "-sample_index=total", str(file)))["shop.py:Cart.add"][0] == "5kB"
