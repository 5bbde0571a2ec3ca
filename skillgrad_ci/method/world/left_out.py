"""A run that never sees some of the tasks, and both skills on those: what cross-fitting is made of.

The run is `optimize` like any other, on a smaller suite. It begins with an empty memory, for the memory of earlier runs
may have learned from the tasks that are left out. Where each step must win on validation, a part of what the run has
validates: drawn from its own tasks, and by nothing that those left out showed.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from skillgrad_ci.method.acceptance import GATED, Mode
from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Split, Suite, position_of
from skillgrad_ci.method.world import Job, World, executions_of

CHOOSING = 2 / 7  # of the tasks that a run has: as in a whole suite, of which 50 in 100 teach and 20 choose
LEAST = 2  # tasks that teach, and as many that choose
LEFT_OUT = ("left-out-before", "left-out-after")  # the measurements of the tasks left out


def number_choosing(tasks: int, accept: Mode) -> int:
    """How many of so many reviewed tasks choose between skills; the others teach."""
    return max(LEAST, round(CHOOSING * tasks)) if accept in GATED else 0


def learning(suite: Suite, settings: LoopSettings, baseline: Sequence[Evidence] = ()) -> Suite:
    """The suite of a run that holds nothing out: all teach, or choose where `settings.accept` asks for that.

    Those that choose are spread over the tasks that the initial skill failed and passed, in an order by the seed.
    """
    passed = {row.task_id: row.passed for row in baseline if row.measured}
    order = [task.id for task in suite.tasks if not task.unreviewed]
    order.sort(key=lambda task: (passed.get(task, False), position_of(settings.seed, task), task))
    number = number_choosing(len(order), settings.accept)
    choose = {order[(2 * at + 1) * len(order) // (2 * number)] for at in range(number)}
    return suite.with_splits({task.id: Split.VALIDATION if task.id in choose else Split.TRAIN for task in suite.tasks})


def learn_without(base: Run, ids: Collection[str], world: World, name: str) -> Run:
    """A run on the tasks of the base run but these."""
    suite = replace(base.suite, tasks=[task for task in base.suite.tasks if task.id not in ids])
    suite = learning(suite, base.settings, base.baseline)
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
