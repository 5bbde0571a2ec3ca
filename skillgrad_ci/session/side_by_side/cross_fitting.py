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

All runs are `optimize`, with one journal, one base run and one budget, in equal parts of what is left for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skillgrad_ci.config.settings import Budget
from skillgrad_ci.errors import BudgetExceeded, Cancelled, UserError
from skillgrad_ci.method.acceptance import GATED
from skillgrad_ci.method.budget import MORE, Cap, Purpose
from skillgrad_ci.method.events import Estimated, Event, Noted
from skillgrad_ci.method.evidence import Evidence, Usage
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.task import Split, Suite, Task
from skillgrad_ci.method.world import executions_of
from skillgrad_ci.method.world.left_out import LEAST, learn_without, measure_left_out
from skillgrad_ci.method.world.measurements import BASE
from skillgrad_ci.report.comparison import usage_of
from skillgrad_ci.report.document import Comparison, Cost, CrossFitting, FoldFacts, Report
from skillgrad_ci.report.pages import write_run
from skillgrad_ci.report.report import comparison_of, cost_of, headed
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import Inputs, with_triggers
from skillgrad_ci.session.journal.file_journal import END, FileJournal
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import (
    Finished,
    check_accept,
    optimize_opened,
    optimize_skill,
    world_of,
    write_report,
)
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.rollout import OUTAGE, PARTLY
from skillgrad_ci.session.side_by_side.setups import NOTHING_LEFT
from skillgrad_ci.session.side_by_side.shared_base import Together, measure_base, without_base
from skillgrad_ci.session.split import fold_sizes, folds_of

ALL = "all"  # the part of the journal of the run that makes the skill
MOST_KEPT = 0.8  # of a fold's budget, for the tasks that its run left out
CUTS = {Stop.CANCELLED, Stop.UNMEASURED}


@dataclass(frozen=True)
class Fold:
    """A run that learned without `tasks`, and both skills' evidence on them; `spent` is its report's, for its cost."""

    run: Run
    tasks: Sequence[Task]
    before: Sequence[Evidence]
    after: Sequence[Evidence]
    spent: Report


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
    _check_accept(inputs)
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
        together = replace(together, observe=_of_a_part(observe))
        whole = replace(inputs, suite=_with_splits_of(inputs.suite, none.run.suite))
        done, left = _deliver(_with_budget(whole, left, len(folds) + 1), base, together, left)
        if not done.report.kept or done.run.stop in CUTS:
            return _finished(done, [none.report], together, inputs)
        crossed = _Crossing(inputs, none, base, together)
        measured, cut = crossed.folds(folds, left)
        facts = _facts(inputs, measured, len(folds), cut[1] if cut else "")
        run = replace(done.run, stop=cut[0], why=cut[1]) if cut else done.run
        done = replace(done, run=run, report=done.report.model_copy(update={"cross": facts}))
        return _finished(done, [none.report, *(fold.spent for fold in measured)], together, inputs)


def _check_accept(inputs: Inputs) -> None:
    """Raises UserError where the suite cannot serve the way in which edits are accepted."""
    settings = inputs.job.settings
    if settings.accept not in GATED:
        check_accept(inputs)
        return
    suite = inputs.suite.reviewed()
    fewest = len(suite.tasks) - max(fold_sizes(len(suite.tasks), settings.folds))
    if fewest < 2 * LEAST:
        raise UserError(
            f"{suite.root}: accept: {settings.accept} with split: cross leaves {fewest} tasks to a run, which needs "
            f"{2 * LEAST}: {LEAST} that teach and {LEAST} that choose; give more tasks, or use accept: final"
        )


def _with_splits_of(suite: Suite, known: Suite) -> Suite:
    """A suite whose tasks teach and choose as those that could be trusted do."""
    splits = {task.id: task.split for task in known.tasks}
    return suite.with_splits({task.id: splits.get(task.id) or Split.TRAIN for task in suite.tasks})


def _of_a_part(observe: Observer) -> Observer:
    """An observer that is not told of a part's own estimate: the whole was told of."""
    tell = without_base(observe)

    def told(event: Event) -> None:
        if not isinstance(event, Estimated):
            tell(event)

    return told


def _with_budget(inputs: Inputs, left: Budget, runs: int) -> Inputs:
    """The inputs with an equal part of what is left for so many runs."""
    cap = left.cap()[0].part(1 / runs)
    budget = Budget(usd=cap.usd, tokens=cap.tokens, minutes=cap.minutes)
    return replace(inputs, job=replace(inputs.job, settings=inputs.job.settings.model_copy(update={"budget": budget})))


def _less(left: Budget, spent: Report) -> Budget | None:
    """What is left of a budget after a run; None where nothing is."""
    cost = usage_of(spent.cost)
    rows = [(left.usd, cost.usd or 0.0), (left.tokens, cost.tokens), (left.minutes, spent.minutes)]
    usd, tokens, minutes = (None if cap is None else cap - took for cap, took in rows)
    if any(value is not None and value <= 0 for value in (usd, tokens, minutes)):
        return None
    return Budget(usd=usd, tokens=None if tokens is None else int(tokens), minutes=minutes)


def _deliver(inputs: Inputs, base: JournalPart, together: Together, left: Budget) -> tuple[Finished, Budget | None]:
    """The run on all tasks, in the folder of the whole, and what of the budget it leaves."""
    choose = len(inputs.suite.of(Split.VALIDATION))
    chosen = f", of which {choose} choose between its steps" if choose else ""
    together.observe(Noted(f"the skill that is delivered learns from all {len(inputs.suite.tasks)} tasks{chosen}"))
    part = JournalPart(together.journal, ALL, base, within="")
    with open_with(part, inputs, together.observe, together.stop, together.redactor) as opened:
        done = optimize_opened(inputs, opened, part.folder, together.redactor, together.reproduce)
    return done, _less(left, done.report)


