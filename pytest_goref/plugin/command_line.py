"""The command line of a session, without what is not for the fresh processes that it starts.

Options that write files, stop early, show something, select tests or start workers must not reach a visit;
every other option, of whatever plugin or project, has to, or its tests are not those of the session.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.plugin.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

_KEPT: Final = ("passes", "rounds", "repeat")
"""Options of this plugin that visits get too: they say how a test is measured."""


def _names(text: str, *others: str) -> frozenset[str]:
    return frozenset((*text.split(), *others))


_FLAGS: Final = _names(
    """
    --cache-clear --co --collect-only --collectonly --exitfirst --failed-first --ff --full-trace --fulltrace
    --last-failed --lf --new-first --nf --no-header --no-summary --pdb --quiet --setup-only --setup-plan
    --setup-show --setuponly --setupplan --setupshow --stepwise --stepwise-reset --stepwise-skip --sw
    --sw-reset --sw-skip --trace --trace-config --traceconfig --verbose --xfail-tb
    --loadscope-reorder --looponfail --no-loadscope-reorder
    --cov-append --cov-branch --cov-reset --no-cov --no-cov-on-fail
    --benchmark-autosave --benchmark-cprofile-dump --benchmark-disable --benchmark-disable-gc
    --benchmark-enable --benchmark-only --benchmark-quiet --benchmark-save-data --benchmark-skip
    --benchmark-verbose
    --clean-alluredir --clean-durations --codspeed --hide-memray-summary --instafail --json-report
    --json-report-summary --memray --native --no-flaky-report --profile --profile-svg
    --self-contained-html --snapshot-update --store-durations
    """,
    "--goref",
    "--no-goref",
    *(f"--goref-{option.name}" for option in OPTIONS if not option.metavar),
)
"""Options that a visit does not get, and that take no value."""

_VALUED: Final = _names(
    """
    --basetemp --code-highlight --color --config-file --confcutdir --deselect --durations --durations-min
    --junit-prefix --junit-xml --junitprefix --junitxml --last-failed-no-failures --lfnf --log-file
    --max-warnings --maxfail --pastebin --pdbcls --report-chars --rootdir --show-capture --tb --verbosity
    --dist --max-worker-restart --maxprocesses --maxschedchunk --numprocesses --px --rsyncdir --rsyncignore
    --testrunuid --tx
    --cov-config --cov-context --cov-fail-under --cov-precision --cov-report
    --benchmark-calibration-precision --benchmark-columns --benchmark-compare-fail --benchmark-cprofile
    --benchmark-cprofile-loops --benchmark-cprofile-top --benchmark-group-by --benchmark-json
    --benchmark-max-time --benchmark-min-rounds --benchmark-min-time --benchmark-name --benchmark-netrc
    --benchmark-save --benchmark-sort --benchmark-storage --benchmark-time-unit --benchmark-timer
    --benchmark-warmup-iterations
    --alluredir --codspeed-max-rounds --codspeed-max-time --codspeed-mode --codspeed-warmup-time --css
    --durations-path --element-number --html --json-report-file --json-report-indent --json-report-omit
    --json-report-verbosity --max-runs --memray-bin-path --memray-bin-prefix --min-passes
    --most-allocations --only-rerun --pstats-dir --report-log --rerun-except --reruns --reruns-delay
    """,
    *(f"--goref-{option.name}" for option in OPTIONS if option.metavar and option.name not in _KEPT),
)
"""Options that a visit does not get, and that take a value."""

_PERHAPS_VALUED: Final = _names(
    "--benchmark-compare --benchmark-histogram --benchmark-warmup --cache-show --cov --debug"
)
"""Options that a visit does not get, and that take a value where one follows."""

_SHORT_FLAGS: Final = "dfqvxVh"
_SHORT_VALUED: Final = "ckmnr"
_SHORT_KEPT_FLAGS: Final = "ls"
"""They may stand before others in one argument, as in ``-sx``."""


def inherited_arguments(config: pytest.Config) -> list[str]:
    """Return the arguments of a session that its visits get too.

    They come from the ini file, the environment and the command line. Paths stay: which ``conftest.py``
    files declare options is for them to say. They are relative to where pytest was started if they can be.
    """
    arguments = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    arguments += map(os.fspath, config.invocation_params.args)
    paths = set(config.getoption("file_or_dir", None) or ())
    directory = config.invocation_params.dir
    return [
        relative(argument, config.rootpath, directory) if argument in paths else argument
        for argument in without_own(expanded(arguments, directory))
    ]


def expanded(arguments: Iterable[str], directory: Path) -> Iterator[str]:
    """Yield ``arguments`` with the lines of a file in place of ``@file``, as pytest reads them."""
    for argument in arguments:
        if not argument.startswith("@"):
            yield argument
            continue
        try:
            lines = (directory / argument[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):  # changed since pytest has read it
            continue
        yield from expanded(lines, directory)


def without_own(arguments: Iterable[str]) -> list[str]:
    """Return ``arguments`` in their order, without the options that are the session's own."""
    given = list(arguments)
    kept: list[str] = []
    while given:
        argument = given.pop(0)
        if argument == "--":
            return [*kept, argument, *given]
        name, equals, _ = argument.partition("=")
        if name in _VALUED:
            if not equals:
                del given[:1]
        elif name in _PERHAPS_VALUED:
            if not equals and given and not given[0].startswith("-"):
                del given[0]
        elif argument.startswith("-") and not argument.startswith("--"):
            short, takes_next = _without_own_letters(argument)
            kept += [short] if short else []
            del given[: int(takes_next)]
        elif argument not in _FLAGS:
            kept.append(argument)
    return kept


def _without_own_letters(argument: str) -> tuple[str, bool]:
    """Return an argument such as ``-sxk`` without the session's own options, and whether a value follows."""
    kept = ""
    for index, letter in enumerate(argument[1:], start=1):
        if letter in _SHORT_VALUED:
            return f"-{kept}" if kept else "", index == len(argument) - 1
        if letter not in _SHORT_FLAGS + _SHORT_KEPT_FLAGS:  # of another plugin: the rest may be its value
            return f"-{kept}{argument[index:]}", False
        if letter in _SHORT_KEPT_FLAGS:
            kept += letter
    return (f"-{kept}" if kept or argument == "-" else ""), False


def relative(argument: str, rootdir: Path, directory: Path) -> str:
    """Return a path or node id relative to ``directory`` if it lies in ``rootdir``, else as it is."""
    path, colons, name = argument.partition("::")
    if not Path(path).is_absolute() or not Path(path).is_relative_to(rootdir):
        return argument
    try:
        return f"{os.path.relpath(path, directory)}{colons}{name}"
    except ValueError:  # on another drive
        return argument
