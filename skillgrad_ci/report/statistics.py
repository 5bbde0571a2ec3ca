"""How sure a measured change is.

Tasks are pairs: the same task under the initial and the final skill. Sources of the rules:

- interval of the change: R. G. Newcombe, "Improved confidence intervals for the difference between
  binomial proportions based on paired data", Statistics in Medicine 17 (1998) 2635-2650, method 10,
  on top of E. B. Wilson's score interval (JASA 22, 1927);
- p-value, one trial: the McNemar test (Q. McNemar, Psychometrika 12, 1947), a binomial test on the
  tasks whose outcome changed;
- p-value, several trials: R. A. Fisher's sign-flip test (1935) on the tasks' mean pass rates;
- both as mid-p: half of the chance of what was seen counts (H. O. Lancaster, JASA 56, 1961). The exact
  tests are needlessly cautious for few tasks; the mid-p McNemar test keeps its level in practice and is
  recommended by M. W. Fagerland, S. Lydersen and P. Laake (BMC Medical Research Methodology 13:91, 2013).
  `benchmarks/claims.py` measures level, coverage and power of the whole on recorded outcomes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, lcm, sqrt
from statistics import NormalDist, mean, variance

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.acceptance import pass_rates
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.evidence import Evidence

Interval = tuple[float, float]
Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Delta:
    """A paired change over the tasks that were measured on both sides.

    `change` and `interval` (95%) are differences of accuracy, in [-1, 1]. `fixed` and `broken` are
    ids of tasks whose pass rate rose and fell. `unpaired` tasks lack a measurement on one side.
    """

    tasks: int
    trials: int
    baseline: float
    final: float
    change: float
    interval: Interval
    p_value: float
    test: str  # "mcnemar mid-p" or "sign flip mid-p"
    fixed: Sequence[str] = ()
    broken: Sequence[str] = ()
    unpaired: Sequence[str] = ()

    @property
    def clear(self) -> bool:
        """Whether chance does not explain it: the interval leaves "no change" out, and the test agrees.

        With few tasks the two can disagree; then the suite is too small to tell.
        """
        return (self.interval[0] > 0 or self.interval[1] < 0) and self.p_value < 0.05


def paired(baseline: Sequence[Evidence], final: Sequence[Evidence]) -> Delta | None:
    """The change between two measurements of the same tasks; None where no task is in both, or a clock forbids it.

    Raises EnvironmentFailure where one task was measured by two versions of the machinery.
    """
    before, after = pass_rates(baseline), pass_rates(final)
    ids = [task for task in before if task in after]
    if not ids or incomparable(baseline, final):
        return None
    _refuse_mixed_versions(ids, baseline, final)
    trials = max(_executions(rows, ids) for rows in (baseline, final))
    old, new = [before[task] for task in ids], [after[task] for task in ids]
    fixed = [task for task, a, b in zip(ids, old, new, strict=True) if b > a]
    broken = [task for task, a, b in zip(ids, old, new, strict=True) if b < a]
    single = trials == 1
    seen = dict.fromkeys(row.task_id for row in [*baseline, *final])
    return Delta(
        tasks=len(ids),
        trials=trials,
        baseline=float(mean(old)),
        final=float(mean(new)),
        change=float(mean(new) - mean(old)),
        interval=paired_interval(old, new, trials),
        p_value=mcnemar(len(fixed), len(broken)) if single else sign_flip(old, new),
        test="mcnemar mid-p" if single else "sign flip mid-p",
        fixed=fixed,
        broken=broken,
        unpaired=[task for task in seen if task not in before or task not in after],
    )


def _executions(evidence: Sequence[Evidence], ids: Sequence[str]) -> int:
    """The most measured executions of one of these tasks."""
    counts = Counter(row.task_id for row in evidence if row.measured)
    return max(counts[task] for task in ids)


def _refuse_mixed_versions(ids: Iterable[str], *measurements: Sequence[Evidence]) -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    for row in (row for rows in measurements for row in rows if row.measured):
        versions[row.task_id].add(row.versions)
    for task in ids:
        if len(versions[task]) > 1:
            both = " and ".join(sorted(versions[task]))
            raise EnvironmentFailure(
                f"task {task}: measured by {both}; a delta never mixes two: use a new --out folder"
            )


def wilson(rate: float, size: float, z: float = Z95) -> Interval:
    """Wilson's score interval of a proportion `rate` seen in `size` trials."""
    middle = rate + z * z / (2 * size)
    half = z * sqrt(max(0.0, rate * (1 - rate)) / size + z * z / (4 * size * size))
    scale = 1 + z * z / size
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def paired_interval(old: Sequence[Fraction], new: Sequence[Fraction], trials: int = 1) -> Interval:
    """Newcombe's method 10 for new - old, over tasks' pass rates.

    With one trial this is the published method. With several, each side's Wilson interval takes
    the effective sample size of its task means (their variance against a binomial's), never fewer
    than the tasks and never more than the executions.
    """
    p, q = float(mean(new)), float(mean(old))
    p_low, p_high = wilson(p, _effective_size(new, trials))
    q_low, q_high = wilson(q, _effective_size(old, trials))
    phi = _phi(old, new)
    down, up = (p - p_low, q_high - q), (p_high - p, q - q_low)
    low, high = (sqrt(max(0.0, a * a - 2 * phi * a * b + b * b)) for a, b in (down, up))
    return max(-1.0, p - q - low), min(1.0, p - q + high)


