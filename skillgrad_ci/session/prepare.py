"""Everything that can fail before money is spent: the budget, the sandbox, the graders, the keys."""

from dataclasses import replace
from typing import Any

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.evidence import Outcome
from skillgrad_ci.method.ports import Each
from skillgrad_ci.method.task import Suite
from skillgrad_ci.session.check import prove_task
from skillgrad_ci.session.journal import FileJournal
from skillgrad_ci.session.parts import Parts

PARAMETERS = "parameters"  # the key and kind of their record


def prepare(job: SkillRun, suite: Suite, made: Parts, journal: FileJournal, each: Each) -> tuple[Suite, list[str]]:
    """Everything that can fail before money is spent. Returns the tasks that can be trusted, and warnings."""
    refuse_other_parameters(job, journal)
    made.journal = journal
    made.ledger.cap, notes = job.settings.budget.cap(made.unpriced)
    made.ledger.resume(journal, journal.replayed)
    _ = made.executor.identity, made.sandbox.identity, made.graders
    suite, doubts = prove(suite, made, each)
    made.check_access()
    if journal.recall(PARAMETERS) is None:
        journal.record(PARAMETERS, PARAMETERS, _parameters(job))
    return suite, [*notes, *doubts]


def refuse_other_parameters(job: SkillRun, journal: FileJournal) -> None:
    """Sampling parameters are in no content address: a journal holds results of one choice of them."""
    known = journal.recall(PARAMETERS)
    if known is not None and known != _parameters(job):
        folder = journal.path.parent
        raise UserError(f"{folder}: this run was made with other models.parameters; choose another --out")


def _parameters(job: SkillRun) -> dict[str, Any]:
    return job.settings.models.model_dump(mode="json", include={"parameters"})


def prove(suite: Suite, made: Parts, each: Each) -> tuple[Suite, list[str]]:
    """The suite without the tasks whose own reference answer fails. Raises UserError where most do.

    Tasks that a judge grades are taken on trust here, for a judge's calls cost money.
    """
    provable = [task for task in suite.tasks if all(spec.kind != "judge" for spec in task.graders)]
    standings = list(each(lambda task: prove_task(suite, task, made), provable))
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
