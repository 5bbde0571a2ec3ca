"""How sure a measured change is.

Tasks are pairs: the same task under the initial and the final skill. Sources of the rules:

- interval of the change, one trial: R. G. Newcombe, "Improved confidence intervals for the difference between
  binomial proportions based on paired data", Statistics in Medicine 17 (1998) 2635-2650, method 10,
  on top of E. B. Wilson's score interval (JASA 22, 1927);
- interval of the change, several trials or scores: Student's t (Biometrika 6, 1908) on the tasks' differences, with two
  tasks more, one half a point better and one half a point worse, in the manner of A. Agresti and B. A. Coull (The
  American Statistician 52, 1998): so few tasks that all did the same do not give an interval of no width;
- p-value, one trial: the McNemar test (Q. McNemar, Psychometrika 12, 1947), a binomial test on the
  tasks whose outcome changed;
- p-value, several trials or scores: R. A. Fisher's sign-flip test (1935) on the tasks' means;
- both as mid-p: half of the chance of what was seen counts (H. O. Lancaster, JASA 56, 1961). The exact
  tests are needlessly cautious for few tasks; the mid-p McNemar test keeps its level in practice and is
  recommended by M. W. Fagerland, S. Lydersen and P. Laake (BMC Medical Research Methodology 13:91, 2013).
  `benchmarks/claims.py` measures level, coverage and power of the whole on recorded outcomes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import atan, comb, cos, pi, sin, sqrt
from statistics import NormalDist, fmean, mean

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.method.acceptance import DecideBy, task_means
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.acceptance.noise import above, flips, whole
from skillgrad_ci.method.evidence import Evidence

Interval = tuple[float, float]
LEVEL = 0.05
Z95 = NormalDist().inv_cdf(0.975)
MORE = 0.5  # the difference of the two tasks that an interval is given besides those measured


@dataclass(frozen=True)
class Delta:
    """A paired change over the tasks that were measured on both sides.

    `change` and `interval` (95%) are differences of accuracy, or of the mean score, in [-1, 1]. `fixed` and
    `broken` are ids of tasks whose pass rate, or score, rose and fell. `unpaired` tasks lack a measurement on one side.
    """

    tasks: int
    trials: int
    baseline: float
    final: float
    change: float
    interval: Interval
    p_value: float
    test: str  # "mcnemar mid-p" or "sign flip mid-p"
    by: DecideBy = "pass"
    fixed: Sequence[str] = ()
    broken: Sequence[str] = ()
    unpaired: Sequence[str] = ()

    @property
    def clear(self) -> bool:
        """Whether chance does not explain it: the interval leaves "no change" out, and the test agrees.

        With few tasks the two can disagree; then the suite is too small to tell.
        """
        return not self.doubt

    @property
    def doubt(self) -> str:
        """What speaks against it where it is not clear."""
        return doubt(self.change, self.interval, self.p_value)


WITHIN = "not by more than chance can explain"


def doubt(change: float, interval: Interval, p_value: float) -> str:
    """Why a change is not called clear, in words that do not contradict the figures beside it; empty where it is.

    Interval and test are different approximations: on few tasks the one can leave no change out where the other does
    not (four tasks that are all fixed: p = 0.0625). A change needs both.
    """
    outside = interval[0] > 0 or interval[1] < 0
    if change == 0 or (not outside and p_value >= LEVEL):
        return WITHIN
    if outside and p_value < LEVEL:
        return ""
    return "too few tasks differ to rule chance out" if outside else "its interval still holds no change"


def paired(baseline: Sequence[Evidence], final: Sequence[Evidence], by: DecideBy = "pass") -> Delta | None:
    """The change between two measurements of the same tasks; None where no task is in both, or a clock forbids it.

    Raises EnvironmentFailure where one task was measured by two versions of the machinery.
    """
    before, after = task_means(baseline, by), task_means(final, by)
    ids = [task for task in before if task in after]
    if not ids or incomparable(baseline, final):
        return None
    _refuse_mixed_versions(ids, baseline, final)
    trials = max(_executions(rows, ids) for rows in (baseline, final))
    old, new = [before[task] for task in ids], [after[task] for task in ids]
    fixed = [task for task, a, b in zip(ids, old, new, strict=True) if b > a]
    broken = [task for task, a, b in zip(ids, old, new, strict=True) if b < a]
    single = trials == 1 and by == "pass"
    seen = dict.fromkeys(row.task_id for row in [*baseline, *final])
    return Delta(
        tasks=len(ids),
        trials=trials,
        baseline=float(mean(old)),
        final=float(mean(new)),
        change=float(mean(new) - mean(old)),
        interval=newcombe(old, new) if single else difference_interval(old, new),
        p_value=mcnemar(len(fixed), len(broken)) if single else sign_flip(old, new),
        by=by,
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


def newcombe(old: Sequence[Fraction], new: Sequence[Fraction]) -> Interval:
    """Newcombe's method 10 for new - old, over tasks that passed (1) or did not (0)."""
    size, p, q = len(old), float(mean(new)), float(mean(old))
    p_low, p_high = wilson(p, size)
    q_low, q_high = wilson(q, size)
    phi = _phi(old, new)
    down, up = (p - p_low, q_high - q), (p_high - p, q - q_low)
    low, high = (sqrt(max(0.0, a * a - 2 * phi * a * b + b * b)) for a, b in (down, up))
    return max(-1.0, p - q - low), min(1.0, p - q + high)


def difference_interval(old: Sequence[Fraction], new: Sequence[Fraction]) -> Interval:
    """Student's interval for new - old, over tasks' means, with two tasks more at half a point up and down."""
    differences = [float(b - a) for a, b in zip(old, new, strict=True)]
    size, change = len(differences), fmean(differences)
    spread = (sum((each - change) ** 2 for each in differences) + 2 * MORE**2) / (size + 1)
    half = student(size + 1) * sqrt(spread / size)
    return max(-1.0, change - half), min(1.0, change + half)


@cache
def student(freedom: int) -> float:
    """The t that holds 95% of Student's distribution, both sides of nought."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| <= t): M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term, total = (cos(angle) if odd else 1.0), 0.0
    for at in range(1 + odd, freedom, 2):
        total += term
        term *= cos(angle) ** 2 * at / (at + 1)
    return (2 / pi) * (angle + sin(angle) * total) if odd else sin(angle) * total


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

    The distribution is symmetric, so it is twice the one-sided value.
    """
    steps, observed = whole([b - a for a, b in zip(old, new, strict=True)])
    return 2 * above(flips(steps), abs(observed)) if observed else 1.0
