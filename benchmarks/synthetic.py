"""What the parts of an optimizer do in a world without a model, whose truth is known: about the algorithm alone.

    python benchmarks/synthetic.py [--seeds N]

Each row is the mean over seeds of whole runs of the real loop in the world of `tests/method/synthetic`: the true
accuracy of the final skill, the lines that edits added, edits that said again what stood there, guidance that was
deleted, and edits that brought nothing and were accepted. `curves.py` draws what changes by iteration.
"""

import argparse
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.method.synthetic.nature import Nature, lives

BATCHES: dict[str, Any] = {"batch_size": 12, "iterations": 6}


def skillopt(**parts: Any) -> dict[str, Any]:
    return {**BATCHES, "optimizer": {"preset": "skillopt", **parts}}


NOISY = Nature(unguided=0.3, hint=0.6, junk=0.6)
GATED: dict[str, Any] = {"accept": "validate", "trials": 3}
ROWS: tuple[tuple[str, Nature, dict[str, Any]], ...] = (
    ("momentum", Nature(), {}),
    ("without momentum", Nature(), {"momentum": False}),
    ("contrastive, batch 12, tidying edits", Nature(tidies=1.0), {"batch_size": 12}),
    ("failures alone, batch 12, tidying edits", Nature(tidies=1.0), {"batch_size": 12, "contrastive": False}),
    ("contrastive, batch 4, tidying edits", Nature(tidies=1.0), {}),
    ("failures alone, batch 4, tidying edits", Nature(tidies=1.0), {"contrastive": False}),
    ("edit budget (cosine), wordy edits", Nature(bloat=4, forget=40), skillopt(slow_tasks=0)),
    ("no edit budget, wordy edits", Nature(bloat=4, forget=40), skillopt(slow_tasks=0, rate="none")),
    ("slow update, steps blind for one in six", Nature(blind=frozenset({"m0"})), skillopt(rate="none")),
    ("no slow update, the same", Nature(blind=frozenset({"m0"})), skillopt(rate="none", slow_tasks=0)),
    ("gate beyond noise, junk edits", NOISY, GATED),
    ("strict gate, junk edits", NOISY, {**GATED, "gate_level": 1.0}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the real loop in a world without a model.")
    parser.add_argument("--seeds", type=int, default=40, metavar="N", help="runs of each row (40)")
    seeds = parser.parse_args().seeds
    print("| what | true accuracy | lines added | said again | deleted guidance | junk accepted | executions |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, nature, settings in ROWS:
        runs = lives(nature, seeds, **settings)
        figures = [
            f"{100 * fmean(one.after for one in runs):.0f}%",
            *(
                f"{fmean(values):.1f}"
                for values in (
                    [one.lines for one in runs],
                    [one.agents.repeated for one in runs],
                    [one.agents.lost for one in runs],
                    [one.junk for one in runs],
                )
            ),
            f"{fmean(one.executions for one in runs):.0f}",
        ]
        print(f"| {name} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
