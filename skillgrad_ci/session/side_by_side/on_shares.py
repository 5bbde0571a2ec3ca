"""What is compared, a setting, and how its run begins: here on a suite whose tasks teach, choose or are held out.

The base run is paid once and is the control `none`. A setting begins with it and with the split that follows from it.
`on_folds.py` has the same for suites too small for that.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from skillgrad_ci.config.settings import Budget
from skillgrad_ci.report.comparison import SettingRun, ended_with, shown_split
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import Finished, optimize_opened
from skillgrad_ci.session.side_by_side.folds import CUTS, Cut
from skillgrad_ci.session.side_by_side.shared_base import NONE, Together, measure_base, without_base

SHARED = "The base run is shared with the settings beside this one: it counts in the budget, and not in this cost."


@dataclass(frozen=True)
class Setting:
    """One of the compared settings, by its name in the table."""

    name: str
    inputs: Inputs
    control: bool = False


@dataclass(frozen=True)
class Start:
    """What all settings begin with: the control, the table's tasks, and what of the budget is left for each.

    `optimized` runs a setting; it gives the table's row, and what would cut the settings after it as well.
    """

    none: Finished
    row: SettingRun
    split: str
    tasks: int
    left: Budget | None
    optimized: Callable[[Setting], tuple[SettingRun, Cut | None]]


def start_on_shares(inputs: Inputs, base: JournalPart, together: Together) -> Start:
    """Raises BudgetExceeded or Cancelled where the base run was cut."""
    none, left = measure_base(inputs, base, together)
    split, known = shown_split(none.run), none.run.baseline

    def optimized(setting: Setting) -> tuple[SettingRun, Cut | None]:
        done = _optimize(setting, base, together)
        row = SettingRun(setting.name, setting.control, done.report, ended_with(done.run, split, known), setting.name)
        return row, (done.run.stop, done.run.why) if done.run.stop in CUTS else None

    row = SettingRun(NONE, True, none.report, ended_with(none.run, split, known), NONE)
    return Start(none, row, split, len(none.run.suite.of(split)), left, optimized)


def _optimize(setting: Setting, base: JournalPart, together: Together) -> Finished:
    """One setting's run, in its own part of the journal and its own folder."""
    part = JournalPart(together.journal, setting.name, base)
    observe = without_base(together.observe)
    with open_with(part, setting.inputs, observe, together.stop, together.redactor) as opened:
        opened = replace(opened, notes=[*opened.notes, SHARED])
        return optimize_opened(setting.inputs, opened, part.folder, together.redactor, together.reproduce)
