"""Measuring a skill without changing it: accuracy, what it costs, and which tasks flicker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import BudgetExceeded, Cancelled
from skillgrad_ci.method.acceptance import DecideBy, pass_rates
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.evidence import Evidence, Usage
from skillgrad_ci.method.ports import Each, Rollout
from skillgrad_ci.method.task import Suite, Task
from skillgrad_ci.report.power import churn_of, pass_all, pass_at
from skillgrad_ci.report.report import change_of, measured_of
from skillgrad_ci.report.statistics import wilson
from skillgrad_ci.skill.lint import estimate_tokens
from skillgrad_ci.skill.skill import Skill

WITH, WITHOUT, INITIAL = "with skill", "without skill", "initial skill"
EVALUATE = "evaluate"  # the measurement's name


@dataclass(frozen=True)
class Evaluation:
    """Executions by arm (`with skill`, `without skill`); `cut` says why some are missing."""

    arms: Mapping[str, Sequence[Evidence]]
    cut: str = ""
    cancelled: bool = False


def evaluate(arms: Mapping[str, Skill | None], suite: Suite, trials: int, rollout: Rollout, each: Each) -> Evaluation:
    """Run the suite once for each arm. At a cap, and where a person stops it, what is measured is the result."""
    cuts: list[BudgetExceeded | Cancelled] = []

    def execute(job: tuple[Skill | None, Task, int]) -> Evidence | None:
        skill, task, trial = job
        try:
            return rollout(skill, task, iteration=EVALUATE, trial=trial) if not cuts else None
        except (BudgetExceeded, Cancelled) as error:
            cuts.append(error)
            return None

    measured = {}
    for name, skill in arms.items():
        jobs = [(skill, task, trial) for task in suite.tasks for trial in range(task.times(trials))]
        measured[name] = [row for row in each(execute, jobs) if row is not None]
    return Evaluation(measured, str(cuts[0]) if cuts else "", any(isinstance(cut, Cancelled) for cut in cuts))


def facts_of(evaluation: Evaluation, skill: Skill | None, by: DecideBy = "pass") -> dict[str, Any]:
    """The evaluation as JSON. The change is from without the skill to with it."""
    arms = evaluation.arms
    change = change_of(arms[WITHOUT], arms[WITH], by) if WITH in arms and WITHOUT in arms else None
    return {
        "arms": {name: _arm(rows) for name, rows in arms.items()},
        "delta": change.model_dump(mode="json") if change else None,
        "changes": _changes(arms, by),
        "refused": refused(arms),
        "skill_tokens": _skill_tokens(skill) if skill else None,
        "tasks": _tasks(arms),
        "cut": evaluation.cut,
    }


def _changes(arms: Mapping[str, Sequence[Evidence]], by: DecideBy) -> dict[str, Any]:
    """The paired change from each other arm to the skill's."""
    found = {name: change_of(rows, arms[WITH], by) for name, rows in arms.items() if WITH in arms and name != WITH}
    return {name: change.model_dump(mode="json") if change else None for name, change in found.items()}


def refused(arms: Mapping[str, Sequence[Evidence]]) -> dict[str, str]:
    """By arm: why it is not compared with the skill's, where a clock ended too much of the two."""
    found = {name: incomparable(rows, arms[WITH]) for name, rows in arms.items() if WITH in arms and name != WITH}
    return {name: why for name, why in found.items() if why}


def executions(suite: Suite, trials: int) -> int:
    """How many executions measure the suite once."""
    return sum(task.times(trials) for task in suite.tasks)


def _arm(rows: Sequence[Evidence]) -> dict[str, Any]:
    usage = sum((row.trajectory.usage for row in rows), Usage())
    number = max(1, len(rows))
    rates = [float(rate) for rate in pass_rates(rows).values()]
    return measured_of(rows).model_dump() | {
        "interval": wilson(sum(rates) / len(rates), len(rates)) if rates else None,
        "tokens_per_task": round(usage.tokens / number),
        "cached_tokens_per_task": round(usage.cached_tokens / number),
        "usd_per_task": None if usage.usd is None else usage.usd / number,
        "turns_per_task": sum(row.trajectory.turns for row in rows) / number,
        "activated": sum(row.trajectory.activated for row in rows),
        "trials": reliability(rows),
    }


def reliability(rows: Sequence[Evidence]) -> dict[str, Any] | None:
    """With several trials: pass@k and pass^k, and the tasks that always pass, always fail or flicker."""
    trials: dict[str, list[bool]] = {}
    for row in rows:
        if row.measured:
            trials.setdefault(row.task_id, []).append(row.passed)
    k = min(map(len, trials.values()), default=1)
    if k < 2:
        return None
    counts = [(sum(passes), len(passes)) for passes in trials.values()]
    flickering = [task for task, passes in trials.items() if 0 < sum(passes) < len(passes)]
    failing = [task for task, passes in trials.items() if not any(passes)]
    return {
        "k": k,
        "pass_at_k": sum(pass_at(k, *count) for count in counts) / len(counts),
        "pass_all_k": sum(pass_all(k, *count) for count in counts) / len(counts),
        "always_pass": [task for task, passes in trials.items() if all(passes)],
        "always_fail": failing,
        "flicker": flickering,
        "can_teach": (len(failing) + len(flickering)) / len(trials),
        "churn": churn_of(trials.values()),
    }


def _tasks(arms: Mapping[str, Sequence[Evidence]]) -> list[dict[str, Any]]:
    rates = {name: pass_rates(rows) for name, rows in arms.items()}
    tokens = {name: _tokens(rows) for name, rows in arms.items()}
    feedback = {row.task_id: row.feedback for rows in reversed([*arms.values()]) for row in rows if not row.passed}
    return [
        {
            "id": task,
            **{name: _share(rates[name].get(task)) for name in arms},
            "tokens": {name: tokens[name].get(task) for name in arms},
            "feedback": feedback.get(task, ""),
        }
        for task in dict.fromkeys(row.task_id for rows in arms.values() for row in rows)
    ]


def _share(rate: Any) -> float | None:
    return None if rate is None else float(rate)


def _tokens(rows: Sequence[Evidence]) -> dict[str, int]:
    tokens: dict[str, int] = {}
    for row in rows:
        tokens[row.task_id] = tokens.get(row.task_id, 0) + row.trajectory.usage.tokens
    return tokens


def _skill_tokens(skill: Skill) -> dict[str, int]:
    """About how many tokens each layer takes: H in every session, B when activated, Q when read."""
    resources = (skill.content(name) for name in skill.resources if Path(name).suffix == ".md")
    return {
        "description": estimate_tokens(f"{skill.name} {skill.description}"),
        "body": estimate_tokens(skill.body),
        "resources": sum(len(content) // 4 for content in resources),
    }
