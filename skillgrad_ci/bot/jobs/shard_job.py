"""A skill's first measurement on several runners: planned by the preflight, executed by jobs that write nothing."""

from dataclasses import replace
from pathlib import Path

from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.money import capped
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import Cancelled
from skillgrad_ci.method.run import Stop
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.shards import FOLDER, Shard, merge_shards, plan

MOST_JOBS = 256  # of one matrix on GitHub


def planned_shards(bot: Bot, inputs: Inputs) -> tuple[str, ...]:
    """The shards of a skill's first measurement; none where one machine does it all."""
    number = min(bot.context.inputs.shards, MOST_JOBS // len(bot.configuration.skills))
    return tuple(map(str, plan(inputs, number))) if number > 1 else ()


def execute_job(bot: Bot, job: SkillRun, inputs: Inputs, progress: Progress) -> Ending:
    """Measure one shard into the run's folder. What it could not measure the run measures itself."""
    shard = Shard.named(bot.context.inputs.shard)
    folder = bot.folder(inputs) / FOLDER / shard.folder
    done = bot.engine.execute(replace(inputs, job=capped(bot, job)), shard, folder, progress)
    if done.stop is Stop.CANCELLED:
        raise Cancelled(f"{job.name}: shard {shard} was cancelled; started again, it goes on where it was")
    if done.stop is not None:
        bot.log.annotate("warning", f"{job.name}: shard {shard} stopped: {done.why}")
    line = f"{job.name}: shard {shard}: {len(done.done)} of {done.of} executions are done"
    return Ending("executed", line, report=bot.relative(folder))


def take_shards(bot: Bot, folder: Path) -> None:
    """Let a run go on from what other runners measured for it."""
    if any((folder / FOLDER).rglob("journal.jsonl")):
        _, records = merge_shards([folder / FOLDER], folder)
        bot.log.say(f"{bot.relative(folder)}: goes on from the shards' {records} records")
