"""One skill's run from its files to its run folder: load, prove, estimate, optimize, report.

The run folder's name is a fingerprint of all that decides the run. The same inputs meet the same
folder and its journal again, so a run that was killed goes on where it was.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.acceptance import check_mode
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.optimizers.presets import optimizer_of
from skillgrad_ci.method.ports import Observer, Rollout
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.method.world import World, executions_of
from skillgrad_ci.method.world.foresight import FINAL_SHARE
from skillgrad_ci.method.world.measurements import BASE, surely
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.report.report import Circumstances, report_of
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.agents import agent_of
from skillgrad_ci.session.inputs import Inputs, with_triggers
from skillgrad_ci.session.journal.earlier import final_measurement, known_baseline
from skillgrad_ci.session.journal.file_journal import END
from skillgrad_ci.session.open_run import OpenRun, open_run, with_settled_splits
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.rollout import OUTAGE
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Finished:
    """A run that ended, its report, and the files of its folder by name."""

    run: Run
    report: Report
    folder: Path
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Kept:
    """A rollout that keeps what it gave of one measurement, so that half a measurement is not lost. Thread-safe."""

    rollout: Rollout
    name: str
    _rows: dict[tuple[str, int], Evidence] = field(default_factory=dict)

    def __call__(self, skill: Skill | None, task: Task, *, iteration: str, trial: int = 0) -> Evidence:
        row = self.rollout(skill, task, iteration=iteration, trial=trial)
        if iteration == self.name:
            self._rows[task.id, trial] = row
        return row

    def evidence(self) -> Sequence[Evidence]:
        return [self._rows[key] for key in sorted(self._rows)]


def world_of(opened: OpenRun, rollout: Rollout) -> World:
    """An open run as the loop sees it."""
    return World(
        rollout=rollout,
        agent=opened.agent,
        split=opened.splits,
        ledger=opened.ledger,
        each=opened.each,
        observe=opened.parts.observe,
        at_once=opened.inputs.job.settings.concurrency,
        reports_ties=opened.inputs.job.reports_ties,
        earlier=opened.earlier,
    )


def optimize_skill(
    inputs: Inputs,
    *,
    folder: Path,
    observe: Observer,
    stop: StopRequest,
    redactor: Redactor,
    reproduce: str = "",
) -> Finished:
    """Optimize a skill and write its run folder. Raises UserError where nothing could be started."""
    check_accept(inputs)  # before anything is made or paid for
    with open_run(inputs, folder, observe, stop, redactor) as opened:
        return optimize_opened(inputs, opened, folder, redactor, reproduce)


def check_accept(inputs: Inputs) -> None:
    """Raises UserError where no task can teach, or none can serve the way in which edits are accepted."""
    suite = _announced(inputs, inputs.suite)
    if not suite.of(Split.TRAIN):
        raise UserError(
            f"{suite.root}: every task is marked validation or heldout, so none can teach; mark some 'split: train', "
            "or measure the skill with skillgrad-ci evaluate"
        )
    check_mode(inputs.job.settings.accept, suite)


def optimize_opened(inputs: Inputs, opened: OpenRun, folder: Path, redactor: Redactor, reproduce: str) -> Finished:
    """Optimize a skill in a run that is open, and write its folder."""
    begin_base_run(inputs, opened)
    settings = inputs.job.settings
    opened = replace(opened, earlier=known_baseline(inputs.earlier, inputs.skill, settings, opened.rollout.versions))
    base = Kept(opened.rollout, BASE)
    world = with_triggers(world_of(opened, base), inputs.triggers, settings.trials)
    if known := inputs.memory.extent:
        world.observe(Noted(f"{known} from earlier runs"))
    opened.splits(opened.settled, ())  # tells what the run may take
    read_answers(opened.settled.of(Split.TRAIN))
    run = optimize(inputs.skill, opened.settled, settings, inputs.memory, world, inputs.name)
    if not run.baseline:  # it was cut: what it measured is reported, on the splits as they were announced
        run = replace(run, baseline=base.evidence(), suite=_announced(inputs, opened.suite))
    opened.journal.record(END, END, {"stop": OUTAGE if run.stop is Stop.UNMEASURED else str(run.stop)})
    return write_report(run, opened, folder, redactor, reproduce)


def begin_base_run(inputs: Inputs, opened: OpenRun) -> None:
    """Begin with what the base run surely executes, while references are still being proved."""
    settings = inputs.job.settings
    suite = with_settled_splits(inputs.suite, inputs.recorded)
    tasks = surely(suite, settings.seed, optimizer_of(settings.optimizer).enough(settings))
    opened.ledger.reserve_share(FINAL_SHARE)
    opened.ahead(inputs.skill, executions_of(tasks, settings.trials), BASE)


def read_answers(tasks: Sequence[Task]) -> None:
    """Read what the leak check compares with, in the background: the first patch need not wait for it then."""

    def read() -> None:
        with suppress(UserError):  # told by the check itself
            for task in tasks:
                len(task.expected)

    threading.Thread(target=read, name="answers", daemon=True).start()


def write_report(run: Run, opened: OpenRun, folder: Path, redactor: Redactor, reproduce: str) -> Finished:
    """The report of a run that ended, and its folder."""
    # Secrets go before a page escapes its text, for behind the escapes they would not be known.
    report = Report.model_validate(redactor.clean(report_of(run, _circumstances(opened, reproduce)).model_dump()))
    final = final_measurement(run, opened.inputs.job.settings, datetime.now(UTC))
    if final is not None:
        final.write(folder)
    return Finished(run, report, folder, write_run(folder, run, report, redactor))


def _circumstances(opened: OpenRun, reproduce: str) -> Circumstances:
    """What a report says that the run itself does not know."""
    job = opened.inputs.job
    return Circumstances(
        settings=job.settings,
        skill_path=str(job.path),
        suite_path=(job.tasks.relative_to(job.root) if job.tasks.is_relative_to(job.root) else job.tasks).as_posix(),
        agent=agent_of(opened.parts.executor),
        sandbox=opened.sandbox,
        reproduce=reproduce,
        cost=dict(opened.ledger.by_role),
        spent_on=dict(opened.ledger.by_purpose),
        minutes=opened.ledger.minutes,
        warnings=opened.warnings,
    )


def _announced(inputs: Inputs, suite: Suite) -> Suite:
    """The suite with the splits as they are known before the base run."""
    return suite.with_splits(assign(inputs.suite.tasks, None, inputs.recorded, inputs.job.settings.seed).splits)
