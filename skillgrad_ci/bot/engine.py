"""What the bot asks of the session: a whole optimization, or a measurement of skills side by side."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import BudgetExceeded, Cancelled
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.task import Task
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.agents import LOOP
from skillgrad_ci.session.evaluation import evaluate
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.open_run import open_run
from skillgrad_ci.session.optimize_skill import Finished
from skillgrad_ci.session.parts import stop_on_signals
from skillgrad_ci.session.shards import Shard, ShardDone, execute_shard
from skillgrad_ci.session.side_by_side.cross_fitting import optimize_as_split
from skillgrad_ci.skill.skill import Skill


class Engine(Protocol):
    """Executes skills. Its methods raise what the loop raises.

    `spent` grows by the US dollars that a measurement took, also of one that failed.
    """

    @property
    def spent(self) -> list[float]: ...

    def optimize(self, inputs: Inputs, folder: Path, observe: Observer) -> Finished:
        """The whole loop; its report, patch, memory and journal are in `folder`."""
        ...

    def execute(self, inputs: Inputs, shard: Shard, folder: Path, observe: Observer) -> ShardDone:
        """A shard of the first measurement; its journal is in `folder`."""
        ...

    def measure(
        self, inputs: Inputs, candidates: Sequence[Skill], tasks: Sequence[Task], folder: Path, observe: Observer
    ) -> list[list[Evidence]]:
        """Each candidate on the same tasks with the same machinery; nothing is learned from it."""
        ...


def command_line(job: SkillRun) -> str:
    """What repeats a run by hand at the same commit: what the action's inputs may have changed is in it."""
    models = job.settings.models
    agent = None if job.settings.agent == LOOP else job.settings.agent
    flags = {"--agent": agent, "--model": models.executor, "--optimizer-model": models.optimizer}
    words = [part for flag, model in flags.items() if model for part in (flag, model)]
    said = "iterations" in job.settings.model_fields_set
    iterations = ["--iterations", str(job.settings.iterations)] if said else []
    return shlex.join(["skillgrad-ci", "optimize", job.path.relative_to(job.root).as_posix(), *words, *iterations])


@dataclass(frozen=True)
class RealEngine:
    """`Engine` over real parts. A cancelled job (SIGINT, SIGTERM) ends with its journal whole."""

    redactor: Redactor
    spent: list[float] = field(default_factory=list)

    def optimize(self, inputs: Inputs, folder: Path, observe: Observer) -> Finished:
        job = inputs.job
        reproduce = command_line(job)
        with stop_on_signals() as stop:
            return optimize_as_split(
                inputs, folder=folder, observe=observe, stop=stop, redactor=self.redactor, reproduce=reproduce
            )

    def execute(self, inputs: Inputs, shard: Shard, folder: Path, observe: Observer) -> ShardDone:
        with stop_on_signals() as stop:
            return execute_shard(inputs, shard, folder=folder, observe=observe, stop=stop, redactor=self.redactor)

    def measure(
        self, inputs: Inputs, candidates: Sequence[Skill], tasks: Sequence[Task], folder: Path, observe: Observer
    ) -> list[list[Evidence]]:
        """Raises BudgetExceeded where the cap leaves a task unmeasured: half a comparison misleads."""
        inputs = replace(inputs, suite=replace(inputs.suite, tasks=tasks))
        folder = folder.with_name(f"{folder.name}-measure")
        arms: dict[str, Skill | None] = {str(number): skill for number, skill in enumerate(candidates)}
        with stop_on_signals() as stop, open_run(inputs, folder, observe, stop, self.redactor) as opened:
            for note in opened.warnings:
                observe(Noted(note))
            earlier = opened.ledger.spent.usd or 0.0  # of a start that was killed: counted then, or lost with it
            try:
                evaluation = evaluate(arms, opened.suite, inputs.job.settings.trials, opened.rollout, opened.each)
            finally:
                self.spent.append((opened.ledger.spent.usd or 0.0) - earlier)
        if evaluation.cancelled:
            raise Cancelled(evaluation.cut)
        if evaluation.cut:
            raise BudgetExceeded(evaluation.cut)
        return [list(evaluation.arms[name]) for name in arms]
