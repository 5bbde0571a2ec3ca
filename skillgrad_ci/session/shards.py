"""The first measurement of a run on several machines: planned, executed in shards, merged into one journal.

A shard is named `I/N`. Which of the base run's executions it holds follows from the run's inputs and N alone, so
machines need to agree on nothing else. What a shard measures is what one machine would have measured, under the same
content addresses: the run that goes on from the merged journal executes what no shard did, and nothing else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import BudgetExceeded, Cancelled, UserError
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.optimizers.presets import optimizer_of
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.run import Stop
from skillgrad_ci.method.task import Suite, Task, digest_of
from skillgrad_ci.method.world import World, executions_of
from skillgrad_ci.method.world.foresight import FINAL_SHARE
from skillgrad_ci.method.world.measurements import BASE, surely
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import RUNS, Inputs
from skillgrad_ci.session.journal.file_journal import NAME, FileJournal
from skillgrad_ci.session.journal.merging import merge_journals
from skillgrad_ci.session.journal.part import RunJournal
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.optimize_skill import Kept, world_of
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.split import settled

FOLDER = "shards"  # in the run folder
RUN = "run"  # the key and kind of the record that says to which run a shard's journal belongs

Execution = tuple[Task, int]  # a task and the number of the trial


@dataclass(frozen=True)
class Shard:
    """One of `of` parts of the base run; `index` counts from 1."""

    index: int
    of: int

    @classmethod
    def named(cls, text: str) -> "Shard":
        """Raises UserError for what is not `I/N` with 1 ≤ I ≤ N."""
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"shard {text!r:.40}: expected I/N with I from 1 to N, as in 2/3")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @property
    def folder(self) -> str:
        return f"{self.index}-of-{self.of}"


def plan(inputs: Inputs, number: int) -> dict[Shard, Sequence[Execution]]:
    """What the base run surely executes, in `number` parts of one size, or as many as there are executions.

    Raises UserError for a cross-fitting, whose journal holds several runs.
    """
    if inputs.job.settings.split == "cross":
        raise UserError("split: cross runs on one machine; start it without shards, or take split: cross out")
    known = settled(inputs.suite.tasks, inputs.recorded)
    tasks = [replace(task, split=known.get(task.id)) for task in inputs.suite.tasks]
    work = _work(replace(inputs.suite, tasks=tasks), inputs.job.settings)
    number = min(number, len(work))
    return {Shard(index + 1, number): work[index::number] for index in range(number)}


def _work(suite: Suite, settings: Settings) -> list[Execution]:
    """The executions in the order of their digests: neighbours in a suite, which often take alike, go apart."""
    enough = optimizer_of(settings.optimizer).enough(settings)
    work = executions_of(surely(suite, settings.seed, enough), settings.trials)
    return sorted(work, key=lambda one: digest_of([one[0].id, one[0].digest, one[1]]))


def share_of(inputs: Inputs, shard: Shard) -> float:
    """A shard's share of the run's cap: all shards together never pass what one machine's base run may take."""
    parts = plan(inputs, shard.of)
    if shard not in parts:
        raise UserError(
            f"shard {shard}: the base run surely makes {len(parts)} executions; plan at most so many shards"
        )
    return (1 - FINAL_SHARE) * len(parts[shard]) / sum(map(len, parts.values()))


@dataclass(frozen=True)
class ShardDone:
    """What a shard came to: its executions that are done, how many there are, and why it ended early, if it did."""

    done: Sequence[Evidence]
    of: int
    stop: Stop | None = None
    why: str = ""


def execute_shard(
    inputs: Inputs, shard: Shard, *, folder: Path, observe: Observer, stop: StopRequest, redactor: Redactor
) -> ShardDone:
    """Execute and grade a shard's part of the base run into the journal of `folder`; what is there is not repeated.

    Raises UserError where nothing could be started. An end at the cap, or a cancelled shard, is a result.
    """
    with open_run(inputs, folder, observe, stop, redactor, share_of(inputs, shard)) as opened:
        part = _work(opened.settled, inputs.job.settings)[shard.index - 1 :: shard.of]
        kept = Kept(opened.rollout, BASE)
        ended, why = measure_part(inputs, part, world_of(opened, kept), opened.journal)
        return ShardDone(kept.evidence(), len(part), ended, why)


def measure_part(
    inputs: Inputs, part: Sequence[Execution], world: World, journal: RunJournal
) -> tuple[Stop | None, str]:
    """Measure, and write down of which run it is a part. Says why it ended early, if it did."""
    if journal.recall(RUN) is None:
        journal.record(RUN, RUN, {"fingerprint": inputs.fingerprint, "skill": inputs.skill.name})
    try:
        world.execute(inputs.skill, part, BASE)
    except BudgetExceeded as error:
        return Stop.BUDGET, str(error)
    except Cancelled as error:
        return Stop.CANCELLED, str(error)
    return None, ""


def merge_shards(folders: Sequence[Path], target: Path | None = None) -> tuple[Path, int]:
    """Merge the shards in and below `folders` into the run that they belong to; its folder, and how many records.

    Raises UserError where a folder holds none, where they belong to several runs, or contradict each other.
    """
    found = {path.resolve(): path for folder in folders for path in _journals(folder)}
    runs = {path: _run_of(path) for path in found.values()}
    first = next(iter(runs))
    for path, run in runs.items():
        if run != runs[first]:
            raise UserError(f"{first} and {path}: shards of two runs, for their inputs differ; merge each run's apart")
    into = target or Path(RUNS, runs[first]["skill"], runs[first]["fingerprint"][:12])
    return into, merge_journals([path for path in found.values() if path.resolve() != into.resolve()], into)


def _journals(folder: Path) -> Sequence[Path]:
    found = sorted(path.parent for path in folder.rglob(NAME))
    if not found:
        raise UserError(f"{folder}: no journal is in or below it; name what `skillgrad-ci execute` wrote")
    return found


def _run_of(folder: Path) -> Mapping[str, Any]:
    with FileJournal(folder) as journal:
        run = journal.recall(RUN)
    if run is None:
        raise UserError(f"{folder}: its journal is not a shard's; name what `skillgrad-ci execute` wrote")
    return run
