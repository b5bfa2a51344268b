"""Fuzzes with atheris: ``python tests/fuzz/drive.py fuzz_codec -max_total_time=600``.

A harness is a module with ``one_input``, which lets nothing but a bug of ours escape, and ``SEEDS``. All
other arguments are libFuzzer's; what it has found is written into the current directory as ``crash-...`` and
is given to the harness again by its name. Needs the extra ``fuzz``.
https://github.com/google/atheris
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Fuzz the harness that the first argument names, until libFuzzer ends the process."""
    import atheris  # noqa: PLC0415 - an extra: the suite runs the seeds without it

    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["pytest_goref"]):
        harness = importlib.import_module(name)
    if all(argument.startswith("-") for argument in arguments):  # else they name a corpus, or a finding
        corpus = Path(tempfile.mkdtemp(prefix="goref-fuzz-"))
        for seed in harness.SEEDS:
            (corpus / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
        arguments.append(str(corpus))
    atheris.Setup([name, *arguments], harness.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
