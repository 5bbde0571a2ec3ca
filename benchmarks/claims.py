"""How honest, and how strong, the claims about a change are: on recorded outcomes, whose truth is known.

    python benchmarks/claims.py OUTCOMES.csv [--suites N] [--seed S]

OUTCOMES.csv has a row for each task and agent: `task`, `agent`, `trials`, and the trials that passed, `no_skill_full`
and `with_skill_full`. Its pass rates are taken as the truth. Suites are drawn from an agent's tasks with replacement,
executed with these rates, and judged as a run's report judges them:

- a real change: what the skill really changed, averaged over all of an agent's tasks;
- none: both arms have the rates without the skill;
- mixed: the skill's effect with its sign drawn for each task, so that gains and losses cancel over the tasks.

Printed are the share of suites whose 95% interval holds the truth, and the share in which a change is called clear.
"""

import argparse
import csv
import random
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from skillgrad_ci.report.statistics import mcnemar, paired_interval, sign_flip

SIZES = (6, 12, 30, 60)
TRIALS = (1, 3)
WORLDS = ("real", "none", "mixed")
Rates = Sequence[tuple[float, float]]  # by task: without and with the skill


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure level, coverage and power on recorded outcomes.")
    parser.add_argument("outcomes", type=Path, metavar="OUTCOMES.csv")
    parser.add_argument("--suites", type=int, default=2_000, metavar="N", help="suites drawn for each row (2000)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    agents, draw = list(read(chosen.outcomes).values()), random.Random(chosen.seed)
    gains = [fmean(after - before for before, after in rates) for rates in agents]
    print(f"{len(agents)} agents, mean change {100 * fmean(gains):+.1f} points, {chosen.suites} suites a row\n")
    print("| tasks | trials | clear: real change | wrong sign | clear: none | clear: mixed | coverage: real | mixed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for trials in TRIALS:
        for size in SIZES:
            row = measure(agents, size, trials, chosen.suites, draw)
            keys = ["real clear", "real wrong", "none clear", "mixed clear", "real covered", "mixed covered"]
            print(f"| {size} | {trials} | {' | '.join(f'{100 * row[key]:.1f}%' for key in keys)} |", flush=True)


def read(path: Path) -> Mapping[str, Rates]:
    """Each agent's pass rates by task."""
    agents = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rates = [int(row[column]) / int(row["trials"]) for column in ("no_skill_full", "with_skill_full")]
            agents[row["agent"]].append((rates[0], rates[1]))
    return agents


def measure(agents: Sequence[Rates], size: int, trials: int, suites: int, draw: random.Random) -> Mapping[str, float]:
    """Shares of the suites in which a change was called clear, had the wrong sign, and was covered."""
    counts: dict[str, int] = defaultdict(int)
    for at in range(suites):
        rates = agents[at % len(agents)]
        truth = fmean(after - before for before, after in rates)
        suite = draw.choices(rates, k=size)
        for world in WORLDS:
            change = truth if world == "real" else 0.0
            old, new = executed(suite, world, trials, draw)
            low, high = paired_interval(old, new, trials)
            clear = (low > 0 or high < 0) and p_value(old, new, trials) < 0.05
            counts[f"{world} clear"] += clear
            counts[f"{world} wrong"] += clear and (sum(new) - sum(old)) * change < 0
            counts[f"{world} covered"] += low <= change <= high
    return defaultdict(float, {key: count / suites for key, count in counts.items()})


def executed(suite: Rates, world: str, trials: int, draw: random.Random) -> tuple[list[Fraction], list[Fraction]]:
    """One measurement of both arms: each task's share of passed trials."""
    arms: tuple[list[Fraction], list[Fraction]] = ([], [])
    for before, after in suite:
        pair = (before, before if world == "none" else after)
        if world == "mixed" and draw.random() < 0.5:
            pair = (after, before)
        for arm, rate in zip(arms, pair, strict=True):
            arm.append(Fraction(sum(draw.random() < rate for _ in range(trials)), trials))
    return arms


def p_value(old: Sequence[Fraction], new: Sequence[Fraction], trials: int) -> float:
    if trials > 1:
        return sign_flip(old, new)
    pairs = list(zip(old, new, strict=True))
    return mcnemar(sum(b > a for a, b in pairs), sum(b < a for a, b in pairs))


if __name__ == "__main__":
    main()
