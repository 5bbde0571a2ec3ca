"""All benchmarks, one after the other: counts, which are the same on every machine, then times, which are not.

python -m benchmarks [--counts]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import batch, executions, tokens

ROOT = Path(__file__).resolve().parent.parent
COUNTS: dict[str, Callable[[], str]] = {
    "Executions, calls and tokens": executions.table,
    "Tokens of prompts": tokens.table,
    "Tokens of a batch": batch.table,
}
TIMES: dict[str, Sequence[str]] = {  # a module of this folder, and its arguments
    "Start-up and critical path": ["start_up"],
    "Throughput": ["throughput"],
    "Memory": ["memory"],
    "Grading": ["grading", "--tasks", "12"],
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Count and time what a run takes.")
    parser.add_argument("--counts", action="store_true", help="only what is the same on every machine")
    counts_alone = parser.parse_args().counts
    for title, table in COUNTS.items():
        print(f"## {title}\n\n{table()}\n", flush=True)
    for title, command in () if counts_alone else TIMES.items():
        print(f"## {title}\n", flush=True)
        apart(command)
        print(flush=True)


def apart(command: Sequence[str]) -> None:
    """Run one part in a process of its own: what another part loaded or took counts in no figure of it."""
    module, *arguments = command
    subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
