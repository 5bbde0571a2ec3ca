"""A request to optimize: who asks, for which skills, and what they are told.

An issue's text is untrusted: it can name a skill of the configured list and do nothing else. A name
counts by exact match of a whole field or word; where that leaves several, the issue's author is asked.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from skillgrad_ci.bot.bot import Bot, Ending, ending_of
from skillgrad_ci.bot.decide import LabelledIssue, Optimize
from skillgrad_ci.bot.optimize_job import optimize_job
from skillgrad_ci.bot.progress import Progress
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import EnvironmentFailure, SkillGradError, UserError
from skillgrad_ci.github.client import Refusal
from skillgrad_ci.github.comments import Comment, eyes, may_write
from skillgrad_ci.github.text import Section, code, compose, inbound, shown

FORM = re.compile(r"^#{2,4}[ \t]+skills?[ \t]*$", re.IGNORECASE)  # GitHub's issue forms: a heading per field
LINE = re.compile(r"^[ \t]*(?:[-*][ \t]+)?\**skill\**[ \t]*:\**[ \t]*(?P<name>\S.*)", re.IGNORECASE)


def requested(bot: Bot, request: Optimize) -> Sequence[Ending]:
    """Optimize what was asked for. One skill's failure does not stop the others; a cancelled one does."""
    if request.actor is not None and bot.api.blind:
        bot.log.say(f"{request.actor}: whether they may write here was not checked")
    elif request.actor is not None and not may_write(bot.api, request.actor):
        return [_refuse(bot, request)]
    if request.issue is not None:
        return [_asked_in_issue(bot, request.issue)]
    results: list[Ending] = []
    for job in _configured(bot, request.skill):
        progress = Progress(bot.log, job.name)
        results.append(_guarded(bot, job, progress, only_changed=request.only_changed, issue=None))
        if results[-1].status == "cancelled":
            break
    return results


def _refuse(bot: Bot, request: Optimize) -> Ending:
    why = f"{request.actor} has no write access here, so no run was started"
    if request.issue is not None:
        Comment(bot.api, request.issue.number, "progress").show(f"{shown(why)}.")
        _take_label(bot, request.issue)
    return Ending("refused", why)


def _configured(bot: Bot, name: str) -> Sequence[SkillRun]:
    """All configured skills, or the one that the workflow names."""
    if not name:
        return bot.configuration.skills
    job = bot.configuration.find(name)
    if job is None:
        raise UserError(f"input skill: {name!r:.80} is not configured; there is {', '.join(bot.names())}")
    return [job]


def _asked_in_issue(bot: Bot, issue: LabelledIssue) -> Ending:
    """👀 at once, one comment kept up to date, and the label taken off at the end, whatever came."""
    eyes(bot.api, f"/issues/{issue.number}")
    comment = Comment(bot.api, issue.number, "progress")
    try:
        chosen = named_skills(issue.title, issue.body, bot.names())
        if len(chosen) != 1:
            comment.show(_choices(bot, chosen))
            return Ending(
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


def _guarded(bot: Bot, job: SkillRun, progress: Progress, *, only_changed: bool, issue: int | None) -> Ending:
    try:
        with bot.log.group(f"Skill {job.name}"):
            return optimize_job(bot, job, progress, only_changed=only_changed, issue=issue)
    except SkillGradError as error:
        return ending_of(error)


def _take_label(bot: Bot, issue: LabelledIssue) -> None:
    """So that labelling again asks again. Somebody may have taken it off already."""
    try:
        bot.api.write("DELETE", f"/issues/{issue.number}/labels/{quote(issue.label, safe='')}")
    except (Refusal, EnvironmentFailure) as failed:
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
