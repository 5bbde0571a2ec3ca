"""What the loop asks of the world: executions, agents, money; several at once, under one cap."""

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


@dataclass(frozen=True)
class World:
    """What the loop asks of the world; `split` sets every task's split, given the base run.

    `at_once` says how many executions run side by side. `triggers` measures a skill on the trigger
    set, `probes` are its queries; None and none where there is no set.
    """

    rollout: Rollout
    agent: Agent
    split: Callable[[Suite, Sequence[Evidence]], Suite]
    ledger: Ledger
    each: Each
    observe: Observer
    at_once: int = 1
    triggers: Triggers | None = None
    probes: Sequence[Task] = ()

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
        return self.all(lambda one: self.rollout(skill, one[0], iteration=name, trial=one[1]), executions)


def executions_of(tasks: Sequence[Task], trials: int) -> list[tuple[Task, int]]:
    """What measures `tasks` once: each with the numbers of its trials, as many as it asks for itself, else `trials`."""
    return [(task, trial) for task in tasks for trial in range(task.trials or trials)]
