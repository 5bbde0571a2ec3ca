"""A request to optimize: who asks, for which skills, and what they are told.

An issue's text is untrusted: it can name a skill of the configured list and do nothing else. A name
counts by exact match of a whole field or word; where that leaves several, the issue's author is asked.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.decide import LABEL, AnswerCommand, LabelledIssue, Optimize, decide
from skillgrad_ci.bot.jobs.deliver_job import deliver_all
from skillgrad_ci.bot.jobs.optimize_job import optimize_job
from skillgrad_ci.bot.preflight import Busy
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.document.inert_text import code, inbound, shown
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.github.body import BodyPart, compose
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.comments import Comment, eyes, may_write
from skillgrad_ci.github.context import Context

READING = ("execute", "optimize")  # steps that write nothing
FORM = re.compile(r"^#{2,4}[ \t]+skills?[ \t]*$", re.IGNORECASE)  # GitHub's issue forms: a heading per field
LINE = re.compile(r"^[ \t]*(?:[-*][ \t]+)?\**skill\**[ \t]*:\**[ \t]*(?P<name>\S.*)", re.IGNORECASE)


def requested(bot: Bot, request: Optimize) -> Sequence[Ending]:
    """Optimize what was asked for. One skill's failure does not stop the others; a cancelled one does."""
    if request.actor is not None and bot.api.blind:
        bot.log.say(f"{request.actor}: whether they may write here was not checked")
    elif request.actor is not None and not may_write(bot.api, request.actor):
        return [_refuse(bot, request)]
    if request.issue is not None and bot.context.inputs.step != "execute":
        return [_asked_in_issue(bot, request.issue)]
    jobs = _configured(bot, request.skills or bot.context.inputs.named)
    if bot.context.inputs.step == "deliver":
        return [ending for _, _, ending in deliver_all(bot, jobs)]
    endings: list[Ending] = []
    for job in jobs:
        progress = Progress(bot.log, job.name, verbose=bot.context.debug)
        endings.append(_guarded(bot, job, progress, only_changed=request.only_changed, issue=None))
        if endings[-1].status == "cancelled":
            break
    return endings


def tell_broken(context: Context, api: Callable[[], Api], label: str, error: UserError) -> None:
    """Tell who asked why nothing can be read. Without a configuration the issue's label is the usual one."""
    decision = decide(context, context.inputs.label or LABEL)
    if context.inputs.step in READING or not isinstance(decision, Optimize | AnswerCommand):
        return
    issue = decision.issue if isinstance(decision, Optimize) else None
    if isinstance(decision, Optimize) and (issue is None or decision.actor is None):
        return
    live = api()
    if decision.actor is None or not (live.blind or may_write(live, decision.actor)):
        return
    told = f"It failed: {shown(context.relative(str(error)), 1000)}"
    if isinstance(decision, AnswerCommand):
        Comment(live, decision.pull, f"answer-{decision.comment or decision.command.verb}").show(told)
    elif issue is not None:
        Comment(live, issue.number, "progress").show(told)
        live.write("DELETE", f"/issues/{issue.number}/labels/{quote(label, safe='')}")


def _refuse(bot: Bot, request: Optimize) -> Ending:
    """Told where it was asked; where nobody can be told (a dispatch), the step fails, for green says nothing."""
    why = f"{request.actor} has no write access here, so no run was started"
    if request.issue is None:
        return Ending("refused", why, code=2)
    if bot.context.inputs.step not in READING:
        Comment(bot.api, request.issue.number, "progress").show(f"{shown(why)}.")
        _take_label(bot, request.issue)
    return Ending("refused", why)


def _configured(bot: Bot, names: Sequence[str]) -> Sequence[SkillRun]:
    """All configured skills, or those that the workflow names."""
    found = [(name, bot.configuration.find(name)) for name in names]
    for name, job in found:
        if job is None:
            raise UserError(f"input skill: {name!r:.80} is not configured; there is {', '.join(bot.names())}")
    return [job for _, job in found if job is not None] or bot.configuration.skills


