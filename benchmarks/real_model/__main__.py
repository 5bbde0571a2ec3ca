"""A real language model, however small, at work on `examples/labels`: `make real`.

SmolLM2-135M-Instruct answers through `--agent chat`, and the rehearsal proposes the edits, for a model of this size
cannot. What must hold is checked: every task measured, the ledger equal to the server's own count, replies that
are no label failed and not lost, bad replies of an optimizer survived, the cap kept. Accuracies are printed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.real_model.figures import show
from benchmarks.real_model.machine import Unavailable, installed, served
from benchmarks.real_model.runs import Runs

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    arguments = argparse.ArgumentParser(prog="benchmarks.real_model", description=__doc__)
    arguments.add_argument("--into", type=Path, default=ROOT / ".real", help="environment of the model's packages")
    arguments.add_argument("--if-available", action="store_true", help="exit with 0 where the packages cannot be had")
    given = arguments.parse_args()
    try:
        python = installed(given.into)
    except Unavailable as reason:
        print(f"No real model ran: its packages cannot be had here ({reason}).")
        return 0 if given.if_available else 1
    with tempfile.TemporaryDirectory() as name, served(python) as server:
        runs = Runs(server, Path(name), ROOT / "examples" / "labels")
        first = runs.evaluate("first", "--no-skill")
        report = runs.optimize()
        runs.optimizer_of_its_own(report)
        runs.take(report)
        last = runs.evaluate("last")
        runs.capped(tokens=3_000)
    show(first, last, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
