"""The loop: gradient descent on a skill, in text. Start reading here.

measure the initial skill on training tasks, until enough of them fail
for each batch that the optimizer draws (SkillGrad: mini-batches of the training tasks that the skill fails):
    teach: execute the skill in hand on the batch, where it was not yet; diagnose each task as soon as it is graded
    propose: step the pattern memory, write this batch's overlay, patch the skill by pattern
    accept the candidate, or keep the skill in hand
measure the initial and the final skill on tasks that it never learned from

An optimizer is a choice of parts (`optimizers/presets.py`); the loop knows the seam and no part.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from skillgrad_ci.errors import BudgetExceeded, Cancelled, EnvironmentFailure, ReplyError
from skillgrad_ci.method.acceptance import GATED, Incumbent, Verdict, check_split, compare, no_worse, score
from skillgrad_ci.method.acceptance.triggers import TriggerQuality, check_triggers
from skillgrad_ci.method.budget import spending_on
from skillgrad_ci.method.events import BatchBegun, Dropped, IterationDone
from skillgrad_ci.method.evidence import Evidence, Flat, flat_signal
from skillgrad_ci.method.memory import PatternMemory, Stamp
from skillgrad_ci.method.optimizers.draw import recalled
from skillgrad_ci.method.optimizers.optimizer import Batch, Candidate, Optimizer, Propose
from skillgrad_ci.method.optimizers.presets import optimizer_of
from skillgrad_ci.method.run import Iteration, Run, Stop, forget, of_the_line, on_the_clock, remember
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.method.world import World
from skillgrad_ci.method.world.foresight import FINAL_SHARE
from skillgrad_ci.method.world.measurements import base_run, beside_each_other, on_validation, reserve, with_baseline
from skillgrad_ci.skill.skill import Skill

PATIENCE = 4  # batches in a row without a measurement end the run


def optimize(
    skill: Skill, suite: Suite, settings: LoopSettings, memory: PatternMemory, world: World, name: str = "local"
) -> Run:
    """Optimize `skill` on `suite`. An end at the budget, or a cancelled run, is a result.

    Raises UserError. Whoever calls it has checked that the suite can serve `settings.accept`.
    """
    run, optimizer = Run(skill, skill, skill, suite, settings, memory, name=name), optimizer_of(settings.optimizer)
    try:
        world.ledger.reserve_share(FINAL_SHARE)
        run = base_run(run, world, optimizer.enough(settings))
        flat = flat_signal(run.baseline)
        if (run := on_the_clock(run)).stop is Stop.UNMEASURED:
            return run
        if flat is not None and flat[0] in optimizer.ends_on:
            return replace(run, stop=Stop.UNMEASURED if flat[0] is Flat.UNMEASURED else Stop.FLAT, why=flat[1])
        if world.triggers is not None:
            run = replace(run, triggers=world.triggers(skill, "triggers-base"))
            broken = TriggerQuality.of(world.probes, run.triggers).broken
            if broken:
                return replace(run, stop=Stop.FLAT, why=broken)
        if settings.accept in GATED:
            run = on_the_clock(with_baseline(run, world, Split.VALIDATION))
            if run.stop is Stop.UNMEASURED:
                return run
        reserve(run, world)
        for batch in optimizer.draw(run):
            run = advance(run, world, partial(iterate, run, world, optimizer, batch))
            if batch.ends_epoch and optimizer.slow is not None:
                run = advance(run, world, partial(close_epoch, run, world, optimizer.slow, batch.epoch))
            if worn_out(run, optimizer.patience):
                break
        stop, why = worn_out(run, optimizer.patience) or exhausted(run)
        run = replace(run, stop=stop, why=why)
    except BudgetExceeded as error:
        run = replace(run, stop=Stop.BUDGET, why=str(error))
    except Cancelled as error:
        return replace(run, stop=Stop.CANCELLED, why=str(error))
    with world.ledger.final_measurement():
        return on_the_clock(conclude(run, world))


def advance(run: Run, world: World, step: Callable[[], Iteration]) -> Run:
    """The run after one step more: its calls are booked under its number, and its end is told."""
    with spending_on(iteration=str(len(run.iterations) + 1)):
        run = run.after(step())
    world.observe(IterationDone(len(run.iterations), run.iterations[-1].verdict))
    return run


def iterate(run: Run, world: World, optimizer: Optimizer, batch: Batch) -> Iteration:
    """One step: from a mini-batch to the skill in hand after it. What was executed under that skill is at hand."""
    step, batch = recalled(run, _begun(run, batch.epoch), batch)
    tasks = [task.id for task in batch.tasks]
    world.observe(BatchBegun(step.number, tasks, run.settings.iterations, step.reused))
    step = optimizer.teach(run, world, step, batch)
    if not step.usable:
        step = replace(step, verdict="not used: more than half of the batch is unmeasured")
        return accept(run, world, step, Candidate(step.skill, ()))
    return _proposed(run, world, step, optimizer.propose)


def close_epoch(run: Run, world: World, slow: Propose, epoch: int) -> Iteration:
    """The step at an epoch's end: its proposal is accepted, or not, like any other."""
    return _proposed(run, world, replace(_begun(run, epoch), slow=True, incumbent=run.incumbent), slow)


def _begun(run: Run, epoch: int) -> Iteration:
    """The next step, before anything is done; the parents of a frontier take turns."""
    parent = run.frontier[len(run.iterations) % len(run.frontier)]
    return Iteration(len(run.iterations) + 1, parent, run.memory, epoch=epoch, frontier=run.frontier)


