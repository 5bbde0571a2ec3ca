"""From a run to its report: the document that all pages are written from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field

from skillgrad_ci import __version__
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.acceptance import DecideBy, check_split
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.budget import Purpose
from skillgrad_ci.method.evidence import Accuracy, Evidence, Usage
from skillgrad_ci.method.gradient import Diagnosis
from skillgrad_ci.method.optimizers.presets import optimizer_of
from skillgrad_ci.method.patch import EditResult
from skillgrad_ci.method.run import Iteration, Run, Stop
from skillgrad_ci.method.task import Split
from skillgrad_ci.report import document as doc
from skillgrad_ci.report.flagged import flagged, on_graders
from skillgrad_ci.report.headline import headline, split_notes
from skillgrad_ci.report.provenance.edits import stands_under, taught_in
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.report.task_rows import task_rows
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Circumstances:
    """What a report says that the run itself does not know."""

    settings: Settings
    skill_path: str
    suite_path: str
    sandbox: str
    reproduce: str
    cost: Mapping[str, Usage] = field(default_factory=dict)
    spent_on: Mapping[tuple[str, Purpose], Usage] = field(default_factory=dict)
    minutes: float = 0.0
    warnings: Sequence[str] = ()
    agent: str = "loop"


def report_of(run: Run, around: Circumstances) -> doc.Report:
    """The report of a run, its headline included."""
    split_of = {task.id: str(task.split or "") for task in run.suite.tasks}
    models = around.settings.models
    report = doc.Report(
        skill=run.initial.name,
        run=run.name,
        skill_path=around.skill_path,
        initial_digest=run.initial.digest,
        final_digest=run.final.digest,
        kept=run.final.digest == run.candidate.digest != run.initial.digest,
        verdict=str(run.verdict),
        chosen_on=str(check_split(run.suite)) if run.suite.of(Split.TRAIN) else "",
        optimizer=f"{run.settings.optimizer.preset}, skillgrad-ci {__version__}",
        agent=around.agent,
        models={role: models.of(role) for role in ("executor", "optimizer", "judge")},
        rehearsal=models.rehearsal,
        seed=run.settings.seed,
        accept=run.settings.accept,
        trials=int(around.settings.trials),
        decide_by=run.settings.decide_by,
        gate=_gate(run),
        suite=_suite(run, around),
        heldout=_comparison(run, Split.HELDOUT, split_of),
        heldout_looks=_looks(run, split_of),
        validation=_comparison(run, Split.VALIDATION, split_of),
        train=_comparison(run, Split.TRAIN, split_of),
        iterations=tuple(_iteration(run, step) for step in run.iterations),
        triggers=_triggers(run),
        tokens=(_tokens(run.initial), _tokens(run.candidate)),
        tasks=tuple(task_rows(run, split_of)),
        chapters=tuple(_chapters(run)),
        flags=tuple(flagged(run)),
        cost=cost_of(around.cost, around.spent_on),
        minutes=round(around.minutes, 2),
        sandbox=around.sandbox,
        versions=_versions([*run.baseline, *run.measured, *run.triggers]),
        warnings=tuple(_warnings(run, around)),
        settings=around.settings.model_dump(mode="json"),
        reproduce=around.reproduce,
        stopped=str(run.stop),
        why=run.why.rstrip("."),
    )
    return headed(report)


def headed(report: doc.Report) -> doc.Report:
    """The report with the headline and the remarks that its facts allow."""
    sentence, remarks = headline(report)
    return report.model_copy(update={"headline": sentence, "remarks": (*remarks, *on_graders(report))})


def measured_of(evidence: Iterable[Evidence]) -> doc.Measured:
    accuracy = Accuracy.of(evidence)
    return doc.Measured(**asdict(accuracy), accuracy=accuracy.value)


def change_of(baseline: Sequence[Evidence], final: Sequence[Evidence], by: DecideBy = "pass") -> doc.Change | None:
    delta = paired(baseline, final, by)
    if delta is None:
        return None
    fields = {name: getattr(delta, name) for name in doc.Change.model_fields}
    return doc.Change(**fields)


def cost_of(by_role: Mapping[str, Usage], by_purpose: Mapping[tuple[str, Purpose], Usage]) -> doc.Cost:
    """What was spent, by role, and by role, iteration and task in the order in which it was spent."""
    roles = {role: doc.Spent(**asdict(usage)) for role, usage in sorted(by_role.items())}
    rows = [doc.SpentOn(**asdict(usage), role=role, **asdict(on)) for (role, on), usage in by_purpose.items()]
    return doc.Cost(**asdict(sum(by_role.values(), Usage())), by_role=roles, by_purpose=rows)


def _gate(run: Run) -> str:
    """What the gate of every step can mean on this suite's validation tasks."""
    tasks = run.suite.of(Split.VALIDATION)
    if run.settings.accept != "validate" or not tasks or not run.iterations:
        return ""
    return run.settings.gate.words(len(tasks), min(task.times(run.settings.trials) for task in tasks))


