"""Measuring a skill on tasks, and what is kept back so that the last measurement can be paid for."""

from collections.abc import Sequence
from math import ceil

from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.run import Run, World
from skillgrad_ci.method.task import Split, Task
from skillgrad_ci.skill.skill import Skill


def measure(world: World, skill: Skill, tasks: Sequence[Task], name: str, trials: int = 1) -> list[Evidence]:
    """Execute and grade `tasks`, each `trials` times; nothing is learned from this."""
    jobs = [(task, trial) for task in tasks for trial in range(task.trials or trials)]
    world.observe(Measuring(name, len(jobs)))
    return world.all(lambda job: world.rollout(skill, job[0], iteration=name, trial=job[1]), jobs)


def reserve(run: Run, world: World) -> None:
    """Keep back what the unseen tasks took of the base run, for they are measured once more at the end."""
    unseen = {task.id for task in run.suite.tasks if task.split is not Split.TRAIN}
    again = [row for row in run.baseline if row.task_id in unseen]
    known = [row for row in again if row.measured] or [row for row in run.baseline if row.measured]
    rounds = ceil(len(again) / world.at_once)
    seconds = rounds * sum(row.seconds for row in known) / len(known)
    world.ledger.reserve_executions(len(again), [row.trajectory.usage for row in known], seconds)
