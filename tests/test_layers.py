from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parent.parent


def test_imports_keep_the_contracts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    told = capsys.readouterr().out
    assert status == EXIT_STATUS_SUCCESS, told
    assert ", 0 broken." in told


def test_a_broken_contract_would_be_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    top, bottom = '"pytest_goref.plugin | pytest_goref.cli"', '"pytest_goref.errors"'
    upside_down = text.replace(top, "TOP", 1).replace(bottom, top, 1).replace("TOP", bottom)
    assert upside_down != text
    config = tmp_path / "pyproject.toml"
    config.write_text(upside_down, encoding="utf-8")
    monkeypatch.syspath_prepend(ROOT)
    assert lint_imports(config_filename=str(config), no_cache=True, no_logo=True) != EXIT_STATUS_SUCCESS
    assert "BROKEN" in capsys.readouterr().out


@pytest.mark.parametrize("module", ["pytest_goref", "pytest_goref.tracker"])
def test_the_tracker_loads_no_part_of_the_plugin(module: str) -> None:
    program = f"import {module}, sys, threading; print(threading.active_count(), *sorted(sys.modules))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}  # it imports much
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", env=environment, check=True
    )
    threads, *loaded = done.stdout.split()
    assert threads == "1"
    assert "pytest_goref.tracker.engines" in loaded
    unwanted = {
        "_pytest",
        "dataclasses",
        "filelock",
        "memray",
        "pluggy",
        "pyinstrument",
        "pytest",
        "tabulate",
    }
    assert not unwanted & {name.partition(".")[0] for name in loaded}
    assert not [name for name in loaded if name.startswith("pytest_goref.plugin")]
