"""How long hostile data keeps a processor busy, and how much memory it takes: ``python bench/hostile.py``.

Each case runs in a process of its own and must end within the bars; what cannot be used, in one line. The
texts are as long as a file may be (64 MiB; longer ones are refused unread), or hold 10^6 keys.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_goref.cli import main as goref
from pytest_goref.errors import GorefError
from pytest_goref.metrics import REFS
from pytest_goref.model import BaselineEntry, Environment, Mode, Record, TestKey
from pytest_goref.store.baseline import Baselines, open_file
from pytest_goref.store.cache import CacheDirectory
from pytest_goref.store.history import History, RunInfo, TestResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_S: Final = 120
_MOST_MIB: Final = 2048
_BYTES: Final = 64 * 2**20
_KEYS: Final = 1_000_000
_TEST: Final = TestKey("t.py", "test_x")
_HERE: Final = Environment("cpython-3.12", "x86_64 Linux, X", "Example CPU")
_RUN: Final = RunInfo(None, "2025-01-31T12:00:00+00:00", "", _HERE, 0, True, ("",), "0.1.0")


def _text(unit: bytes) -> Callable[[Path], str]:
    def case(directory: Path) -> str:
        file = directory / "stranger.json"
        file.write_bytes(unit * (_BYTES // len(unit)))
        return _refused(lambda: open_file(file).paths())

    return case


def _hundred_megabytes(directory: Path) -> str:
    file = directory / "stranger.json"
    file.write_bytes(b"[" * 100_000_000)
    return _refused(lambda: open_file(file).paths())


def _refused(use: Callable[[], object]) -> str:
    try:
        use()
    except GorefError as error:
        return str(error).rpartition("stranger.json: ")[2]
    return "read"


def _stored(directory: Path) -> CacheDirectory:
    cache = CacheDirectory(directory / ".goref_cache")
    cache.ensure()
    accepted = Record(_TEST, _HERE, Mode.WARM, {REFS: {f"key {n}": (n % 7,) for n in range(_KEYS)}})
    measured = replace(accepted, measurements={REFS: {f"key {n}": (n % 7 + 1,) for n in range(_KEYS)}})
    Baselines(cache).save("main", {_TEST: BaselineEntry.from_record(accepted)})
    History(cache.history).append(_RUN, [TestResult(_TEST, "passed", measured)])
    return cache


def _command(*arguments: str) -> Callable[[Path], str]:
    def case(directory: Path) -> str:
        cache = _stored(directory)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            goref(["--cache", str(cache.root), *arguments])
        text = out.getvalue()
        last = text.rstrip().rpartition("\n")[2]
        return f"{text.count(chr(10))} lines, the last: {last[:100]}"

    return case


_CASES: Final[Mapping[str, Callable[[Path], str]]] = {
    "100 MB of [": _hundred_megabytes,
    "64 MiB of [": _text(b"["),
    '64 MiB of {"a":': _text(b'{"a":'),
    "64 MiB of [],": _text(b"[],"),
    "64 MiB of 1,": _text(b"1,"),
    "64 MiB of 9": _text(b"9"),
    "64 MiB of spaces": _text(b" "),
    "64 MiB of emoji": _text("\U0001f600".encode()),
    "10^6 keys: list": _command("list"),
    "10^6 keys: show": _command("show", "last"),
    "10^6 keys: show TEST": _command("show", "last", "test_x"),
    "10^6 keys: compare": _command("compare", "main", "last"),
    "10^6 keys: compare -v": _command("compare", "main", "last", "-v"),
    "10^6 keys: accept": _command("accept", "main"),
}


def _run_case(name: str) -> None:
    """Run one case and print its CPU seconds, its peak memory in MiB and what was said."""
    import resource  # noqa: PLC0415 - of Unix, where this is measured

    with tempfile.TemporaryDirectory(prefix="goref-") as directory:
        said = _CASES[name](Path(directory))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps([seconds, max(one.ru_maxrss for one in used) // 1024, said]))


def main() -> None:
    """Run every case; the exit code is 1 when one is beyond the bars."""
    if len(sys.argv) > 1:
        _run_case(sys.argv[1])
        return
    failed = False
    for name in _CASES:
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:26} FAILED: {done.stderr.rstrip().rpartition(chr(10))[2]}")
            failed = True
            continue
        seconds, peak_mib, said = json.loads(done.stdout)
        failed |= seconds > _MOST_S or peak_mib > _MOST_MIB
        print(f"{name:26} {seconds:6.1f} s {peak_mib:6} MiB  {said}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
