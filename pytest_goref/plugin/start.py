"""Starting a session that measures: settings, what to compare with, and the plugins that do the work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_goref.errors import GorefError
from pytest_goref.plugin.controller import Controller, Purpose
from pytest_goref.plugin.fixture import REGION
from pytest_goref.plugin.items import ItemHooks
from pytest_goref.plugin.measurement import Judging
from pytest_goref.plugin.pass_context import Tools
from pytest_goref.plugin.selection import Selection, SelectionHooks
from pytest_goref.plugin.settings import Settings, executes_tests, read_settings
from pytest_goref.plugin.worker import WorkerHooks
from pytest_goref.profilers.calls import CallsProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.refs import RefsProfiler
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.reference import Reference, check_readable, check_saveable, open_reference


def start(config: pytest.Config) -> None:
    """Register what this process needs.

    Raises:
        pytest.UsageError: an option, ini value or baseline is wrong; pytest exits with 4 before any test.

    """
    worker = getattr(config, "workerinput", None)
    try:
        settings = read_settings(config)
        if worker is not None:
            settings = replace(settings, compare=worker.get("goref_compare", settings.compare))
        reference = _open(settings, config, check=worker is None)
        accepted = tuple(reference.tests()) if reference is not None and worker is None else ()
    except (GorefError, OSError) as error:
        raise pytest.UsageError(f"goref: {error}") from None
    plugin_files = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
    calls = CallsProfiler(Places(settings.rootdir, filter(None, plugin_files)))
    tools = Tools(RefsProfiler(), calls)
    items = ItemHooks(settings, tools, Judging(reference, settings.strict))
    config.stash[REGION] = items.region
    selection = Selection()
    register = config.pluginmanager.register
    register(items, "goref-items")
    register(SelectionHooks(settings, selection), "goref-selection")
    if worker is None:
        register(Controller(Purpose(settings, reference, accepted, selection)), "goref-controller")
    else:
        register(WorkerHooks(selection), "goref-worker")


def _open(settings: Settings, config: pytest.Config, *, check: bool) -> Reference | None:
    """Return what is compared with; with ``check`` all of it, and what is saved, is known to be sound."""
    cache = CacheDirectory(settings.cache)
    if check and settings.save and executes_tests(config):
        check_saveable(settings.save, cache)
    if not settings.compare:
        return None
    reference = open_reference(settings.compare, cache, config.invocation_params.dir)
    if check:
        check_readable(reference)
    return reference
