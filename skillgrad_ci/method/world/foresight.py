"""Whether the cap can hold what makes a run worth anything: the base run and the final measurement.

The first iteration executes nothing: it learns from what the base run showed.

Before the first executions nothing is known of their cost. Once some are in, a run that cannot come to a result is
ended, and told which cap would do. Otherwise it would spend all that it has on a base run alone.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf, log10, sqrt
from statistics import fmean, stdev

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.budget import MORE, Ledger
from skillgrad_ci.method.evidence import Evidence, Usage
from skillgrad_ci.method.ports import Rollout
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.skill import Skill

FINAL_SHARE = 1 / 3  # of the cap, kept for the final measurement until the base run shows what that takes
FIRST = 4  # executions that must be measured before anything is foreseen of the others
SURE = 2  # standard errors below the mean: so little an execution takes on average, at the least
ROOM = 1.25  # what the named cap holds beside executions as dear as those that were seen: the optimizing agents' calls


@dataclass(frozen=True)
class Work:
    """The least numbers of executions in the base run and in the final measurement."""

    base: int
    final: int
    base_done: bool = False

    @property
    def executions(self) -> float:
        """What must fit in the cap, in executions: a base run that goes on is kept out of the final's share."""
        kept_out = 0 if self.base_done else self.base / (1 - FINAL_SHARE)
        return max(self.base + MORE * self.final, kept_out)


@dataclass
class Foresight:
    """A rollout that begins no further execution once those before it show that the cap cannot hold `work`.

    `at_once` executions share a minute. What is taken over from an earlier start ends nothing: it is paid for.
    Thread-safe.
    """

    rollout: Rollout
    ledger: Ledger
    work: Work
    at_once: int
    _seen: list[Evidence] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._taken_over = self.ledger.spent.calls

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        """Raises BudgetExceeded."""
        with self._lock:
            seen = list(self._seen)
        if self.ledger.spent.calls > self._taken_over:
            refuse_misfit(self.ledger, self.work, seen, self.at_once)
        row = self.rollout(skill, task, iteration=iteration, trial=trial)
        if row.measured:
            with self._lock:
                self._seen.append(row)
        return row


def refuse_misfit(ledger: Ledger, work: Work, seen: Sequence[Evidence], at_once: int) -> None:
    """Raises BudgetExceeded where the cap surely cannot hold `work`, by what the executions `seen` took."""
    if len(seen) < FIRST:
        return
    usages = [row.trajectory.usage for row in seen]
    dearer_usd, dearer = _judged(ledger, lambda of: of.usd or 0), _judged(ledger, lambda of: of.tokens)
    rows = [
        ("usd", ledger.cap.usd, ledger.largest.usd or 0, [(usage.usd or 0) * dearer_usd for usage in usages]),
        ("tokens", ledger.cap.tokens, ledger.largest.tokens, [usage.tokens * dearer for usage in usages]),
        ("minutes", ledger.cap.minutes, 0, [row.seconds / 60 / at_once for row in seen]),
    ]
    for unit, cap, call, each in rows:
        if cap is not None and work.executions * _at_least(each) > cap:
            foreseen = work.executions * fmean(each)
            raise BudgetExceeded(
                f"budget.{unit}: {cap:g} cannot hold the base run ({work.base} executions) and the final "
                f"measurement ({work.final}): by the first {len(seen)} they take about {_rounded(foreseen)}; "
                f"set {_rounded(ROOM * foreseen + call)} or more, or give fewer tasks"
            )


def _judged(ledger: Ledger, of: Callable[[Usage], float]) -> float:
    """By how much the judge makes an execution dearer."""
    executor, judge = (of(ledger.by_role.get(role, Usage())) for role in ("executor", "judge"))
    return 1 + judge / (executor or inf)


def _at_least(values: Sequence[float]) -> float:
    """The least that the mean of all can be, for all that is known from these."""
    return max(min(values), fmean(values) - SURE * stdev(values) / sqrt(len(values)))


def _rounded(value: float) -> str:
    """Up to two digits, for a person who copies it: 0.0042, 3.8, 120, 47,000."""
    if value <= 0:
        return "0"
    step = 10.0 ** (floor(log10(value)) - 1)
    up = ceil(value / step - 1e-9) * step
    return f"{up:,.0f}" if up >= 10 else f"{up:.{max(0, -floor(log10(step)))}f}"
