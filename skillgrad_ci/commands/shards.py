"""The commands `plan`, `execute` and `merge`: a run's first measurement on several machines."""

import argparse
import os
import sys
from collections import Counter

from skillgrad_ci.commands.cli import BUDGET, DONE, ELSE
from skillgrad_ci.commands.jobs import skill_job
from skillgrad_ci.commands.progress import showing
from skillgrad_ci.commands.terminal import MEND, say, say_how_to_go_on, say_json, say_table
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.run import Stop
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.json_documents import as_printed
from skillgrad_ci.session.json_documents.of_shards import MergeDocument, PlanDocument, ShardDocument
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.shards import FOLDER, Shard, execute_shard, merge_shards, share_of
from skillgrad_ci.session.shards import plan as parts_of

CODES = {Stop.BUDGET: BUDGET, Stop.CANCELLED: ELSE}


def plan_command(arguments: argparse.Namespace) -> int:
    inputs = read_inputs(skill_job(arguments))
    if arguments.shards < 1:
        raise UserError(f"--shards {arguments.shards}: expected a number from 1")
    parts = parts_of(inputs, arguments.shards)
    rows = [(str(shard), len(part), share_of(inputs, shard)) for shard, part in parts.items()]
    number = sum(executions for _, executions, _ in rows)
    if arguments.json:
        shards = [{"shard": shard, "executions": executions, "share": share} for shard, executions, share in rows]
        facts = {"run": inputs.fingerprint, "folder": str(inputs.folder), "executions": number, "shards": shards}
        say_json(as_printed(PlanDocument, facts))
    else:
        say_table(["shard", "executions", "of the budget"], [[*row[:2], f"{row[2]:.1%}"] for row in rows])
        say(f"{number} executions of the base run, for {inputs.folder}")
    return DONE


def execute_command(arguments: argparse.Namespace) -> int:
    shard, inputs = Shard.named(arguments.shard), read_inputs(skill_job(arguments))
    folder = arguments.out or inputs.folder / FOLDER / shard.folder
    with stop_on_signals() as stop, showing(sys.stderr, arguments.verbose) as observe:
        redactor = Redactor.from_environment(os.environ)
        done = execute_shard(inputs, shard, folder=folder, observe=observe, stop=stop, redactor=redactor)
    counts = Counter(str(row.outcome) for row in done.done)
    lost = bool(done.done) and not any(row.measured for row in done.done)
    if arguments.json:
        facts = {"shard": str(shard), "executions": done.of, "outcomes": counts, "folder": str(folder)}
        say_json(as_printed(ShardDocument, {**facts, "stopped": str(done.stop or "")}))
    else:
        told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        say(f"shard {shard}: {len(done.done)} of {done.of} executions are done ({told}); their journal is in {folder}")
        if done.stop is not None:
            say(done.why)
            say_how_to_go_on(arguments.reproduce, cancelled=done.stop is not Stop.BUDGET)
        elif lost:
            say(f"nothing could be measured: {done.done[0].feedback[:500]}", MEND)
    return CODES.get(done.stop, DONE) if done.stop else ELSE if lost else DONE


def merge_command(arguments: argparse.Namespace) -> int:
    folder, records = merge_shards(arguments.folders, arguments.out)
    if arguments.json:
        say_json(as_printed(MergeDocument, {"folder": str(folder), "records": records}))
    else:
        say(f"{records} records are in {folder}; `skillgrad-ci optimize` with the same inputs goes on from there.")
    return DONE
