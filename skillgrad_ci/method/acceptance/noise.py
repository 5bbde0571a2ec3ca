"""A gain beyond noise: what `accept: validate` asks for where it is known how much a task's outcome varies by chance.

With several trials, R. A. Fisher's sign-flip test on the tasks' means must not put a candidate's gain down to chance.
With one trial, a flicker rate f must be known: two runs of the same skill differ on a task with chance f, as often for
the better as for the worse. The net gain must be more than so many tasks show by themselves. Both tests are one-sided,
as mid-p. With neither known, the comparison is strict, as in SkillOpt: one task decides.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import lcm

from skillgrad_ci.method.acceptance import DecideBy, Verdict, compare, task_means, untold
from skillgrad_ci.method.evidence import Evidence

Chances = Sequence[float]  # of each sum from -reach to reach, where reach is half of the length


@dataclass(frozen=True)
class Gate:
    """What a candidate must show. `flicker` is the chance that two runs of a skill disagree on a task, where known."""

    decide_by: DecideBy = "pass"
    flicker: float | None = None
    level: float = 0.2

    def refusal(self, candidate: Sequence[Evidence], incumbent: Sequence[Evidence]) -> str:
        """Why the candidate does not take the incumbent's place; "" where it does."""
        verdict = compare(candidate, incumbent, self.decide_by)
        if verdict is not Verdict.BETTER:
            why = f" ({untold(candidate, incumbent)})" if verdict is Verdict.UNCHECKED else ""
            return f"{verdict} on validation{why}"
        chance = self.chance(candidate, incumbent)
        if chance is None or chance <= self.level:
            return ""
        return f"the gain on validation is within noise (one-sided p = {chance:.2g}, level {self.level:g})"

    def chance(self, candidate: Sequence[Evidence], incumbent: Sequence[Evidence]) -> float | None:
        """The one-sided mid-p value of the gain; None where nothing is known of the noise."""
        new, old = task_means(candidate, self.decide_by), task_means(incumbent, self.decide_by)
        differences = [new[task] - old[task] for task in new.keys() & old.keys()]
        if _trials(candidate) == 1 and self.flicker is None:
            return None
        if _trials(candidate) > 1 or self.decide_by == "score":
            steps, observed = whole(differences)
            return above(flips(steps), observed)
        assert self.flicker is not None
        return above(flickers(len(differences), self.flicker), int(sum(differences)))

    def least(self, tasks: int, trials: int) -> Fraction | None:
        """The least gain in accuracy over so many tasks that passes where no task gets worse; None where none can."""
        known = trials > 1 or self.flicker is not None
        for gained in range(1, tasks + 1):
            by_flips = trials > 1 or self.decide_by == "score"
            chances = flips([1] * gained) if by_flips else flickers(tasks, self.flicker or 0.0)
            if not known or above(chances, gained) <= self.level:
                return Fraction(gained, tasks)
        return None

    def words(self, tasks: int, trials: int) -> str:
        """What this gate can mean on so many validation tasks, for a report."""
        least = self.least(tasks, trials)
        if trials == 1 and self.flicker is None:
            return (
                f"Each step had to win on {tasks} validation tasks with one trial, so chance may have decided: with "
                "'trials', or 'flicker' from 'suite --trials', a step must gain beyond noise."
            )
        asked = f"Each step had to gain beyond noise on {tasks} validation tasks (one-sided, level {self.level:g})"
        if least is None:
            return f"{asked}: they are too few for any step to show that, so none was accepted."
        small = "; the split is too small for this gate to mean much" if least > SMALL else ""
        return f"{asked}: whole tasks worth {100 * float(least):.0f} points, if none got worse{small}."


SMALL = Fraction(1, 5)  # a gate that opens at more than this sees hardly any step


def _trials(evidence: Sequence[Evidence]) -> int:
    """The most measured executions of one task."""
    return max(Counter(row.task_id for row in evidence if row.measured).values(), default=1)


def whole(differences: Sequence[Fraction]) -> tuple[list[int], int]:
    """The sizes of the differences, and their sum, as whole numbers of one unit."""
    moved = [difference for difference in differences if difference]
    unit = lcm(*(difference.denominator for difference in moved))
    return [abs(int(difference * unit)) for difference in moved], int(sum(moved) * unit)


def flips(steps: Sequence[int]) -> Chances:
    """The distribution of the sum where each step goes up or down with an even chance.

    It is computed by adding one step at a time instead of listing 2^n flips or sampling them.
    """
    reach = sum(steps)
    chance = [0.0] * (2 * reach + 1)
    chance[reach] = 1.0
    for step in steps:
        lower, higher = chance[step:] + [0.0] * step, [0.0] * step + chance[: len(chance) - step]
        chance = [(low + high) / 2 for low, high in zip(lower, higher, strict=True)]
    return chance


def flickers(tasks: int, flicker: float) -> Chances:
    """The distribution of tasks won less tasks lost between two runs of one skill."""

    def one_more(chance: Chances, _: int) -> Chances:
        stay, move = 1 - flicker, flicker / 2
        padded = [0.0, 0.0, *chance, 0.0, 0.0]
        return [move * padded[at] + stay * padded[at + 1] + move * padded[at + 2] for at in range(len(chance) + 2)]

    start: Chances = [1.0]
    return reduce(one_more, range(tasks), start)


def above(chances: Chances, observed: int) -> float:
    """The mid-p value of a sum: the chance of more, and half of the chance of just as much."""
    at = len(chances) // 2 + observed
    return sum(chances[at + 1 :]) + chances[at] / 2