def _suite(run: Run, around: Circumstances) -> doc.SuiteFacts:
    return doc.SuiteFacts(
        name=run.suite.name,
        path=around.suite_path,
        format=run.suite.format,
        tasks=len(run.suite.tasks),
        counts={str(split): len(run.suite.of(split)) for split in Split},
        warnings=tuple(run.suite.warnings),
    )


def _warnings(run: Run, around: Circumstances) -> Iterable[str]:
    """What a reader must know about the suite, its splits, and what was not executed in this run."""
    yield from around.warnings
    splits = {task.id: task.split for task in run.suite.tasks if task.split}
    yield from split_notes(splits, run.suite.unreviewed, crossed=around.settings.split == "cross")
    yield from _not_executed(run)
    yield from _reused(run)


def _comparison(run: Run, split: Split, split_of: Mapping[str, str]) -> doc.Comparison:
    """The reviewed tasks of a split, before and after: others claim nothing."""
    counted = {task for task, own in split_of.items() if own == split} - set(run.suite.unreviewed)
    before, after = ([row for row in rows if row.task_id in counted] for rows in (run.baseline, run.measured))
    found = comparison_of(before, after, run.settings.decide_by)
    preferring = {task.id for task in run.suite.tasks if task.prefers}
    return found.model_copy(update={"preferred": _preferred(found.delta, preferring & counted)})


def _preferred(delta: doc.Change | None, tasks: Set[str]) -> tuple[int, int, int] | None:
    """Wins, ties and losses of the candidate over the tasks on which a judge compares its result with the initial one.

    A task that has several trials, or other graders beside, is won where its mean score rose.
    """
    if delta is None or not tasks:
        return None
    wins, losses = (len(tasks & set(moved)) for moved in (delta.fixed, delta.broken))
    return wins, len(tasks - set(delta.unpaired)) - wins - losses, losses


def comparison_of(before: Sequence[Evidence], after: Sequence[Evidence], by: DecideBy = "pass") -> doc.Comparison:
    """The same tasks under two skills, as far as they may be compared."""
    if not after:
        return doc.Comparison(baseline=measured_of(before))
    sides = {"baseline": measured_of(before), "final": measured_of(after)}
    partial = by == "pass" and any(row.measured and 0 < row.score < 1 for row in [*before, *after])
    scores = change_of(before, after, "score") if partial else None
    return doc.Comparison(
        **sides, delta=change_of(before, after, by), scores=scores, refused=incomparable(before, after)
    )


