"""Cross-fitting, for suites too small to hold tasks out: one skill that learns from all tasks, and what such runs gain.

The skill that is delivered comes from a run on all tasks. Then the tasks are cut into folds, and for each fold a run
learns from the others alone; its skill and the initial one are executed on the fold. Together that is an estimate of
the procedure, not of the delivered skill (M. Stone, Journal of the Royal Statistical Society B 36, 1974). Rules that
keep it honest:

- A fold's tasks are unknown to its run: they are not in its suite, and it begins without the memory of earlier runs,
  which may have learned from them.
- Both skills are executed afresh on the fold. The base run's executions chose what is delivered: where they were
  unlucky, a candidate is kept more often, and a gain over them would be too large.
- A fold whose run keeps the initial skill changes nothing, so nothing is executed for it.
- A fold that was cut counts in no figure.

All runs are `optimize`, with one journal, one base run and one budget, in equal parts of what is left for each.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skillgrad_ci.config.settings import Budget
from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.method.world.measurements import BASE
from skillgrad_ci.report.document import Comparison, CrossFitting, FoldFacts, Report
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.report.report import comparison_of, headed
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import Finished, optimize_opened, optimize_skill
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.side_by_side.folds import (
    CUTS,
    Fold,
    Folds,
    check_folds,
    cost_of_all,
    what_is_left,
    with_budget,
)
from skillgrad_ci.session.side_by_side.setups import NOTHING_LEFT
from skillgrad_ci.session.side_by_side.shared_base import Together, measure_base, of_a_part
from skillgrad_ci.session.split import folds_of

ALL = "all"  # the part of the journal of the run that makes the skill


def optimize_as_split(
    inputs: Inputs, *, folder: Path, observe: Observer, stop: StopRequest, redactor: Redactor, reproduce: str = ""
) -> Finished:
    """Optimize a skill on shares of its suite, or by cross-fitting, as `split` says; raises as these do."""
    run = cross_fit if inputs.job.settings.split == "cross" else optimize_skill
    return run(inputs, folder=folder, observe=observe, stop=stop, redactor=redactor, reproduce=reproduce)


def cross_fit(
    inputs: Inputs, *, folder: Path, observe: Observer, stop: StopRequest, redactor: Redactor, reproduce: str = ""
) -> Finished:
    """The skill that all tasks teach; where it is another one, with the estimate of what such runs gain.

    Raises UserError where nothing could be started, BudgetExceeded or Cancelled where the base run was cut.
    """
    check_folds(inputs)
    inputs = replace(inputs, earlier=None)  # what is measured is measured afresh
    with FileJournal(folder, redactor) as journal:
        for line in journal.damage:
            observe(Noted(line))
        together = Together(journal, observe, stop, redactor, reproduce)
        base = JournalPart(journal, BASE)
        none, left = measure_base(inputs, base, together)
        outcomes = {row.task_id: row.passed for row in none.run.baseline if row.measured}
        settings = inputs.job.settings
        folds = folds_of(none.run.suite.tasks, outcomes, settings.folds, settings.seed)
        if left is None:
            raise BudgetExceeded(f"{NOTHING_LEFT} a run: the base run took all; raise the budget")
        together = replace(together, observe=of_a_part(observe))
        whole = replace(inputs, suite=_with_splits_of(inputs.suite, none.run.suite))
        done, left = _deliver(with_budget(whole, left, len(folds) + 1), base, together, left)
        if not done.report.kept or done.run.stop in CUTS:
            return _finished(done, [none.report], together, inputs)
        begun, cuts = Folds(inputs, none, base, together).run(folds, left)
        why = "; ".join(why for _, why in cuts)
        facts = _facts(inputs, [fold for fold in begun if fold.cut is None], len(folds), why)
        run = replace(done.run, stop=cuts[-1][0], why=why) if cuts else done.run
        done = replace(done, run=run, report=done.report.model_copy(update={"cross": facts}))
        return _finished(done, [none.report, *(fold.spent for fold in begun)], together, inputs)


def _with_splits_of(suite: Suite, known: Suite) -> Suite:
    """A suite whose tasks teach and choose as those that could be trusted do."""
    splits = {task.id: task.split for task in known.tasks}
    return suite.with_splits({task.id: splits.get(task.id) or Split.TRAIN for task in suite.tasks})


def _deliver(inputs: Inputs, base: JournalPart, together: Together, left: Budget) -> tuple[Finished, Budget | None]:
    """The run on all tasks, in the folder of the whole, and what of the budget it leaves."""
    choose = len(inputs.suite.of(Split.VALIDATION))
    chosen = f", of which {choose} choose between its steps" if choose else ""
    together.observe(Noted(f"the skill that is delivered learns from all {len(inputs.suite.tasks)} tasks{chosen}"))
    part = JournalPart(together.journal, ALL, base, within="")
    with open_with(part, inputs, together.observe, together.stop, together.redactor) as opened:
        done = optimize_opened(inputs, opened, part.folder, together.redactor, together.reproduce)
    return done, what_is_left(left, done.report)


def _facts(inputs: Inputs, folds: Sequence[Fold], planned: int, why: str) -> CrossFitting:
    """What the whole folds say of the procedure; `why` others are missing."""

    by = inputs.job.settings.decide_by

    def over(some: Sequence[Fold]) -> Comparison:
        before = [row for fold in some for row in fold.before]
        return comparison_of(before, [row for fold in some for row in fold.after], by)

    rows = [
        FoldFacts(
            number=fold.number,
            learned=len(fold.run.suite.tasks),
            tasks=tuple(task.id for task in fold.tasks),
            kept=fold.run.final.digest != fold.run.initial.digest,
            stopped=str(fold.run.stop),
            comparison=over([fold]),
        )
        for fold in folds
    ]
    return CrossFitting(planned=planned, folds=tuple(rows), comparison=over(folds), why=why)


def _finished(done: Finished, others: Sequence[Report], together: Together, inputs: Inputs) -> Finished:
    """The delivered run with what all of it took, and with the settings that were asked for; its folder is written."""
    names = [BASE, *(f"fold {number}" for number in range(1, len(others)))]
    facts = {
        "cost": cost_of_all({"": done.report.cost, **dict(zip(names, (one.cost for one in others), strict=True))}),
        "minutes": round(sum(one.minutes for one in [done.report, *others]), 2),
        "settings": inputs.job.settings.model_dump(mode="json"),
        "stopped": str(done.run.stop),
        "why": done.run.why.rstrip("."),
    }
    report = headed(done.report.model_copy(update=facts))
    report = Report.model_validate(together.redactor.clean(report.model_dump()))
    files = write_run(done.folder, done.run, report, together.redactor)
    return replace(done, report=report, files=files)
