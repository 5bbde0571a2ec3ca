"""The engine that the action uses: `run`, with its journal, its sandbox and its models."""

import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.task import Task
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.evaluation import evaluate
from skillgrad_ci.session.journal import FileJournal
from skillgrad_ci.session.optimize_skill import Finished, Inputs, optimize_skill
from skillgrad_ci.session.parts import parts
from skillgrad_ci.session.prepare import prepare
from skillgrad_ci.session.rollout import Rollouts
from skillgrad_ci.session.stopping import stop_on_signals
from skillgrad_ci.session.trajectories import keep_in
from skillgrad_ci.skill.skill import Skill


def command_line(job: SkillRun) -> str:
    """What repeats a run by hand at the same commit: what the action's inputs may have changed stands in it."""
    models = job.settings.models
    flags = {"--model": models.executor, "--optimizer-model": models.optimizer}
    words = [part for flag, model in flags.items() if model for part in (flag, model)]
    iterations = ["--iterations", str(job.settings.iterations)]
    return shlex.join(["skillgrad-ci", "optimize", job.path.relative_to(job.root).as_posix(), *words, *iterations])


@dataclass(frozen=True)
class RealEngine:
    """`Engine` over real parts. A cancelled job (SIGINT, SIGTERM) ends with its journal whole."""

    redactor: Redactor

    def optimize(self, inputs: Inputs, folder: Path, observe: Observer) -> Finished:
        job = inputs.job
        reproduce = command_line(job)
        with stop_on_signals() as stop:
            return optimize_skill(
                inputs, folder=folder, observe=observe, stop=stop, redactor=self.redactor, reproduce=reproduce
            )

    def measure(
        self, inputs: Inputs, candidates: Sequence[Skill], tasks: Sequence[Task], folder: Path, observe: Observer
    ) -> list[list[Evidence]]:
        """Raises BudgetExceeded where the cap leaves a task unmeasured: half a comparison misleads."""
        inputs = replace(inputs, suite=replace(inputs.suite, tasks=tasks))
        settings, folder = inputs.job.settings, folder.with_name(f"{folder.name}-measure")
        arms: dict[str, Skill | None] = {str(number): skill for number, skill in enumerate(candidates)}
        with (
            stop_on_signals() as stop,
            FileJournal(folder, self.redactor) as journal,
            parts(inputs.job, inputs.suite, observe, stop) as made,
            ThreadPoolExecutor(settings.concurrency) as pool,
        ):
            suite, notes = prepare(inputs.job, inputs.suite, made, journal, pool.map)
            for note in notes:
                observe("note", text=note)
            keep = keep_in(folder, self.redactor)
            rollout = Rollouts(made.executor, made.sandbox, made.graders, journal, observe, keep, made.others)
            evaluation = evaluate(arms, suite, settings.trials, rollout, pool.map)
        if evaluation.cut:
            raise BudgetExceeded(evaluation.cut)
        return [list(evaluation.arms[name]) for name in arms]
