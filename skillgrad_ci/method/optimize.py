"""The loop: gradient descent on a skill, in text. Start reading here.

measure the initial skill on every task; learn from the training tasks that it fails
for each mini-batch of them:
    execute the skill in hand on the batch; diagnose each task as soon as it is graded
    momentum: step the pattern memory, write this batch's overlay
    update: patch the skill by pattern; accept the candidate, or keep the skill in hand
measure the final skill on tasks that it never learned from
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, ReplyError
from skillgrad_ci.method.acceptance import Incumbent, Verdict, check_split, check_triggers, compare
from skillgrad_ci.method.events import BatchBegun, Dropped, IterationDone
from skillgrad_ci.method.evidence import Evidence, Flat, flat_signal
from skillgrad_ci.method.gradient import Diagnosis, diagnose
from skillgrad_ci.method.memory import PatternMemory, Stamp
from skillgrad_ci.method.optimizers.momentum import momentum, without_memory
from skillgrad_ci.method.optimizers.update import update
from skillgrad_ci.method.patch import EditResult, Rules
from skillgrad_ci.method.run import Iteration, Run, Stop, forget, remember
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.method.world import World
from skillgrad_ci.skill.skill import Skill

PATIENCE = 4  # batches in a row without a failure (the paper), or without a measurement, end the run
FINAL_SHARE = 1 / 3  # of the cap, kept for the final measurement until the base run shows what that takes


def optimize(
    skill: Skill, suite: Suite, settings: LoopSettings, memory: PatternMemory, world: World, name: str = "local"
) -> Run:
    """Optimize `skill` on `suite`. An end at the budget, or a cancelled run, is a result.

    Raises UserError. Whoever calls it has checked that the suite can serve `settings.accept`.
    """
    run = Run(skill, skill, skill, suite, settings, memory, name=name)
    try:
        world.ledger.reserve_share(FINAL_SHARE)
        baseline = world.measure(skill, suite.tasks, "base", settings.trials)
        run = replace(run, baseline=baseline, suite=world.split(suite, baseline))
        flat = flat_signal(baseline)
        if flat is not None:
            return replace(run, stop=Stop.UNMEASURED if flat[0] is Flat.UNMEASURED else Stop.FLAT, why=flat[1])
        if world.triggers is not None:
            run = replace(run, triggers=world.triggers(skill, "triggers-base"))
        reserve(run, world)
        for tasks in draw(run):
            run = run.after(iterate(run, world, tasks))
            world.observe(IterationDone(len(run.iterations), run.iterations[-1].verdict))
            if stopped(run):
                break
        stop, why = stopped(run) or (Stop.NO_FAILURES, "the initial skill fails no training task")
        run = replace(run, stop=stop, why=why)
    except BudgetExceeded as error:
        run = replace(run, stop=Stop.BUDGET, why=str(error))
    except Cancelled as error:
        return replace(run, stop=Stop.CANCELLED, why=str(error))
    with world.ledger.final_measurement():
        return conclude(run, world)


def reserve(run: Run, world: World) -> None:
    """Keep back what the unseen tasks took of the base run, for they are measured once more at the end."""
    unseen = {task.id for task in run.suite.tasks if task.split is not Split.TRAIN}
    again = [row for row in run.baseline if row.task_id in unseen]
    known = [row for row in again if row.measured] or [row for row in run.baseline if row.measured]
    rounds = ceil(len(again) / world.at_once)
    seconds = rounds * sum(row.seconds for row in known) / len(known)
    world.ledger.reserve_executions(len(again), [row.trajectory.usage for row in known], seconds)


def draw(run: Run) -> Iterator[list[Task]]:
    """The run's mini-batches, of training tasks that the initial skill fails.

    Where more fail than `train_tasks`, the seed chooses, and not the order of the suite: it may be sorted by kind.
    """
    settings, failed = run.settings, {row.task_id for row in run.baseline if row.failed}
    tasks = [task for task in run.suite.of(Split.TRAIN) if task.id in failed]
    dice = random.Random(settings.seed)  # noqa: S311  # reproducible, not secret
    chosen = {task.id for task in dice.sample(tasks, min(settings.train_tasks, len(tasks)))}
    pool = [task for task in tasks if task.id in chosen]
    return batches(pool, settings.batch_size, settings.iterations, settings.seed)


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


def iterate(run: Run, world: World, tasks: Sequence[Task]) -> Iteration:
    """One step: from a mini-batch to the skill in hand after it."""
    step = Iteration(len(run.iterations) + 1, run.incumbent, run.memory)
    world.observe(BatchBegun(step.number, [task.id for task in tasks]))
    step = teach(run, world, step, tasks)
    if not step.usable:
        return replace(step, verdict="not used: more than half of the batch is unmeasured")
    if not step.diagnoses:
        lost = next(iter(step.dropped.values()), None)
        return replace(step, verdict=f"no diagnosis: {lost}" if lost else "nothing to learn from")
    step, proposal = propose(run, world, step)
    return accept(run, world, step, proposal) if proposal else step


def teach(run: Run, world: World, step: Iteration, tasks: Sequence[Task]) -> Iteration:
    """The step with its batch's evidence and diagnoses: no task waits for another."""
    initial = {row.task_id: row for row in run.baseline if row.failed}
    dropped: dict[str, str] = {}

    def attempt(task: Task) -> tuple[Evidence, Diagnosis | None]:
        evidence = world.rollout(step.skill, task, iteration=str(step.number))
        if evidence.passed and not run.settings.contrastive:
            return evidence, None
        try:
            return evidence, diagnose(world.agent, step.skill, task, evidence, initial[task.id])
        except (ReplyError, EnvironmentFailure) as error:
            world.observe(Dropped(task.id, str(error)))
            dropped[task.id] = str(error)
            return evidence, None

    seen = world.all(attempt, tasks)
    diagnoses = [diagnosis for _, diagnosis in seen if diagnosis is not None]
    lost = {task.id: dropped[task.id] for task in tasks if task.id in dropped}
    return replace(step, batch=[evidence for evidence, _ in seen], diagnoses=diagnoses, dropped=lost)


