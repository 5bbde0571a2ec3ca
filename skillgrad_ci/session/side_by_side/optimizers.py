"""Optimizers side by side: several settings on one suite, with the same split, seeds and budget, from one base run.

All of it is one journal. The base run is its part `none`, the control: it is paid once, counts in every setting's
budget, and every setting begins with it. What a setting pays for is its own, also where another one asked the same.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.events import Noted
from skillgrad_ci.method.evidence import Usage
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.method.run import Stop
from skillgrad_ci.method.settings import LoopSettings
from skillgrad_ci.method.task import digest_of
from skillgrad_ci.report.comparison import compared, foot, looks, shown_split, usage_of
from skillgrad_ci.report.statistics import LEVEL
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.open_run import open_with
from skillgrad_ci.session.optimize_skill import Finished, check_accept, optimize_opened
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.side_by_side.setups import NOTHING_LEFT
from skillgrad_ci.session.side_by_side.shared_base import NONE, Together, measure_base, without_base

OWN = frozenset(LoopSettings.model_fields) - {"seed", "trials"}  # what settings that are compared may differ in
SHARED = "The base run is shared with the settings beside this one: it counts in the budget, and not in this cost."


@dataclass(frozen=True)
class Setting:
    """One of the compared settings, by its name in the table."""

    name: str
    inputs: Inputs
    control: bool = False


@dataclass(frozen=True)
class ComparedRuns:
    """The control `none` and each setting's run, in order, as far as they came; `cut` says why some are missing."""

    none: Finished
    runs: Sequence[tuple[Setting, Finished]] = ()
    cut: str = ""
    cancelled: bool = False


def folder_name(settings: Sequence[Setting]) -> str:
    """A comparison is known by all that decides its runs."""
    return f"compare-{digest_of([[setting.name, setting.inputs.fingerprint] for setting in settings])[:12]}"


def refuse_unlike(settings: Sequence[Setting]) -> None:
    """Raises UserError where two settings differ in more than how they optimize, or where one cannot be run."""
    first, *others = settings
    for other in others:
        for what, one, two in _unlike(first.inputs, other.inputs):
            raise UserError(
                f"{first.name} and {other.name} differ in {what} ({one} and {two}); make them alike in all but "
                f"{', '.join(sorted(OWN))}"
            )
    if first.inputs.job.settings.split == "cross":
        raise UserError("compare measures all settings on the same tasks, which split: cross has not; leave it out")
    _refuse_unfit(settings)


def _refuse_unfit(settings: Sequence[Setting]) -> None:
    """Raises UserError where the suite cannot serve how some settings accept edits, and names those that it can."""
    unfit: dict[str, UserError] = {}
    for setting in settings:
        try:
            check_accept(setting.inputs)
        except UserError as error:
            unfit[setting.name] = error
    if unfit:
        fit = ",".join(setting.name for setting in settings if setting.name not in unfit)
        alone = f"; or compare those that this suite can serve: {fit}" if fit else ""
        raise UserError(f"{', '.join(unfit)}: {next(iter(unfit.values()))}{alone}")


def _unlike(one: Inputs, two: Inputs) -> list[tuple[str, object, object]]:
    facts: list[tuple[str, object, object]] = [
        ("the skill", one.skill.digest[:12], two.skill.digest[:12]),
        ("the suite, or what is measured with it", one.measure[:12], two.measure[:12]),
        ("the memory", digest_of([one.memory.render()])[:12], digest_of([two.memory.render()])[:12]),
        ("the recorded splits", dict(one.recorded), dict(two.recorded)),
    ]
    before, after = (inputs.job.settings.model_dump(mode="json", exclude=set(OWN)) for inputs in (one, two))
    return [row for row in [*facts, *((key, before[key], after[key]) for key in before)] if row[1] != row[2]]


def compare_settings(
    settings: Sequence[Setting],
    folder: Path,
    observe: Observer,
    stop: StopRequest,
    redactor: Redactor,
    reproduce: str = "",
) -> ComparedRuns:
    """Run every setting in a part of one journal.

    Raises UserError before anything is spent, and BudgetExceeded or Cancelled where the base run was cut.
    """
    refuse_unlike(settings)
    with FileJournal(folder, redactor) as journal:
        for line in journal.damage:
            observe(Noted(line))
        together = Together(journal, observe, stop, redactor, reproduce)
        base = JournalPart(journal, NONE)
        none, budget = measure_base(settings[0].inputs, base, together)
        runs: list[tuple[Setting, Finished]] = []
        for setting in settings:
            if budget is None:
                return ComparedRuns(none, runs, f"{NOTHING_LEFT} an optimizer: the base run took all")
            job = setting.inputs.job
            job = replace(job, settings=job.settings.model_copy(update={"budget": budget}))
            done = _optimize(replace(setting, inputs=replace(setting.inputs, job=job)), base, together)
            runs.append((setting, done))
            if done.run.stop in (Stop.CANCELLED, Stop.UNMEASURED):
                return ComparedRuns(none, runs, f"{setting.name}: {done.run.why}", done.run.stop is Stop.CANCELLED)
        return ComparedRuns(none, runs)


def _optimize(setting: Setting, base: JournalPart, together: Together) -> Finished:
    """One setting's run, in its own part of the journal and its own folder."""
    together.observe(Noted(f"setting {setting.name}"))
    part = JournalPart(together.journal, setting.name, base)
    observe = without_base(together.observe)
    with open_with(part, setting.inputs, observe, together.stop, together.redactor) as opened:
        opened = replace(opened, notes=[*opened.notes, SHARED])
        return optimize_opened(setting.inputs, opened, part.folder, together.redactor, together.reproduce)


def document_of(done: ComparedRuns, settings: Sequence[Setting], reproduce: str) -> dict[str, Any]:
    """The comparison as `SettingsCompared` has it."""
    job, base, report = settings[0].inputs.job, done.none.run, done.none.report
    named = [(NONE, True, done.none), *((setting.name, setting.control, run) for setting, run in done.runs)]
    rows = compared([(name, control, run.run, run.report) for name, control, run in named])
    split = shown_split(base)
    paid = sum((usage_of(row.cost) for row in rows), Usage())
    return {
        "skill": report.skill,
        "suite": report.suite.name,
        "split": str(split),
        "tasks": len(base.suite.of(split)),
        "trials": job.settings.trials,
        "seed": report.seed,
        "agent": report.agent,
        "models": report.models,
        "rehearsal": report.rehearsal,
        "sandbox": report.sandbox,
        "budget": job.settings.budget.model_dump(exclude_none=True),
        "paid": asdict(paid),
        "looks": looks(rows),
        "level": LEVEL,
        "settings": [row.model_dump() for row in rows],
        "notes": list(foot(rows, split)),
        "warnings": [line for line in report.warnings if line != SHARED],
        "cut": done.cut,
        "reproduce": reproduce,
    }
