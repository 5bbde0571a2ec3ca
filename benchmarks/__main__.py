"""All benchmarks, one after the other: counts, which are the same on every machine, then times, which are not.

python -m benchmarks [--counts]
"""

import argparse
from collections.abc import Callable

from benchmarks import batch, executions, grading, memory, start_up, throughput, tokens

COUNTS: dict[str, Callable[[], str]] = {
    "Executions, calls and tokens": executions.table,
    "Tokens of prompts": tokens.table,
    "Tokens of a batch": batch.table,
}
TIMES: dict[str, Callable[[], str]] = {
    "Start-up and critical path": start_up.table,
    "Throughput": throughput.table,
    "Memory": memory.table,
    "Grading": grading.table,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Count and time what a run takes.")
    parser.add_argument("--counts", action="store_true", help="only what is the same on every machine")
    parts = COUNTS if parser.parse_args().counts else {**COUNTS, **TIMES}
    for title, table in parts.items():
        print(f"## {title}\n\n{table()}\n", flush=True)


if __name__ == "__main__":
    main()
