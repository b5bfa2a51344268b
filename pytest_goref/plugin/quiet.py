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

_MEASURING: Final = ("memray_manager", "_cov_contexts")
"""The names under which pytest-memray and pytest-cov register what notes how a test is executed."""

_SEED: Final = "randomly_seed"
"""The option of pytest-randomly that a session gives to each of its tests."""

_DESCRIPTORS: Final = ((1, "__stdout__"), (2, "__stderr__"))


@contextlib.contextmanager
def quiet(config: pytest.Config, number: int) -> Iterator[None]:
    """Keep warnings, live logs and output that nothing captures from the user, and what measures out.

    Args:
        config: of the session.
        number: which execution of the test it is, the first one being 0.

    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_seeded(config, number))
        stack.enter_context(warnings.catch_warnings(record=True))
        if config.getoption("capture", None) != "fd":
            # A stream of another kind in the place of the real one could fail a test that needs its buffer.
            for descriptor, stream in _DESCRIPTORS:
                stack.enter_context(_to_nowhere(descriptor, stream))
        for name in _MEASURING:
            stack.enter_context(_without(name, config.pluginmanager))
        stack.enter_context(_recorded_once(config.pluginmanager))
        live = config.pluginmanager.get_plugin("logging-plugin")
        for attribute in ("log_cli_handler", "log_file_handler"):
            handler = getattr(live, attribute, None)
            if isinstance(handler, logging.Handler):
                handler.addFilter(_nothing)
                stack.callback(handler.removeFilter, _nothing)
        yield


@contextlib.contextmanager
def _seeded(config: pytest.Config, number: int) -> Iterator[None]:
    """Let pytest-randomly begin with other random numbers in each execution, as it does in each session.

    Else what a test counts would seem to be the same every time, and fail it in the next session.
    """
    seed = config.getoption(_SEED, None)
    if isinstance(seed, int):
        setattr(config.option, _SEED, seed + number)
    try:
        yield
    finally:
        if isinstance(seed, int):
            setattr(config.option, _SEED, seed)


@contextlib.contextmanager
def _recorded_once(plugins: pytest.PytestPluginManager) -> Iterator[None]:
    """Forget properties of the whole suite that are recorded meanwhile for the JUnit file."""
    recorded = [getattr(plugin, "global_properties", None) for plugin in plugins.get_plugins()]
    kept = [(properties, len(properties)) for properties in recorded if isinstance(properties, list)]
    try:
        yield
    finally:
        for properties, number in kept:
            del properties[number:]


@contextlib.contextmanager
def _without(name: str, plugins: pytest.PytestPluginManager) -> Iterator[None]:
    """Take out a plugin whose results are those of the first execution."""
    measuring = plugins.unregister(name=name) if plugins.has_plugin(name) else None
    try:
        yield
    finally:
        if measuring is not None:
            plugins.register(measuring, name)


@contextlib.contextmanager
def _to_nowhere(descriptor: int, stream: str) -> Iterator[None]:
    """Drop what is written to ``descriptor``, by child processes too; ``stream`` buffers for it."""
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
        except OSError:  # closed: nothing is written; or no more files can be opened
            yield
            return
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