def _tokens(skill: Skill) -> int:
    """About how many tokens the text of a skill has: a quarter of its bytes."""
    return -(-sum(map(len, skill.for_agents().files.values())) // 4)


def _triggers(run: Run) -> doc.Comparison | None:
    """The last iteration's skill is the candidate, and so is its trigger evidence."""
    if not run.triggers:
        return None
    return comparison_of(run.triggers, run.iterations[-1].triggers if run.iterations else ())


def _looks(run: Run, split_of: Mapping[str, str]) -> int:
    """How many measurements of this run looked at heldout tasks."""
    return sum(any(split_of[row.task_id] == Split.HELDOUT for row in rows) for rows in (run.baseline, run.measured))


def _not_executed(run: Run) -> Iterable[str]:
    """What the run did not need to measure, and why."""
    known = {row.task_id for row in run.baseline}
    left = {split: [task for task in run.suite.of(split) if task.id not in known] for split in Split}
    if not known:
        return
    if left[Split.TRAIN]:
        train = {task.id for task in run.suite.of(Split.TRAIN)}
        failed = len({row.task_id for row in run.baseline if row.failed and row.task_id in train})
        enough = optimizer_of(run.settings.optimizer).enough(run.settings)
        cut = run.stop in (Stop.BUDGET, Stop.CANCELLED) and (enough is None or failed < enough)
        why = "was cut" if cut else "ended"
        filled = "" if cut else ", enough for all batches"
        yield (
            f"the base run {why} when {failed} training task{'s' if failed != 1 else ''} had failed{filled}: "
            f"{len(left[Split.TRAIN])} of {len(train)} training tasks were not executed"
        )
    if left[Split.HELDOUT] and run.stop not in (Stop.BUDGET, Stop.CANCELLED):
        yield "heldout tasks were not measured, for no candidate survived"


def _reused(run: Run) -> Iterable[str]:
    """From which run baselines were taken, by split."""
    for where in dict.fromkeys(run.reused.values()):
        counts = Counter(str(task.split) for task in run.suite.tasks if run.reused.get(task.id) == where)
        tasks = " and ".join(f"{number} {split} tasks" for split, number in counts.items())
        yield f"the initial skill's results on {tasks} are reused from {where}: skill, task and versions are the same"


def _versions(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    return tuple(sorted({version for row in evidence for version in row.versions.split("; ") if version}))


def _iteration(run: Run, step: Iteration) -> doc.IterationFacts:
    return doc.IterationFacts(
        number=step.number,
        batch=tuple(row.task_id for row in step.batch),
        failed=tuple(row.task_id for row in step.batch if row.failed),
        unmeasured=tuple(row.task_id for row in step.batch if not row.measured),
        contrastive=tuple(d.task_id for d in step.diagnoses if d.kind == "contrastive"),
        diagnoses=tuple(map(_diagnosis, step.diagnoses)),
        overlay=tuple(step.overlay.entries),
        themes=tuple(f"{theme.slug}: {theme.line}" for theme in step.overlay.themes),
        edits=tuple(_edit(run, step, result) for result in step.edits),
        verdict=step.verdict,
        validation=measured_of(step.validation) if step.validation else None,
        dropped=dict(step.dropped),
        reused=dict(step.reused),
    )


def _diagnosis(diagnosis: Diagnosis) -> doc.DiagnosisFacts:
    fields = asdict(diagnosis)
    return doc.DiagnosisFacts(task=fields.pop("task_id"), **fields)


def _edit(run: Run, step: Iteration, result: EditResult) -> doc.EditFacts:
    fields = {name: value for name, value in asdict(result.edit).items() if name in doc.EditFacts.model_fields}
    under = stands_under(result.edit, run.candidate) if result.status == "accepted" else ""
    taught = taught_in(result.edit, step, run)
    return doc.EditFacts(**fields, status=str(result.status), reason=result.reason, under=under, taught_in=taught)


def _chapters(run: Run) -> Iterable[doc.Chapter]:
    """How often each resource was read: a chapter that nobody opens teaches nothing."""
    batches = [row for step in run.iterations for row in step.batch if row.task_id not in step.reused]
    counts = [
        Counter(file for row in rows for file in set(row.trajectory.references_read))
        for rows in (run.baseline, batches, run.measured)
    ]
    for file in sorted({*run.initial.resources, *run.candidate.resources}):
        base, learning, final = (count[file] for count in counts)
        yield doc.Chapter(file=file, baseline=base, batches=learning, final=final)
