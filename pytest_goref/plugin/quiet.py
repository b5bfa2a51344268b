"""Quiet: what a test shows is shown once, however often it is executed, and others measure it once."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_MEMRAY: Final = "memray_manager"
"""The name under which pytest-memray registers what measures."""

_DESCRIPTORS: Final = ((1, "__stdout__"), (2, "__stderr__"))


@contextlib.contextmanager
def quiet(config: pytest.Config) -> Iterator[None]:
    """Keep warnings, live logs and output that nothing captures from the user, and pytest-memray out."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(record=True))
        if config.getoption("capture", None) != "fd":
            # A stream of another kind in the place of the real one could fail a test that needs its buffer.
            for descriptor, stream in _DESCRIPTORS:
                stack.enter_context(_to_nowhere(descriptor, stream))
        stack.enter_context(_without_memray(config.pluginmanager))
        live = config.pluginmanager.get_plugin("logging-plugin")
        for name in ("log_cli_handler", "log_file_handler"):
            handler = getattr(live, name, None)
            if isinstance(handler, logging.Handler):
                handler.addFilter(_nothing)
                stack.callback(handler.removeFilter, _nothing)
        yield


@contextlib.contextmanager
def _without_memray(plugins: pytest.PytestPluginManager) -> Iterator[None]:
    """Take out what measures for pytest-memray: its results are those of the first execution."""
    measuring = plugins.unregister(name=_MEMRAY) if plugins.has_plugin(_MEMRAY) else None
    try:
        yield
    finally:
        if measuring is not None:
            plugins.register(measuring, _MEMRAY)


@contextlib.contextmanager
def _to_nowhere(descriptor: int, stream: str) -> Iterator[None]:
    """Drop what is written to ``descriptor``, by child processes too; ``stream`` buffers for it."""
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(descriptor)
        except OSError:  # closed: nothing is written
            yield
            return
        stack.callback(os.close, kept)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        _flush(stream)
        os.dup2(nowhere, descriptor)
        stack.callback(os.dup2, kept, descriptor)
        stack.callback(_flush, stream)
        yield


def _flush(stream: str) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed
        getattr(sys, stream).flush()


def _nothing(_record: logging.LogRecord) -> bool:
    return False
