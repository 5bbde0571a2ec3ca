"""The command `evaluate`: what a skill brings, and what it costs."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skillgrad_ci.commands.exits import BUDGET, DONE, ELSE
from skillgrad_ci.commands.jobs import skill_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.suite import say_reliability
from skillgrad_ci.commands.terminal import GO_ON, say, say_json, say_table
from skillgrad_ci.method.events import Measuring
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.pages import usd
from skillgrad_ci.report.report import cost_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.agents import agent_of
from skillgrad_ci.session.evaluation import WITH, WITHOUT, Evaluation, evaluate, executions, facts_of
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.parts import StopRequest, stop_on_signals
from skillgrad_ci.skill.skill import Skill

REHEARSAL_NOTE = "This is a rehearsal: its accuracy says nothing about a real model."


def evaluate_skill(arguments: argparse.Namespace) -> int:
    inputs = read_inputs(skill_job(arguments))
    folder = arguments.out or inputs.folder.with_name(f"evaluate-{inputs.fingerprint[:12]}")
    arms: dict[str, Skill | None] = {WITH: inputs.skill}
    if arguments.no_skill:
        arms[WITHOUT] = None
    with stop_on_signals() as stop, showing(sys.stderr, arguments.verbose) as observe:
        evaluation, facts = _measured(inputs, arms, folder, observe, stop)
    facts = Redactor.from_environment(os.environ).clean(facts | {"reproduce": arguments.reproduce})
    if arguments.json:
        say_json(facts)
    else:
        _say(facts)
    if evaluation.cut and not arguments.json:
        say(GO_ON)
    if evaluation.cut:
        return ELSE if evaluation.cancelled else BUDGET
    return DONE if all(any(row.measured for row in rows) for rows in evaluation.arms.values()) else ELSE


def _measured(
    inputs: Inputs, arms: Mapping[str, Skill | None], folder: Path, observe: Observer, stop: StopRequest
) -> tuple[Evaluation, dict[str, Any]]:
    settings, redactor = inputs.job.settings, Redactor.from_environment(os.environ)
    with open_run(inputs, folder, observe, stop, redactor) as opened:
        observe(Measuring("evaluate", len(arms) * executions(opened.suite, settings.trials)))
        evaluation = evaluate(arms, opened.suite, settings.trials, opened.rollout, opened.each)
        facts = {
            "skill": inputs.skill.name,
            "suite": inputs.suite.name,
            "agent": agent_of(opened.parts.executor),
            "models": {"executor": settings.models.of("executor")},
            "rehearsal": settings.models.rehearsal,
            "sandbox": opened.sandbox,
            "warnings": opened.warnings,
            "cost": cost_of(dict(opened.ledger.by_role)).model_dump(mode="json"),
        }
    return evaluation, facts | facts_of(evaluation, inputs.skill)


def _say(facts: Mapping[str, Any]) -> None:
    arms = facts["arms"]
    rows = [
        [name, percent(arm["accuracy"]), f"{arm['passed']} of {arm['measured']}", arm["unmeasured"],
         f"{arm['tokens_per_task']:,}", usd(arm["usd_per_task"]), f"{arm['turns_per_task']:.1f}"]
        for name, arm in arms.items()
    ]  # fmt: skip
    say("")
    say_table([facts["agent"], "accuracy", "passed", "unmeasured", "tokens per task", "cost per task", "turns"], rows)
    say("")
    tasks = [[task["id"], *(_rate(task[name]) for name in arms), task["feedback"][:80]] for task in facts["tasks"]]
    say_table(["task", *arms, "what the grader said"], tasks)
    delta, size = facts["delta"], facts["skill_tokens"]
    if delta:
        low, high = delta["interval"]
        interval = f"95% interval {points(low, '')} to {points(high)}"
        say("", f"The skill changes accuracy by {points(delta['change'])} ({interval}).")
    say(
        f"The skill takes about {size['description']} tokens always, {size['body']} more when it is activated, "
        f"and has {size['resources']} in resources."
    )
    for arm in arms.values():
        say_reliability(arm["trials"])
    say(*([REHEARSAL_NOTE] if facts["rehearsal"] else []), *facts["warnings"], *filter(None, [facts["cut"]]))


def _rate(rate: float | None) -> str:
    return "unmeasured" if rate is None else percent(rate)
