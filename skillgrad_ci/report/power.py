"""What a suite can show: the change it can detect, and what it would need for a smaller one.

The sample size of a paired comparison is R. J. Connor's (Biometrics 43, 1987): with a true change
D and a share S of tasks whose outcome differs between the two measurements,
n = (z_alpha sqrt(S) + z_beta sqrt(S - D^2))^2 / D^2. S is taken as D + churn, where churn is the
chance that two runs of the very same skill disagree on a task.
"""

from collections.abc import Iterable, Sequence
from math import ceil, comb, sqrt
from statistics import NormalDist, fmean

CHURN = 0.1  # assumed where no trials have shown it
POWER = 0.8
MOST_TRIALS = 10
WORTH = 0.0095  # of a gain that a further trial must make visible: a point, but for rounding
CONFIDENCE = 0.95
Z_TWO_SIDED = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def tasks_needed(change: float, churn: float = CHURN, power: float = POWER) -> int:
    """How many paired tasks show a true `change` (in (0, 1]) with this power at the 5% level."""
    differing = min(1.0, change + churn)
    spread = Z_TWO_SIDED * sqrt(differing)
    spread += NormalDist().inv_cdf(power) * sqrt(max(0.0, differing - change * change))
    return ceil(spread * spread / (change * change))


def detectable_change(tasks: int, churn: float = CHURN, power: float = POWER) -> float | None:
    """The smallest change that `tasks` paired tasks can show, to 0.1 points; None where none can be.

    The formula is an approximation, which for a handful of tasks would name a change that the test never calls
    clear: n tasks that all went from failed to passed have a mid-p of 2 x 0.5^(n + 1).
    """
    if 0.5**tasks >= 1 - CONFIDENCE:
        return None
    return next((step / 1000 for step in range(1, 1001) if tasks_needed(step / 1000, churn, power) <= tasks), None)


def trials_needed(change: float, tasks: int, churn: float = CHURN, power: float = POWER) -> int | None:
    """How many trials a task show `change` with these tasks; None where more trials cannot help.

    Trials average a task's own noise away (churn / trials); that tasks differ, they cannot.
    """
    return next((n for n in range(1, 101) if tasks_needed(change, churn / n, power) <= tasks), None)


def telling_trials(tasks: int, churn: float = CHURN) -> int:
    """How many trials a task are worth it: up to the last one that lets a gain be seen that is a point smaller.

    Trials average a task's own noise away, and tasks differ besides: so a few are worth it for any suite.
    """
    seen = [detectable_change(tasks, churn / trials) or 1.0 for trials in range(1, MOST_TRIALS + 1)]
    worth = [trials for trials in range(2, MOST_TRIALS + 1) if seen[trials - 2] - seen[trials - 1] >= WORTH]
    return max(worth, default=1)


def churn_of(trials: Iterable[Sequence[bool]]) -> float | None:
    """The chance that two runs of the same skill disagree, from each task's outcomes.

    Per task the unbiased estimate 2 c (n - c) / (n (n - 1)) of 2 p (1 - p), for c of n passed; None
    where no task has two trials.
    """
    chances = [2 * sum(t) * (len(t) - sum(t)) / (len(t) * (len(t) - 1)) for t in trials if len(t) > 1]
    return fmean(chances) if chances else None


def pass_at(k: int, passed: int, trials: int) -> float:
    """pass@k, at least one of k passes: M. Chen et al. (2021), arXiv:2107.03374, unbiased."""
    return 1 - comb(trials - passed, k) / comb(trials, k)


def pass_all(k: int, passed: int, trials: int) -> float:
    """pass^k, all of k pass: S. Yao et al. (2024), arXiv:2406.12045."""
    return comb(passed, k) / comb(trials, k)
