"""What a run measures of the initial skill and of the candidate, and when: as late and as little as can be.

The base run executes training tasks alone, and ends when the pool of failures is full. Tasks that report are
measured once a candidate is there to be compared: one after the other under both skills, so that a provider that
drifts meanwhile hits both alike. What an earlier run measured of the initial skill is taken from there.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import ceil

from skillgrad_ci.method.acceptance import GATED, check_split
from skillgrad_ci.method.acceptance.bound import failed_first, until_lost
from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.evidence import Evidence, flat_signal
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.method.world import Job, World, executions_of
from skillgrad_ci.method.world.foresight import Foresight, Work, refuse_misfit
from skillgrad_ci.skill.skill import Skill

BASE, FINAL = "base", "final"  # the measurements' names
ALIKE = 3  # failures that must be seen before they can be called one and the same


def base_run(run: Run, world: World, enough: int | None) -> Run:
    """The run with what teaches it, and with every task's split.

    `enough` failures fill the pool; None: every training task is needed. Where a task has no split yet, the whole
    suite is measured, for the split looks at outcomes; where nothing trains, the whole suite shows whether it works.
    """
    suite, trials = run.suite, run.settings.trials
    order = base_order(suite, run.settings.seed, enough)
    world = replace(
        world, rollout=Foresight(world.rollout, world.ledger, least_work(run, world, enough), world.at_once)
    )
    if _all_needed(suite, enough):
        baseline = world.measure(run.initial, order, BASE, trials)
    else:
        baseline = world.measure_until(run.initial, order, BASE, partial(_to_fill, enough or 0), trials)
    return replace(run, baseline=baseline, suite=world.split(suite, baseline))


def base_order(suite: Suite, seed: int, enough: int | None) -> Sequence[Task]:
    """The tasks that a base run may execute, in its order."""
    train = suite.of(Split.TRAIN)
    if _all_needed(suite, enough):
        return train if train and all(task.split is not None for task in suite.tasks) else suite.tasks
    dice = random.Random(f"{seed} {BASE}")  # noqa: S311  # reproducible, not secret
    return dice.sample(train, len(train))


def surely(suite: Suite, seed: int, enough: int | None) -> Sequence[Task]:
    """The tasks that a base run executes whatever comes of them, so that they can be executed before it."""
    order = base_order(suite, seed, enough)
    return order if _all_needed(suite, enough) else order[: max(enough or 0, ALIKE)]


def least_work(run: Run, world: World, enough: int | None) -> Work:
    """The least that a run executes if it comes to a result.

    Where the split still looks at outcomes, nobody knows which tasks report; then the share of the cap that is kept
    for them says what they may take.
    """
    suite, trials = run.suite, run.settings.trials
    known = all(task.split is not None for task in suite.tasks)
    tasks = [task for split in reported(run) for task in suite.of(split) if not task.unreviewed] if known else []
    sure = surely(suite, run.settings.seed, enough)
    begun = {task.id for task in sure}  # the initial skill is measured on the others as well, as far as it was never
    again = [task for task in _unmeasured(_with_earlier(run, world, tasks), tasks) if task.id not in begun]
    return Work(len(executions_of(sure, trials)), len(executions_of([*tasks, *again], trials)))


def _all_needed(suite: Suite, enough: int | None) -> bool:
    return enough is None or not suite.of(Split.TRAIN) or any(task.split is None for task in suite.tasks)


def _to_fill(enough: int, rows: Sequence[Evidence]) -> int:
    """How many more tasks must fail at least: more than the pool holds, where all that failed so far failed alike."""
    missing = max(enough, ALIKE) - len({row.task_id for row in rows if row.failed})
    return missing if missing > 0 else int(flat_signal(rows) is not None)


def with_baseline(run: Run, world: World, split: Split) -> Run:
    """The run with the initial skill measured on a split, as far as it is not yet."""
    run = _with_earlier(run, world, run.suite.of(split))
    tasks = _unmeasured(run, run.suite.of(split))
    if not tasks:
        return run
    return replace(run, baseline=[*run.baseline, *world.measure(run.initial, tasks, BASE, run.settings.trials)])


def on_validation(run: Run, world: World, candidate: Skill, name: str) -> list[Evidence]:
    """A candidate on validation tasks; where it must beat one skill in hand, only until it can win no more."""
    tasks, trials = run.suite.of(Split.VALIDATION), run.settings.trials
    if run.settings.accept != "validate" or run.settings.optimizer.frontier > 1:
        return world.measure(candidate, tasks, name, trials)
    bar, by = run.incumbent.validation, run.settings.decide_by
    order = failed_first(tasks, bar, by)
    rows = world.measure_until(candidate, order, name, until_lost(order, bar, by), trials)
    place = {task.id: number for number, task in enumerate(tasks)}
    return sorted(rows, key=lambda row: place[row.task_id])


def beside_each_other(run: Run, world: World, split: Split) -> Run:
    """The run with both skills measured on a split, as far as the initial one is not yet."""
    tasks, trials = [task for task in run.suite.of(split) if not task.unreviewed], run.settings.trials
    run = _with_earlier(run, world, tasks)
    new = {task.id for task in _unmeasured(run, tasks)}
    jobs: list[Job] = []
    for task in tasks:
        trials_of = executions_of([task], trials)
        jobs += [Job(run.initial, BASE, *one) for one in trials_of if task.id in new]
        jobs += [Job(run.candidate, FINAL, *one) for one in trials_of]
    world.observe(Measuring(FINAL, len(jobs)))
    rows: dict[str, list[Evidence]] = {BASE: [], FINAL: []}
    for job, row in zip(jobs, world.do(jobs), strict=True):
        rows[job.name].append(row)
    return replace(run, baseline=[*run.baseline, *rows[BASE]], measured=[*run.measured, *rows[FINAL]])


def _unmeasured(run: Run, tasks: Sequence[Task]) -> list[Task]:
    known = {row.task_id for row in run.baseline}
    return [task for task in tasks if task.id not in known]


def _with_earlier(run: Run, world: World, tasks: Sequence[Task]) -> Run:
    """The run with what an earlier one measured of these tasks under the initial skill."""
    if world.earlier is None:
        return run
    rows = [row for task in _unmeasured(run, tasks) for row in world.earlier.of(task, run.settings.trials)]
    reused = {**run.reused, **{row.task_id: world.earlier.where for row in rows}}
    return replace(run, baseline=[*run.baseline, *rows], reused=reused)


def reserve(run: Run, world: World) -> None:
    """Keep back what the end will take: the candidate, and the initial skill where that is not measured yet.

    Raises BudgetExceeded where that leaves no iteration.
    """
    trials = run.settings.trials
    tasks = [task for split in reported(run) for task in run.suite.of(split) if not task.unreviewed]
    number = sum(task.times(trials) for task in [*tasks, *_unmeasured(_with_earlier(run, world, tasks), tasks)])
    known = [row for row in run.baseline if row.measured]
    work = Work(len(run.baseline), number, base_done=True)
    refuse_misfit(world.ledger, work, known, world.at_once)
    seconds = ceil(number / world.at_once) * sum(row.seconds for row in known) / len(known)
    compared = sum(task.times(trials) for task in tasks if task.prefers)  # of the candidate alone, in both orders
    world.ledger.reserve_executions(number, [row.trajectory.usage for row in known], seconds, 2 * compared)


def reported(run: Run) -> list[Split]:
    """The splits that the end measures. What the line search has measured of a candidate is not measured again."""
    if check_split(run.suite) is not Split.VALIDATION:
        return [check_split(run.suite)]
    return [Split.HELDOUT] if run.settings.accept in GATED else [Split.VALIDATION, Split.HELDOUT]
