from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_cache import CliCache
from cli_profiles import CART, MEMORY, baseline_with, cpu, run_with

if TYPE_CHECKING:
    from pathlib import Path

_CAPTURED = """
import memray, sys
with memray.Tracker(sys.argv[1]):
    kept = [bytearray(1000) for _ in range(1000)]
"""
_STEM = "tests_test_shop.py_test_cart-"


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliCache:
    monkeypatch.chdir(tmp_path)
    return CliCache(tmp_path, capsys)


def exported(tmp_path: Path) -> Path:
    (file,) = tmp_path.glob(f"{_STEM}*")
    return file


@pytest.mark.parametrize(
    ("form", "suffix", "begins"),
    [
        ("speedscope", ".cpu.speedscope.json", b"{"),
        ("pprof", ".cpu.pb.gz", b"\x1f\x8b"),
        ("collapsed", ".cpu.collapsed.txt", b"tests/test_shop.py:test_cart;"),
        ("chrome", ".cpu.trace.json", b"{"),
        ("html", ".cpu.html", b"<!"),
        ("json", ".cpu.json", b"{"),
    ],
)
def test_every_format_is_written_into_a_file_that_is_named(
    project: CliCache, tmp_path: Path, form: str, suffix: str, begins: bytes
) -> None:
    run_with(project, cpu())
    said = project.goref("export", "last", CART, "--format", form)
    file = exported(tmp_path)
    assert said.lines == [f"goref: cpu profile of {CART} in run 1: written to {file}"]
    assert file.name.endswith(suffix)
    assert file.read_bytes().startswith(begins)


def test_memory_of_a_baseline_into_a_file_of_another_name(project: CliCache, tmp_path: Path) -> None:
    baseline_with(project, MEMORY)
    (tmp_path / "there").mkdir()
    arguments = ("--format=json", "--kind=memory", "-o", "there/cart.json")
    assert project.goref("export", "main", "cart", *arguments).lines == [
        f"goref: memory profile of {CART} in baseline main: written to {tmp_path / 'there' / 'cart.json'}"
    ]
    document = json.loads((tmp_path / "there" / "cart.json").read_bytes())
    assert (document["kind"], document["test"]) == ("memory", CART)


def test_stdout_gets_the_file_and_nothing_else(project: CliCache, tmp_path: Path) -> None:
    run_with(project, cpu())
    command = [sys.executable, "-m", "pytest_goref", "export", "last", CART, "--format=pprof", "-o", "-"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert b"Cart.add" in gzip.decompress(done.stdout)
    assert done.stderr == b""
    assert list(tmp_path.glob(f"{_STEM}*")) == []


def test_the_page_of_memray_is_made_from_the_capture(project: CliCache, tmp_path: Path) -> None:
    pytest.importorskip("memray", reason="memray does not run on this system")
    capture = tmp_path / "capture.bin"
    subprocess.run([sys.executable, "-c", _CAPTURED, capture], check=True)
    run_with(project, MEMORY, capture=capture)
    assert project.goref("export", "last", CART, "--format=html", "--kind=memory").status == 0
    assert "memray" in exported(tmp_path).read_text(encoding="utf-8")


def test_without_the_capture_there_is_no_page(project: CliCache, tmp_path: Path) -> None:
    run_with(project, MEMORY)
    said = project.goref("export", "last", CART, "--format=html", "--kind=memory")
    assert said.refusal == (
        f"no page: memray's capture of {CART} is gone: measure it again, or export another format"
    )
    assert list(tmp_path.glob(f"{_STEM}*")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["last", CART], "the following arguments are required: --format: see goref export --help"),
        (["last", CART, "--format", "svg"], "argument --format: invalid choice: 'svg'"),
        (["last", CART, "--format", "json", "--kind", "wall"], "argument --kind: invalid choice: 'wall'"),
        (["last", "lost", "--format", "json"], "run 1 holds no test 'lost'"),
        (["last", CART, "--format", "json", "--kind", "memory"], "run 1 holds no memory profile of"),
        (
            ["last", CART, "--format", "json", "-o", "no/where"],
            "no/where: No such file or directory: make sure",
        ),
        (["last", CART, "more", "--format", "json"], "unrecognized arguments: more"),
    ],
)
def test_what_cannot_be_exported_is_one_line(project: CliCache, arguments: list[str], message: str) -> None:
    run_with(project, cpu())
    assert message in project.goref("export", *arguments).refusal
