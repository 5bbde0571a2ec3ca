"""A request to optimize: who asks, for which skills, and what they are told."""

from collections.abc import Sequence
from urllib.parse import quote

from skillgrad_ci.bot.bot import Bot, Result, failure
from skillgrad_ci.bot.choice import choose
from skillgrad_ci.bot.decide import Asked, Optimize
from skillgrad_ci.bot.optimize_job import optimize_job
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import EnvironmentFailure, SkillGradError, UserError
from skillgrad_ci.github.api import Refusal
from skillgrad_ci.github.body import Section, compose
from skillgrad_ci.github.comments import Comment, eyes, may_write
from skillgrad_ci.github.text import code, shown


def requested(bot: Bot, request: Optimize) -> Sequence[Result]:
    """Optimize what was asked for. One skill's failure does not stop the others; a cancelled one does."""
    if request.actor is not None and bot.api.blind:
        bot.log.say(f"{request.actor}: whether they may write here was not checked")
    elif request.actor is not None and not may_write(bot.api, request.actor):
        return [_refuse(bot, request)]
    if request.issue is not None:
        return [_asked_in_issue(bot, request.issue)]
    results: list[Result] = []
    for job in _configured(bot, request.skill):
        progress = Progress(bot.log, job.name)
        results.append(_guarded(bot, job, progress, only_changed=request.only_changed, issue=None))
        if results[-1].status == "cancelled":
            break
    return results


def _refuse(bot: Bot, request: Optimize) -> Result:
    why = f"{request.actor} has no write access here, so no run was started"
    if request.issue is not None:
        Comment(bot.api, request.issue.number, "progress").show(f"{shown(why)}.")
        _take_label(bot, request.issue)
    return Result("refused", why)


def _configured(bot: Bot, name: str) -> Sequence[SkillRun]:
    """All configured skills, or the one that the workflow names."""
    if not name:
        return bot.configuration.skills
    job = bot.configuration.find(name)
    if job is None:
        raise UserError(f"input skill: {name!r:.80} is not configured; there is {', '.join(bot.names())}")
    return [job]


def _asked_in_issue(bot: Bot, issue: Asked) -> Result:
    """👀 at once, one comment kept up to date, and the label taken off at the end, whatever came."""
    eyes(bot.api, f"/issues/{issue.number}")
    comment = Comment(bot.api, issue.number, "progress")
    try:
        chosen = choose(issue.title, issue.body, bot.names())
        if len(chosen) != 1:
            comment.show(_choices(bot, chosen))
            return Result(
                "answered", f"#{issue.number} names {len(chosen) or 'no'} configured skills; it was asked for one"
            )
        job = bot.configuration.find(chosen[0])
        assert job is not None
        progress = Progress(bot.log, job.name, comment, bot.context.run_url)
        progress.start()
        result = _guarded(bot, job, progress, only_changed=False, issue=issue.number)
        progress.end(f"It failed: {shown(result.line)}" if result.code else result.text)
        return result
    finally:
        _take_label(bot, issue)


def _choices(bot: Bot, chosen: Sequence[str]) -> str:
    lead = "This issue names several skills" if chosen else "This issue names no skill that is configured here"
    choices = [f"- {code(name)}, in {code(path or '.')}" for name, path in bot.names().items()]
    ask = f"{lead}. Write a line `skill: NAME` with one of these in its text, and label it again:\n"
    return compose([Section(ask, choices)])


def _guarded(bot: Bot, job: SkillRun, progress: Progress, *, only_changed: bool, issue: int | None) -> Result:
    try:
        with bot.log.group(f"Skill {job.name}"):
            return optimize_job(bot, job, progress, only_changed=only_changed, issue=issue)
    except SkillGradError as error:
        return failure(error)


def _take_label(bot: Bot, issue: Asked) -> None:
    """So that labelling again asks again. Somebody may have taken it off already."""
    try:
        bot.api.write("DELETE", f"/issues/{issue.number}/labels/{quote(issue.label, safe='')}")
    except (Refusal, EnvironmentFailure) as failed:
        bot.log.say(f"the label was not taken off #{issue.number}: {failed}")
