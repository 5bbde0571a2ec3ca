"""Evidence to learn from: which training tasks make a step's batch."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from skillgrad_ci.method.optimizers.optimizer import Batch
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Task
from skillgrad_ci.method.world.measurements import BASE

EPOCHS = 3  # of a small pool, where nobody said how many iterations: the same few tasks teach little the fourth time


def failures(run: Run) -> Iterator[Batch]:
    """Mini-batches of training tasks that the initial skill fails (SkillGrad).

    Where more fail than `train_tasks`, the seed chooses, and not the order of the suite: it may be sorted by kind.
    """
    settings, failed = run.settings, {row.task_id for row in run.baseline if row.failed}
    tasks = [task for task in run.suite.of(Split.TRAIN) if task.id in failed]
    dice = random.Random(settings.seed)  # noqa: S311  # reproducible, not secret
    chosen = {task.id for task in dice.sample(tasks, min(settings.train_tasks, len(tasks)))}
    pool = [task for task in tasks if task.id in chosen]
    for batch in batches(pool, settings.batch_size, most_steps(settings, len(pool)), settings.seed):
        yield Batch(batch)


def most_steps(settings: LoopSettings, pool: int) -> int:
    """How many batches are drawn from a pool: as many as a person said, else no more than three epochs of it."""
    if "iterations" in settings.model_fields_set:
        return settings.iterations
    return min(settings.iterations, ceil(EPOCHS * pool / settings.batch_size))


def pool_size(settings: LoopSettings) -> int:
    """How many failures the batches of a whole run can show."""
    return min(settings.train_tasks, settings.iterations * settings.batch_size)


def every_task(settings: LoopSettings) -> None:  # the seam's form
    """Of other evidence the base run measures every training task."""


def batches(pool: Sequence[Task], size: int, number: int, seed: int) -> Iterator[list[Task]]:
    """`number` batches of `size` tasks (all of them, where the pool is smaller); none from an empty pool.

    Every task comes once an epoch; a batch across two epochs holds no task twice.
    """
    order = random.Random(seed)  # noqa: S311  # reproducible, not secret
    queue: list[Task] = []
    for _ in range(number if pool else 0):
        batch: list[Task] = []
        while len(batch) < min(size, len(pool)):
            fresh = [task for task in queue if task not in batch]
            if not fresh:
                queue += order.sample(pool, len(pool))
                continue
            batch.append(fresh[0])
            queue.remove(fresh[0])
        yield batch


def epochs(run: Run) -> Iterator[Batch]:
    """All training tasks, shuffled anew in every epoch, in batches that no epoch's end runs through (SkillOpt)."""
    settings, tasks = run.settings, run.suite.of(Split.TRAIN)
    order = random.Random(settings.seed)  # noqa: S311  # reproducible, not secret
    steps = 0
    for epoch in range(1, settings.optimizer.epochs + 1):
        queue = order.sample(tasks, len(tasks))
        for start in range(0, len(queue), settings.batch_size):
            if steps == settings.iterations:
                return
            steps += 1
            batch = queue[start : start + settings.batch_size]
            yield Batch(batch, epoch, ends_epoch=start + settings.batch_size >= len(queue))


def everything(run: Run) -> Iterator[Batch]:
    """All training tasks at once, with what the base run showed of them: nothing is executed again (Trace2Skill)."""
    tasks = run.suite.of(Split.TRAIN)
    known = {row.task_id: row for row in reversed(run.baseline)}  # the first trial of each
    if tasks:
        yield Batch(tasks, known=known)


def nothing(run: Run) -> Iterator[Batch]:
    """Steps without a batch."""
    for _ in range(run.settings.iterations):
        yield Batch()


def recalled(run: Run, step: Iteration, batch: Batch) -> tuple[Iteration, Batch]:
    """The step and its batch, with what the base run and earlier steps showed of its tasks under the same skill.

    It is not executed again: another outcome would be chance. Of several trials the failed one teaches, for it is what
    put the task into the pool; what could not be measured is executed.
    """
    rows = [(BASE, row) for row in run.baseline]
    rows += [(str(past.number), row) for past in run.iterations for row in past.batch if row.task_id not in past.reused]
    mine = [(name, row) for name, row in rows if row.measured and row.skill_digest == step.skill.digest]
    found = {row.task_id: (name, row) for name, row in sorted(mine, key=lambda one: one[1].failed)}
    known = {task.id: found[task.id][1] for task in batch.tasks if task.id in found} | dict(batch.known)
    reused = {task: found[task][0] if task in found else BASE for task in known}
    return replace(step, reused=reused), replace(batch, known=known)


@dataclass(frozen=True)
class Plan:
    """At most how many steps a run makes, how many tasks their batches show, and how many of these are executed."""

    steps: int
    shown: int
    executions: int


def planned(settings: LoopSettings, tasks: int) -> Plan:
    """The plan of a run on so many training tasks. Its first batch is not executed: the base run showed it."""
    parts = settings.optimizer
    if parts.evidence == "all":
        return Plan(1, tasks, 0)
    if parts.evidence == "none":
        return Plan(settings.iterations, 0, 0)
    if parts.evidence == "epochs":
        pool, each = tasks, ceil(tasks / settings.batch_size)
        steps = min(settings.iterations, parts.epochs * each)
        slow = 2 * min(parts.slow_tasks, tasks) * (steps // max(1, each))
    else:
        pool, slow = min(tasks, pool_size(settings)), 0
        steps = most_steps(settings, pool)
    size = min(settings.batch_size, pool)
    return Plan(steps, steps * size, max(0, steps - 1) * size + slow)
