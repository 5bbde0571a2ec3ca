"""Measurements of skills, each in a run of its own: one, or several agents and models side by side under one cap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.config.settings import Budget
from skillgrad_ci.method.acceptance.triggers import TriggerQuality
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.method.world import executions_of
from skillgrad_ci.report.headline import won_and_lost
from skillgrad_ci.report.report import cost_of
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.agents import agent_of, prove_foreign, refuse_unfit
from skillgrad_ci.session.evaluation import EVALUATE, WITH, Evaluation, evaluate, executions, facts_of
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.file_journal import END
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.rollout import PARTLY
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill

NOTHING_LEFT = "budget: nothing is left of it for"


@dataclass(frozen=True)
class MeasuredSetup:
    """An evaluation, its facts as JSON, and what of the budget is left (None: nothing)."""

    evaluation: Evaluation
    facts: Mapping[str, Any]
    left: Budget | None


def measure_skill(
    inputs: Inputs,
    arms: Mapping[str, Skill | None],
    folder: Path,
    observe: Observer,
    stop: StopRequest,
    redactor: Redactor,
) -> MeasuredSetup:
    """Open a run in `folder` and measure the arms in it. Raises what `open_run` raises."""
    settings, unreviewed = inputs.job.settings, inputs.suite.unreviewed
    inputs = replace(inputs, suite=inputs.suite.reviewed())
    left_out = [f"{len(unreviewed)} unreviewed tasks are left out: they measure nothing"] if unreviewed else []
    with open_run(inputs, folder, observe, stop, redactor) as opened:
        opened.ahead(next(iter(arms.values())), executions_of(inputs.suite.tasks, settings.trials), EVALUATE)
        observe(Measuring(EVALUATE, len(arms) * executions(opened.suite, settings.trials)))
        evaluation = evaluate(arms, opened.suite, settings.trials, opened.rollout, opened.each)
        whole = all(row.measured for rows in evaluation.arms.values() for row in rows)
        opened.journal.record(END, END, {"stop": "measured" if whole else PARTLY})
        facts = {
            "skill": inputs.skill.name,
            "suite": inputs.suite.name,
            "agent": agent_of(opened.parts.executor),
            "models": {"executor": settings.models.of("executor")},
            "rehearsal": settings.models.rehearsal,
            "sandbox": opened.sandbox,
            "warnings": [
                *left_out,
                *opened.warnings,
                *_on_triggers(opened.suite, evaluation),
                *_on_preferences(opened.suite, evaluation),
            ],
            "cost": cost_of(dict(opened.ledger.by_role), dict(opened.ledger.by_purpose)).model_dump(mode="json"),
        }
        return MeasuredSetup(
            evaluation, facts | facts_of(evaluation, inputs.skill, settings.decide_by), left_of(opened.ledger)
        )


def _on_triggers(suite: Suite, evaluation: Evaluation) -> Iterator[str]:
    """Precision and recall of each arm where the suite is a trigger set, and what a recall of nothing means."""
    if not any(task.probe for task in suite.tasks):
        return
    for name, rows in evaluation.arms.items():
        quality = TriggerQuality.of(suite.tasks, rows)
        yield f"{name}: {quality.sentence}"
        if quality.broken and name == WITH:
            yield f"a broken signal: {quality.broken}"


def _on_preferences(suite: Suite, evaluation: Evaluation) -> Iterator[str]:
    """How often a judge preferred another arm's result to the skill's own, with which each is compared."""
    preferring = {task.id for task in suite.tasks if task.prefers}
    for name, rows in evaluation.arms.items():
        change = paired(evaluation.arms[WITH], rows, "score") if WITH in evaluation.arms and name != WITH else None
        if change is not None and (tasks := preferring - set(change.unpaired)):
            wins, losses = (len(tasks & set(moved)) for moved in (change.fixed, change.broken))
            yield (
                f"{name}: {won_and_lost(wins, len(tasks) - wins - losses, losses)} against the skill's own results, "
                "which are ties by definition"
            )


def left_of(ledger: Ledger) -> Budget | None:
    """The cap less what was spent, for a next run under the same cap; None where nothing is left."""
    cap, spent = ledger.cap, ledger.spent
    usd = None if cap.usd is None else cap.usd - (spent.usd or 0.0)
    tokens = None if cap.tokens is None else cap.tokens - spent.tokens
    minutes = None if cap.minutes is None else cap.minutes - ledger.minutes
    if any(left is not None and left <= 0 for left in (usd, tokens, minutes)):
        return None
    return Budget(usd=usd, tokens=tokens, minutes=minutes)


@dataclass(frozen=True)
class Compared:
    """The facts of each setup that was begun, and what a cap or a person cut."""

    setups: Sequence[Mapping[str, Any]]
    cut: str = ""
    cancelled: bool = False


def heldout_alone(inputs: Inputs) -> Inputs:
    """The inputs with the tasks that no run learns from, by what their splits are before any outcome is known.

    A suite without such tasks stays whole.
    """
    splits = assign(inputs.suite.tasks, None, inputs.recorded, inputs.job.settings.seed).splits
    tasks = [task for task in inputs.suite.tasks if splits[task.id] is Split.HELDOUT]
    return replace(inputs, suite=replace(inputs.suite, tasks=tasks)) if tasks else inputs


def side_by_side(
    setups: Sequence[Inputs], measure: Callable[[Inputs], MeasuredSetup], tell: Callable[[str], None]
) -> Compared:
    """Measure each setup (an agent with a model) in turn, all under one cap.

    Raises UserError before anything is spent where one agent cannot do the tasks, or cannot ask its model.
    """
    for inputs in setups:
        refuse_unfit(inputs.job, inputs.suite)
        prove_foreign(inputs.job, inputs.suite, tell)
    budget: Budget | None = setups[0].job.settings.budget
    rows: list[Mapping[str, Any]] = []
    for inputs in setups:
        settings = inputs.job.settings
        if budget is None:
            return Compared(rows, f"{NOTHING_LEFT} {settings.agent} with {settings.models.of('executor')}")
        job = replace(inputs.job, settings=settings.model_copy(update={"budget": budget}))
        done = measure(replace(inputs, job=job))
        rows.append(done.facts)
        budget = done.left
        if done.evaluation.cut:
            return Compared(rows, done.evaluation.cut, done.evaluation.cancelled)
    return Compared(rows)
