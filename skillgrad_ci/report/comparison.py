"""Several settings on one suite, side by side: the document `comparison.json`, and what may be claimed from it.

A claim sets the skill that a setting ended with against a control's on the same unseen tasks. Several claims are looked
at together, so their p-values are corrected by Holm's method (S. Holm, Scandinavian Journal of Statistics 6 (1979)
65-70), which keeps the chance of one wrong claim among all of them below the level, whatever hangs on what.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillgrad_ci.method.acceptance import DecideBy, check_split, pass_rates
from skillgrad_ci.method.evidence import Evidence, Usage
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.document import Change, Cost, Facts, Measured, Report, Spent
from skillgrad_ci.report.report import change_of, measured_of
from skillgrad_ci.report.statistics import LEVEL, wilson

LEFT_OUT_TASKS = "left-out"  # the tasks of a comparison by cross-fitting, in the place of a split


class AgainstControl(Facts):
    """A setting's skill against a control's; `change` is None where one of them is not measured. `p_value` of the
    change is as it stands, `corrected` counts the looks, and `clear` is judged by it."""

    against: str
    change: Change | None
    corrected: float | None
    clear: bool


class ComparedSetting(Facts):
    """One row. `measured` is the skill that the setting ended with on the table's tasks, `interval` its own at 95%.

    `cost` is what the setting took besides the base run; of the control `none` it is the base run. `chosen_here` says
    that these tasks chose the skill. `folder` is where its report is.
    """

    name: str
    control: bool
    optimizer: str
    accept: str
    kept: bool
    edits: int
    iterations: int
    measured: Measured
    interval: tuple[float, float] | None
    claims: tuple[AgainstControl, ...]
    cost: Spent
    minutes: float
    skill_tokens: int
    chosen_here: bool
    stopped: str
    why: str
    headline: str
    folder: str


class SettingsCompared(Facts):
    """`compare`. `split` names the tasks that the accuracies are of (`left-out`: by cross-fitting), `budget` is each
    setting's, `paid` is the sum.

    `notes` is the table's foot, `cut` says why settings are missing.
    """

    skill: str
    suite: str
    split: str
    tasks: int
    trials: int
    seed: int
    agent: str
    models: Mapping[str, str]
    rehearsal: bool
    sandbox: str
    budget: Mapping[str, Any]
    paid: Spent
    looks: int
    level: float
    settings: tuple[ComparedSetting, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    cut: str
    reproduce: str


def ended_with(run: Run, split: Split, base: Sequence[Evidence]) -> Sequence[Evidence]:
    """What was measured on a split of the skill that the run keeps; `base` is what the initial skill did."""
    tasks = {task.id for task in run.suite.of(split)}
    kept = run.final.digest != run.initial.digest
    return [row for row in (run.measured if kept else base) if row.task_id in tasks]


@dataclass(frozen=True)
class SettingRun:
    """A setting that is compared: its report, and what the skill that it ended with did on the table's tasks."""

    name: str
    control: bool
    report: Report
    evidence: Sequence[Evidence]
    folder: str  # where its report is


def compared(rows: Sequence[SettingRun], split: str, by: DecideBy = "pass") -> list[ComparedSetting]:
    """The rows, each set against the controls before it. The first is `none`. The changes are of what `by` says."""
    ends = {row.name: row.evidence for row in rows}
    controls = [row.name for row in rows if row.control]
    claims = {
        name: [(other, change_of(ends[other], ends[name], by)) for other in _against(name, controls)] for name in ends
    }
    corrected = iter(holm([change.p_value for said in claims.values() for _, change in said if change]))
    return [
        ComparedSetting(
            name=row.name,
            control=row.control,
            optimizer=row.report.optimizer,
            accept=row.report.accept,
            kept=row.report.kept,
            edits=len(row.report.accepted),
            iterations=len(row.report.iterations),
            measured=measured_of(row.evidence),
            interval=_interval(row.evidence),
            claims=tuple(_claims(claims[row.name], corrected)),
            cost=_spent(row.report.cost),
            minutes=row.report.minutes,
            skill_tokens=row.report.tokens[1] if row.report.kept else row.report.tokens[0],
            chosen_here=row.report.kept and row.report.accept != "always" and row.report.chosen_on == split,
            stopped="" if row is rows[0] else row.report.stopped,
            why=row.report.why,
            headline=row.report.headline,
            folder=row.folder,
        )
        for row in rows
    ]


def shown_split(run: Run) -> Split:
    """Which tasks the table is about: heldout, and where a suite has none, what the end check looks at."""
    return Split.HELDOUT if run.suite.of(Split.HELDOUT) else check_split(run.suite)


def holm(values: Sequence[float]) -> list[float]:
    """The p-values as they count when all of them are looked at: Holm's step-down correction."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    corrected, highest = [0.0] * len(values), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[at]))
        corrected[at] = highest
    return corrected


def foot(rows: Sequence[ComparedSetting], split: str) -> Iterator[str]:
    """What a reader of the table must know: its foot."""
    yield (
        f"{looks(rows)} changes are looked at together: p is corrected for that by Holm's method, and a change is "
        f"clear only where its corrected p is below {LEVEL:g} and its own 95% interval leaves no change out."
    )
    yield (
        "Every setting had the same tasks, seeds and budget. The base run is the control none: it counts in each "
        "budget and was paid once. Intervals are of each row alone."
    )
    yield (
        "Two settings are not set against each other, and the best of several looks better than it is: measure the one "
        "you take again, on tasks that no run has seen."
    )
    if any(claim.change is not None and claim.change.by == "score" for row in rows for claim in row.claims):
        yield "The changes are of mean scores (decide_by: score); accuracy counts whole passes."
    if any(row.chosen_here for row in rows):
        here = ", ".join(row.name for row in rows if row.chosen_here)
        yield f"The {split} tasks also chose the skill ({here}): the figure flatters it."
    if split == LEFT_OUT_TASKS:
        yield (
            "Each setting learned once for each fold, without it, and its figure is of the tasks left out: an estimate "
            "of what such runs gain. Intervals take the folds' skills as given. Edits and costs are of all folds "
            "together; of each setting the report of its first fold is linked, and the others lie beside it."
        )
    if split == Split.TRAIN:
        yield "The skills learned from these tasks: the figures say little about others."


def looks(rows: Sequence[ComparedSetting]) -> int:
    """How many changes are looked at."""
    return sum(claim.change is not None for row in rows for claim in row.claims)


def usage_of(spent: Spent) -> Usage:
    return Usage(**spent.model_dump(include=set(Spent.model_fields)))


def _against(name: str, controls: Sequence[str]) -> list[str]:
    """The controls that a row is set against: all, but of a control only those before it."""
    return list(controls[: controls.index(name)] if name in controls else controls)


def _claims(said: Sequence[tuple[str, Change | None]], corrected: Iterator[float]) -> Iterator[AgainstControl]:
    for other, change in said:
        p_value = None if change is None else next(corrected)
        clear = change is not None and p_value is not None and change.clear and p_value < LEVEL
        yield AgainstControl(against=other, change=change, corrected=p_value, clear=clear)


def _interval(evidence: Sequence[Evidence]) -> tuple[float, float] | None:
    """Wilson's, over tasks: trials of one task are not independent."""
    rates = [float(rate) for rate in pass_rates(evidence).values()]
    return wilson(sum(rates) / len(rates), len(rates)) if rates else None


def _spent(cost: Cost) -> Spent:
    return Spent(**cost.model_dump(include=set(Spent.model_fields)))
