"""Proves the rule for durations: how often it is wrong about unchanged code, and what it finds.

Run it with the interpreter in question: ``python bench/verdicts``. It collects rounds of 12 workloads in
fresh processes, blocks of which do 100 to 140 units of work, and feeds them to the product's own decisions.
Beside that it tells what other rules say of the same rounds, and runs pytest-benchmark on unchanged code.
``--set tuned`` takes the workloads that the rule may be tuned on; figures to report come from the others.
It takes less than 10 minutes, and exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmark import COMPARISONS, Failures, is_installed, run_benchmark
from collect import FEWEST_BLOCKS, STREAMS, collect, read, write_head
from evaluate import OURS, SAME, evaluate
from neighbour import neighbours
from table import PER_RUN, PER_TEST, found, independent, print_bars, print_table, shares
from units import SETS

from pytest_goref.environment import current_environment
from pytest_goref.model import KERNEL_VERSION

BLOCKS = 60
SECONDS = 340.0


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python bench/verdicts", description=__doc__)
    parser.add_argument("--set", choices=SETS, default="held-out", help="the workloads (held-out)")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help=f"the most blocks to collect ({BLOCKS})")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"the most to collect for ({SECONDS:g})"
    )
    parser.add_argument("--neighbour", action="store_true", help="keep every processor busy now and then")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (1)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the raw rounds in FILE")
    parser.add_argument("--evaluate", type=Path, metavar="FILE", help="collect nothing, take what FILE holds")
    options = parser.parse_args()
    if options.blocks < FEWEST_BLOCKS:
        parser.error(f"--blocks: {options.blocks} are too few, the rule may need {FEWEST_BLOCKS}")
    return options


def main() -> int:
    """Collect and evaluate, print the table, and return the exit status."""
    options = parsed()
    with tempfile.TemporaryDirectory() as name:
        kept: Path = options.evaluate or options.keep or Path(name, "rounds.jsonl")
        real = []
        if options.evaluate is None:
            write_head(kept, options.set, neighbour=options.neighbour)
            with neighbours(options.seed) if options.neighbour else contextlib.nullcontext():
                collect(options.set, options.seed, options.blocks, options.seconds, kept)
                real = run_benchmark(options.set, len(SETS[options.set])) if is_installed() else []
        return report(kept, options.seed, real)


def report(kept: Path, seed: int, real: list[Failures]) -> int:
    """Print the machine, the table and the bars; return the exit status."""
    collection = read(kept)
    blocks, tests = len(collection.blocks), len(SETS[collection.units])
    if blocks < FEWEST_BLOCKS:
        print(f"{kept} holds {blocks} complete blocks, the rule may need {FEWEST_BLOCKS}: collect again")
        return 1
    tallies = evaluate(kept, seed)
    by_rule = shares(tallies, blocks, tests, seed)
    print(machine())
    beside = "a noisy neighbour on each processor" if collection.neighbour else "nothing else started"
    print(f"{tests} workloads ({collection.units}), {blocks} blocks of {len(STREAMS)} processes, {beside}")
    compared = sum(t.tests for t in tallies if t.rule == OURS and t.change == SAME)
    print(
        f"{compared} comparisons of unchanged code, of which {independent(blocks, tests, PER_TEST)} share no "
        f"process ({independent(blocks, tests, PER_RUN)} runs); of each change, "
        f"{independent(blocks, tests, found(20))} share none; percent, 95 % intervals by resampling blocks"
    )
    faster = sum(t.faster for t in tallies if t.rule == OURS and t.change == SAME)
    print(f"{faster} of the unchanged were told as faster by {OURS}")
    print_table(by_rule, real)
    if real:
        print(f"pytest-benchmark itself: {COMPARISONS} runs compared with a saved one")
    elif not is_installed():
        print("pytest-benchmark itself: left out, it is not installed")
    return 0 if print_bars(by_rule) else 1


def machine() -> str:
    """Return where this runs."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"{current_environment().machine}, {platform.system()} {platform.release()}, {python}, "
        f"pytest-goref {version('pytest-goref')}, kernels {KERNEL_VERSION}, pytest {version('pytest')}"
    )


if __name__ == "__main__":
    sys.exit(main())
