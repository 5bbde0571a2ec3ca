"""A cap that cannot hold base run and final measurement is told as soon as executions show it."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Evidence, Usage
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.ports import Rollout
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.method.world.foresight import FIRST, Foresight, Work, _rounded
from skillgrad_ci.skill.skill import Skill
from tests.support.worlds import SKILL, Synthetic, suite, world

ONE = LoopSettings(iterations=1, batch_size=4)


def run(ledger: Ledger, tasks: Suite | None = None, rollout: Rollout | None = None, **parts: Any) -> Run:
    made = world(rollout or Synthetic(ledger=ledger), ledger=ledger, **parts)
    return optimize(SKILL, tasks or suite(), ONE, PatternMemory(), made)


@pytest.mark.parametrize("cap", [Cap(usd=0.18), Cap(tokens=360)])
def test_a_cap_that_is_too_small_is_told_before_the_base_run_has_spent_it(cap: Cap) -> None:
    """A pool of 4, and 6 unseen tasks under both skills and a fifth: 18.4 times 0.01 USD or 20 tokens."""
    ledger = Ledger(cap)
    result = run(ledger)
    assert (result.stop, result.final, result.iterations) == (Stop.BUDGET, SKILL, ())
    assert ledger.spent.calls == FIRST
    said = re.search(r"take about ([\d.,]+); set ([\d.,]+) or more", result.why)
    assert said, result.why
    about, enough = (float(figure.replace(",", "")) for figure in said.groups())
    assert about == pytest.approx(19 * (0.01 if cap.usd else 20), rel=0.03)
    mended = Ledger(Cap(usd=enough) if cap.usd else Cap(tokens=int(enough)))
    assert run(mended).stop is not Stop.BUDGET


@given(costs=st.lists(st.floats(0.001, 0.02), min_size=16, max_size=16))
@settings(max_examples=60, deadline=None)
def test_a_cap_that_holds_the_work_at_its_dearest_is_never_called_too_small(costs: list[float]) -> None:
    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        priced = Synthetic(ledger=ledger, cost=Usage(1, 10, 0, 10, costs[int(task.id.removeprefix("task-"))]))
        return priced(skill, task, iteration=iteration)

    ledger = Ledger(Cap(usd=18.41 * max(costs)))
    assert "cannot hold" not in run(ledger, rollout=rollout).why


def test_minutes_are_foreseen_by_what_runs_at_once() -> None:
    def slow(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        return replace(Synthetic(ledger=ledger)(skill, task, iteration=iteration), seconds=60.0)

    ledger = Ledger(Cap(minutes=18))
    assert "budget.minutes: 18 cannot hold the base run" in run(ledger, rollout=slow).why
    ledger = Ledger(Cap(minutes=18))
    assert "cannot hold" not in run(ledger, rollout=slow, at_once=4).why


def test_a_judge_makes_executions_dearer() -> None:
    """One that takes three times as much as the agent."""

    def judged(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        ledger.hold(Usage(1, 60))
        ledger.settle("judge", Usage(1, 60), Usage(1, 60))
        return Synthetic(ledger=ledger)(skill, task, iteration=iteration)

    ledger = Ledger(Cap(tokens=1400))
    assert "cannot hold" in run(ledger, rollout=judged).why
    ledger = Ledger(Cap(tokens=1400))
    assert "cannot hold" not in run(ledger).why


def test_a_judge_that_takes_dollars_makes_executions_dearer_in_dollars_alone() -> None:
    """The agent takes 0.01 USD an execution and the judge three times that, without a token."""

    def judged(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        ledger.hold(Usage(1, usd=0.03))
        ledger.settle("judge", Usage(1, usd=0.03), Usage(1, usd=0.03))
        return Synthetic(ledger=ledger)(skill, task, iteration=iteration)

    ledger = Ledger(Cap(usd=0.7))  # 18.4 executions at 0.01 USD fit, and not at 0.04
    why = run(ledger, rollout=judged).why
    said = re.search(r"take about ([\d.]+); set ([\d.]+) or more", why)
    assert said, why
    assert float(said[1]) == pytest.approx(19 * 0.04, rel=0.05)
    assert float(said[2]) >= 1.25 * float(said[1])
    ledger = Ledger(Cap(tokens=400))
    assert "cannot hold" not in run(ledger, rollout=judged).why


def test_what_is_executed_is_what_was_asked_for() -> None:
    seen: list[tuple[object, ...]] = []

    def rollout(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        seen.append((skill, task.id, iteration, trial))
        return Synthetic()(skill, task, iteration=iteration)

    foreseeing, task = Foresight(rollout, Ledger(), Work(1, 1), 1), suite().tasks[0]
    foreseeing(SKILL, task, iteration="base", trial=2)
    foreseeing(None, task, iteration="final")
    assert seen == [(SKILL, task.id, "base", 2), (None, task.id, "final", 0)]


@given(st.floats(1e-6, 1e9))
def test_a_figure_for_a_person_is_rounded_up_by_less_than_a_tenth(value: float) -> None:
    said = _rounded(value)
    assert value * (1 - 1e-8) <= float(said.replace(",", "")) <= value * 1.1 * (1 + 1e-8)
    assert len(said.replace(",", "").replace(".", "").strip("0")) <= 2


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (0.00411, "0.0042"), (3.71, "3.8"), (9.99, "10"), (46_100, "47,000"), (120, "120")]
)
def test_a_figure_for_a_person_has_two_digits_at_the_most(value: float, said: str) -> None:
    assert _rounded(value) == said


def test_what_is_taken_over_from_an_earlier_start_ends_nothing() -> None:
    """It is paid for, so to replay it is no reason to stop; what would be paid for next is."""
    ledger = Ledger(Cap(usd=0.2))
    known = Synthetic(ledger=ledger)
    paid = {task.id: known(SKILL, task, iteration="base") for task in suite().tasks[:8]}

    def replayed(skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        return paid[task.id] if task.id in paid else known(skill, task, iteration=iteration)

    foreseeing = Foresight(replayed, ledger, Work(16, 12), 1)
    for task in suite().tasks[:9]:  # the ninth is paid for now
        foreseeing(SKILL, task, iteration="base")
    with pytest.raises(BudgetExceeded, match="cannot hold the base run"):
        foreseeing(SKILL, suite().tasks[9], iteration="base")


def test_a_suite_without_splits_is_told_by_the_share_that_is_kept_for_the_end() -> None:
    whole = suite(24)
    free = replace(whole, tasks=[replace(task, split=None) for task in whole.tasks])
    ledger = Ledger(Cap(usd=0.35))  # 24 executions fit in it, and not in two thirds of it
    result = run(ledger, free, split=lambda _, __: whole)
    assert "the base run (24 executions)" in result.why
    assert ledger.spent.calls == FIRST
