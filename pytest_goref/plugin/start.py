"""Starting a session that measures: settings, what to compare with, and the plugins that do the work."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial

import pytest

from pytest_goref.errors import GorefError
from pytest_goref.plugin.artifacts import check_exportable, scratch_directory
from pytest_goref.plugin.conclusion import Judging
from pytest_goref.plugin.confirmation import Confirmation
from pytest_goref.plugin.controller import Controller, Purpose
from pytest_goref.plugin.fixture import REGION
from pytest_goref.plugin.fresh import FreshProcesses
from pytest_goref.plugin.invocation import Invocation, InvocationHooks
from pytest_goref.plugin.items import ItemHooks
from pytest_goref.plugin.machine_lock import MachineLock
from pytest_goref.plugin.parcels import Parcels
from pytest_goref.plugin.pass_context import Tools
from pytest_goref.plugin.passes import MEMORY
from pytest_goref.plugin.progress import Progress
from pytest_goref.plugin.revision import Counterparts, RevisionHooks, open_revision
from pytest_goref.plugin.saving import Saving
from pytest_goref.plugin.seeds import SeedCheck, is_seed_random
from pytest_goref.plugin.selection import Selection, SelectionHooks
from pytest_goref.plugin.settings import Settings, executes_tests, read_settings
from pytest_goref.plugin.temporary import TemporaryDirectories
from pytest_goref.plugin.time_limit import TimeLimit
from pytest_goref.plugin.visitor import take_visit
from pytest_goref.plugin.worker import WorkerHooks
from pytest_goref.profilers.calls import CallsProfiler
from pytest_goref.profilers.cpu import CpuProfiler
from pytest_goref.profilers.leaks import LeaksProfiler
from pytest_goref.profilers.memory import MemoryProfiler
from pytest_goref.profilers.places import Places
from pytest_goref.profilers.refs import RefsProfiler
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.reference import (
    GIT,
    GitReference,
    Reference,
    check_readable,
    check_saveable,
    open_reference,
)


def start(config: pytest.Config) -> None:
    """Register what this process needs.

    Raises:
        pytest.UsageError: an option, ini value or baseline is wrong; pytest exits with 4 before any test.

    """
    worker = getattr(config, "workerinput", None)
    try:
        settings, visitor = read_settings(config), take_visit()
        if visitor is not None:
            settings = replace(settings, visit_passes=visitor.request.passes)
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
    # Whoever has started a visit holds the lock for it.
    lock = MachineLock.of(config).held if settings.lock and visitor is None else contextlib.nullcontext
    tools = Tools(
        refs,
        LeaksProfiler(refs, places),
        CallsProfiler(places),
        memory,
        CpuProfiler(places),
        lock=lock,
        prepare={MEMORY: memory.prepare},
    )
    invocation, progress = Invocation.of(config, settings), partial(Progress.of, config)
    fresh, base = FreshProcesses(invocation.visit, lock), None
    selection, parcels = Selection(), Parcels()
    register = config.pluginmanager.register
    writes = worker is None and visitor is None
    seeds: SeedCheck | Counterparts | None = None
    if reference is not None and is_seed_random():
        seeds = SeedCheck(invocation.visit)
    if writes and isinstance(reference, GitReference):
        revision = RevisionHooks(reference, settings, invocation, lock)
        register(revision, "goref-revision")
        base, seeds = FreshProcesses(revision.visit, lock), revision.counterparts
    confirmation = Confirmation(progress, fresh, base)
    judging = Judging(
        reference,
        settings.strict,
        saved=bool(settings.save),
        seeds=seeds,
        confirms=writes,
    )
    items = ItemHooks(settings, tools, judging, confirmation.hold, parcels)
    config.stash[REGION] = items.region
    register(items, "goref-items")
    TemporaryDirectories.register(config.pluginmanager)
    TimeLimit.register(config.pluginmanager)
    register(SelectionHooks(settings, selection), "goref-selection")
    if visitor is not None:
        register(visitor, "goref-visitor")
    elif worker is None:
        register(InvocationHooks(invocation), "goref-invocation")
        register(confirmation, "goref-confirmation")
        purpose = Purpose(settings, reference, accepted, selection)
        saving = Saving(settings.visits, progress, fresh)
        register(Controller(purpose, saving, scratch, parcels), "goref-controller")
    else:
        register(WorkerHooks(selection), "goref-worker")


def _open(settings: Settings, config: pytest.Config, *, check: bool) -> Reference | None:
    """Return what is compared with; with ``check`` all of it, and what is saved, is known to be sound."""
    cache = CacheDirectory(settings.cache)
    if check:
        cache.check_links()
    if check and settings.save and executes_tests(config):
        check_saveable(settings.save, cache)
    if check and settings.export is not None and executes_tests(config):
        check_exportable(settings.export)
    if not settings.compare:
        return None
    if settings.compare.startswith(GIT):
        return open_revision(settings.compare, config)
    reference = open_reference(settings.compare, cache, config.invocation_params.dir)
    if check:
        check_readable(reference)
    return reference
