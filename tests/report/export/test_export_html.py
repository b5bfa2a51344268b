"""The pages of the profilers themselves."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from exported import CPU, MEMORY

from pytest_goref.profilers import ProfilerUnavailableError
from pytest_goref.report.export import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

_CAPTURED = """
import memray, sys
with memray.Tracker(sys.argv[1]):
    kept = [bytearray(1000) for _ in range(1000)]
"""


def test_the_page_of_pyinstrument() -> None:
    page = FORMATS["html"].render(CPU).decode()
    assert page.lower().startswith("<!doctype html>")
    assert "pyinstrument" in page
    assert "Cart.add" in page


def test_the_page_of_memray(tmp_path: Path) -> None:
    pytest.importorskip("memray", reason="memray does not run on this system")
    capture = tmp_path / "capture.memray"
    subprocess.run([sys.executable, "-c", _CAPTURED, capture], check=True)
    page = FORMATS["html"].render(replace(MEMORY, capture=capture)).decode()
    assert "<html" in page
    assert "memray" in page
    assert [path.name for path in tmp_path.iterdir()] == ["capture.memray"]


def test_without_a_capture_there_is_no_page_of_memray() -> None:
    with pytest.raises(ProfilerUnavailableError, match=r"memray's capture of .* is gone: measure it again"):
        FORMATS["html"].render(MEMORY)


def test_a_capture_that_is_damaged_is_named(tmp_path: Path) -> None:
    capture = tmp_path / "capture.memray"
    capture.write_bytes(b"no capture")
    with pytest.raises(ProfilerUnavailableError) as refused:
        FORMATS["html"].render(replace(MEMORY, capture=capture))
    assert str(refused.value).startswith(f"no page: memray flamegraph {capture}: ")
    assert "\n" not in str(refused.value)


def test_without_pyinstrument_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyinstrument"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyinstrument.renderers", None)
    with pytest.raises(ProfilerUnavailableError, match="pyinstrument cannot be used here"):
        FORMATS["html"].render(CPU)