def _asked_in_issue(bot: Bot, issue: LabelledIssue) -> Ending:
    """👀 at once, one comment kept up to date, and the label taken off at the end, whatever came.

    With several steps, the first one answers, and the last one tells the end.
    """
    step = bot.context.inputs.step
    chosen = named_skills(issue.title, issue.body, bot.names())
    job = bot.configuration.find(chosen[0]) if len(chosen) == 1 else None
    if step == "optimize":
        if job is None:
            return Ending("ignored", f"#{issue.number} names {len(chosen) or 'no'} configured skills")
        return _guarded(
            bot, job, Progress(bot.log, job.name, verbose=bot.context.debug), only_changed=False, issue=issue.number
        )
    comment, ending = Comment(bot.api, issue.number, "progress"), None
    try:
        if step != "deliver":
            eyes(bot.api, f"/issues/{issue.number}")
        if job is None:
            comment.show(_choices(bot, chosen))
            told = f"#{issue.number} names {len(chosen) or 'no'} configured skills; it was asked for one"
            ending = Ending("answered", told)
            return ending
        progress = Progress(bot.log, job.name, comment, bot.context.run_url, bot.context.debug)
        if step == "deliver":
            ((_, _, ending),) = deliver_all(bot, [job])
        else:
            progress.start()
            ending = _guarded(bot, job, progress, only_changed=False, issue=issue.number)
        if ending.status != "ready":
            progress.end(_told(ending))
        return ending
    finally:
        if ending is None or ending.status != "ready":
            _take_label(bot, issue)


def _told(ending: Ending) -> str:
    """The last words on the issue. Our own Markdown is shown as it is, errors are inert."""
    if ending.status == "busy":
        return f"{shown(ending.line)}. Label this issue again when it is done."
    return ending.text or f"{'It failed: ' if ending.code else ''}{shown(ending.line, 1500)}"


def _choices(bot: Bot, chosen: Sequence[str]) -> str:
    lead = "This issue names several skills" if chosen else "This issue names no skill that is configured here"
    choices = [f"- {code(name)}, in {code(path or '.')}" for name, path in bot.names().items()]
    ask = f"{lead}. Write a line `skill: NAME` with one of these in its text, and label it again:\n"
    return compose([BodyPart(ask, choices)])


def _guarded(bot: Bot, job: SkillRun, progress: Progress, *, only_changed: bool, issue: int | None) -> Ending:
    try:
        with bot.log.group(f"Skill {job.name}"):
            ending = optimize_job(bot, job, progress, only_changed=only_changed, issue=issue)
    except Busy as busy:
        ending = Ending("busy", str(busy))
    except SkillGradError as error:
        ending = bot.failed(error)
    return replace(ending, skill=job.name)


def _take_label(bot: Bot, issue: LabelledIssue) -> None:
    """So that labelling again asks again. Somebody may have taken it off already."""
    try:
        bot.api.write("DELETE", f"/issues/{issue.number}/labels/{quote(issue.label, safe='')}")
    except SkillGradError as failed:
        bot.log.say(f"the label was not taken off #{issue.number}: {failed}")


def named_skills(title: str, body: str, skills: Mapping[str, str]) -> list[str]:
    """The names of the skills asked for; `skills` maps a configured name to its path.

    A form field or a line `skill: NAME` wins; the title is read only where the body names none.
    """
    body = inbound(body)
    named = [name for text in _fields(body) for name in _names(text, skills)]
    if not named:
        words = [inbound(title).strip(), *re.split(r"[\s:,;]+", inbound(title))]
        named = [name for word in words for name in _names(word, skills)]
    return list(dict.fromkeys(named))


def _fields(body: str) -> list[str]:
    found, lines = [], body.splitlines()
    for number, line in enumerate(lines):
        if FORM.match(line):
            found.append(next((after for after in lines[number + 1 :] if after.strip()), ""))
        elif match := LINE.match(line):
            found.append(match["name"])
    return found


def _names(text: str, skills: Mapping[str, str]) -> list[str]:
    """Names and paths in a field, which may list several: each must match exactly."""
    wanted = {part.strip().strip("`'\"").removeprefix("./").rstrip("/") for part in [text, *text.split(",")]}
    return [name for name, path in skills.items() if name in wanted or (path or ".") in wanted]
