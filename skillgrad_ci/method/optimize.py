"""The loop: gradient descent on a skill, in text. Start reading here.

measure the initial skill on every task; learn from the training tasks that it fails
for each iteration:
    execute the skill on a mini-batch; diagnose each task as soon as it is graded
    momentum: step the pattern memory, write this batch's overlay
    update: patch the skill by pattern; accept the candidate, or keep the skill in hand
measure the final skill on tasks that it never learned from
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, ReplyError
from skillgrad_ci.method.acceptance import Verdict, check_mode, check_split, compare
from skillgrad_ci.method.batches import batches
from skillgrad_ci.method.events import BatchBegun, Dropped, IterationDone
from skillgrad_ci.method.evidence import Evidence, Flat, flat_signal
from skillgrad_ci.method.gradient import Diagnosis, diagnose
from skillgrad_ci.method.measuring import measure, reserve
from skillgrad_ci.method.memory import PatternMemory, Stamp
from skillgrad_ci.method.momentum import Overlay, momentum, without_memory
from skillgrad_ci.method.run import Iteration, Run, Settings, Stop, World, forget, remember
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.method.triggering import check_triggers
from skillgrad_ci.method.update import update
from skillgrad_ci.skill.skill import Skill

PATIENCE = 4  # batches in a row without a failure (the paper), or without a measurement, end the run


def optimize(skill: Skill, suite: Suite, settings: Settings, memory: PatternMemory, world: World) -> Run:
    """Optimize `skill` on `suite`. Raises UserError; an end at the budget, or a cancelled run, is a result."""
    run = Run(skill, skill, skill, suite, settings, memory)
    try:
        check_mode(settings.accept, world.split(suite, ()))
        world.ledger.reserve_share(1 / 3)
        baseline = measure(world, skill, suite.tasks, "base", settings.trials)
        run = replace(run, baseline=baseline, suite=world.split(suite, baseline))
        flat = flat_signal(baseline)
        if flat is not None:
            return replace(run, stop=Stop.UNMEASURED if flat[0] is Flat.UNMEASURED else Stop.FLAT, why=flat[1])
        if world.triggers is not None:
            run = replace(run, triggers=world.triggers(skill, "triggers-base"))
        reserve(run, world)
        for iteration in descend(run, world):
            world.observe(IterationDone(iteration.number, iteration.verdict))
            kept = [*run.iterations, iteration]
            run = replace(run, candidate=iteration.skill, memory=iteration.memory, iterations=kept)
        stop, why = _end(run)
        run = replace(run, stop=stop, why=why)
    except BudgetExceeded as error:
        run = replace(run, stop=Stop.BUDGET, why=str(error))
    except Cancelled as error:
        return replace(run, stop=Stop.CANCELLED, why=str(error))
    with world.ledger.final_measurement():
        return conclude(run, world)


def descend(run: Run, world: World) -> Iterator[Iteration]:
    """The iterations, one by one, each from the skill that the last one left in hand."""
    settings, skill, memory = run.settings, run.initial, run.memory
    failed = {row.task_id: row for row in run.baseline if row.failed}
    pool = [task for task in run.suite.of(Split.TRAIN) if task.id in failed][: settings.train_tasks]
    incumbent, triggers = run.baseline, run.triggers
    quiet = lost = edits_so_far = 0
    for number, tasks in enumerate(batches(pool, settings.batch_size, settings.iterations, settings.seed), 1):
        world.observe(BatchBegun(number, [task.id for task in tasks]))
        attempt = partial(_attempt, world, settings, skill, str(number), failed)
        seen = world.all(attempt, tasks)
        batch = [evidence for evidence, _ in seen]
        diagnoses = [diagnosis for _, diagnosis in seen if diagnosis is not None]
        step = Iteration(number, batch, diagnoses, Overlay(), (), "", skill, memory, triggers=triggers)
        used = _usable(batch)
        if not used:
            step = replace(step, verdict="not used: more than half of the batch is unmeasured")
        elif not diagnoses:
            step = replace(step, verdict="nothing to learn from")
        else:
            step = _learn(step, run, world, edits_so_far, incumbent)
        skill, memory, incumbent, triggers = step.skill, step.memory, step.validation or incumbent, step.triggers
        edits_so_far += len(step.edits)
        yield step
        lost = 0 if used else lost + 1
        quiet = 0 if any(row.failed for row in batch) else quiet + used
        if PATIENCE in (quiet, lost):
            return


def _usable(batch: Sequence[Evidence]) -> bool:
    """Whether at least half of a batch is measured."""
    return 2 * sum(row.measured for row in batch) >= len(batch)


def _attempt(
    world: World, settings: Settings, skill: Skill, iteration: str, failed: Mapping[str, Evidence], task: Task
) -> tuple[Evidence, Diagnosis | None]:
    """Execute, grade and diagnose one task of a batch: no task waits for another."""
    evidence = world.rollout(skill, task, iteration=iteration)
    if evidence.passed and not settings.contrastive:
        return evidence, None
    try:
        return evidence, diagnose(world.agent, skill, task, evidence, failed[task.id])
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(task.id, str(error)))
        return evidence, None


def _learn(step: Iteration, run: Run, world: World, edits_so_far: int, incumbent: Sequence[Evidence]) -> Iteration:
    """Momentum, update and acceptance: from a batch's diagnoses to the skill in hand."""
    settings, at = run.settings, Stamp(run.settings.run, step.number)
    try:
        if settings.momentum:
            memory, overlay = momentum(world.agent, step.skill, step.memory, step.diagnoses, at)
        else:
            memory, overlay = without_memory(step.diagnoses, at)
        step = replace(step, memory=memory if settings.momentum else step.memory, overlay=overlay)
        candidate, edits = update(
            world.agent, step.skill, step.diagnoses, memory, overlay, iteration=step.number,
            next_id=edits_so_far + 1, tasks=run.suite.of(Split.TRAIN), allow_scripts=settings.allow_scripts,
        )  # fmt: skip
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(f"iteration {step.number}", str(error)))
        return replace(step, verdict=f"no patch: {error}")
    checked = check_triggers(world.triggers, f"triggers-{step.number}", step.skill, candidate, edits, step.triggers)
    candidate, edits = checked.skill, checked.edits
    record = step.memory
    step = replace(step, edits=edits, memory=remember(record, edits, at))
    if candidate.digest == step.skill.digest:
        return replace(step, verdict=checked.rejected or "no patch")
    taken = replace(step, skill=candidate, triggers=checked.triggers, verdict="accepted")
    if settings.accept != "validate":
        return taken
    validation = measure(world, candidate, run.suite.of(Split.VALIDATION), f"validate-{step.number}", settings.trials)
    verdict = compare(validation, incumbent)
    if verdict is Verdict.BETTER:
        return replace(taken, validation=validation)
    reason = f"rejected: {verdict} on validation"
    edits = [replace(edit, status="rejected", reason=reason) if edit.status == "accepted" else edit for edit in edits]
    return replace(step, edits=edits, memory=remember(record, edits, at), verdict=reason)


