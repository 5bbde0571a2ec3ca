"""Measure the base and the head of a pull request that touches a skill: a comment and a check.

Where the bot has a proposal of its own open, its edits are measured on top of the head, and offered where they help.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot, Ending, annotate_lint
from skillgrad_ci.bot.committed import as_committed, checkout_in, refuse_unread_assets, skill_at
from skillgrad_ci.bot.decide import Evaluate
from skillgrad_ci.bot.ended_run import EndedRun, found_in
from skillgrad_ci.bot.evaluation.check import HeadCheck, begin_check
from skillgrad_ci.bot.evaluation.comparison import comparison_text, verdict
from skillgrad_ci.bot.evaluation.offer import Offered, offered_on
from skillgrad_ci.bot.evaluation.suggestions import suggest
from skillgrad_ci.bot.money import measured
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.state import SkillState
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.document.inert_text import code, shown
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.github.comments import Comment
from skillgrad_ci.github.git_data import commit_at, folder_at
from skillgrad_ci.method.acceptance.clock import overrun
from skillgrad_ci.method.evidence import Accuracy
from skillgrad_ci.method.patch import replay
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.session.inputs import Inputs, read_inputs
from skillgrad_ci.skill.skill import Skill


@dataclass(frozen=True)
class Sides:
    """What is measured: `inputs` with the skill as the base's commit holds it, and the head's skill."""

    inputs: Inputs
    head: Skill
    record: SkillState


def evaluate_job(bot: Bot, decision: Evaluate) -> list[Ending]:
    """One result a touched skill. Raises UserError where the workspace is not the base."""
    if bot.api.blind:
        return list(_rehearsed(bot, decision))
    refuse_other_workspace(bot.context.workspace, decision.base)
    touched = [job for job in bot.configuration.skills if is_touched(bot, job, decision)]
    if not touched:
        return [Ending("ignored", f"#{decision.pull} touches no configured skill")]
    return [_guarded(bot, job, decision) for job in touched]


def _rehearsed(bot: Bot, decision: Evaluate) -> Iterator[Ending]:
    """Where nothing can be asked, what the newest runs of the run folder propose stands for the head."""
    folder = bot.context.workspace / bot.context.inputs.run_folder
    runs = {outcome.skill: outcome for outcome in found_in(folder, list(bot.names())) if outcome.edits}
    if not runs:
        why = "the pull request's files cannot be read, and the run folder holds no run to rehearse on"
        yield Ending("ignored", f"dry run without a token: {why}: rehearse a label first")
    for name, outcome in runs.items():
        job = bot.configuration.find(name)
        assert job is not None
        bot.log.say(f"{name}: what its newest run in the run folder proposes stands for the head")
        yield _guarded(bot, job, decision, outcome)


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


def _guarded(bot: Bot, job: SkillRun, decision: Evaluate, rehearsed: EndedRun | None = None) -> Ending:
    """One skill's failure does not stop the others."""
    try:
        bot.refuse_rehearsal(job)
        sides = _rehearsed_sides(job, rehearsed) if rehearsed else _sides(bot, job, decision)
        if sides is None:
            return Ending("ignored", f"{job.name}: removed by #{decision.pull}")
        return _evaluate(bot, sides, decision)
    except SkillGradError as error:
        return bot.failed(error)


def _sides(bot: Bot, job: SkillRun, decision: Evaluate) -> Sides | None:
    """Both as their commits hold them, without what a suite keeps in the skill's folder; None without a head.

    The tasks keep the splits of the skill's runs: they tell from which of them it may have learned.
    """
    record = state.read_state(bot.api, job.name)
    inputs, path = read_inputs(job, record.splits), bot.path(job)
    base, notes = as_committed(bot.api, inputs.skill, job.path, path, decision.base)
    for note in notes:
        bot.log.annotate("notice", note)
    inputs = replace(inputs, skill=base)
    head = skill_at(bot.api, decision.head, path, base.folder, checkout_in(inputs))
    if head is None:
        return None
    refuse_unread_assets(path, base, head)
    return Sides(inputs, head, record)


def _rehearsed_sides(job: SkillRun, outcome: EndedRun) -> Sides:
    inputs = read_inputs(job, outcome.splits)
    return Sides(inputs, replay(inputs.skill, outcome.edits)[0], SkillState(skill=job.name))


def _evaluate(bot: Bot, sides: Sides, decision: Evaluate) -> Ending:
    inputs, head = sides.inputs, sides.head
    job = inputs.job
    annotate_lint(bot, job, head)
    comment = Comment(bot.api, decision.pull, f"evaluate-{job.name}")  # first, as the proof that it can be told
    comment.show(f"Measuring {code(job.name)} as it is in the base and in this pull request.")
    progress = Progress(bot.log, job.name, verbose=bot.context.debug)
    check = HeadCheck(bot, None)
    try:
        check = begin_check(bot, decision.head, f"SkillGrad: {job.name}")
        before, after = measured(bot, inputs, [inputs.skill, head], inputs.suite.reviewed().tasks, progress)
        offered = offered_on(bot, inputs, head, decision, sides.record, progress)
    except SkillGradError as error:
        why = f"{code(job.name)} was not measured: {shown(bot.context.relative(str(error)), 1000)}"
        comment.show(why)
        check.end_unmeasured(why)
        raise
    text = comparison_text(inputs, head, before, after, offered.text)
    comment.show(f"{text}{offered.mark}")
    _suggested(bot, job, decision, offered)
    accuracy = Accuracy.of(after)
    conclusion, title = verdict(accuracy, bot.context.inputs.threshold, overrun(after))
    check.end(conclusion, title, text)
    bot.log.summary(text)
    delta = paired(before, after, job.settings.decide_by)
    change = delta.change if delta else None
    return Ending(
        "evaluated", f"{job.name}: {title}", delta=change, baseline=Accuracy.of(before).value, final=accuracy.value
    )


def _suggested(bot: Bot, job: SkillRun, decision: Evaluate, offered: Offered) -> None:
    """Suggestions are a convenience: what speaks against them is said, and stops nothing."""
    if offered.offer is None or bot.api.blind:
        return
    try:
        number = suggest(bot.api, decision, job.name, bot.path(job), offered)
    except SkillGradError as failed:
        bot.log.annotate("warning", f"{job.name}: the edits were not suggested on the diff: {failed}")
        return
    bot.log.say(f"{job.name}: {number} of the offered changes are suggested on lines of the diff")
