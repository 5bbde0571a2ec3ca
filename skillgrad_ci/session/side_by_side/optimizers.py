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
from skillgrad_ci.report.comparison import SettingRun, compared, foot, looks, usage_of
from skillgrad_ci.report.statistics import LEVEL
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.file_journal import FileJournal
from skillgrad_ci.session.journal.part import JournalPart
from skillgrad_ci.session.optimize_skill import check_accept
from skillgrad_ci.session.parts import StopRequest
from skillgrad_ci.session.side_by_side.folds import check_folds, with_budget
from skillgrad_ci.session.side_by_side.on_folds import start_on_folds
from skillgrad_ci.session.side_by_side.on_shares import SHARED, Setting, Start, start_on_shares
from skillgrad_ci.session.side_by_side.setups import NOTHING_LEFT
from skillgrad_ci.session.side_by_side.shared_base import NONE, Together
from skillgrad_ci.session.split import all_teach

OWN = frozenset(LoopSettings.model_fields) - {"seed", "trials"}  # what settings that are compared may differ in


@dataclass(frozen=True)
class ComparedRuns:
    """The control `none` and each setting, in order, as far as they came; `cut` says why some are missing, if so."""

    start: Start
    rows: Sequence[SettingRun] = ()
    cut: str = ""
    stop: Stop = Stop.BUDGET


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
    _refuse_unfit(settings)


def _refuse_unfit(settings: Sequence[Setting]) -> None:
    """Raises UserError where the suite cannot serve how some settings accept edits, and names those that it can."""
    unfit: dict[str, UserError] = {}
    check = check_folds if settings[0].inputs.job.settings.split == "cross" else check_accept
    for setting in settings:
        try:
            check(setting.inputs)
        except UserError as error:
            unfit[setting.name] = error
    if unfit:
        fit = ",".join(setting.name for setting in settings if setting.name not in unfit)
        alone = f"; or compare those that this suite can serve: {fit}" if fit else ""
        crossed = "; or all of them by cross-fitting: --split cross" if _can_be_crossed(settings) else ""
        raise UserError(f"{', '.join(unfit)}: {next(iter(unfit.values()))}{alone}{crossed}")


def _can_be_crossed(settings: Sequence[Setting]) -> bool:
    """Whether a comparison of shares that a suite is too small for could be one by cross-fitting."""
    try:
        for setting in settings:
            if setting.inputs.job.settings.split == "cross":
                return False
            all_teach(setting.inputs.suite, {})
            check_folds(setting.inputs)
    except UserError:
        return False
    return True


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
    first = settings[0].inputs
    begin = start_on_folds if first.job.settings.split == "cross" else start_on_shares
    with FileJournal(folder, redactor) as journal:
        for line in journal.damage:
            observe(Noted(line))
        start = begin(first, JournalPart(journal, NONE), Together(journal, observe, stop, redactor, reproduce))
        rows: list[SettingRun] = []
        for setting in settings:
            if start.left is None:
                return ComparedRuns(start, rows, f"{NOTHING_LEFT} an optimizer: the base run took all")
            observe(Noted(f"setting {setting.name}"))
            row, cut = start.optimized(replace(setting, inputs=with_budget(setting.inputs, start.left, 1)))
            rows.append(row)
            if cut is not None:
                return ComparedRuns(start, rows, f"{setting.name}: {cut[1]}", cut[0])
        return ComparedRuns(start, rows)


def document_of(done: ComparedRuns, settings: Sequence[Setting], reproduce: str) -> dict[str, Any]:
    """The comparison as `SettingsCompared` has it."""
    job, start, report = settings[0].inputs.job, done.start, done.start.none.report
    scores = all(setting.inputs.job.settings.decide_by == "score" for setting in settings)
    rows = compared([start.row, *done.rows], start.split, "score" if scores else "pass")
    paid = sum((usage_of(row.cost) for row in rows), Usage())
    return {
        "skill": report.skill,
        "suite": report.suite.name,
        "split": str(start.split),
        "tasks": start.tasks,
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
        "notes": list(foot(rows, start.split)),
        "warnings": [line for line in report.warnings if line != SHARED],
        "cut": done.cut,
        "reproduce": reproduce,
    }
