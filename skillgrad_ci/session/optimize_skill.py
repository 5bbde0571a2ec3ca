"""One skill's run from its files to its run folder: load, prove, estimate, optimize, report.

The run folder's name is a fingerprint of all that decides the run. The same inputs meet the same
folder and its journal again, so a run that was killed goes on where it was.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from skillgrad_ci import __version__
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.method import run as history
from skillgrad_ci.method.acceptance import check_mode
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.memory_file import parse
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.run import Run, Stop, World
from skillgrad_ci.method.task import Split, Suite, digest_of
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.estimate import estimate
from skillgrad_ci.session.inputs import other_skills, refuse_twins, trigger_set, with_triggers
from skillgrad_ci.session.journal import FileJournal
from skillgrad_ci.session.parts import Parts, parts
from skillgrad_ci.session.prepare import prepare
from skillgrad_ci.session.rollout import END, OUTAGE, Rollouts
from skillgrad_ci.session.split import assign, read_recorded, recorded_path
from skillgrad_ci.session.trajectories import keep_in
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load as load_suite

MEMORY = "momentum.md"


@dataclass(frozen=True)
class Inputs:
    """What decides a run: the skill, its suite, the memory so far, the settings, and what surrounds the skill."""

    job: SkillRun
    skill: Skill
    suite: Suite
    memory: PatternMemory
    recorded: Mapping[str, Split]
    others: Sequence[Skill] = ()
    triggers: Suite | None = None

    @property
    def measure(self) -> str:
        """Content address of what measures the skill: its suite, the skills beside it, and its trigger set."""
        if not self.others and self.triggers is None:
            return self.suite.digest
        beside = sorted([skill.name, skill.for_agents().digest] for skill in self.others)
        return digest_of([self.suite.digest, beside, self.triggers.digest if self.triggers else ""])

    @property
    def fingerprint(self) -> str:
        """Content address of a run, for its folder and its name in the memory."""
        splits = {task: str(split) for task, split in self.recorded.items()}
        parts = [self.skill.digest, self.measure, self.job.settings.digest, self.memory.render(), splits]
        return digest_of([__version__, *parts])

    @property
    def folder(self) -> Path:
        return Path("runs") / self.skill.name / self.fingerprint[:12]


def memory_path(job: SkillRun) -> Path:
    """Where a skill's memory lies in its repository."""
    return job.root / ".skillgrad" / job.name / MEMORY


def read_inputs(job: SkillRun, recorded: Mapping[str, Split] | None = None) -> Inputs:
    """Read everything that a run needs. Raises UserError before anything is spent.

    `recorded` are splits of earlier runs; a split file beside the suite wins over them.
    """
    skill, suite, others = Skill.load(job.path), load_suite(job.tasks), other_skills(job)
    refuse_twins([skill, *others])
    path = memory_path(job)
    memory = PatternMemory(skill.name)
    if path.is_file():
        memory = parse(path.read_text("utf-8"), str(path))
    splits = {**(recorded or {}), **(read_recorded(recorded_path(suite)) or {})}
    return Inputs(job, skill, suite, memory, splits, others, trigger_set(job))


@dataclass(frozen=True)
class Finished:
    """A run that ended, its report, and the files of its folder by name."""

    run: Run
    report: Report
    folder: Path
    files: Mapping[str, Path]


def optimize_skill(
    inputs: Inputs,
    *,
    folder: Path,
    observe: Observer,
    stop: threading.Event,
    redactor: Redactor,
    reproduce: str = "",
) -> Finished:
    """Optimize a skill and write its run folder. Raises UserError where nothing could be started."""
    job, started = inputs.job, monotonic()
    shown = assign(inputs.suite.tasks, None, inputs.recorded, job.settings.seed).splits
    check_mode(job.settings.accept.value, inputs.suite.with_splits(shown))  # before anything is made or paid for
    with FileJournal(folder, redactor) as journal, parts(job, inputs.suite, observe, stop) as made:
        with ThreadPoolExecutor(job.settings.concurrency) as pool:
            suite, warnings = prepare(job, inputs.suite, made, journal, pool.map)
            keep = keep_in(folder, redactor)
            world = World(
                rollout=Rollouts(made.executor, made.sandbox, made.graders, journal, observe, keep, made.others),
                agent=made.agent,
                split=partial(split, inputs, made),
                ledger=made.ledger,
                each=pool.map,
                observe=observe,
                at_once=job.settings.concurrency,
            )
            world = with_triggers(world, inputs.triggers, job.settings.trials)
            run = optimize(inputs.skill, suite, loop_settings(inputs), inputs.memory, world)
        journal.record(END, "end", {"stop": OUTAGE if run.stop is Stop.UNMEASURED else str(run.stop)})
        around = Circumstances(
            settings=job.settings,
            skill_path=str(job.path),
            suite_path=(
                job.tasks.relative_to(job.root) if job.tasks.is_relative_to(job.root) else job.tasks
            ).as_posix(),
            sandbox=made.sandbox.identity,
            reproduce=reproduce,
            cost=dict(made.ledger.by_role),
            minutes=(monotonic() - started) / 60,
            warnings=[*warnings, *assign(suite.tasks, None, inputs.recorded, job.settings.seed).notes],
        )
        # Secrets go before a page escapes its text, for behind the escapes they would not be known.
        report = Report.model_validate(redactor.clean(report_of(run, around).model_dump()))
        return Finished(run, report, folder, write_run(folder, run, report, redactor))


def loop_settings(inputs: Inputs) -> history.Settings:
    """The loop's part of the settings; the run is named in the memory by its fingerprint."""
    chosen = inputs.job.settings
    return history.Settings(
        iterations=chosen.iterations,
        batch_size=chosen.batch_size,
        train_tasks=chosen.train_tasks,
        accept=chosen.accept.value,
        seed=chosen.seed,
        trials=chosen.trials,
        momentum=chosen.momentum,
        contrastive=chosen.contrastive,
        allow_scripts=chosen.allow_scripts,
        run=inputs.fingerprint[:8],
    )


def split(inputs: Inputs, made: Parts, suite: Suite, baseline: Sequence[Evidence]) -> Suite:
    """Every task's split, given what the base run measured (nothing, before it), and the estimate that follows."""
    outcomes: dict[str, bool] = {}
    for row in baseline:
        if row.measured:
            outcomes[row.task_id] = row.passed and outcomes.get(row.task_id, True)
    settings = inputs.job.settings
    suite = suite.with_splits(assign(suite.tasks, outcomes, inputs.recorded, settings.seed).splits)
    seen = [row.trajectory.usage for row in baseline]
    executor, optimizer = made.models["executor"], made.models["optimizer"]
    text = estimate(suite, settings, executor, optimizer, seen, inputs.triggers)
    made.observe("estimate", text=text)
    return suite
