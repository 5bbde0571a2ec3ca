"""What a run may take, said before anything is spent, and said again once the base run is in."""

from collections.abc import Sequence
from math import ceil

from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.optimizers.draw import planned
from skillgrad_ci.method.ports import Model, ModelRequest
from skillgrad_ci.method.task import Split, Suite

# Before the base run nothing is known of the suite's executions. These stand in, and are called a guess.
TURNS, PROMPT, COMPLETION = 8, 4_000, 300  # per execution: turns; tokens per turn
OPTIMIZER_PROMPT, OPTIMIZER_COMPLETION = 8_000, 1_000  # tokens per optimizing call


def planned_executions(suite: Suite, settings: Settings) -> tuple[int, int, int]:
    """Executions of the base run, of all batches, and of the measurements of candidates."""
    base = sum(task.trials or settings.trials for task in suite.tasks)
    steps, batches = planned(settings, len(suite.of(Split.TRAIN)))
    unseen = sum(task.trials or settings.trials for task in suite.tasks if task.split is not Split.TRAIN)
    checks = len(suite.of(Split.VALIDATION)) * settings.trials * steps
    return base, batches, unseen + (checks if settings.accept in ("validate", "no-worse") else 0)


def optimizing_calls(settings: Settings, tasks: int) -> int:
    """At most how many calls the optimizing agents make on so many training tasks, repairs and second looks aside."""
    steps, batches = planned(settings, tasks)
    parts = settings.optimizer
    if parts.gradient == "diagnosis":
        return batches + steps * (2 if settings.momentum else 1)
    if parts.gradient == "none":
        return steps
    batch = tasks if parts.evidence == "all" else min(settings.batch_size, tasks)
    reflections = ceil(batch / parts.minibatch) + 1  # failures and successes are read apart
    merges = ceil(reflections / (parts.merge - 1))
    return steps * (reflections + merges) + (parts.epochs if parts.slow_tasks else 0)


def estimate(
    suite: Suite,
    settings: Settings,
    executor: Model,
    optimizer: Model,
    seen: Sequence[Usage] = (),
    triggers: Suite | None = None,
) -> str:
    """One line. `suite` has its splits; `seen` are the base run's executions, once they are in.

    An execution of a trigger query is counted as one turn: it ends when a skill is activated.
    """
    base, batches, final = planned_executions(suite, settings)
    steps, _ = planned(settings, len(suite.of(Split.TRAIN)))
    queries = len(triggers.tasks) * settings.trials * (1 + steps) if triggers else 0
    total = base + batches + final
    calls = optimizing_calls(settings, len(suite.of(Split.TRAIN)))
    guess = Usage(TURNS, TURNS * PROMPT, 0, TURNS * COMPLETION)
    mean_of = [guess] if not seen else list(seen)
    whole = sum(mean_of, Usage())
    share = (total + queries / TURNS) / len(mean_of)
    tokens = whole.tokens * share + calls * (OPTIMIZER_PROMPT + OPTIMIZER_COMPLETION)
    executor_usd = whole.usd if seen else _price(executor, guess)
    optimizer_usd = _price(optimizer, Usage(1, OPTIMIZER_PROMPT, 0, OPTIMIZER_COMPLETION))
    known = executor_usd is not None and optimizer_usd is not None
    usd = f"{(executor_usd or 0) * share + (optimizer_usd or 0) * calls:.2f} USD" if known else "at an unknown price"
    besides = f", at most {queries} of trigger queries" if queries else ""
    basis = "from the base run" if seen else "a guess: nothing is measured yet"
    return (
        f"at most {total} executions ({base} base, {batches} in batches, {final} on unseen tasks){besides} and {calls} "
        f"optimizing calls; about {tokens / 1e6:.2f} million tokens, {usd} ({basis})"
    )


def _price(model: Model, usage: Usage) -> float | None:
    """What so many tokens cost: the model's own bound for a request of that size."""
    text = "x" * usage.prompt_tokens
    bound = model.bound(ModelRequest([{"role": "user", "content": text}], max_tokens=usage.completion_tokens))
    return None if bound.usd is None else bound.usd * usage.tokens / max(1, bound.tokens)
