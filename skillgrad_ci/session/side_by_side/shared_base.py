"""Several runs in one journal that begin with one base run: compared settings, and the folds of a cross-fitting.

The base run executes the initial skill on every task, once, in a part of the journal of its own. The other parts
recall it from there, and what they execute themselves is theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from skillgrad_ci.config.settings import Budget
from skillgrad_ci.errors import BudgetExceeded, Cancelled
from skillgrad_ci.method.events import Estimated, Event, Executed, Measuring
from skillgrad_ci.method.evidence import Flat, flat_signal
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.world.left_out import learning
from skillgrad_ci.method.world.measurements import BASE
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import Inputs, with_triggers
from skillgrad_ci.session.journal.file_journal import END, FileJournal
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import Finished, world_of, write_report
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.rollout import OUTAGE
from skillgrad_ci.session.side_by_side.setups import left_of

NONE = "none"


@dataclass(frozen=True)
class Together:
    """What all parts of one journal have in common."""

    journal: FileJournal
    observe: Observer
    stop: StopRequest
    redactor: Redactor
    reproduce: str


def measure_base(inputs: Inputs, part: JournalPart, together: Together) -> tuple[Finished, Budget | None]:
    """The initial skill on every task, as a run in which nothing is optimized, and what of the budget is left then.

    Raises BudgetExceeded or Cancelled where it was cut: nothing can begin with half of it.
    """
    with open_with(part, inputs, together.observe, together.stop, together.redactor) as opened:
        skill, settings, trials = inputs.skill, inputs.job.settings, inputs.job.settings.trials
        crossed = settings.split == "cross"
        if crossed:
            opened.splits(learning(opened.settled, settings), ())  # tells what all of it may take
        world = with_triggers(world_of(opened, opened.rollout), inputs.triggers, trials)
        try:
            baseline = world.measure(skill, opened.suite.tasks, BASE, trials)
            triggers = world.triggers(skill, "triggers-base") if world.triggers else ()
        except BudgetExceeded as error:
            raise BudgetExceeded(f"the base run, which every run begins with, is not complete: {error}") from error
        except Cancelled as error:
            raise Cancelled(f"{error}; the base run is not complete: the same command goes on with it") from error
        flat = flat_signal(baseline)
        outage = flat is not None and flat[0] is Flat.UNMEASURED
        opened.journal.record(END, END, {"stop": OUTAGE if outage else NONE})
        suite = learning(opened.settled, settings, baseline) if crossed else opened.settled
        run = Run(skill, skill, skill, opened.splits(suite, baseline), settings, inputs.memory)
        run = replace(run, baseline=baseline, triggers=triggers, why="a control: nothing is optimized")
        done = write_report(run, opened, part.folder, together.redactor, together.reproduce)
        return done, left_of(opened.ledger)


def without_base(observe: Observer) -> Callable[[Event], None]:
    """An observer that is not told again of the base run, which every part takes over."""

    def told(event: Event) -> None:
        again = (isinstance(event, Measuring) and event.name == BASE) or (
            isinstance(event, Executed) and event.iteration == BASE
        )
        if not again:
            observe(event)

    return told


def without_estimate(observe: Observer) -> Callable[[Event], None]:
    """An observer that is not told of an estimate, which would be of a part alone."""

    def told(event: Event) -> None:
        if not isinstance(event, Estimated):
            observe(event)

    return told


def of_a_part(observe: Observer) -> Callable[[Event], None]:
    """An observer of a part: it was told of the base run, and of what the whole may take."""
    return without_estimate(without_base(observe))
