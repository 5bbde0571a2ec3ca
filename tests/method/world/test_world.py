"""What the loop asks of the world: executions by name and trial, told before they begin, and none after a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.events import Event, Measuring
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.method.world import executions_of
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, world

GRADERS = [GraderSpec("text")]
SOME = st.lists(st.none() | st.integers(1, 3), max_size=8).map(
    lambda asked: [Task(f"t{number}", "do", GRADERS, trials=trials) for number, trials in enumerate(asked)]
)


@dataclass
class Recorder:
    """A rollout that notes what was asked; `fails` names the tasks that fail."""

    fails: frozenset[str] = frozenset()
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        self.asked.append((iteration, task.id, trial))
        outcome = Outcome.FAILED if task.id in self.fails else Outcome.PASSED
        return Evidence(task.id, skill.digest if skill else "", outcome, trial=trial)


@given(SOME, st.integers(1, 3))
def test_a_measurement_is_told_and_executes_every_trial_of_every_task_in_order(tasks: list[Task], trials: int) -> None:
    rollout, told = Recorder(), list[Event]()
    rows = world(rollout, observe=told.append).measure(SKILL, tasks, "final", trials)
    wanted = [("final", task.id, trial) for task in tasks for trial in range(task.trials or trials)]
    assert rollout.asked == wanted
    assert [(row.task_id, row.trial) for row in rows] == [(task, trial) for _, task, trial in wanted]
    assert told == [Measuring("final", len(wanted))]
    assert executions_of(tasks, trials) == [(tasks[int(task[1:])], trial) for _, task, trial in wanted]


@given(
    SOME, st.integers(1, 2), st.integers(1, 5), st.integers(0, 9), st.frozensets(st.integers(0, 7).map("t{}".format))
)
def test_a_measurement_that_may_end_is_the_same_however_many_run_at_once(
    tasks: list[Task], trials: int, at_once: int, wanted: int, fails: frozenset[str]
) -> None:
    """It ends with the task that is the `wanted`-th to fail; each wave executes no task that cannot be needed."""

    def least(rows: Sequence[Evidence]) -> int:
        return max(0, wanted - len({row.task_id for row in rows if row.failed}))

    rollout, told = Recorder(fails), list[Event]()
    there = world(rollout, observe=told.append, at_once=at_once)
    rows = there.measure_until(SKILL, tasks, "base", least, trials)
    failing = [number for number, task in enumerate(tasks) if task.id in fails]
    ends = 0 if not wanted else failing[wanted - 1] + 1 if len(failing) >= wanted else len(tasks)
    every = [("base", task.id, trial) for task, trial in executions_of(tasks, trials)]
    seen = len(executions_of(tasks[:ends], trials))
    assert [("base", row.task_id, row.trial) for row in rows] == every[:seen]
    assert rollout.asked == every[: len(rollout.asked)]
    over = {task for _, task, _ in rollout.asked[seen:]}
    assert len(over) < at_once, "no more than ran beside the one that ended it"
    assert told == [Measuring("base", len(every), at_most=True)]


def test_once_one_was_refused_no_other_begins() -> None:
    begun = []

    def each(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise BudgetExceeded("budget.usd: spent")
        return number

    with pytest.raises(BudgetExceeded, match="spent"):
        world().all(each, range(5))
    assert begun == [0, 1, 2]
    assert world().all(each, [3, 4]) == [3, 4]
