"""Measure the base and the head of a pull request that touches a skill: a comment and a check."""

from collections.abc import Sequence
from pathlib import Path

from skillgrad_ci.bot.bot import Bot, Ending, annotate_lint
from skillgrad_ci.bot.committed import skill_at
from skillgrad_ci.bot.decide import Evaluate
from skillgrad_ci.bot.money import measured
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.document.inert_text import code, shown
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.github.body import BodyPart, compose
from skillgrad_ci.github.client import Refusal
from skillgrad_ci.github.comments import Comment
from skillgrad_ci.github.git_data import commit_at, folder_at
from skillgrad_ci.method.acceptance.clock import incomparable, overrun
from skillgrad_ci.method.evidence import Accuracy, Evidence
from skillgrad_ci.method.task import Split
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import Delta, paired
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.skill import Skill


def evaluate_job(bot: Bot, decision: Evaluate) -> list[Ending]:
    """One result a touched skill. Raises UserError where the workspace is not the base."""
    if bot.api.blind:
        return [Ending("ignored", "dry run without a token: the pull request's files cannot be read")]
    refuse_other_workspace(bot.context.workspace, decision.base)
    touched = [job for job in bot.configuration.skills if is_touched(bot, job, decision)]
    if not touched:
        return [Ending("ignored", f"#{decision.pull} touches no configured skill")]
    return [_guarded(bot, job, decision) for job in touched]


def refuse_other_workspace(workspace: Path, base: str) -> None:
    """Tasks, graders and configuration decide what runs beside the key: they come from the base alone."""
    head = workspace / ".git" / "HEAD"
    content = head.read_text(encoding="utf-8").strip() if head.is_file() else "nothing"
    if content != base:
        raise UserError(
            f"{workspace}: {content[:60]} is checked out, not the pull request's base {base[:7]}; "
            "give actions/checkout ref: ${{ github.event.pull_request.base.sha }}"
        )


def is_touched(bot: Bot, job: SkillRun, decision: Evaluate) -> bool:
    """Whether head and base differ in the skill's folder, by the names of the files' contents."""
    sides = [folder_at(bot.api, commit_at(bot.api, sha), bot.path(job)) for sha in (decision.base, decision.head)]
    return sides[0] != sides[1]


def _guarded(bot: Bot, job: SkillRun, decision: Evaluate) -> Ending:
    """One skill's failure does not stop the others."""
    try:
        return _evaluate(bot, job, decision)
    except SkillGradError as error:
        return bot.failed(error)


def _evaluate(bot: Bot, job: SkillRun, decision: Evaluate) -> Ending:
    bot.refuse_rehearsal(job)
    inputs = read_inputs(job)
    head = skill_at(bot.api, decision.head, bot.path(job), inputs.skill.folder)
    if head is None:
        return Ending("ignored", f"{job.name}: removed by #{decision.pull}")
    annotate_lint(bot, job, head)
    comment = Comment(bot.api, decision.pull, f"evaluate-{job.name}")  # first, as the proof that it can be told
    comment.show(f"Measuring {code(job.name)} as it is in the base and in this pull request.")
    progress = Progress(bot.log, job.name, verbose=bot.context.debug)
    try:
        before, after = measured(bot, inputs, [inputs.skill, head], inputs.suite.reviewed().tasks, progress)
    except SkillGradError as error:
        comment.show(f"{code(job.name)} was not measured: {shown(bot.context.relative(str(error)), 1000)}")
        raise
    delta, accuracy = paired(before, after, inputs.job.settings.decide_by), Accuracy.of(after)
    text = comparison_text(inputs, head, before, after, delta)
    comment.show(text)
    conclusion, title = verdict(accuracy, bot.context.inputs.threshold, overrun(after))
    _check(bot, decision, f"SkillGrad: {job.name}", conclusion, {"title": title, "summary": text})
    bot.log.summary(text)
    change = delta.change if delta else None
    return Ending(
        "evaluated", f"{job.name}: {title}", delta=change, baseline=Accuracy.of(before).value, final=accuracy.value
    )


