"""What a run may take, said before anything is spent, and said again once the base run is in."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from skillgrad_ci.config.settings import Player, Settings
from skillgrad_ci.method.acceptance import GATED
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.events import Estimated
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.optimizers.draw import planned, pool_size
from skillgrad_ci.method.ports import Model, ModelRequest
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.method.world.left_out import number_choosing
from skillgrad_ci.report.power import CHURN, telling_trials
from skillgrad_ci.session.evaluation import executions
from skillgrad_ci.session.split import fold_sizes

# Before the base run nothing is known of the suite's executions. These stand in, and are called a guess.
TURNS, PROMPT, COMPLETION = 8, 4_000, 300  # per execution: turns; tokens per turn
OPTIMIZER_PROMPT, OPTIMIZER_COMPLETION = 8_000, 1_000  # tokens per optimizing call


@dataclass(frozen=True)
class ExecutionCounts:
    """At most how many executions a run takes: of the base run, in batches, to choose between skills, and to report.

    `folds` are those of all runs of a cross-fitting but the one that makes the skill.
    """

    base: int
    batches: int
    checks: int
    end: int
    folds: int = 0

    @property
    def total(self) -> int:
        return self.base + self.batches + self.checks + self.end + self.folds


def planned_executions(
    suite: Suite, settings: Settings, base: int | None = None, known: Collection[str] = ()
) -> ExecutionCounts:
    """`suite` has its splits. `base` executions were made in the base run of the whole suite; None: it is to come.

    Of the tasks that are `known` by id an earlier run measured the initial skill.
    """

    def of(*splits: Split, besides: Collection[str] = ()) -> int:
        tasks = [task for split in splits for task in suite.of(split) if task.id not in besides]
        return sum(task.times(settings.trials) for task in tasks)

    plan = planned(settings, len(suite.of(Split.TRAIN)))
    train, choosing, unseen = of(Split.TRAIN), of(Split.VALIDATION), of(Split.VALIDATION, Split.HELDOUT)
    initial = 0 if base is not None and base > train else 1  # whether the initial skill is still to be measured there
    if settings.accept in GATED:
        checks = choosing * plan.steps + initial * of(Split.VALIDATION, besides=known)
        end = of(Split.HELDOUT) + initial * of(Split.HELDOUT, besides=known)
    else:
        checks, end = 0, unseen + initial * of(Split.VALIDATION, Split.HELDOUT, besides=known) or train
    folds = fold_executions(suite, settings) if settings.split == "cross" else 0
    return ExecutionCounts(train if base is None else base, plan.executions, checks, end, folds)


def fold_executions(suite: Suite, settings: Settings) -> int:
    """At most how many executions the folds' runs take: batches, their end checks, and both skills on what is left out.

    Their base runs are parts of the one that is made at the start.
    """
    learned, counted = _learned(suite, settings), executions(suite.reviewed(), settings.trials)
    trials = max(task.times(settings.trials) for task in suite.tasks)
    plans = [(planned(settings, teach), choose) for teach, choose in learned]
    steps = sum(plan.executions + trials * choose * plan.steps for plan, choose in plans)
    return steps + (len(learned) + 1) * counted


def _learned(suite: Suite, settings: Settings) -> list[tuple[int, int]]:
    """How many tasks teach each run of the folds, and how many choose between its steps."""
    reviewed = len(suite.tasks) - len(suite.unreviewed)
    sizes = fold_sizes(reviewed, settings.folds)
    choosing = [number_choosing(reviewed - size, settings.accept) for size in sizes]
    return [(len(suite.tasks) - size - choose, choose) for size, choose in zip(sizes, choosing, strict=True)]


def optimizing_calls(settings: Settings, tasks: int) -> int:
    """At most how many calls the optimizing agents make on so many training tasks, repairs and second looks aside."""
    plan, parts = planned(settings, tasks), settings.optimizer
    if parts.gradient == "diagnosis":
        return plan.shown + plan.steps * (2 if settings.momentum else 1)
    if parts.gradient == "none":
        return plan.steps
    batch = tasks if parts.evidence == "all" else min(settings.batch_size, tasks)
    reflections = ceil(batch / parts.minibatch) + 1  # failures and successes are read apart
    merges = ceil(reflections / (parts.merge - 1))
    return plan.steps * (reflections + merges) + (parts.epochs if parts.slow_tasks else 0)


@dataclass(frozen=True)
class Estimate:
    """What a run takes at most: executions, those of trigger queries, optimizing calls, tokens, and dollars."""

    counts: ExecutionCounts
    queries: int
    calls: int
    tokens: float
    usd: float | None

    def within(self, cap: Cap) -> bool:
        """Whether it fits in a cap, as far as that can be said."""
        rows = [(self.usd, cap.usd), (self.tokens, cap.tokens)]
        return all(value is None or most is None or value <= most for value, most in rows)


@dataclass(frozen=True)
class BaseRun:
    """What is known of the base run: what its executions took, once they are in, and whether it is the `entire` suite.

    Of the tasks that are `known` by id an earlier run measured the initial skill.
    """

    seen: Sequence[Usage] = ()
    entire: bool = False
    known: Collection[str] = ()


NOTHING_KNOWN = BaseRun()


def estimated(
    suite: Suite,
    settings: Settings,
    models: Mapping[Player, Model],
    base: BaseRun = NOTHING_KNOWN,
    triggers: Suite | None = None,
) -> Estimate:
    """What a run of `suite`, which has its splits, takes at most.

    An execution of a trigger query is counted as one turn: it ends when a skill is activated.
    """
    seen = base.seen
    made = len(seen) or (executions(suite, settings.trials) if base.entire else None)
    counts = planned_executions(suite, settings, made, base.known)
    steps = planned(settings, len(suite.of(Split.TRAIN))).steps
    queries = executions(triggers, settings.trials) * (1 + steps) if triggers else 0
    calls = optimizing_calls(settings, len(suite.of(Split.TRAIN)))
    if settings.split == "cross":
        calls += sum(optimizing_calls(settings, teach) for teach, _ in _learned(suite, settings))
    guess = Usage(TURNS, TURNS * PROMPT, 0, TURNS * COMPLETION)
    mean_of = [guess] if not seen else list(seen)
    whole = sum(mean_of, Usage())
    share = (counts.total + queries / TURNS) / len(mean_of)
    tokens = whole.tokens * share + calls * (OPTIMIZER_PROMPT + OPTIMIZER_COMPLETION)
    executor_usd = whole.usd if seen else _price(models["executor"], guess)
    optimizer_usd = _price(models["optimizer"], Usage(1, OPTIMIZER_PROMPT, 0, OPTIMIZER_COMPLETION))
    usd = None
    if executor_usd is not None and optimizer_usd is not None:
        usd = executor_usd * share + optimizer_usd * calls
    return Estimate(counts, queries, calls, tokens, usd)


def announced(estimate: Estimate, settings: Settings, *, measured: bool) -> Estimated:
    """The event that says it in one line. `measured` says that it is made from the base run."""
    usd = f"{estimate.usd:.2f} USD" if estimate.usd is not None else "at an unknown price"
    besides = f", at most {estimate.queries} of trigger queries" if estimate.queries else ""
    basis = "from the base run" if measured else "a guess: nothing is measured yet"
    text = (
        f"at most {estimate.counts.total} executions ({_told(estimate.counts, settings, measured)}){besides} and "
        f"{estimate.calls} optimizing calls; about {estimate.tokens / 1e6:.2f} million tokens, {usd} ({basis})"
    )
    return Estimated(text, estimate.counts.total + estimate.queries)


def affordable_trials(suite: Suite, settings: Settings, models: Mapping[Player, Model], cap: Cap) -> int:
    """How many trials a task tell most on the suite's tasks that report, within the cap; `suite` has its splits."""
    reporting = suite.of(Split.HELDOUT) or suite.of(Split.VALIDATION) or suite.tasks
    trials = telling_trials(sum(not task.unreviewed for task in reporting), settings.flicker or CHURN)
    while trials > 1:
        tried = settings.model_copy(update={"trials": trials})
        if not models or estimated(suite, tried, models).within(cap):
            break
        trials -= 1
    return trials


