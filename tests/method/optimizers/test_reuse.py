"""What was executed under a skill is not executed again while that skill stays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Oracle, Synthetic, suite, world


@dataclass
class Flickering(Synthetic):
    """Executions of which every second one of a task passes, whatever the skill says; it notes under which skill."""

    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    batches: list[tuple[str, str, int]] = field(default_factory=list)  # task, skill and trial of those in batches

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = super().__call__(skill, task, iteration=iteration, trial=trial)
        if iteration.isdigit():
            self.batches.append((task.id, row.skill_digest, trial))
        self.seen[task.id, row.skill_digest] += 1
        passed = row.passed or self.seen[task.id, row.skill_digest] % 2 == 0
        return replace(row, outcome=Outcome.PASSED if passed else Outcome.FAILED, trial=trial)


def run(rollout: Synthetic, agent: Oracle | None = None, **said: Any) -> Run:
    config = LoopSettings.model_validate({"iterations": 8, "accept": "always", **said})
    return optimize(SKILL, suite(24), config, PatternMemory("s"), world(rollout, agent or Oracle()))


def idle() -> Oracle:
    """Agents whose patcher never replies, so that no skill changes."""
    return Oracle(fails=lambda role, number: role == "patcher")


@pytest.mark.parametrize("accept", ["always", "validate"])
@pytest.mark.parametrize("evidence", ["failures", "epochs"])
@given(st.integers(0, 50), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_no_batch_executes_a_task_twice_under_one_skill(evidence: str, accept: str, seed: int, trials: int) -> None:
    rollout = Flickering()
    result = run(
        rollout, seed=seed, trials=trials, accept=accept, optimizer={"preset": "skillgrad", "evidence": evidence}
    )
    assert max(Counter(rollout.batches).values(), default=1) == 1
    assert not [task for task, digest, _ in rollout.batches if digest == SKILL.digest]
    for step in result.iterations:
        assert {row.skill_digest for row in step.batch} == {step_skill(result, step.number)}


def step_skill(result: Run, number: int) -> str:
    """The digest of the skill that a step began with."""
    return ([SKILL, *(step.skill for step in result.iterations)][number - 1]).digest


def test_a_skill_that_never_changes_is_executed_in_the_base_run_alone() -> None:
    rollout, agent = Flickering(), idle()
    result = run(rollout, agent)
    assert {iteration for iteration, _ in rollout.done} == {"base"}
    assert [set(step.reused.values()) for step in result.iterations] == [{"base"}] * 8
    assert all(row.failed for step in result.iterations for row in step.batch)


def test_chance_is_not_taught_as_a_success() -> None:
    """Under one skill a task fails and then passes: nothing made the difference."""
    result = run(Flickering(), idle(), trials=2)
    kinds = [diagnosis.kind for step in result.iterations for diagnosis in step.diagnoses]
    assert kinds == ["failure"] * 4 * 8


def test_a_step_says_where_each_execution_was_made() -> None:
    """Patches fail from the second on: the skill of iteration 2 stays, and what it showed is not executed again."""
    rollout = Flickering()
    result = run(rollout, Oracle(fails=lambda role, number: role == "patcher" and number > 1), iterations=6)
    first, second, *later = result.iterations
    assert set(first.reused.values()) == {"base"}
    assert second.reused == {}
    made = {task: number for number, task in rollout.done if number.isdigit()}
    for step in later:
        assert dict(step.reused) == {row.task_id: made[row.task_id] for row in step.batch if row.task_id in step.reused}
    assert any(step.reused for step in later)


def test_what_could_not_be_measured_is_executed_again() -> None:
    lost: Sequence[str] = ("2", "3")
    rollout = Synthetic(outage=lambda iteration, task: iteration in lost)
    result = run(rollout, batch_size=6, iterations=5)
    assert [bool(step.reused) for step in result.iterations[:4]] == [True, False, False, False]
    assert all(row.measured for row in result.iterations[3].batch)
