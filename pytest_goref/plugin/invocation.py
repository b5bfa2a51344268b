"""How a visit is started: as the session was, with its options, in its environment."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_goref.plugin.command_line import inherited_arguments, relative
from pytest_goref.plugin.process_state import COVERAGE
from pytest_goref.plugin.visits import VisitRequest, VisitResult, run_visit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_goref.plugin.settings import Settings

_SENT: Final = "goref_invocation"
_SCRATCH: Final = "{scratch}"
"""Stands in an option for the directory that a visit has for itself."""
_OF_THIS_PROCESS: Final = (
    "PYTEST_ADDOPTS",
    "PYTEST_CURRENT_TEST",
    "PYTEST_VERSION",
    "PYTEST_XDIST_TESTRUNUID",
    "PYTEST_XDIST_WORKER",
    "PYTEST_XDIST_WORKER_COUNT",
)
"""Environment variables that are not for a visit: its options are all here."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a visit is started.

    Attributes:
        interpreter: options of Python.
        arguments: of the session, as far as they are for visits.
        options: of every visit.
        rootdir: what the paths of tests start from.
        directory: where pytest is started.
        inifile: what configures pytest, None when nothing does.
        environment: as it was when the session began.
        process: that starts visits; what it has forked does not.

    """

    interpreter: tuple[str, ...]
    arguments: tuple[str, ...]
    options: tuple[str, ...]
    rootdir: Path
    directory: Path
    inifile: Path | None
    environment: Mapping[str, str]
    process: int = field(default_factory=os.getpid)

    @classmethod
    def of(cls, config: pytest.Config, settings: Settings) -> Invocation:
        """Return how the tests of a session are visited; call it when the session begins.

        Args:
            config: of the session; that of an xdist worker holds what the controller has sent.
            settings: of the session.

        """
        sent = getattr(config, "workerinput", {}).get(_SENT)
        return cls(
            interpreter=() if _imports_from(config.invocation_params.dir) else ("-P",),
            arguments=tuple(sent["arguments"] if sent else inherited_arguments(config)),
            options=tuple(sent["options"] if sent else _options(config, settings)),
            rootdir=settings.rootdir,
            directory=config.invocation_params.dir,
            inifile=config.inipath,
            environment={
                name: value
                for name, value in os.environ.items()
                if name not in _OF_THIS_PROCESS and not name.startswith(COVERAGE)
            },
        )

    def at(
        self, rootdir: Path, directory: Path, inifile: Path | None, python_path: Sequence[Path]
    ) -> Invocation:
        """Return how the same tests of another tree are visited.

        Args:
            rootdir: of that tree.
            directory: where pytest is started.
            inifile: what configures pytest, None when nothing does.
            python_path: where modules are looked for first, in place of what ``PYTHONPATH`` names.

        """
        environment = {**self.environment, "PYTHONPATH": os.pathsep.join(map(str, python_path))}
        return replace(self, rootdir=rootdir, directory=directory, inifile=inifile, environment=environment)

    def visit(self, request: VisitRequest, limit_ns: int) -> VisitResult:
        """Measure tests in a fresh process, and wait for it.

        Args:
            request: which tests, and what of them.
            limit_ns: how long it may take.

        """
        found = tuple(key for key in request.keys if (self.rootdir / key.path).is_file())
        missing = frozenset(request.keys) - frozenset(found)
        if not found:
            return VisitResult(missing=missing)
        if os.getpid() != self.process:
            return VisitResult(failure="it is not started by a process that a test has forked")
        try:
            with tempfile.TemporaryDirectory(prefix="goref-visit-", ignore_cleanup_errors=True) as name:
                file = Path(name) / "request.json"
                file.write_text(replace(request, keys=found).to_text(), encoding="utf-8")
                environment = {**self.environment, "PYTHONHASHSEED": request.seed}
                result = run_visit(self._command(name), self.directory, environment, file, limit_ns)
        except OSError as error:  # the disk is full, or TMPDIR is gone
            return VisitResult(failure=f"it could not be prepared ({error})", missing=missing)
        return replace(result, missing=result.missing | missing)

    def _command(self, scratch: str) -> list[str]:
        """Return the command line of a visit whose directory is ``scratch``."""
        command = [sys.executable, *self.interpreter, "-m", "pytest"]
        own = [option.replace(_SCRATCH, scratch) for option in self.options]
        own.append(f"--rootdir={self.rootdir}")
        if self.inifile is not None:
            own.append(f"--config-file={self.inifile}")
        # What follows a lone "--" is no option any more; before it, the last word counts, and it is ours.
        end = self.arguments.index("--") if "--" in self.arguments else len(self.arguments)
        return [*command, *self.arguments[:end], *own, *self.arguments[end:]]


class InvocationHooks:
    """Tells xdist workers how a visit is started: they have not seen the command line.

    Args:
        invocation: that of the controller.

    """

    def __init__(self, invocation: Invocation) -> None:
        self._sent = {"arguments": list(invocation.arguments), "options": list(invocation.options)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - a class of xdist
        """Send it to a worker."""
        node.workerinput[_SENT] = self._sent


def _imports_from(directory: Path) -> bool:
    """Return whether modules are looked for where pytest was started, as by ``python -m pytest``."""
    return "" in sys.path or str(directory) in sys.path


def _options(config: pytest.Config, settings: Settings) -> list[str]:
    """Return the options of every visit: it shows nothing, writes nothing, and leaves out no test."""
    has = config.pluginmanager.has_plugin
    options = ["-q", "--continue-on-collection-errors", "-oaddopts=", "--goref"]
    if settings.all_tests:
        options.append("--goref-all")
    confcutdir = config.getoption("confcutdir", None)
    if confcutdir is not None:
        options.append(f"--confcutdir={relative(confcutdir, config.rootpath, config.invocation_params.dir)}")
    # An option of a plugin that was switched off would be an error.
    if has("xdist"):
        options.append("-n0")
    if has("tmpdir"):
        options.append(f"--basetemp={_SCRATCH}/tests")
    if has("cacheprovider"):
        options.append(f"-ocache_dir={_SCRATCH}/cache")
    if has("logging"):
        options.append("-olog_file=")
    return options
