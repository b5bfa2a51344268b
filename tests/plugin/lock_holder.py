"""Another process that holds the lock of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HOLD = """
import os, sys
from pathlib import Path
from pytest_goref.plugin.machine_lock import MachineLock

told = []
with MachineLock(Path(sys.argv[1]), sys.argv[2], told.append, most_waiting_s=0.01).held():
    print("held", flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds the lock until it is told otherwise."""

    def __init__(self, directory: Path, words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(directory), words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
        )
        assert _pipe(self._process.stdout).readline() == "held\n"

    def let_go(self) -> None:
        _pipe(self._process.stdin).close()

    def die(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.let_go()
        _pipe(self._process.stdout).close()
        self._process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def waiting_for(words: str) -> str:
    return f"waiting for {words}, which is timing on this machine; --goref-lock=off does not wait"
