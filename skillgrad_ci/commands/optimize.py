"""The command `optimize`."""

import argparse
import os
import shlex
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from skillgrad_ci.commands.cli import BUDGET, DONE, ELSE
from skillgrad_ci.commands.jobs import run_folder, skill_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.terminal import MEND, say, say_how_to_go_on, say_json, say_table, say_text
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.method.run import Stop
from skillgrad_ci.report.templating import duration, usd
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import memory_path, read_inputs
from skillgrad_ci.session.journal.earlier import newest_final
from skillgrad_ci.session.optimize_skill import Finished
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.side_by_side.cross_fitting import optimize_as_split
from skillgrad_ci.skill.folder import write_atomically

REMARKS = 5  # that are told at the end; the report has all


Offer = Callable[[Finished, SkillRun], Path | None]  # writes what the bot would open, if it would


def optimize_command(arguments: argparse.Namespace, offer: Offer) -> int:
    inputs = read_inputs(skill_job(arguments))
    folder = run_folder(arguments, arguments.out or inputs.folder)
    if not arguments.fresh:
        inputs = replace(inputs, earlier=newest_final(folder.parent, inputs.skill))
    with stop_on_signals() as stop, showing(sys.stderr, arguments.verbose) as observe:
        done = optimize_as_split(
            inputs,
            folder=folder,
            observe=observe,
            stop=stop,
            redactor=Redactor.from_environment(os.environ),
            reproduce=arguments.reproduce,
        )
    if arguments.in_place:
        if done.report.kept:
            done.run.final.write_over(inputs.skill, inputs.job.path)
        if done.run.memory != inputs.memory:  # what a run without a gain learned is as much worth to the next one
            write_atomically(memory_path(inputs.job), done.run.memory.render().encode())
    offered = offer(done, inputs.job)
    if arguments.json:
        say_json(done.report.model_dump(mode="json"))
    else:
        _say_optimized(done, offered, arguments.in_place)
    if arguments.open:
        webbrowser.open(done.files["report.html"].resolve().as_uri())
    return {Stop.BUDGET: BUDGET, Stop.CANCELLED: ELSE, Stop.UNMEASURED: ELSE}.get(done.run.stop, DONE)


def _say_optimized(done: Finished, offered: Path | None, in_place: bool) -> None:
    """The edits, then what stays on the screen: about ten lines that end with what to do next."""
    report, files = done.report, done.files
    if report.accepted:
        rows = [[edit.id, edit.layer, edit.file, ", ".join(edit.patterns), edit.why] for edit in report.accepted]
        say("")
        say_table(["edit", "layer", "file", "patterns", "why"], rows)
    told = [f"  {remark}" for remark in report.remarks[:REMARKS]]
    if (more := len(report.remarks) - REMARKS) > 0:
        told.append(f"  … and {more} more in the report" if more > 1 else f"  {report.remarks[-1]}")
    say_text("", report.headline, *told)
    tokens = report.cost.prompt_tokens + report.cost.completion_tokens
    say(f"cost    {usd(report.cost.usd)}, {tokens:,} tokens in {report.cost.calls} calls, {duration(report.minutes)}")
    patch = [f"patch   {files['skill.patch']}"] if report.kept else []  # an empty one cannot be applied
    request = [f"request {offered}"] if offered else []
    say(f"report  {files['report.html']}", *request, *patch, f"memory  {files['momentum.md']}")
    _say_where_it_is(done, in_place)
    if report.stopped in (Stop.CANCELLED, Stop.BUDGET):
        say_how_to_go_on(report.reproduce, cancelled=report.stopped == Stop.CANCELLED)
    elif report.stopped == Stop.UNMEASURED:
        say_text(MEND)
    elif not report.kept:
        say_text("The report shows each task: what the agent did, and what the grader said.")


def _say_where_it_is(done: Finished, in_place: bool) -> None:
    """Where the new skill is, or the command that puts it there: on one line, to be copied."""
    report = done.report
    if in_place and report.kept:
        say_text(f"The skill in {report.skill_path} is changed, and its memory is beside the configuration.")
    elif in_place and done.run.memory.extent:
        say_text(f"The skill in {report.skill_path} is as it was; its memory is beside the configuration.")
    elif report.kept:
        skill, diff = Path(os.path.relpath(report.skill_path)), Path(os.path.relpath(done.files["skill.patch"]))
        git = "git apply"
        if ".." in skill.parts:  # git writes nowhere above the folder that it is told to work in
            git, skill, diff = f"git -C {shlex.quote(str(skill.parent))} apply", Path(skill.name), diff.absolute()
        say(f"To take it: {git} --directory={shlex.quote(str(skill))} {shlex.quote(str(diff))}")
