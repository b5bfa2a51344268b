"""Starting a session that measures: settings, what to compare with, and the plugins that do the work."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_goref.errors import GorefError
from pytest_goref.plugin.artifacts import check_exportable, scratch_directory
from pytest_goref.plugin.conclusion import Judging
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
from pytest_goref.plugin.saving import Saving
from pytest_goref.plugin.selection import ComparisonHooks, Selection, SelectionHooks
from pytest_goref.plugin.settings import Settings, executes_tests, read_settings
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_goref.plugin.conclusion import Conclusion
    from pytest_goref.plugin.confirmation import Confirmation
    from pytest_goref.plugin.revision import Counterparts
    from pytest_goref.plugin.seeds import SeedCheck


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
    scratch = scratch_directory(config)
    # Whoever has started a visit holds the lock for it.
    lock = MachineLock.of(config).held if settings.lock and visitor is None else contextlib.nullcontext
    tools = replace(_tools(settings, config, scratch), lock=lock)
    invocation, progress = Invocation.of(config, settings), partial(Progress.of, config)
    fresh, base = FreshProcesses(invocation.visit, lock), None
    selection = Selection()
    register = config.pluginmanager.register
    writes = worker is None and visitor is None
    parcels = Parcels(stay=writes)
    seeds: SeedCheck | Counterparts | None = None
    if reference is not None:
        from pytest_goref.plugin.seeds import SeedCheck, is_seed_random  # noqa: PLC0415 - few need it

        seeds = SeedCheck(invocation.visit) if is_seed_random() else None
    if writes and isinstance(reference, GitReference):
        from pytest_goref.plugin.revision import RevisionHooks  # noqa: PLC0415 - few sessions need it

        revision = RevisionHooks(reference, settings, invocation, lock)
        register(revision, "goref-revision")
        base, seeds = FreshProcesses(revision.visit, lock), revision.counterparts
    confirmation = _confirmation(progress, fresh, base) if reference is not None else None
    judging = Judging(
        reference,
        settings.strict,
        saved=bool(settings.save),
        seeds=seeds,
        confirms=writes,
    )
    hold = confirmation.hold if confirmation is not None else _hold_nothing
    items = ItemHooks(settings, tools, judging, hold, parcels)
    config.stash[REGION] = items.region
    register(items, "goref-items")
    TimeLimit.register(config.pluginmanager)
    watching = ComparisonHooks if settings.compare else SelectionHooks
    register(watching(settings, selection), "goref-selection")
    if visitor is not None:
        register(visitor, "goref-visitor")
    elif worker is None:
        register(InvocationHooks(invocation), "goref-invocation")
        if confirmation is not None:
            register(confirmation, "goref-confirmation")
        purpose = Purpose(settings, reference, accepted, selection)
        saving = Saving(settings.visits, progress, fresh)
        register(Controller(purpose, saving, scratch, parcels), "goref-controller")
    else:
        register(WorkerHooks(selection), "goref-worker")


def _tools(settings: Settings, config: pytest.Config, scratch: Path) -> Tools:
    plugin_files = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
    places = Places(settings.rootdir, filter(None, plugin_files))
    refs, memory = RefsProfiler(), MemoryProfiler(places, scratch)
    return Tools(
        refs,
        LeaksProfiler(refs, places),
        CallsProfiler(places),
        memory,
        CpuProfiler(places),
        prepare={MEMORY: memory.prepare},
    )


def _confirmation(
    progress: Callable[[int], Progress], fresh: FreshProcesses, base: FreshProcesses | None
) -> Confirmation:
    from pytest_goref.plugin.confirmation import Confirmation  # noqa: PLC0415 - only who compares needs it

    return Confirmation(progress, fresh, base)


def _hold_nothing(conclusion: Conclusion, release: Callable[[str], None]) -> None:
    """Report a test at once: where nothing is compared, no fresh process could tell more."""
    release(conclusion.text())


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
        from pytest_goref.plugin.revision import open_revision  # noqa: PLC0415 - few sessions need it

        return open_revision(settings.compare, config)
    reference = open_reference(settings.compare, cache, config.invocation_params.dir)
    if check:
        check_readable(reference)
    return reference