def _check(bot: Bot, decision: Evaluate, name: str, conclusion: str, output: dict[str, str]) -> None:
    """The check; without the permission for it the comment tells all, and a threshold cannot be kept."""
    row = {"name": name, "head_sha": decision.head, "status": "completed", "conclusion": conclusion, "output": output}
    try:
        bot.api.write("POST", "/check-runs", row)
    except Refusal as refusal:
        if refusal.status != 403 or bot.context.inputs.threshold is not None:
            raise
        bot.log.annotate("warning", f"no check was made, the comment tells all: {refusal}")


def verdict(accuracy: Accuracy, threshold: float | None, clock: str = "") -> tuple[str, str]:
    """A check's conclusion and title. What could not be measured, or a clock ended, neither passes nor fails."""
    if accuracy.value is None:
        return "neutral", "nothing could be measured"
    if clock:
        return "neutral", f"unmeasured: {clock}"
    shown = f"{percent(accuracy.value)} of {accuracy.measured} executions passed"
    if threshold is None:
        return "neutral", shown
    passed = accuracy.value >= threshold
    return ("success" if passed else "failure"), f"{shown}; {percent(threshold)} is asked"


def comparison_text(
    inputs: Inputs, head: Skill, before: Sequence[Evidence], after: Sequence[Evidence], delta: Delta | None
) -> str:
    """Accuracy of base and head side by side, how sure the change is, and which tasks changed."""
    sides = [("base", inputs.skill, Accuracy.of(before)), ("head", head, Accuracy.of(after))]
    clock = incomparable(before, after)
    table = [
        f"### Skill {code(inputs.job.name)}",
        "",
        "| | accuracy | passed | unmeasured | at a time limit | skill |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {side} | {percent(a.value)} | {a.passed}/{a.measured} | {a.unmeasured} | {a.timed_out} "
            f"| `{skill.digest[:12]}` |"
            for side, skill, a in sides
        ),
    ]
    sections = [BodyPart("\n".join(table), essential=True), BodyPart(_change(delta, clock), essential=True)]
    if apart := _apart(inputs, before, after):
        sections.append(BodyPart(apart, essential=True))
    if delta is not None:
        sections.append(BodyPart("**Broken**\n", [f"- {code(task, 60)}" for task in delta.broken]))
        sections.append(BodyPart("**Fixed**\n", [f"- {code(task, 60)}" for task in delta.fixed]))
    note = "Measured on all tasks of the suite on the base branch, with this repository's configuration there."
    sections.append(BodyPart(note, essential=True))
    return compose(sections, 60_000)


def _apart(inputs: Inputs, before: Sequence[Evidence], after: Sequence[Evidence]) -> str:
    """By split: the skill may have learned from the training tasks, from the others it has not."""
    splits = assign(inputs.suite.tasks, None, inputs.recorded, inputs.job.settings.seed).splits
    rows = []
    for split in (Split.HELDOUT, Split.VALIDATION, Split.TRAIN):
        sides = [Accuracy.of([row for row in rows_ if splits.get(row.task_id) is split]) for rows_ in (before, after)]
        if any(side.measured for side in sides):
            cells = [f"{percent(side.value)} ({side.passed}/{side.measured})" for side in sides]
            rows.append(f"| {split} | {cells[0]} | {cells[1]} |")
    head = "| tasks | base | head |\n| --- | --- | --- |\n"
    return f"{head}{chr(10).join(rows)}" if len(rows) > 1 else ""


def _change(delta: Delta | None, clock: str) -> str:
    if clock:
        return f"The two are not compared, for a clock is not a verdict: {clock}."
    if delta is None:
        return "No task was measured on both sides, so there is no comparison."
    low, high = delta.interval
    figures = (
        f"{points(delta.change)} (95% interval {points(low)} to {points(high)}, {delta.test} p = {delta.p_value:.2g})"
    )
    doubt = "" if delta.clear else " The suite is too small to tell this from chance."
    what = "Change in score" if delta.by == "score" else "Change"
    return f"{what} over {delta.tasks} tasks measured on both sides: {figures}.{doubt}"