def conclude(run: Run, world: World) -> Run:
    """Measure the candidate on tasks that it never learned from, and decide what is kept."""
    if run.candidate.digest == run.initial.digest or not run.baseline:
        return run
    trials, split = run.settings.trials, check_split(run.suite)
    if run.settings.accept != "final":
        run = replace(run, final=run.candidate)
    try:
        known = next((step.validation for step in reversed(run.iterations) if step.validation), None)
        checked = known or measure(world, run.candidate, run.suite.of(split), "final", trials)
        run = replace(run, measured=checked, verdict=compare(checked, run.baseline))
        if run.verdict is Verdict.BETTER:
            run = replace(run, final=run.candidate)
        lost = run.final is run.initial and run.verdict in (Verdict.TIE, Verdict.WORSE)
        if lost and split is not Split.HELDOUT:  # agents read the memory: it holds no heldout result
            run = replace(run, memory=forget(run, f"{run.verdict} against the initial skill on {split}"))
        if split is Split.VALIDATION and (run.final is run.candidate or run.verdict is Verdict.TIE):
            heldout = measure(world, run.candidate, run.suite.of(Split.HELDOUT), "final", trials)
            run = replace(run, measured=[*checked, *heldout])
        return run
    except BudgetExceeded as error:
        return replace(run, stop=Stop.BUDGET, why=f"{error}; the final measurement is not complete")
    except Cancelled as error:
        return replace(run, stop=Stop.CANCELLED, why=str(error))


def _end(run: Run) -> tuple[Stop, str]:
    if len(run.iterations) == run.settings.iterations:
        return Stop.ITERATIONS, f"all {run.settings.iterations} iterations are done"
    if not run.iterations:
        return Stop.NO_FAILURES, "the initial skill fails no training task"
    if not _usable(run.iterations[-1].batch):
        return Stop.UNMEASURED, f"{PATIENCE} batches in a row could not be measured"
    return Stop.NO_FAILURES, f"{PATIENCE} batches in a row without a failure"
