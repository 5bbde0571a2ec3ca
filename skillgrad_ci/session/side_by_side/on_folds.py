"""Optimizers side by side where no task can be held out: each setting learns once for each fold, without it.

All settings have the same folds. The initial skill is executed afresh on all of them, once, beside the base run that
they learn from: it is the control, and each setting's skills are set against it on the tasks that they left out. So
every change is paired over the same tasks. What a setting's runs cost is its own; each has the budget that the base run
and the fresh executions left.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from skillgrad_ci.errors import BudgetExceeded
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.evidence import Evidence
from skillgrad_ci.method.world.left_out import LEFT_OUT
from skillgrad_ci.report.comparison import LEFT_OUT_TASKS, SettingRun
from skillgrad_ci.report.document import Report
from skillgrad_ci.session.estimate import fold_executions
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.file_journal import END
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import Finished, world_of, write_report
from skillgrad_ci.session.rollout import PARTLY
from skillgrad_ci.session.side_by_side.folds import Cut, Fold, Folds, cost_of_all, ends_all, what_is_left, with_budget
from skillgrad_ci.session.side_by_side.on_shares import Setting, Start
from skillgrad_ci.session.side_by_side.setups import NOTHING_LEFT
from skillgrad_ci.session.side_by_side.shared_base import NONE, Together, measure_base, of_a_part, without_estimate
from skillgrad_ci.session.split import folds_of

AFRESH = f"{NONE}/afresh"  # the journal's part with what nobody learns from


def start_on_folds(inputs: Inputs, base: JournalPart, together: Together) -> Start:
    """The control, and how a setting is run. Raises BudgetExceeded or Cancelled where the control was cut."""
    inputs = replace(inputs, earlier=None)  # what is measured is measured afresh
    none, left = measure_base(inputs, base, replace(together, observe=without_estimate(together.observe)))
    if left is None:
        raise BudgetExceeded(f"{NOTHING_LEFT} an optimizer: the base run took all; raise the budget")
    together, run, settings = replace(together, observe=of_a_part(together.observe)), none.run, inputs.job.settings
    outcomes = {row.task_id: row.passed for row in run.baseline if row.measured}
    folds = folds_of(run.suite.tasks, outcomes, settings.folds, settings.seed)
    part = JournalPart(together.journal, AFRESH, base)
    known, spent = _afresh(with_budget(inputs, left, 1), none, part, together)
    cost = cost_of_all({"": none.report.cost, "afresh": spent.cost})
    report = none.report.model_copy(update={"cost": cost, "minutes": round(none.report.minutes + spent.minutes, 2)})

    def optimized(setting: Setting) -> tuple[SettingRun, Cut | None]:
        own, settings = replace(setting.inputs, earlier=None), setting.inputs.job.settings
        most = fold_executions(run.suite, settings)
        together.observe(Noted(f"at most {most} executions in {len(folds)} folds"))
        begins = Folds(own, replace(none, run=replace(run, settings=settings)), part, together, f"{setting.name}/")
        begun, cuts = begins.run(folds, settings.budget)
        ended = begun[-1].cut if ends_all(begun[-1].run, begun[-1].cut) else None
        return row_of(setting, begun, cuts, known), ended

    row = SettingRun(NONE, True, report, known, NONE)
    return Start(none, row, LEFT_OUT_TASKS, sum(map(len, folds)), what_is_left(left, spent), optimized)


def _afresh(inputs: Inputs, none: Finished, part: JournalPart, together: Together) -> tuple[Sequence[Evidence], Report]:
    """The initial skill on every task once more, under the addresses that the folds ask for, and what that took."""
    tasks = [task for task in none.run.suite.tasks if not task.unreviewed]
    with open_with(part, inputs, together.observe, together.stop, together.redactor) as opened:
        world = world_of(opened, opened.rollout)
        try:
            rows = world.measure(inputs.skill, tasks, LEFT_OUT[0], none.run.settings.trials)
        except BudgetExceeded as error:
            raise BudgetExceeded(f"the control, executed afresh, is not complete: {error}; raise the budget") from error
        opened.journal.record(END, END, {"stop": NONE if all(row.measured for row in rows) else PARTLY})
        spent = write_report(none.run, opened, part.folder, together.redactor, together.reproduce)
    return rows, spent.report


def row_of(setting: Setting, begun: Sequence[Fold], cuts: Sequence[Cut], known: Sequence[Evidence]) -> SettingRun:
    """What a setting's runs come to together. A fold whose run keeps the initial skill changes nothing there."""
    whole = [fold for fold in begun if fold.cut is None]
    edited = [fold for fold in whole if fold.run.final.digest != fold.run.initial.digest]
    same = {task.id for fold in whole if fold not in edited for task in fold.tasks}
    evidence = [*(row for fold in edited for row in fold.after), *(row for row in known if row.task_id in same)]
    reports = [fold.spent for fold in begun]
    sizes = [report.tokens[report.kept] for report in reports]
    stops = [*(str(stop) for stop, _ in cuts), *(report.stopped for report in reports if report.stopped == "budget")]
    facts = {
        "kept": bool(edited),
        "iterations": [step for report in reports for step in report.iterations],
        "cost": cost_of_all({f"fold {fold.number}": fold.spent.cost for fold in begun}),
        "minutes": round(sum(report.minutes for report in reports), 2),
        "tokens": (reports[0].tokens[0], round(fmean(sizes))),
        "stopped": stops[0] if stops else reports[-1].stopped,
        "why": "; ".join(why for _, why in cuts),
        "headline": f"{len(edited)} of {len(whole)} runs, each without one fold, ended with an edited skill.",
    }
    return SettingRun(
        setting.name, setting.control, reports[0].model_copy(update=facts), evidence, f"{setting.name}/fold-1"
    )
