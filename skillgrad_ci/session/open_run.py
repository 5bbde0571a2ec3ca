"""Open a run: everything that can fail before money is spent, then the parts that execute and pay.

Optimizing, evaluating, running a suite's trials and the bot all open their runs here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.budget import Ledger
from skillgrad_ci.method.events import Event, Executed, Noted, SpentSoFar, Starting
from skillgrad_ci.method.evidence import Evidence, Outcome
from skillgrad_ci.method.ports import Agent, Each, Observer, Rollout
from skillgrad_ci.method.task import Suite
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.check import prove_task, told_on_the_way
from skillgrad_ci.session.estimate import estimate, spent_of_cap
from skillgrad_ci.session.inputs import RUNS, Inputs, Measurement
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.journal.part import RunJournal
from skillgrad_ci.session.outputs.initial import InitialResults
from skillgrad_ci.session.parts import Parts, StopRequest
from skillgrad_ci.session.rollout import Rollouts
from skillgrad_ci.session.split import assign, settled
from skillgrad_ci.session.trajectories.kept import keep_in
from skillgrad_ci.skill.folder import write_atomically

PARAMETERS = "parameters"  # the key and kind of their record


@dataclass(frozen=True)
class OpenRun:
    """A run that is proved and may spend: `suite` holds the tasks that can be trusted, `warnings` says the rest.

    `rollout` executes and grades a task, `agent` is the optimizing agents, `ledger` counts both,
    `each` maps over tasks in parallel, `sandbox` names the sandbox and its version.
    """

    inputs: Measurement
    suite: Suite
    warnings: Sequence[str]
    rollout: Rollout
    agent: Agent
    ledger: Ledger
    each: Each
    sandbox: str
    journal: RunJournal
    parts: Parts

    @property
    def settled(self) -> Suite:
        """The suite with the splits that no outcome can change; the other tasks have none."""
        known = settled(self.suite.tasks, self.inputs.recorded)
        return replace(self.suite, tasks=[replace(task, split=known.get(task.id)) for task in self.suite.tasks])

    def splits(self, suite: Suite, baseline: Sequence[Evidence]) -> Suite:
        """Every task's split, given what the base run measured (nothing, before it), and the estimate that follows."""
        outcomes: dict[str, bool] = {}
        for row in baseline:
            if row.measured:
                outcomes[row.task_id] = row.passed and outcomes.get(row.task_id, True)
        settings, whole = self.inputs.job.settings, any(task.split is None for task in suite.tasks)
        suite = suite.with_splits(assign(suite.tasks, outcomes, self.inputs.recorded, settings.seed).splits)
        seen = [row.trajectory.usage for row in baseline]
        self.parts.observe(estimate(suite, settings, self.parts.models, seen, self.inputs.triggers, whole))
        return suite


@contextmanager
def open_run(
    inputs: Measurement, folder: Path, observe: Observer, stop: StopRequest, redactor: Redactor, share: float = 1.0
) -> Iterator[OpenRun]:
    """Prove the budget, the sandbox, the graders and the keys, then give the run. What `folder` holds is not repeated,
    and `share` is the part of the cap that it may spend.

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
        observe(Starting("loading the models' library"))
        parts.ledger.resume(journal, journal.replayed_of("spent"), journal.elapsed)
        keep = keep_in(folder, redactor)
        observe(Starting("testing the sandbox"))
        initial = InitialResults(inputs.skill, journal) if isinstance(inputs, Inputs) else None
        told = telling_spent(observe, parts.ledger)
        rollout = Rollouts(parts.executor, parts.sandbox, parts.graders, journal, told, keep, inputs.others, initial)
        suite, doubts = prove(inputs.suite, parts, pool.map)
        observe(Starting("asking whether the models can be used"))
        parts.check_access()
        if journal.recall(PARAMETERS) is None:
            journal.record(PARAMETERS, PARAMETERS, _parameters(job))
        keep_out_of_git(folder)
        if known := taken_over(journal):
            observe(Noted(known))
        stop.begin_work()
        yield OpenRun(
            inputs=inputs,
            suite=suite,
            warnings=[*parts.budget_notes, *journal.damage, *doubts],
            rollout=rollout,
            agent=parts.agent,
            ledger=parts.ledger,
            each=in_context(pool.map),
            sandbox=parts.sandbox.identity,
            journal=journal,
            parts=parts,
        )


def telling_spent(observe: Observer, ledger: Ledger) -> Observer:
    """`observe`, which is also told after each execution what the run has taken by then."""

    def tell(event: Event, /) -> None:
        observe(event)
        if isinstance(event, Executed):
            observe(SpentSoFar(spent_of_cap(ledger)))

    return tell


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
    return f"taken over from an earlier start: {executions} executions and {calls} other model calls are not repeated"


def keep_out_of_git(folder: Path) -> None:
    """The default place of run folders carries its own `.gitignore`: trajectories and journals are not committed."""
    if folder.parts[:1] == (RUNS,) and not (ignore := Path(RUNS, ".gitignore")).exists():
        write_atomically(ignore, b"*\n")


def refuse_other_parameters(job: SkillRun, journal: RunJournal) -> None:
    """Sampling parameters are in no content address: a journal holds results of one choice of them."""
    known = journal.recall(PARAMETERS)
    if known is not None and known != _parameters(job):
        folder = journal.path.parent
        raise UserError(f"{folder}: this run was made with other models.parameters; choose another --out")


def _parameters(job: SkillRun) -> Mapping[str, Any]:
    return job.settings.models.model_dump(mode="json", include={"parameters"})


def prove(suite: Suite, parts: Parts, each: Each) -> tuple[Suite, list[str]]:
    """The suite without the tasks whose own reference answer fails. Raises UserError where most do.

    Tasks that a judge grades are taken on trust here, for a judge's calls cost money.
    """
    provable = [task for task in suite.tasks if all(spec.kind != "judge" for spec in task.graders)]
    tell = told_on_the_way(parts.observe, len(provable), "references are proved")
    standings = list(each(lambda task: tell(prove_task(suite, task, parts)), provable))
    referenced = [grade for grade in standings if grade is not None and grade.outcome is not Outcome.UNMEASURED]
    wrong = {
        task.id: grade.feedback
        for task, grade in zip(provable, standings, strict=True)
        if grade is not None and grade.outcome is Outcome.FAILED
    }
    if not wrong:
        return suite, []
    first, said = next(iter(wrong.items()))
    if 2 * len(wrong) > len(referenced):
        raise UserError(
            f"{suite.root}: {len(wrong)} of {len(referenced)} reference answers fail their own grader "
            f"({first}: {said[:200]}); run: skillgrad-ci suite {suite.root} --check"
        )
    kept = [task for task in suite.tasks if task.id not in wrong]
    named = ", ".join(sorted(wrong))
    return replace(suite, tasks=kept), [f"left out, for their reference answers fail their own grader: {named}"]