def _proposed(run: Run, world: World, step: Iteration, propose: Propose) -> Iteration:
    try:
        step, proposal = propose(run, world, step)
    except (ReplyError, EnvironmentFailure) as error:
        world.observe(Dropped(f"iteration {step.number}", str(error)))
        step, proposal = replace(step, verdict=f"no patch: {error}"), Candidate(step.skill, ())
    return accept(run, world, step, proposal)


def accept(run: Run, world: World, step: Iteration, proposed: Candidate) -> Iteration:
    """The line search: the candidate becomes a skill in hand, or its edits are remembered as rejected."""
    at, known, parent = Stamp(run.name, step.number), step.memory, step.incumbent
    checked = check_triggers(world.triggers, f"triggers-{step.number}", parent, proposed.skill, proposed.edits)
    candidate, edits = checked.skill, checked.edits
    step = replace(step, edits=edits, memory=remember(known, edits, at), incumbent=run.incumbent)
    if candidate.digest == parent.skill.digest:
        verdict = checked.rejected or step.verdict
        return replace(step, verdict=verdict) if verdict else step.left_the_skill()
    validation, reason = judge(run, world, candidate, step.number)
    if reason:
        edits = [result.rejected(reason) for result in edits]
        return replace(step, edits=edits, memory=remember(known, edits, at), verdict=reason)
    taken = Incumbent(candidate, validation, checked.triggers, (*parent.line, step.number))
    size = run.settings.optimizer.frontier
    kept = [*run.frontier, taken] if size > 1 else [taken]
    frontier = sorted(kept, key=lambda skill: -score(_on(validation, skill.validation), run.settings.decide_by))[:size]
    return replace(step, incumbent=frontier[0], frontier=frontier, validation=validation, verdict="accepted")


def judge(run: Run, world: World, candidate: Skill, number: int) -> tuple[Sequence[Evidence], str]:
    """What step `number` measures of its candidate, where the mode asks for it, and why the candidate is rejected."""
    settings = run.settings
    if settings.accept not in GATED:
        return (), ""
    measured = on_validation(run, world, candidate, f"validate-{number}")
    if len({row.task_id for row in measured}) < len(run.suite.of(Split.VALIDATION)):
        return measured, "rejected: no better on validation"  # whatever the other tasks would have shown
    if settings.accept == "no-worse":
        held, words = no_worse(measured, run.baseline, settings.optimizer.margin, settings.decide_by)
        return measured, "" if held else f"rejected: {words}"
    bar = min(run.frontier, key=lambda skill: score(_on(measured, skill.validation), settings.decide_by))
    why = settings.gate.refusal(measured, bar.validation)
    return measured, f"rejected: {why}" if why else ""


def _on(measured: Sequence[Evidence], evidence: Sequence[Evidence]) -> Sequence[Evidence]:
    """The evidence on the tasks that were measured, for a baseline holds all of the suite's."""
    tasks = {row.task_id for row in measured}
    return [row for row in evidence if row.task_id in tasks]


def worn_out(run: Run, patience: int | None) -> tuple[Stop, str] | None:
    """Why a run ends before all its batches are drawn; None while it goes on."""
    steps = [step for step in run.iterations if not step.slow]
    lately = steps[-PATIENCE:]
    if len(lately) == PATIENCE and not any(step.usable for step in lately):
        return Stop.UNMEASURED, f"{PATIENCE} batches in a row could not be measured"
    telling = [step for step in steps if step.usable or step.failed][-(patience or 1) :]
    if patience is not None and len(telling) == patience and not any(step.failed for step in telling):
        return Stop.NO_FAILURES, f"{patience} batches in a row without a failure"
    return None


def exhausted(run: Run) -> tuple[Stop, str]:
    """Why a run ends whose batches are all drawn."""
    if not run.iterations:
        return Stop.NO_FAILURES, "the initial skill fails no training task"
    steps = len(run.iterations) - run.slow_steps
    few = run.settings.optimizer.evidence == "failures" and steps < run.settings.iterations
    return Stop.ITERATIONS, f"all {steps} iterations are done" + (", three epochs of a small pool" if few else "")


def conclude(run: Run, world: World) -> Run:
    """Measure the candidate on tasks that it never learned from, and decide what is kept."""
    run = of_the_line(run)
    if run.candidate.digest == run.initial.digest:
        return run
    split, must_win = check_split(run.suite), run.settings.accept == "final"
    run = run if must_win else replace(run, final=run.candidate)
    try:
        checked = run.incumbent.validation  # what the line search has measured is not measured again
        run = replace(run, measured=checked) if checked else beside_each_other(run, world, split)
        verdict = compare(run.measured, run.baseline, run.settings.decide_by)
        run = replace(run, verdict=verdict)
        if verdict is Verdict.BETTER:
            run = replace(run, final=run.candidate)
        kept = run.final is run.candidate
        if not kept and verdict is not Verdict.UNCHECKED and split is not Split.HELDOUT:
            # Agents read the memory: it holds no heldout result.
            run = replace(run, memory=forget(run, f"{verdict} against the initial skill on {split}"))
        if split is Split.VALIDATION and (kept or (verdict is Verdict.TIE and world.reports_ties)):
            run = beside_each_other(run, world, Split.HELDOUT)
        return run
    except BudgetExceeded as error:
        return replace(run, stop=Stop.BUDGET, why=f"{error}; the final measurement is not complete")
    except Cancelled as error:
        return replace(run, stop=Stop.CANCELLED, why=str(error))
