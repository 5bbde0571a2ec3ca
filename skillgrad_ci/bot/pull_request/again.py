"""Commands that do something to a proposal once more, or no more: rebase, measure, ignore, pause."""

from dataclasses import replace

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.committed import checkout_in, skill_at
from skillgrad_ci.bot.money import measured
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.bot.pull_request.proposal import Reviewed, moved_by, remade, rewrite_branch
from skillgrad_ci.bot.pull_request.review_lessons import edits_of, rejected_by_people
from skillgrad_ci.bot.schedule import deciding_tasks
from skillgrad_ci.bot.state import SkillState
from skillgrad_ci.document.inert_text import inbound, one_line, shown
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.acceptance.clock import incomparable
from skillgrad_ci.report.headline import percent, points
from skillgrad_ci.report.statistics import paired
from skillgrad_ci.session.inputs import read_inputs

TRIALS = 3  # times as many executions of a task as the run had


def rebase(bot: Bot, reviewed: Reviewed) -> str:
    """The same edits on the newest commit of the default branch; no model is called."""
    head, why_not = moved_by(bot, reviewed)
    if why_not:
        return f"{why_not}, so I leave it to you."
    base = bot.base()
    if base == reviewed.proposal.base and head == reviewed.proposal.head:
        return f"This branch stands on the newest commit of {bot.default_branch} already."
    before = remade(bot, reviewed, reviewed.proposal.base, list(reviewed.proposal.dropped))
    made = remade(bot, reviewed, base, list(reviewed.proposal.dropped))
    if made.refused:
        lines = "\n".join(f"- {result.edit.id} {shown(result.reason)}" for result in made.refused)
        return f"On {base[:7]} these edits do not apply any more, and nothing was changed:\n\n{lines}"
    rewrite_branch(bot, reviewed, made, head)
    told = f"Rebased on {base[:7]}."
    if made.initial.digest != before.initial.digest:
        told += " The skill changed there since it was measured: `/skillgrad measure` measures the two together."
    return told


def measure(bot: Bot, reviewed: Reviewed) -> str:
    """Base and branch on the tasks that decide, with more trials, so that chance explains less."""
    bot.refuse_rehearsal(reviewed.job)
    inputs = read_inputs(reviewed.job, reviewed.record.splits)
    settings = inputs.job.settings
    job = replace(inputs.job, settings=settings.model_copy(update={"trials": settings.trials * TRIALS}))
    inputs, path = replace(inputs, job=job), bot.path(job)
    head = moved_by(bot, reviewed)[0] or reviewed.proposal.head
    commits, checkout = (reviewed.proposal.base, head), checkout_in(inputs)
    sides = [skill_at(bot.api, sha, path, inputs.skill.folder, checkout) for sha in commits]
    skills = [skill for skill in sides if skill is not None]
    if len(skills) < 2:
        raise UserError(f"{path}: not a skill on the branch or on its base; close the pull request")
    progress = Progress(bot.log, job.name, verbose=bot.context.debug)
    before, after = measured(bot, inputs, skills, deciding_tasks(inputs), progress)
    delta, what = paired(before, after, settings.decide_by), " in score" if settings.decide_by == "score" else ""
    trials = f"{job.settings.trials} executions a task, on the tasks that decide"
    if clock := incomparable(before, after):
        return f"The two are not compared, for a clock is not a verdict: {clock} ({trials})."
    if delta is None:
        return f"No task could be measured on both sides ({trials})."
    low, high = delta.interval
    sure = "" if delta.clear else " Chance can explain it."
    return (
        f"**{percent(delta.baseline)} → {percent(delta.final)}**{what}: {points(delta.change)} (95% interval "
        f"{points(low, unit='')} to {points(high)}, p = {delta.p_value:.2g}; {trials}).{sure}"
    )


def ignore(bot: Bot, reviewed: Reviewed, actor: str, reason: str) -> str:
    """Close the pull request and remember every edit of it as refused."""
    proposal = reviewed.proposal
    why = one_line(inbound(reason)) or f"ignored by {actor}"
    rejected = [
        rejected_by_people(edit, proposal, f"#{proposal.number} was ignored: {why}") for edit in edits_of(proposal)
    ]

    def ignored(record: SkillState) -> SkillState:
        new = [edit for edit in rejected if edit not in record.rejected]
        known = record.proposal(proposal.number) or proposal
        kept = [known.model_copy(update={"judged": True}) if other.number == known.number else other
                for other in record.proposals]  # fmt: skip
        return record.model_copy(update={"proposals": kept, "rejected": [*record.rejected, *new]})

    state.update_state(bot.api, reviewed.job.name, ignored)
    bot.api.write("PATCH", f"/pulls/{proposal.number}", {"state": "closed"})
    return "Closed. The next run is told that these edits were refused, and why."


def pause(bot: Bot, reviewed: Reviewed, actor: str) -> str:
    """Schedules leave the skill alone until somebody asks for a run."""
    by = f"{actor} on #{reviewed.proposal.number}"
    state.update_state(bot.api, reviewed.job.name, lambda record: record.model_copy(update={"paused": by}))
    return "Paused: no schedule optimizes this skill until `/skillgrad rerun`, a label or a dispatch asks for a run."
