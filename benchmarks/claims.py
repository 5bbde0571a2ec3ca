"""How honest, and how strong, the claims about a change are: on outcomes whose truth is known.

    python benchmarks/claims.py OUTCOMES.csv [--suites N] [--seed S]
    python benchmarks/claims.py --simulated [--suites N] [--seed S]

OUTCOMES.csv has a row for each task and agent: `task`, `agent`, `trials`, and of these the trials that got any reward
and all of it: `no_skill_rewarded`, `no_skill_full`, `with_skill_rewarded`, `with_skill_full`. Its rates are taken as
the truth; how much a partial reward is the table does not tell, half is assumed. `--simulated` makes tasks of two to
eight statements up, each with a rate of its own; a skill helps with a quarter of them.

Suites are drawn from an agent's tasks with replacement, executed with these rates, and judged as a run's report judges
them, by passes and by scores:

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
from dataclasses import dataclass
from fractions import Fraction
from math import exp, prod
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from skillgrad_ci.report.statistics import difference_interval, mcnemar, newcombe, sign_flip

SIZES = (6, 12, 30, 60)
TRIALS = (1, 3)
WORLDS = ("real", "none", "mixed")
OUTCOMES = ("pass", "score")


@dataclass(frozen=True)
class Arm:
    """A task under one skill: the chance of each part, or of a whole and of a partial reward."""

    parts: tuple[float, ...] = ()
    full: float = 0.0
    half: float = 0.0

    def execute(self, draw: random.Random) -> Fraction:
        """The score of one execution; it passes at one."""
        if self.parts:
            return Fraction(sum(draw.random() < part for part in self.parts), len(self.parts))
        at = draw.random()
        return Fraction(1) if at < self.full else Fraction(1, 2) if at < self.full + self.half else Fraction(0)

    def truth(self, outcome: str) -> float:
        if self.parts:
            return prod(self.parts) if outcome == "pass" else fmean(self.parts)
        return self.full + (self.half / 2 if outcome == "score" else 0.0)


Tasks = Sequence[tuple[Arm, Arm]]  # by task: without and with the skill


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure level, coverage and power where the truth is known.")
    parser.add_argument("outcomes", type=Path, nargs="?", metavar="OUTCOMES.csv")
    parser.add_argument("--simulated", action="store_true", help="tasks of several statements, made up")
    parser.add_argument("--suites", type=int, default=2_000, metavar="N", help="suites drawn for each row (2000)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    draw = random.Random(chosen.seed)
    if chosen.simulated == (chosen.outcomes is not None):
        parser.error("give OUTCOMES.csv or --simulated")
    agents = [simulated(draw) for _ in range(10)] if chosen.simulated else list(read(chosen.outcomes).values())
    gains = [f"{outcome} {100 * fmean(gain(tasks, outcome) for tasks in agents):+.1f}" for outcome in OUTCOMES]
    print(f"{len(agents)} agents, mean change in points: {', '.join(gains)}; {chosen.suites} suites a row\n")
    print("| by | tasks | trials | clear: real | wrong sign | clear: none | clear: mixed | coverage: real | mixed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for trials in TRIALS:
        for size in SIZES:
            counts = measure(agents, size, trials, chosen.suites, draw)
            for outcome in OUTCOMES:
                keys = ["real clear", "real wrong", "none clear", "mixed clear", "real covered", "mixed covered"]
                shown = " | ".join(f"{100 * counts[f'{outcome} {key}']:.1f}%" for key in keys)
                print(f"| {outcome} | {size} | {trials} | {shown} |", flush=True)


def read(path: Path) -> Mapping[str, Tasks]:
    """Each agent's tasks."""
    agents = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            trials = int(row["trials"])
            arms = []
            for arm in ("no_skill", "with_skill"):
                full, rewarded = int(row[f"{arm}_full"]), int(row[f"{arm}_rewarded"])
                arms.append(Arm(full=full / trials, half=(rewarded - full) / trials))
            agents[row["agent"]].append((arms[0], arms[1]))
    return agents


def simulated(draw: random.Random, size: int = 400) -> Tasks:
    """Tasks whose statements' rates differ by task and by statement; the skill helps with a quarter of these."""

    def rate(log_odds: float) -> float:
        return 1 / (1 + exp(-log_odds))

    tasks = []
    for _ in range(size):
        easy, number = draw.gauss(1.0, 1.5), draw.choice([2, 3, 4, 5, 6, 8])
        before = [easy + draw.gauss(0.0, 1.0) for _ in range(number)]
        after = [odds + (draw.gauss(2.0, 1.0) if draw.random() < 0.25 else 0.0) for odds in before]
        tasks.append((Arm(tuple(map(rate, before))), Arm(tuple(map(rate, after)))))
    return tasks


def gain(tasks: Tasks, outcome: str) -> float:
    return fmean(after.truth(outcome) - before.truth(outcome) for before, after in tasks)


def measure(agents: Sequence[Tasks], size: int, trials: int, suites: int, draw: random.Random) -> Mapping[str, float]:
    """Shares of the suites in which a change was called clear, had the wrong sign, and was covered."""
    counts: dict[str, int] = defaultdict(int)
    for at in range(suites):
        tasks = agents[at % len(agents)]
        suite = draw.choices(tasks, k=size)
        for world in WORLDS:
            scores = executed(suite, world, trials, draw)
            for outcome in OUTCOMES:
                change = gain(tasks, outcome) if world == "real" else 0.0
                old, new = (means(side, outcome) for side in scores)
                low, high, p = judged(old, new, trials, outcome)
                clear, key = (low > 0 or high < 0) and p < 0.05, f"{outcome} {world}"
                counts[f"{key} clear"] += clear
                counts[f"{key} wrong"] += clear and (sum(new) - sum(old)) * change < 0
                counts[f"{key} covered"] += low <= change <= high
    return defaultdict(float, {key: count / suites for key, count in counts.items()})


def executed(suite: Tasks, world: str, trials: int, draw: random.Random) -> tuple[list[list[Fraction]], ...]:
    """One measurement of both arms: each task's scores."""
    sides: tuple[list[list[Fraction]], ...] = ([], [])
    for before, after in suite:
        pair = (before, before if world == "none" else after)
        if world == "mixed" and draw.random() < 0.5:
            pair = (after, before)
        for side, arm in zip(sides, pair, strict=True):
            side.append([arm.execute(draw) for _ in range(trials)])
    return sides


def means(side: Sequence[Sequence[Fraction]], outcome: str) -> list[Fraction]:
    """Each task's share of passed trials, or its mean score."""
    if outcome == "pass":
        return [Fraction(sum(score == 1 for score in scores), len(scores)) for scores in side]
    return [sum(scores, Fraction()) / len(scores) for scores in side]


def judged(old: Sequence[Fraction], new: Sequence[Fraction], trials: int, outcome: str) -> tuple[float, float, float]:
    """Interval and p-value, as a report has them."""
    if trials == 1 and outcome == "pass":
        pairs = list(zip(old, new, strict=True))
        return *newcombe(old, new), mcnemar(sum(b > a for a, b in pairs), sum(b < a for a, b in pairs))
    return *difference_interval(old, new), sign_flip(old, new)


if __name__ == "__main__":
    main()
