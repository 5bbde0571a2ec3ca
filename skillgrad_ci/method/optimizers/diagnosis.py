"""Gradients by diagnosis: one call for each task of a batch, as soon as the task is graded (SkillGrad)."""

from dataclasses import replace

from skillgrad_ci.errors import EnvironmentFailure, ReplyError
from skillgrad_ci.method.budget import spending_on
from skillgrad_ci.method.events import Dropped
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.gradient import Diagnosis, diagnose
from skillgrad_ci.method.optimizers.optimizer import Batch
from skillgrad_ci.method.run import Iteration, Run
from skillgrad_ci.method.task import Task
from skillgrad_ci.method.world import World


def by_diagnosis(run: Run, world: World, step: Iteration, batch: Batch) -> Iteration:
    """The step with its batch's evidence and diagnoses: no task waits for another."""
    initial = {row.task_id: row for row in run.baseline if row.failed}
    dropped: dict[str, str] = {}

    def attempt(task: Task) -> tuple[Evidence, Diagnosis | None]:
        evidence = batch.known.get(task.id) or world.rollout(step.skill, task, iteration=str(step.number))
        if evidence.passed and not run.settings.contrastive:
            return evidence, None
        try:
            with spending_on(task=task.id):
                return evidence, diagnose(world.agent, step.skill, task, evidence, initial.get(task.id, evidence))
        except (ReplyError, EnvironmentFailure) as error:
            world.observe(Dropped(task.id, str(error)))
            dropped[task.id] = str(error)
            return evidence, None

    seen = world.all(attempt, batch.tasks)
    diagnoses = [diagnosis for _, diagnosis in seen if diagnosis is not None]
    lost = {task.id: dropped[task.id] for task in batch.tasks if task.id in dropped}
    return replace(step, batch=[evidence for evidence, _ in seen], diagnoses=diagnoses, dropped=lost)
