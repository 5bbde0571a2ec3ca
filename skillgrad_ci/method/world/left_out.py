"""A run that never sees some of the tasks, and both skills on those: what cross-fitting is made of.

The run is `optimize` like any other, on a smaller suite. It begins with an empty memory, for the memory of earlier runs
may have learned from the tasks that are left out.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.world import Job, World, executions_of

LEFT_OUT = ("left-out-before", "left-out-after")  # the measurements of the tasks left out


def learn_without(base: Run, ids: Collection[str], world: World, name: str) -> Run:
    """A run on the tasks of the base run but these."""
    suite = replace(base.suite, tasks=[task for task in base.suite.tasks if task.id not in ids])
    return optimize(base.initial, suite, base.settings, PatternMemory(base.initial.name), world, name)


def measure_left_out(
    base: Run, run: Run, ids: Collection[str], world: World
) -> tuple[Sequence[Evidence], Sequence[Evidence]]:
    """The initial skill and the run's on the tasks that it left out, one beside the other.

    Both are executed afresh: what the base run showed of these tasks helped to choose what is delivered. A run that
    kept the initial skill changes nothing there, so what is known stands for both.
    """
    if run.final.digest == run.initial.digest:
        known = [row for row in base.baseline if row.task_id in ids]
        return known, known
    skills = dict(zip(LEFT_OUT, (run.initial, run.final), strict=True))
    work = executions_of([task for task in base.suite.tasks if task.id in ids], run.settings.trials)
    jobs = [Job(skill, name, *one) for one in work for name, skill in skills.items()]
    world.observe(Measuring("left-out", len(jobs)))
    rows = world.do(jobs)
    return rows[::2], rows[1::2]
