"""Measuring a skill: what is measured is reported, whatever was cut, and flickering tasks are named."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.evidence import Evidence, Outcome, Trajectory, Usage
from skillgrad_ci.method.task import Task
from skillgrad_ci.session.evaluation import WITH, WITHOUT, evaluate, executions, facts_of, reliability
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Synthetic, suite

LEARNED = SKILL.with_file("SKILL.md", SKILL.text + "\n- always alpha\n")


@dataclass
class Capped:
    """A rollout that passes the cap once, after `left` executions; a cheaper task would still fit."""

    left: int
    inner: Synthetic = field(default_factory=Synthetic)
    passed: bool = False

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        if len(self.inner.done) == self.left and not self.passed:
            self.passed = True
            raise BudgetExceeded("budget.tokens: the next call could pass the cap")
        return self.inner(skill, task, iteration=iteration, trial=trial)


def test_each_arm_runs_every_task_and_the_change_is_the_skills() -> None:
    tasks = suite(12)
    result = evaluate({WITH: LEARNED, WITHOUT: None}, tasks, 2, Synthetic(), map)
    assert [len(rows) for rows in result.arms.values()] == [24, 24]
    assert executions(tasks, 2) == 24
    facts = facts_of(result, LEARNED)
    assert facts["delta"]["change"] == pytest.approx(1 / 3)
    assert facts["delta"]["test"] == "sign flip mid-p"
    assert {row["id"] for row in facts["tasks"]} == {task.id for task in tasks.tasks}
    assert facts["arms"][WITH]["tokens_per_task"] == 20


@given(st.integers(0, 24))
def test_at_a_cap_what_is_measured_by_then_is_the_result(left: int) -> None:
    result = evaluate({WITH: LEARNED, WITHOUT: None}, suite(12), 1, Capped(left), map)
    assert sum(map(len, result.arms.values())) == left
    assert bool(result.cut) == (left < 24)
    facts = facts_of(result, None)
    assert facts["arms"][WITH]["measured"] == min(left, 12)


def test_one_arm_has_no_change() -> None:
    facts = facts_of(evaluate({WITH: SKILL}, suite(4), 1, Synthetic(), map), SKILL)
    assert facts["delta"] is None
    assert facts["arms"][WITH]["trials"] is None
    assert facts["skill_tokens"]["description"] > 0


@given(st.dictionaries(st.sampled_from("abcde"), st.text("pfu", min_size=3, max_size=3), min_size=1))
def test_every_measured_task_always_passes_always_fails_or_flickers(outcomes: dict[str, str]) -> None:
    kinds = {"p": Outcome.PASSED, "f": Outcome.FAILED, "u": Outcome.UNMEASURED}
    rows = [
        Evidence(task, "d", kinds[c], trial=n, trajectory=Trajectory(usage=Usage(1)))
        for task, trials in outcomes.items()
        for n, c in enumerate(trials)
    ]
    facts = reliability(rows)
    measured = {task: trials.replace("u", "") for task, trials in outcomes.items() if trials.strip("u")}
    if facts is None:
        assert min(map(len, measured.values()), default=1) < 2
        return
    named = [*facts["always_pass"], *facts["always_fail"], *facts["flicker"]]
    assert sorted(named) == sorted(measured)
    assert 0 <= facts["pass_all_k"] <= facts["pass_at_k"] <= 1
    assert facts["can_teach"] == pytest.approx(1 - len(facts["always_pass"]) / len(measured))
