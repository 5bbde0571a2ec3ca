"""The command `evaluate`: what a skill brings, and what it costs."""

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Any

from skillgrad_ci.commands.cli import BUDGET, DONE, ELSE
from skillgrad_ci.commands.jobs import run_folder, skill_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.side_by_side.setups import REHEARSAL_NOTE, compare_setups, interval
from skillgrad_ci.commands.suite.told import say_reliability
from skillgrad_ci.commands.terminal import MEND, say, say_how_to_go_on, say_json, say_table, say_text
from skillgrad_ci.document.inert_text import one_line
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import doubt
from skillgrad_ci.report.templating import usd
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import WITH, WITHOUT
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_evaluations import EvaluationDocument
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.side_by_side.setups import measure_skill
from skillgrad_ci.skill.skill import Skill


def evaluate_skill(arguments: argparse.Namespace) -> int:
    agents = (arguments.agent or "").split(",")
    if len(agents) > 1:
        return compare_setups(arguments, agents, [arguments.model], {WITHOUT: None} if arguments.no_skill else {})
    inputs, redactor = read_inputs(skill_job(arguments)), Redactor.from_environment(os.environ)
    usual = inputs.folder.with_name(f"evaluate-{inputs.fingerprint[:12]}")
    folder = run_folder(arguments, arguments.out or usual)
    arms: dict[str, Skill | None] = {WITH: inputs.skill}
    if arguments.no_skill:
        arms[WITHOUT] = None
    with stop_on_signals() as stop, showing(sys.stderr, arguments.verbose) as observe:
        done = measure_skill(inputs, arms, folder, observe, stop, redactor)
    facts = redactor.clean(as_printed(EvaluationDocument, {**done.facts, "reproduce": arguments.reproduce}))
    if arguments.json:
        say_json(facts)
    else:
        _say(facts)
    if done.evaluation.cut and not arguments.json:
        say_how_to_go_on(arguments.reproduce, cancelled=done.evaluation.cancelled)
    if done.evaluation.cut:
        return ELSE if done.evaluation.cancelled else BUDGET
    measured = all(any(row.measured for row in rows) for rows in done.evaluation.arms.values())
    if not measured and not arguments.json:
        say_text(MEND)
    return DONE if measured and not facts["refused"] else ELSE


def _say(facts: Mapping[str, Any]) -> None:
    arms = facts["arms"]
    rows = [
        [name, percent(arm["accuracy"]), interval(arm), f"{arm['passed']} of {arm['measured']}", arm["unmeasured"],
         f"{arm['tokens_per_task']:,}", usd(arm["usd_per_task"]), f"{arm['turns_per_task']:.1f}"]
        for name, arm in arms.items()
    ]  # fmt: skip
    say("")
    say_table(
        ["", "accuracy", "95% interval", "passed", "unmeasured", "tokens per task", "cost per task", "turns"], rows
    )
    say("")
    tasks = [
        [task["id"], *(_rate(task[name]) for name in arms), one_line(task["feedback"], 160)] for task in facts["tasks"]
    ]
    say_table(["task", *arms, "what the grader said"], tasks)
    say_text(
        "", f"Measured with agent {facts['agent']}, model {facts['models']['executor']}, sandbox {facts['sandbox']}."
    )
    delta, size = facts["delta"], facts["skill_tokens"]
    if delta:
        low, high = delta["interval"]
        what = "the mean score" if delta["by"] == "score" else "accuracy"
        within = f"95% interval {points(low, '')} to {points(high)}, {delta['tasks']} tasks, p = {delta['p_value']:.2g}"
        against = doubt(delta["change"], (low, high), delta["p_value"])
        though = f", though {against}" if against else ""
        say_text(f"The skill changes {what} by {points(delta['change'])} ({within}){though}.")
    late = [f"{arm['timed_out']} of {arm['measured']} {name}" for name, arm in arms.items() if arm["timed_out"]]
    say_text(*([f"Executions that ended at a time limit: {', '.join(late)}."] if late else []))
    for name, why in facts["refused"].items():
        say_text(f"Not compared with {name}, for a clock is not a verdict: {why}.")
    say_text(
        f"The skill takes about {size['description']} tokens always, {size['body']} more when it is activated, "
        f"and has {size['resources']} in resources."
    )
    for arm in arms.values():
        say_reliability(arm["trials"])
    say_text(*([REHEARSAL_NOTE] if facts["rehearsal"] else []), *facts["warnings"], *filter(None, [facts["cut"]]))


def _rate(rate: float | None) -> str:
    return "unmeasured" if rate is None else percent(rate)
