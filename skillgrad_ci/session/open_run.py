"""Open a run: everything that can fail before money is spent, then the parts that execute and pay.

Optimizing, evaluating, running a suite's trials and the bot all open their runs here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.events import Noted, SpentSoFar, Starting
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.ports import Agent, Each, Observer
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.method.world import Earlier
from skillgrad_ci.report.templating import usd
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.estimate import BaseRun, announced, estimated, spent_of_cap
from skillgrad_ci.session.inputs import RUNS, Inputs, Measurement
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.journal.part import RunJournal
from skillgrad_ci.session.outputs.initial import InitialResults
from skillgrad_ci.session.parts import Parts, StopRequest
from skillgrad_ci.session.proof.proofs import Proofs
from skillgrad_ci.session.rollout import Rollouts
from skillgrad_ci.session.split import assign, settled
from skillgrad_ci.session.trajectories.kept import keep_in
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.skill.skill import Skill

PARAMETERS = "parameters"  # the key and kind of their record


@dataclass(frozen=True)
class OpenRun:
    """A run that may spend. `rollout` executes and grades a task, `agent` is the optimizing agents, `ledger` counts
    both, `each` maps over tasks in parallel, `sandbox` names the sandbox and its version.

    Reference answers may still be proved: `suite` and `warnings` wait for that, `ahead` does not.
    `earlier` is what need not be measured of the initial skill.
    """

    inputs: Measurement
    proofs: Proofs
    notes: Sequence[str]
    rollout: Rollouts
    agent: Agent
    ledger: Ledger
    each: Each
    sandbox: str
    journal: RunJournal
    parts: Parts
    pool: Executor
    stop: StopRequest
    earlier: Earlier | None = None

    @property
    def suite(self) -> Suite:
        """The tasks that can be trusted. Raises UserError where most references fail their own grader."""
        return self._proved[0]

    @property
    def warnings(self) -> Sequence[str]:
        """What a person must know of this run."""
        return [*self.notes, *self._proved[1]]

    @property
    def _proved(self) -> tuple[Suite, Sequence[str]]:
        try:
            proved = self.proofs.outcome
        except UserError as error:
            self.stop.set()  # what was begun ahead ends
            spent = self.ledger.spent
            paid = f"; {spent.calls} calls ({usd(spent.usd)}) were paid until then" if spent.calls else ""
            raise UserError(f"{error}{paid}") from None
        self.stop.begin_work()
        return proved

    def ahead(self, skill: Skill | None, executions: Sequence[tuple[Task, int]], name: str) -> None:
        """Begin with executions that the measurement `name` surely makes, while references are being proved.

        Each waits for its own task's proof. Once all are proved, or one is found wrong, no further one is begun:
        the measurement goes on with what is in the journal by then. What ends one early ends the measurement too,
        and is told there.
        """
        left = iter(executions)
        self.stop.begin_work()

        def begin() -> None:
            with suppress(SkillGradError):
                while not self.proofs.ended and (one := next(left, None)):
                    self.rollout.execute(skill, one[0], iteration=name, trial=one[1])

        for _ in range(self.inputs.job.settings.concurrency):
            self.pool.submit(begin)

    @property
    def settled(self) -> Suite:
        """The suite with the splits that no outcome can change; the other tasks have none."""
        return with_settled_splits(self.suite, self.inputs.recorded)

    def splits(self, suite: Suite, baseline: Sequence[Evidence]) -> Suite:
        """Every task's split, given what the base run measured (nothing, before it), and the estimate that follows."""
        outcomes: dict[str, bool] = {}
        for row in baseline:
            if row.measured:
                outcomes[row.task_id] = row.passed and outcomes.get(row.task_id, True)
        settings, whole = self.inputs.job.settings, any(task.split is None for task in suite.tasks)
        suite = suite.with_splits(assign(suite.tasks, outcomes, self.inputs.recorded, settings.seed).splits)
        known = [task.id for task in suite.tasks if self.earlier and self.earlier.of(task, settings.trials)]
        base = BaseRun([row.trajectory.usage for row in baseline], entire=whole, known=known)
        most = estimated(suite, settings, self.parts.models, base, self.inputs.triggers)
        self.parts.observe(announced(most, settings, measured=bool(baseline)))
        return suite


def with_settled_splits(suite: Suite, recorded: Mapping[str, Split]) -> Suite:
    known = settled(suite.tasks, recorded)
    return replace(suite, tasks=[replace(task, split=known.get(task.id)) for task in suite.tasks])


@contextmanager
def open_run(
    inputs: Measurement, folder: Path, observe: Observer, stop: StopRequest, redactor: Redactor, share: float = 1.0
) -> Iterator[OpenRun]:
    """Prove the budget, the sandbox and the keys, then give the run, while references are still being proved.

    What `folder` holds is not repeated, and `share` is the part of the cap that it may spend.

    Raises UserError for what a person must mend, EnvironmentFailure where a part cannot be had.
    At its end LibreOffice is stopped, sandboxes are gone, the journal is closed.
    """
    with (
        FileJournal(folder, redactor) as journal,
        open_with(journal, inputs, observe, stop, redactor, share) as opened,
    ):
        yield opened


