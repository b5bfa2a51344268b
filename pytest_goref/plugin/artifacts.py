"""What the profiles of a session become at its end: artifacts beside the history, and exported files."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_goref.errors import CacheError, GorefError, InvalidValueError
from pytest_goref.profile import ProfileKind
from pytest_goref.store.artifacts import Artifacts, owner_of_baseline, owner_of_run
from pytest_goref.store.files import is_inside, reason, write_atomically
from pytest_goref.store.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_goref.plugin.results import Result, Results
    from pytest_goref.store.cache import CacheDirectory


@dataclass(frozen=True, slots=True)
class Export:
    """Where profiles are exported to.

    Attributes:
        directory: absolute; made when missing.
        form: the name of a format.

    """

    directory: Path
    form: str


def parse_export(text: str, start: Path) -> Export:
    """Return what ``--goref-export=text`` means.

    Args:
        text: ``DIR:FORMAT``.
        start: what a relative directory starts from.

    Raises:
        InvalidValueError: a part is missing, or the format is unknown.

    """
    from pytest_goref.report.export import FORMATS, format_named  # noqa: PLC0415 - only who exports needs it

    directory, _, form = text.rpartition(":")
    if not directory.strip():
        raise InvalidValueError(f"{text!r} is not DIR:FORMAT; formats: {', '.join(FORMATS)}")
    format_named(form)
    return Export(start / directory, form)


def check_exportable(export: Export) -> None:
    """Make sure that files can be written where the profiles are to go.

    Raises:
        CacheError: they cannot.

    """
    try:
        export.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=export.directory):
            pass
    except OSError as error:
        raise CacheError(
            f"--goref-export: {export.directory}: cannot write: {reason(error)}: name another directory"
        ) from error


def scratch_directory(config: pytest.Config) -> Path:
    """Return where profilers put their files until the controller takes them over; it goes with the session.

    That of the controller is used by xdist's workers too, which end before it does; a worker on another
    machine has its own.
    """
    shared = getattr(config, "workerinput", {}).get("goref_scratch")
    if shared is not None and Path(shared).is_dir():
        return Path(shared)
    made = tempfile.mkdtemp(prefix="goref-")
    process = os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # not a child that a test has forked
            shutil.rmtree(made, ignore_errors=True)

    config.add_cleanup(remove)
    return Path(made)


class ProfileKeeper:
    """Writes the profiles of a session.

    Args:
        cache: where artifacts and history are.
        scratch: where captures are until they are taken over.

    """

    def __init__(self, cache: CacheDirectory, scratch: Path) -> None:
        self.scratch = scratch
        self._cache = cache

    def export(self, results: Results, export: Export) -> Iterator[str]:
        """Write a file for each profile; yield what could not be written, in sentences."""
        from pytest_goref.report.export import file_name, format_named  # noqa: PLC0415 - as above
        from pytest_goref.report.export.profiled import Profiled  # noqa: PLC0415 - as above

        form = format_named(export.form)
        for key, result in results.by_key.items():
            for profile in result.profiles():
                capture = self._capture(result) if profile.kind is ProfileKind.MEMORY else None
                profiled = Profiled(key.nodeid, profile, capture)
                try:
                    content = form.render(profiled)
                    write_atomically(export.directory / file_name(profiled, form), content)
                except (GorefError, OSError) as error:
                    yield f"{key.nodeid}: its {profile.kind.value} profile was not exported: {reason(error)}"

    def keep(self, results: Results, run_id: int | None, baseline: str, most_bytes: int) -> Iterator[str]:
        """Store profiles and captures as artifacts; yield what went wrong, in sentences.

        Args:
            results: of the session.
            run_id: the run in the history, None when it is not there.
            baseline: that the accepted tests were saved into, "" for none.
            most_bytes: how much room all artifacts may take.

        """
        artifacts = Artifacts(self._cache.artifacts)
        try:
            if run_id is not None:
                artifacts.drop(owner_of_run(run_id))  # of a history that was deleted
                runs = History(self._cache.history).runs()
                artifacts.drop_runs_before(min((run.id or 0 for run in runs), default=0))
            for key, result in results.by_key.items():
                owners = [owner_of_run(run_id)] if run_id is not None else []
                if baseline and result.accepted:
                    owners.append(owner_of_baseline(baseline))
                profiles, capture = result.profiles(), self._capture(result)
                if not owners[1:] and run_id is not None and not profiles and capture is None:
                    continue  # what is new has nothing that could be out of date
                for owner in owners[:1]:
                    artifacts.put(owner, key, profiles, capture)
                for other in owners[1:]:
                    artifacts.copy(owners[0], other, key)
            artifacts.shrink(most_bytes)
        except (GorefError, OSError) as error:
            place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
            yield f"the profiles of this run were not kept: {place}{reason(error)}"

    def _capture(self, result: Result) -> Path | None:
        """Return the capture of a test; one that is not in the directory of this session is not ours."""
        capture = result.capture
        if capture is None or not is_inside(capture, self.scratch) or not capture.is_file():
            return None
        return capture
