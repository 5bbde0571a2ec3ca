"""From a run to its report: the document that all pages are written from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from skillgrad_ci import __version__
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.acceptance import DecideBy, check_split, pass_rates
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.method.budget import Purpose
from skillgrad_ci.method.evidence import Accuracy, Evidence, Usage
from skillgrad_ci.method.gradient import Diagnosis
from skillgrad_ci.method.leaks import gaming, leaks
from skillgrad_ci.method.optimizers.presets import optimizer_of
from skillgrad_ci.method.patch import EditResult
from skillgrad_ci.method.run import Iteration, Run, Stop
from skillgrad_ci.method.task import Split, Suite
from skillgrad_ci.report import document as doc
from skillgrad_ci.report.headline import headline, split_notes
from skillgrad_ci.report.provenance.edits import stands_under, taught_in
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.skill.review_flags import Flag, flags
from skillgrad_ci.skill.skill import Skill

NEAR = "comes near a grader"  # a flag's kind
TEXT_BOUND = 2_000  # characters of a prompt, and of what a grader said before or after
FEEDBACK_BOUND = 300  # characters of a grader's feedback in the table of tasks


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
        tasks=tuple(_tasks(run, split_of)),
        chapters=tuple(_chapters(run)),
        flags=tuple(_flags(run)),
        cost=cost_of(around.cost, around.spent_on),
        minutes=round(around.minutes, 2),
        sandbox=around.sandbox,
        versions=_versions([*run.baseline, *run.measured, *run.triggers]),
        warnings=(
            *around.warnings,
            *split_notes(_splits(run.suite), run.suite.unreviewed),
            *_not_executed(run),
        ),
        settings=around.settings.model_dump(mode="json"),
        reproduce=around.reproduce,
        stopped=str(run.stop),
        why=run.why.rstrip("."),
    )
    sentence, remarks = headline(report)
    return report.model_copy(update={"headline": sentence, "remarks": (*remarks, *_on_graders(report))})


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
    return run.settings.gate.words(len(tasks), min(task.trials or run.settings.trials for task in tasks))


def _suite(run: Run, around: Circumstances) -> doc.SuiteFacts:
    return doc.SuiteFacts(
        name=run.suite.name,
        path=around.suite_path,
        format=run.suite.format,
        tasks=len(run.suite.tasks),
        counts={str(split): len(run.suite.of(split)) for split in Split},
        warnings=tuple(run.suite.warnings),
    )


def _splits(suite: Suite) -> Mapping[str, Split]:
    return {task.id: task.split for task in suite.tasks if task.split}


def _comparison(run: Run, split: Split, split_of: Mapping[str, str]) -> doc.Comparison:
    """The reviewed tasks of a split, before and after: others claim nothing."""
    counted = {task for task, own in split_of.items() if own == split} - set(run.suite.unreviewed)
    before, after = ([row for row in rows if row.task_id in counted] for rows in (run.baseline, run.measured))
    return _compared(before, after, run.settings.decide_by)


def _compared(before: Sequence[Evidence], after: Sequence[Evidence], by: DecideBy = "pass") -> doc.Comparison:
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
    return _compared(run.triggers, run.iterations[-1].triggers if run.iterations else ())


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
    )


def _diagnosis(diagnosis: Diagnosis) -> doc.DiagnosisFacts:
    fields = asdict(diagnosis)
    return doc.DiagnosisFacts(task=fields.pop("task_id"), **fields)


def _edit(run: Run, step: Iteration, result: EditResult) -> doc.EditFacts:
    fields = {name: value for name, value in asdict(result.edit).items() if name in doc.EditFacts.model_fields}
    under = stands_under(result.edit, run.candidate) if result.status == "accepted" else ""
    taught = taught_in(result.edit, step, run)
    return doc.EditFacts(**fields, status=str(result.status), reason=result.reason, under=under, taught_in=taught)


def _on_graders(report: doc.Report) -> Iterable[str]:
    """What a reviewer may rely on: no edit that repeats a grader was taken; and what they must judge themselves."""
    if not report.accepted:
        return
    near = sum(flag.kind == NEAR for flag in report.flags)
    lines = f"{near} added line{'s come' if near > 1 else ' comes'} near"
    yield (
        f"{lines} a training task's grader: look at them by hand."
        if near
        else "No added line repeats a training task's grader, or comes near one."
    )
    taught = {(flag.file, flag.line): flag.kind for flag in report.flags if flag.kind in gaming.KINDS}
    if taught:
        kinds = ", ".join(kind for kind in gaming.KINDS if kind in taught.values())
        lines = f"{len(taught)} added line{'s' if len(taught) > 1 else ''} may teach the test and not the work"
        yield f"{lines} ({kinds}): look at them by hand."


def _flags(run: Run) -> Iterable[Flag]:
    """Added lines to look at: commands and addresses, what may win on these tasks alone, what comes near a grader."""
    yield from flags(run.initial, run.candidate)
    yield from gaming.gaming(run.initial, run.candidate, run.suite.of(Split.TRAIN))
    yield from _near_graders(run)


def _near_graders(run: Run) -> Iterable[Flag]:
    """Added lines that come near a training task's grader; those that repeat one were refused."""
    for item in leaks(run.initial, run.candidate, run.suite.of(Split.TRAIN)):
        text = run.candidate.read(item.file).split("\n")[item.line - 1]
        yield Flag(kind=NEAR, file=item.file, line=item.line, text=text.strip())


def _tasks(run: Run, split_of: Mapping[str, str]) -> Iterable[doc.TaskFacts]:
    before, after = pass_rates(run.baseline), pass_rates(run.measured)
    feedback = {row.task_id: row.feedback for row in [*run.baseline, *run.measured] if not row.passed}
    sides = [_by_task(run.baseline), _by_task(run.measured)]
    for task in run.suite.tasks:
        old, new = before.get(task.id), after.get(task.id)
        said = "" if new == 1 else feedback.get(task.id, "")
        yield doc.TaskFacts(
            id=task.id,
            split=split_of[task.id],
            baseline=None if old is None else float(old),
            final=None if new is None else float(new),
            feedback=_cut(said, FEEDBACK_BOUND),
            prompt=_cut(task.instruction, TEXT_BOUND),
            scores=(_score(sides[0].get(task.id, ())), _score(sides[1].get(task.id, ()))),
            said=(_said(sides[0].get(task.id, ())), _said(sides[1].get(task.id, ()))),
        )


def _by_task(evidence: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    rows: dict[str, list[Evidence]] = {}
    for row in evidence:
        rows.setdefault(row.task_id, []).append(row)
    return rows


def _score(rows: Sequence[Evidence]) -> float | None:
    scores = [row.score for row in rows if row.measured]
    return sum(scores) / len(scores) if scores else None


def _said(rows: Sequence[Evidence]) -> str:
    return _cut(next((row.feedback for row in rows if row.measured), ""), TEXT_BOUND)


def _cut(text: str, bound: int) -> str:
    return text[:bound] + ("…" if len(text) > bound else "")


def _chapters(run: Run) -> Iterable[doc.Chapter]:
    """How often each resource was read: a chapter that nobody opens teaches nothing."""
    batches = [row for step in run.iterations for row in step.batch]
    counts = [
        Counter(file for row in rows for file in set(row.trajectory.references_read))
        for rows in (run.baseline, batches, run.measured)
    ]
    for file in sorted({*run.initial.resources, *run.candidate.resources}):
        base, learning, final = (count[file] for count in counts)
        yield doc.Chapter(file=file, baseline=base, batches=learning, final=final)
