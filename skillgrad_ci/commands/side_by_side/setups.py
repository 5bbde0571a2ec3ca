"""One skill under several agents and models, as one table."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skillgrad_ci.commands.cli import BUDGET, DONE, ELSE
from skillgrad_ci.commands.jobs import run_folder, skill_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.terminal import say, say_how_to_go_on, say_json, say_table
from skillgrad_ci.method.events import Noted
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.templating import usd
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import WITH
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_evaluations import ComparisonDocument
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.side_by_side.setups import MeasuredSetup, heldout_alone, measure_skill, side_by_side
from skillgrad_ci.skill.skill import Skill

REHEARSAL_NOTE = "This is a rehearsal: its accuracy says nothing about a real model."
HEADERS = ["agent", "model", "", "accuracy", "95% interval", "passed", "unmeasured", "tokens per task",
           "cost per task", "what the skill changes against it"]  # fmt: skip


def compare_setups(
    arguments: argparse.Namespace,
    agents: Sequence[str | None],
    models: Sequence[str | None],
    controls: Mapping[str, Skill | None],
    *,
    heldout: bool = False,
) -> int:
    """Measure the skill, and the controls before it, with every model and agent (None: the configured one).

    `heldout`: on heldout tasks alone, where the suite has some.
    """
    setups = [_inputs(arguments, agent, model) for model in dict.fromkeys(models) for agent in dict.fromkeys(agents)]
    whole = len(setups[0].suite.tasks)
    setups = list(map(heldout_alone, setups)) if heldout else setups
    folders = {inputs.fingerprint: _folder(arguments, inputs) for inputs in setups}
    redactor = Redactor.from_environment(os.environ)
    with stop_on_signals() as stop, showing(sys.stderr, arguments.verbose) as observe:

        def measure(inputs: Inputs) -> MeasuredSetup:
            arms = {**controls, WITH: inputs.skill}
            return measure_skill(inputs, arms, folders[inputs.fingerprint], observe, stop, redactor)

        done = side_by_side(setups, measure, lambda text: observe(Noted(text)))
    first = setups[0]
    facts: dict[str, Any] = {"skill": first.skill.name, "suite": first.suite.name, "setups": done.setups}
    facts |= {"tasks": len(first.suite.tasks), "of": whole, "cut": done.cut}
    facts = redactor.clean(as_printed(ComparisonDocument, facts | {"reproduce": arguments.reproduce}))
    if arguments.json:
        say_json(facts)
    else:
        _say(facts)
    if done.cut and not arguments.json:
        say_how_to_go_on(arguments.reproduce, cancelled=done.cancelled)
    if done.cut:
        return ELSE if done.cancelled else BUDGET
    return DONE if all(arm["measured"] for row in done.setups for arm in row["arms"].values()) else ELSE


def interval(arm: Mapping[str, Any]) -> str:
    """An arm's 95% interval, over its tasks."""
    return "—" if arm["interval"] is None else " to ".join(map(percent, arm["interval"]))


def _inputs(arguments: argparse.Namespace, agent: str | None, model: str | None) -> Inputs:
    wanted = {name: value for name, value in (("agent", agent), ("model", model)) if value}
    return read_inputs(skill_job(argparse.Namespace(**{**vars(arguments), **wanted})))


def _folder(arguments: argparse.Namespace, inputs: Inputs) -> Path:
    """Each setup's run folder: its fingerprint names it."""
    name, beside = f"evaluate-{inputs.fingerprint[:12]}", inputs.folder.parent
    return run_folder(arguments, (arguments.out or beside) / name)


def _say(facts: Mapping[str, Any]) -> None:
    rows = [
        [row["agent"], row["models"]["executor"], name, percent(arm["accuracy"]), interval(arm),
         f"{arm['passed']} of {arm['measured']}", arm["unmeasured"], f"{arm['tokens_per_task']:,}",
         usd(arm["usd_per_task"]), _change(row, name)]
        for row in facts["setups"]
        for name, arm in row["arms"].items()
    ]  # fmt: skip
    say("")
    say_table(HEADERS, rows)
    notes = dict.fromkeys(note for row in facts["setups"] for note in row["warnings"])
    rehearsed = [REHEARSAL_NOTE] if any(row["rehearsal"] for row in facts["setups"]) else []
    if facts["tasks"] < facts["of"]:
        say(
            "",
            f"Measured on the {facts['tasks']} heldout tasks of {facts['of']}; --all takes those that taught as well.",
        )
    say("", *rehearsed, *notes, *filter(None, [facts["cut"]]))


def _change(row: Mapping[str, Any], arm: str) -> str:
    """What the skill changes against another arm: the paired change, with its interval."""
    change = row["changes"].get(arm)
    if not change:
        return ""
    low, high = change["interval"]
    return f"{points(change['change'])} ({points(low, '')} to {points(high)})"
