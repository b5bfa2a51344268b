"""Starting a session that measures: settings, what to compare with, and the plugins that do the work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_goref.errors import GorefError
from pytest_goref.plugin.artifacts import check_exportable, scratch_directory
from pytest_goref.plugin.controller import Controller, Purpose
from pytest_goref.plugin.fixture import REGION
from pytest_goref.plugin.items import ItemHooks
from pytest_goref.plugin.measurement import Judging
from pytest_goref.plugin.pass_context import Tools
from pytest_goref.plugin.passes import MEMORY
from pytest_goref.plugin.selection import Selection, SelectionHooks
from pytest_goref.plugin.settings import Settings, executes_tests, read_settings
from pytest_goref.plugin.visits import Invocation, VisitHooks, Visits, is_seed_random, take_visit_file
from pytest_goref.plugin.worker import WorkerHooks
from pytest_goref.profilers.calls import CallsProfiler
from pytest_goref.profilers.cpu import CpuProfiler
from pytest_goref.profilers.leaks import LeaksProfiler
from pytest_goref.profilers.memory import MemoryProfiler
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
    places = Places(settings.rootdir, filter(None, plugin_files))
    scratch = scratch_directory(config)
    refs, memory = RefsProfiler(), MemoryProfiler(places, scratch)
    tools = Tools(
        refs,
        LeaksProfiler(refs, places),
        CallsProfiler(places),
        memory,
        CpuProfiler(places),
    )
    visits = Visits(Invocation.of(config, settings)) if reference is not None and is_seed_random() else None
    judging = Judging(reference, settings.strict, saved=bool(settings.save), visits=visits)
    items = ItemHooks(settings, tools, judging, prepare={MEMORY: memory.prepare})
    config.stash[REGION] = items.region
    selection = Selection()
    register = config.pluginmanager.register
    register(items, "goref-items")
    register(SelectionHooks(settings, selection), "goref-selection")
    visit_file = take_visit_file()
    if visit_file is not None:
        register(VisitHooks(visit_file), "goref-visit")
    elif worker is None:
        register(Controller(Purpose(settings, reference, accepted, selection), scratch), "goref-controller")
    else:
        register(WorkerHooks(selection), "goref-worker")


def _open(settings: Settings, config: pytest.Config, *, check: bool) -> Reference | None:
    """Return what is compared with; with ``check`` all of it, and what is saved, is known to be sound."""
    cache = CacheDirectory(settings.cache)
    if check and settings.save and executes_tests(config):
        check_saveable(settings.save, cache)
    if check and settings.export is not None and executes_tests(config):
        check_exportable(settings.export)
    if not settings.compare:
        return None
    reference = open_reference(settings.compare, cache, config.invocation_params.dir)
    if check:
        check_readable(reference)
    return reference
