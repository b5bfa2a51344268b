"""The page of the profiler itself: pyinstrument's for a CPU profile, memray's for a memory profile."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_goref.profile import Frame, ProfileKind
from pytest_goref.profilers import ProfilerUnavailableError
from pytest_goref.report.text import printable

if TYPE_CHECKING:
    from pytest_goref.profile import Stack, StackProfile
    from pytest_goref.report.export.profiled import Profiled


def render(profiled: Profiled) -> bytes:
    """Return the page.

    Raises:
        ProfilerUnavailableError: the profiler cannot make its page, or there is no capture to make it from.

    """
    if profiled.profile.kind is ProfileKind.MEMORY:
        return _memory_page(profiled)
    from pytest_goref.profilers.cpu import render_html  # noqa: PLC0415 - no other format needs it

    try:
        page = render_html(_printable(profiled.profile), printable(profiled.test))
    except ImportError as error:
        raise ProfilerUnavailableError(f"no page: pyinstrument cannot be used here: {error}") from None
    return page.encode("utf-8", "backslashreplace")


def _printable(profile: StackProfile) -> StackProfile:
    """Return ``profile`` with names that a browser shows as they are, none reversed and none hidden."""
    stacks: dict[Stack, tuple[int, ...]] = {}
    for stack, numbers in profile.stacks.items():
        named = tuple(
            Frame(printable(frame.place), printable(frame.file), printable(frame.function), frame.line)
            for frame in stack
        )
        known = stacks.get(named, (0,) * len(numbers))
        stacks[named] = tuple(map(sum, zip(known, numbers, strict=True)))
    return replace(profile, stacks=stacks)


def _memory_page(profiled: Profiled) -> bytes:
    """Return memray's flame graph, made by its command line, which is its public interface for that."""
    if profiled.capture is None:
        raise ProfilerUnavailableError(
            f"no page: memray's capture of {profiled.test} is gone: measure it again, "
            f"or export another format"
        )
    with tempfile.TemporaryDirectory(prefix="goref-") as directory:
        page = Path(directory, "page.html")
        # A page that a browser shows without a network, and years from now.
        command = [sys.executable, "-m", "memray", "flamegraph", "--no-web", "--output", str(page)]
        done = subprocess.run([*command, str(profiled.capture)], capture_output=True, check=False)  # noqa: S603 - no text of others is run
        if done.returncode or not page.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise ProfilerUnavailableError(
                f"no page: memray flamegraph {profiled.capture}: {said[-1] if said else 'failed'}"
            )
        return page.read_bytes()
