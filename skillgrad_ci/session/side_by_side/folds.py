"""The folds of a cross-fitting: runs that each leave some tasks out, one after the other under what is left of one cap.

A fold that a cap or a clock cut counts in no figure, and ends no other: what it did not need goes to those after it. An
outage, or a person who cancels, ends the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from skillgrad_ci.config.settings import Budget
from skillgrad_ci.errors import BudgetExceeded, Cancelled, UserError
from skillgrad_ci.method.acceptance import GATED
from skillgrad_ci.method.budget import MORE, Cap, Purpose
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.evidence import Evidence, Usage
from skillgrad_ci.method.optimize import worn_out
from skillgrad_ci.method.run import Run, Stop
from skillgrad_ci.method.task import Task
from skillgrad_ci.method.world import World, executions_of
from skillgrad_ci.method.world.left_out import LEAST, learn_without, measure_left_out
from skillgrad_ci.method.world.measurements import BASE
from skillgrad_ci.report.comparison import usage_of
from skillgrad_ci.report.document import Cost, Report
from skillgrad_ci.report.report import cost_of
from skillgrad_ci.session.inputs import Inputs, with_triggers
from skillgrad_ci.session.journal.file_journal import END
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import Finished, check_accept, world_of, write_report
from skillgrad_ci.session.rollout import OUTAGE, PARTLY
from skillgrad_ci.session.side_by_side.setups import NOTHING_LEFT
from skillgrad_ci.session.side_by_side.shared_base import Together
from skillgrad_ci.session.split import fold_sizes

MOST_KEPT = 0.8  # of a fold's budget, for the tasks that its run left out
CUTS = {Stop.CANCELLED, Stop.UNMEASURED}
Cut = tuple[Stop, str]  # how, and why


@dataclass(frozen=True)
class Fold:
    """A run that learned without `tasks`, and both skills' evidence on them, where nothing `cut` it.

    `spent` is its report, for its cost.
    """

    number: int
    run: Run
    tasks: Sequence[Task]
    before: Sequence[Evidence]
    after: Sequence[Evidence]
    spent: Report
    cut: Cut | None = None


def ends_all(run: Run, cut: Cut | None) -> bool:
    """Whether what cut a fold's run would cut the runs after it as well: a person, or an outage."""
    return cut is not None and (cut[0] is Stop.CANCELLED or worn_out(run, None) is not None)


def check_folds(inputs: Inputs) -> None:
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


def with_budget(inputs: Inputs, left: Budget, runs: int) -> Inputs:
    """The inputs with an equal part of what is left for so many runs."""
    cap = left.cap()[0].part(1 / runs)
    budget = Budget(usd=cap.usd, tokens=cap.tokens, minutes=cap.minutes)
    return replace(inputs, job=replace(inputs.job, settings=inputs.job.settings.model_copy(update={"budget": budget})))


def what_is_left(left: Budget, spent: Report) -> Budget | None:
    """What is left of a budget after a run; None where nothing is."""
    cost = usage_of(spent.cost)
    rows = [(left.usd, cost.usd or 0.0), (left.tokens, cost.tokens), (left.minutes, spent.minutes)]
    usd, tokens, minutes = (None if cap is None else cap - took for cap, took in rows)
    if any(value is not None and value <= 0 for value in (usd, tokens, minutes)):
        return None
    return Budget(usd=usd, tokens=None if tokens is None else int(tokens), minutes=minutes)


def cost_of_all(costs: Mapping[str, Cost]) -> Cost:
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


@dataclass(frozen=True)
class Folds:
    """What all folds begin with; `within` is the name before a fold's own, in the journal and as its folder."""

    inputs: Inputs
    none: Finished
    part: JournalPart
    together: Together
    within: str = ""

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

    def run(self, folds: Sequence[Sequence[str]], left: Budget | None) -> tuple[list[Fold], list[Cut]]:
        """The folds that were begun, and what cut some of them, or kept them from being begun."""
        begun: list[Fold] = []
        cuts: list[Cut] = []
        for number, ids in enumerate(folds, 1):
            if left is None:
                return begun, [*cuts, (Stop.BUDGET, f"{NOTHING_LEFT} fold {number}")]
            fold = self.fold(number, with_budget(self.inputs, left, len(folds) + 1 - number), ids)
            begun.append(fold)
            if fold.cut is not None:
                cuts.append((fold.cut[0], f"fold {number}: {fold.cut[1]}"))
            if ends_all(fold.run, fold.cut):
                break
            left = what_is_left(left, fold.spent)
        return begun, cuts

    def fold(self, number: int, inputs: Inputs, ids: Sequence[str]) -> Fold:
        """One run that never sees these tasks, then both skills on them."""
        together, tasks = self.together, [task for task in self.base.suite.tasks if task.id in ids]
        learned = len(self.base.suite.tasks) - len(tasks)
        together.observe(Noted(f"fold {number}: learns from {learned} tasks, to be measured on {len(tasks)}"))
        part = JournalPart(together.journal, f"{self.within}fold-{number}", self.part)
        with open_with(part, inputs, together.observe, together.stop, together.redactor) as opened:
            world = with_triggers(world_of(opened, opened.rollout), inputs.triggers, inputs.job.settings.trials)
            with opened.ledger.keeping(self.kept(opened.ledger.cap, tasks)):
                run = learn_without(self.base, ids, world, f"{inputs.name}-{number}")
            before, after, cut = self.measure(run, ids, world)
            lost = not all(row.measured for row in [*before, *after])
            stop = cut[0] if cut else run.stop
            ended = OUTAGE if stop is Stop.UNMEASURED else PARTLY if lost else str(stop)
            opened.journal.record(END, END, {"stop": ended})
            spent = write_report(run, opened, part.folder, together.redactor, together.reproduce)
        return Fold(number, run, tasks, before, after, spent.report, cut)

    def measure(
        self, run: Run, ids: Sequence[str], world: World
    ) -> tuple[Sequence[Evidence], Sequence[Evidence], Cut | None]:
        """Both skills on a fold's tasks, and what cut that or the run before it."""
        if run.stop in CUTS:
            return (), (), (run.stop, run.why)
        try:
            with world.ledger.final_measurement():
                return *measure_left_out(self.base, run, ids, world), None
        except BudgetExceeded as error:
            return (), (), (Stop.BUDGET, str(error))
        except Cancelled as error:
            return (), (), (Stop.CANCELLED, str(error))
