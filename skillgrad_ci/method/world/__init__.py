"""What the loop asks of the world: executions, agents, money; several at once, under one cap.

`measurements.py` says what a run measures of both skills, and when; `foresight.py` whether the cap can hold it.
`left_out.py` is a run that never sees some of the tasks.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.acceptance.triggers import Triggers
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Agent, Each, Observer, R, Rollout, T
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.skill.skill import Skill

Least = Callable[[Sequence[Evidence]], int]


@dataclass(frozen=True)
class Job:
    """One execution of the measurement `name`."""

    skill: Skill
    name: str
    task: Task
    trial: int


@dataclass(frozen=True)
class Earlier:
    """What an earlier run measured of the skill that this one begins with; `where` names that run for people.

    `execution` gives a trial of a task as it would come out now, or None where something of it is another by now.
    """

    where: str
    execution: Callable[[Task, int], Evidence | None]

    def of(self, task: Task, trials: int) -> list[Evidence]:
        """All trials of a task, or none: no task's rate is made of two runs."""
        rows = [self.execution(task, trial) for _, trial in executions_of([task], trials)]
        known = [row for row in rows if row is not None]
        return known if len(known) == len(rows) else []


@dataclass(frozen=True)
class World:
    """What the loop asks of the world; `split` sets every task's split, given the base run.

    `at_once` says how many executions run side by side. `reports_ties`: a candidate that ties on validation is
    shown to people, and so measured on heldout tasks. `triggers` measures a skill on the trigger
    set, `probes` are its queries; without a set, None and no queries. `earlier` is what need not be measured of
    the initial skill.
    """

    rollout: Rollout
    agent: Agent
    split: Callable[[Suite, Sequence[Evidence]], Suite]
    ledger: Ledger
    each: Each
    observe: Observer
    at_once: int = 1
    reports_ties: bool = False
    triggers: Triggers | None = None
    probes: Sequence[Task] = ()
    earlier: Earlier | None = None

    def all(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """`function` of every item. Raises BudgetExceeded where one was refused, once those in flight have ended.

        So nothing is still running when the final measurement opens the reserve.
        """
        refused: list[BudgetExceeded] = []

        def attempt(item: T) -> list[R]:
            try:
                return [] if refused else [function(item)]
            except BudgetExceeded as error:
                refused.append(error)
                return []

        done = [result for results in self.each(attempt, items) for result in results]
        if refused:
            raise refused[0]
        return done

    def measure(self, skill: Skill, tasks: Sequence[Task], name: str, trials: int = 1) -> list[Evidence]:
        """Execute and grade `tasks`, each `trials` times; nothing is learned from this. `name` is the measurement's."""
        return self.execute(skill, executions_of(tasks, trials), name)

    def execute(self, skill: Skill, executions: Sequence[tuple[Task, int]], name: str) -> list[Evidence]:
        """Execute and grade these trials of tasks."""
        self.observe(Measuring(name, len(executions)))
        return self.do([Job(skill, name, *one) for one in executions])

    def do(self, jobs: Sequence[Job]) -> list[Evidence]:
        """The evidence of executions of any skills, in their order; they begin in it too."""
        return self.all(lambda job: self.rollout(job.skill, job.task, iteration=job.name, trial=job.trial), jobs)

    def measure_until(
        self, skill: Skill, tasks: Sequence[Task], name: str, least: Least, trials: int = 1
    ) -> list[Evidence]:
        """As `measure`, in the order of `tasks`, until `least` of what they showed is 0.

        `least` says how many further tasks are needed at least before anything can be said; once 0, it stays 0.
        A wave holds so many, or as many as run at once, for idle places save nothing. What such a wave holds
        behind the task that ended it is left out: the result is the same however many run at once.
        """
        self.observe(Measuring(name, len(executions_of(tasks, trials)), at_most=True))
        seen: list[list[Evidence]] = []  # by task
        while len(seen) < len(tasks) and (more := least(_flat(seen))):
            wave = tasks[len(seen) : len(seen) + max(more, self.at_once)]
            jobs = [Job(skill, name, *one) for one in executions_of(wave, trials)]
            by_task: dict[str, list[Evidence]] = {task.id: [] for task in wave}
            for job, row in zip(jobs, self.do(jobs), strict=True):
                by_task[job.task.id].append(row)
            begun = len(seen)
            seen += by_task.values()
            end = bisect_left(range(begun + 1, len(seen)), True, key=lambda end: not least(_flat(seen[:end])))
            seen = seen[: begun + 1 + end]
        return _flat(seen)


def executions_of(tasks: Sequence[Task], trials: int) -> list[tuple[Task, int]]:
    """What measures `tasks` once: each with the numbers of its trials, as many as it asks for itself, else `trials`."""
    return [(task, trial) for task in tasks for trial in range(task.times(trials))]


def _flat(by_task: Sequence[Sequence[Evidence]]) -> list[Evidence]:
    return [row for rows in by_task for row in rows]