def _effective_size(rates: Sequence[Fraction], trials: int) -> float:
    size, p = len(rates), float(mean(rates))
    if trials == 1 or size < 2:
        return size
    spread = float(variance(rates)) / size
    return min(size * trials, max(size, p * (1 - p) / spread)) if spread else size * trials


def _phi(old: Sequence[Fraction], new: Sequence[Fraction]) -> float:
    """The correlation of two sides, a positive one lowered by Newcombe's continuity correction.

    For outcomes of 0 and 1 this is the phi coefficient: his (ad - bc - n/2) and its root, over n.
    Without the correction, equal outcomes on both sides would give an interval of no width.
    """
    a, b = mean(old), mean(new)
    spread = float(sum((x - a) ** 2 for x in old) * sum((y - b) ** 2 for y in new))
    shared = float(sum((x - a) * (y - b) for x, y in zip(old, new, strict=True)))
    if shared > 0:
        shared = max(0.0, shared - 0.5)
    return shared / sqrt(spread) if spread else 0.0


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided mid-p value that fixing and breaking were equally likely."""
    changed, fewer = fixed + broken, min(fixed, broken)
    tail = 2 * sum(comb(changed, count) for count in range(fewer)) + comb(changed, fewer)
    return min(1.0, float(Fraction(tail, 2**changed)))


def sign_flip(old: Sequence[Fraction], new: Sequence[Fraction]) -> float:
    """Two-sided mid-p value over all sign flips of the tasks' differences.

    The differences are whole numbers over one denominator, so the distribution of their sum is
    computed by adding one task at a time instead of listing 2^n flips or sampling them.
    """
    differences = [b - a for a, b in zip(old, new, strict=True) if a != b]
    unit = lcm(*(difference.denominator for difference in differences))
    steps = [abs(int(difference * unit)) for difference in differences]
    reach = sum(steps)
    chance = [0.0] * (2 * reach + 1)  # of each sum from -reach to reach
    chance[reach] = 1.0
    for step in steps:
        lower, higher = chance[step:] + [0.0] * step, [0.0] * step + chance[: len(chance) - step]
        chance = [(low + high) / 2 for low, high in zip(lower, higher, strict=True)]
    observed = abs(int(sum(differences) * unit))
    beyond = sum(p for at, p in enumerate(chance) if abs(at - reach) > observed)
    as_seen = sum(chance[at] for at in {reach - observed, reach + observed})
    return beyond + as_seen / 2 if observed else 1.0