@dataclass(frozen=True)
class _Crossing:
    """What all folds begin with."""

    inputs: Inputs
    none: Finished
    part: JournalPart
    together: Together

    @property
    def base(self) -> Run:
        return self.none.run

    def kept(self, cap: Cap, tasks: Sequence[Task]) -> float:
        """The part of a fold's cap that is kept for the tasks left out, by what executions took in the base run.

        Both skills are executed on each; one execution more is the room that a last call needs.
        """
        number = 2 * len(executions_of(tasks, self.base.settings.trials)) + 1
        more, took = MORE * number / len(self.base.baseline), usage_of(self.none.report.cost)
        rows = [(took.usd, cap.usd), (took.tokens, cap.tokens), (self.none.report.minutes, cap.minutes)]
        return min(MOST_KEPT, max((more * (spent or 0.0) / most for spent, most in rows if most), default=0.0))

    def folds(self, folds: Sequence[Sequence[str]], left: Budget | None) -> tuple[list[Fold], tuple[Stop, str] | None]:
        """Each fold's run, as far as they come, and what cut them."""
        done: list[Fold] = []
        for number, ids in enumerate(folds, 1):
            if left is None:
                return done, (Stop.BUDGET, f"{NOTHING_LEFT} fold {number}")
            inputs = _with_budget(self.inputs, left, len(folds) + 1 - number)
            try:
                fold = self.fold(number, inputs, ids)
            except (BudgetExceeded, Cancelled) as error:
                stop = Stop.BUDGET if isinstance(error, BudgetExceeded) else Stop.CANCELLED
                return done, (stop, f"fold {number}: {error}")
            if fold.run.stop in CUTS:
                return done, (fold.run.stop, f"fold {number}: {fold.run.why}")
            done.append(fold)
            left = _less(left, fold.spent)
        return done, None

    def fold(self, number: int, inputs: Inputs, ids: Sequence[str]) -> Fold:
        """One run that never sees these tasks, then both skills on them. Raises what cuts the second part."""
        together, tasks = self.together, [task for task in self.base.suite.tasks if task.id in ids]
        learned = len(self.base.suite.tasks) - len(tasks)
        together.observe(Noted(f"fold {number}: learns from {learned} tasks, to be measured on {len(tasks)}"))
        part = JournalPart(together.journal, f"fold-{number}", self.part)
        with open_with(part, inputs, together.observe, together.stop, together.redactor) as opened:
            world = with_triggers(world_of(opened, opened.rollout), inputs.triggers, inputs.job.settings.trials)
            with opened.ledger.keeping(self.kept(opened.ledger.cap, tasks)):
                run = learn_without(self.base, ids, world, f"{inputs.name}-{number}")
            before, after = list[Evidence](), list[Evidence]()
            if run.stop not in CUTS:
                with opened.ledger.final_measurement():
                    before, after = map(list, measure_left_out(self.base, run, ids, world))
            lost = not all(row.measured for row in [*before, *after])
            ended = OUTAGE if run.stop is Stop.UNMEASURED else PARTLY if lost else str(run.stop)
            opened.journal.record(END, END, {"stop": ended})
            spent = write_report(run, opened, part.folder, together.redactor, together.reproduce)
        return Fold(run, tasks, before, after, spent.report)


def _facts(inputs: Inputs, folds: Sequence[Fold], planned: int, why: str) -> CrossFitting:
    by = inputs.job.settings.decide_by

    def over(some: Sequence[Fold]) -> Comparison:
        before = [row for fold in some for row in fold.before]
        return comparison_of(before, [row for fold in some for row in fold.after], by)

    rows = [
        FoldFacts(
            number=number,
            learned=len(fold.run.suite.tasks),
            tasks=tuple(task.id for task in fold.tasks),
            kept=fold.run.final.digest != fold.run.initial.digest,
            stopped=str(fold.run.stop),
            comparison=over([fold]),
        )
        for number, fold in enumerate(folds, 1)
    ]
    return CrossFitting(planned=planned, folds=tuple(rows), comparison=over(folds), why=why)


def _finished(done: Finished, others: Sequence[Report], together: Together, inputs: Inputs) -> Finished:
    """The delivered run with what all of it took, and with the settings that were asked for; its folder is written."""
    names = [BASE, *(f"fold {number}" for number in range(1, len(others)))]
    facts = {
        "cost": _together({"": done.report.cost, **dict(zip(names, (one.cost for one in others), strict=True))}),
        "minutes": round(sum(one.minutes for one in [done.report, *others]), 2),
        "settings": inputs.job.settings.model_dump(mode="json"),
        "stopped": str(done.run.stop),
        "why": done.run.why.rstrip("."),
    }
    report = headed(done.report.model_copy(update=facts))
    report = Report.model_validate(together.redactor.clean(report.model_dump()))
    files = write_run(done.folder, done.run, report, together.redactor)
    return replace(done, report=report, files=files)


def _together(costs: Mapping[str, Cost]) -> Cost:
    """All of it, by role, and by what it was for: a part's iterations bear its name."""
    by_role: dict[str, Usage] = {}
    by_purpose: dict[tuple[str, Purpose], Usage] = {}
    for name, cost in costs.items():
        for role, spent in cost.by_role.items():
            by_role[role] = by_role.get(role, Usage()) + usage_of(spent)
        for row in cost.by_purpose:
            named = row.iteration if name in ("", BASE) else f"{name}: {row.iteration}"
            key = row.role, Purpose(named, row.task)
            by_purpose[key] = by_purpose.get(key, Usage()) + usage_of(row)
    return cost_of(by_role, by_purpose)