@dataclass(frozen=True)
class Proposal:
    """A candidate for the next skill, and what became of the edits that lead to it."""

    candidate: Skill
    edits: Sequence[EditResult]


def propose(run: Run, world: World, step: Iteration) -> tuple[Iteration, Proposal | None]:
    """Momentum and update: the step with its record and overlay, and a proposal, or None where an agent failed."""
    settings, at = run.settings, Stamp(run.name, step.number)
    try:
        if settings.momentum:
            memory, overlay = momentum(world.agent, step.skill, step.memory, step.diagnoses, at)
            step = replace(step, memory=memory, overlay=overlay)
        else:
            memory, overlay = without_memory(step.diagnoses, at)
            step = replace(step, overlay=overlay)
        rules = Rules([*run.suite.of(Split.TRAIN), *world.probes], memory.slugs, settings.allow_scripts)
        return step, Proposal(*update(world.agent, replace(step, memory=memory), rules, run.next_edit))
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(f"iteration {step.number}", str(error)))
        return replace(step, verdict=f"no patch: {error}"), None


def accept(run: Run, world: World, step: Iteration, proposal: Proposal) -> Iteration:
    """The line search: the candidate becomes the skill in hand, or its edits are remembered as rejected."""
    settings, at, known = run.settings, Stamp(run.name, step.number), step.memory
    checked = check_triggers(
        world.triggers, f"triggers-{step.number}", step.incumbent, proposal.candidate, proposal.edits
    )
    candidate, edits = checked.skill, checked.edits
    step = replace(step, edits=edits, memory=remember(known, edits, at))
    if candidate.digest == step.skill.digest:
        return replace(step, verdict=checked.rejected or "no patch")
    validation: Sequence[Evidence] = ()
    if settings.accept == "validate":
        tasks = run.suite.of(Split.VALIDATION)
        validation = world.measure(candidate, tasks, f"validate-{step.number}", settings.trials)
        verdict = compare(validation, step.incumbent.validation)
        if verdict is not Verdict.BETTER:
            reason = f"rejected: {verdict} on validation"
            edits = [row.rejected(reason) for row in edits]
            return replace(step, edits=edits, memory=remember(known, edits, at), verdict=reason)
    taken = Incumbent(candidate, validation, checked.triggers)
    return replace(step, incumbent=taken, validation=validation, verdict="accepted")


def stopped(run: Run) -> tuple[Stop, str] | None:
    """Why a run makes no further iteration; None while it goes on."""
    steps = run.iterations
    if len(steps) == run.settings.iterations:
        return Stop.ITERATIONS, f"all {run.settings.iterations} iterations are done"
    lately = steps[-PATIENCE:]
    if len(lately) == PATIENCE and not any(step.usable for step in lately):
        return Stop.UNMEASURED, f"{PATIENCE} batches in a row could not be measured"
    telling = [step for step in steps if step.usable or step.failed][-PATIENCE:]
    if len(telling) == PATIENCE and not any(step.failed for step in telling):
        return Stop.NO_FAILURES, f"{PATIENCE} batches in a row without a failure"
    return None


def conclude(run: Run, world: World) -> Run:
    """Measure the candidate on tasks that it never learned from, and decide what is kept."""
    if run.candidate.digest == run.initial.digest or not run.baseline:
        return run
    settings, split, must_win = run.settings, check_split(run.suite), run.settings.accept == "final"
    run = run if must_win else replace(run, final=run.candidate)
    measure = partial(world.measure, run.candidate, name="final", trials=settings.trials)
    try:
        # What the line search has measured of the candidate is not measured again.
        checked = run.incumbent.validation or measure(run.suite.of(split))
        verdict = compare(checked, run.baseline)
        run = replace(run, measured=checked, verdict=verdict)
        if verdict is Verdict.BETTER:
            run = replace(run, final=run.candidate)
        kept = run.final is run.candidate
        if not kept and verdict is not Verdict.UNCHECKED and split is not Split.HELDOUT:
            # Agents read the memory: it holds no heldout result.
            run = replace(run, memory=forget(run, f"{verdict} against the initial skill on {split}"))
        if split is Split.VALIDATION and (kept or verdict is Verdict.TIE):
            run = replace(run, measured=[*checked, *measure(run.suite.of(Split.HELDOUT))])
        return run
    except BudgetExceeded as error:
        return replace(run, stop=Stop.BUDGET, why=f"{error}; the final measurement is not complete")
    except Cancelled as error:
        return replace(run, stop=Stop.CANCELLED, why=str(error))