@contextmanager
def open_with(
    journal: RunJournal,
    inputs: Measurement,
    observe: Observer,
    stop: StopRequest,
    redactor: Redactor,
    share: float = 1.0,
) -> Iterator[OpenRun]:
    """As `open_run`, with a journal that is open already."""
    job, folder = inputs.job, journal.folder
    with (
        closing(Parts(job, inputs.suite, observe, stop, journal, inputs.others, share)) as parts,
        ThreadPoolExecutor(job.settings.concurrency) as pool,
    ):
        refuse_other_parameters(job, journal)
        for line in journal.damage:
            observe(Noted(line))
        with closing(Proofs(inputs.suite, parts, job.settings.concurrency)) as proofs:
            make_ready(parts, journal)
            if journal.recall(PARAMETERS) is None:
                journal.record(PARAMETERS, PARAMETERS, _parameters(job))
            keep_out_of_git(folder)
            if known := taken_over(journal):
                observe(Noted(known))
            yield OpenRun(
                inputs=inputs,
                proofs=proofs,
                notes=[*parts.budget_notes, *journal.damage],
                rollout=_rollouts(inputs, parts, proofs, journal, observe, keep_in(folder, redactor)),
                agent=parts.agent,
                ledger=parts.ledger,
                each=in_context(pool.map),
                sandbox=parts.sandbox.identity,
                journal=journal,
                parts=parts,
                pool=pool,
                stop=stop,
            )


def _rollouts(
    inputs: Measurement,
    parts: Parts,
    proofs: Proofs,
    journal: RunJournal,
    observe: Observer,
    keep: Callable[[str, Evidence], None],
) -> Rollouts:
    """What executes a task once its own reference is proved."""
    initial = InitialResults(inputs.skill, journal) if isinstance(inputs, Inputs) else None

    def ready(task: Task) -> None:
        proofs.refuse_unproved(task)
        parts.warm()

    return Rollouts(parts.executor, parts.sandbox, parts.graders, journal, observe, keep, inputs.others, initial, ready)


def make_ready(parts: Parts, journal: RunJournal) -> None:
    """All that an execution needs but the proof of its task: what takes long is made side by side.

    The models are asked last, so that nothing is paid where there is no sandbox.
    """
    with ThreadPoolExecutor(1, "sandbox") as aside:
        parts.observe(Starting("testing the sandbox"))
        tested = aside.submit(lambda: parts.sandbox)
        parts.observe(Starting("loading the models' library"))
        parts.ledger.resume(journal, journal.replayed_of("spent"), journal.elapsed)
        _ = parts.executor
        parts.observe(Starting(f"the sandbox is tested: {tested.result().identity}"))
    _ = parts.graders
    tell_no_libreoffice(parts)
    parts.ledger.settled = lambda: parts.observe(SpentSoFar(spent_of_cap(parts.ledger)))
    parts.observe(Starting("asking whether the models can be used"))
    parts.check_access()


def tell_no_libreoffice(parts: Parts) -> None:
    """What this machine lacks for the suite's graders, before money is spent on what it then cannot grade."""
    from skillgrad_ci.graders.xlsx.installation import INSTALL, version

    workbooks = any(spec.kind == "xlsx" for task in parts.suite.tasks for spec in task.graders)
    if workbooks and not version():
        parts.observe(Noted(f"LibreOffice is not installed: answers with formulas are unmeasured; {INSTALL}"))


def in_context(each: Each) -> Each:
    """`each` whose threads know what their calls are for, as the thread knows that asks for them."""

    def within(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        return each(lambda item: item[0].run(function, item[1]), [(copy_context(), item) for item in items])

    return within


def taken_over(journal: RunJournal) -> str:
    """What the folder holds of an earlier start, which is not done again; empty where there is nothing."""
    executions = len(journal.replayed_of("execution"))
    calls = sum("text" in (journal.recall(key) or {}) for key in journal.replayed_of("call"))
    if not executions and not calls:
        return ""
    what = f"{executions} execution{'s' * (executions != 1)} and {calls} other model call{'s' * (calls != 1)}"
    return f"taken over from an earlier start, and not repeated: {what} (--fresh begins anew)"


def keep_out_of_git(folder: Path) -> None:
    """The default place of run folders carries its own `.gitignore`: trajectories and journals are not committed."""
    if folder.parts[:1] == (RUNS,) and not (ignore := Path(RUNS, ".gitignore")).exists():
        write_atomically(ignore, b"*\n")


def refuse_other_parameters(job: SkillRun, journal: RunJournal) -> None:
    """Sampling parameters are in no content address: a journal holds results of one choice of them."""
    known = journal.recall(PARAMETERS)
    if known is not None and known != _parameters(job):
        folder = journal.path.parent
        raise UserError(f"{folder}: this run was made with other models.parameters; choose another --out, or --fresh")


def _parameters(job: SkillRun) -> Mapping[str, Any]:
    return job.settings.models.model_dump(mode="json", include={"parameters"})