def spent_of_cap(ledger: Ledger) -> str:
    """What is spent of the cap in the unit that the cap is in: `$0.31 of $5`."""
    spent, cap = ledger.spent, ledger.cap
    if cap.usd is not None:
        return f"${spent.usd or 0:.2f} of ${cap.usd:g}"
    if cap.tokens is not None:
        return f"{spent.tokens:,} of {cap.tokens:,} tokens"
    return f"{spent.tokens:,} tokens"


def _told(counts: ExecutionCounts, settings: Settings, measured: bool) -> str:
    """The counts, and what may make them fewer."""
    pool = pool_size(settings)
    ends = settings.optimizer.evidence == "failures" and not measured and counts.base > pool
    parts = [
        f"{counts.base} base" + (f", fewer once {pool} tasks fail" if ends else ""),
        f"{counts.batches} in batches, fewer where a patch is not accepted",
        *([f"{counts.checks} to choose, fewer where a patch cannot win"] if counts.checks else []),
        f"{counts.end} to report, none if no candidate survives",
        *([f"{counts.folds} in {settings.folds} folds, none if no skill is kept"] if counts.folds else []),
    ]
    return "; ".join(parts)


def _price(model: Model, usage: Usage) -> float | None:
    """What so many tokens cost: the model's own bound for a request of that size."""
    text = "x" * usage.prompt_tokens
    bound = model.bound(ModelRequest([{"role": "user", "content": text}], max_tokens=usage.completion_tokens))
    return None if bound.usd is None else bound.usd * usage.tokens / max(1, bound.tokens)
