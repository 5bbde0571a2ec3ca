"""Answer a slash command on the bot's pull request."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from skillgrad_ci.bot import state
from skillgrad_ci.bot.bot import Bot, Ending
from skillgrad_ci.bot.decide import Answer
from skillgrad_ci.bot.pull_request.branch import branch_name
from skillgrad_ci.bot.pull_request.drop import drop
from skillgrad_ci.bot.slash_commands import HELP
from skillgrad_ci.bot.state import Proposal, Record
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.errors import SkillGradError
from skillgrad_ci.github.client import find
from skillgrad_ci.github.comments import Comment, eyes, may_write
from skillgrad_ci.github.git_data import commit_at, file_at
from skillgrad_ci.github.text import Section, code, compose, fenced, shown
from skillgrad_ci.method.memory_file import parse as parse_memory
from skillgrad_ci.report.document import Report
from skillgrad_ci.session.inputs import memory_path


@dataclass(frozen=True)
class Reviewed:
    """A proposal that a command is about: its skill, its record, its pull request."""

    job: SkillRun
    record: Record
    proposal: Proposal


def command_job(bot: Bot, answer: Answer) -> Ending:
    """Check who asks and what about, show that it was seen, act, and reply."""
    asked, why_not = asked_about(bot, answer)
    if asked is None:
        return Ending("ignored", why_not)
    eyes(bot.api, f"/issues/comments/{answer.comment}")
    comment = Comment(bot.api, answer.pull, f"answer-{answer.comment}")
    try:
        comment.show(_reply(bot, answer, asked))
    except SkillGradError as error:
        comment.show(f"It failed: {shown(str(error))}")
        raise
    return Ending("answered", f"answered {answer.command.verb} on #{answer.pull}")


def asked_about(bot: Bot, answer: Answer) -> tuple[Reviewed | None, str]:
    """The proposal, or why the command is left alone: then nothing is written anywhere."""
    if bot.api.blind:
        return None, "dry run without a token: the pull request cannot be read"
    if not may_write(bot.api, answer.actor):
        return None, f"{answer.actor} has no write access here: the command is ignored"
    comment = find(bot.api, f"/issues/comments/{answer.comment}")
    if comment is None or comment.get("body") != answer.text:
        return None, "the comment was changed or deleted after it was written: the command is ignored"
    pull = find(bot.api, f"/pulls/{answer.pull}")
    head = (pull or {}).get("head") or {}
    mine = ((pull or {}).get("user") or {}).get("login") == bot.api.login
    here = (head.get("repo") or {}).get("full_name") == bot.api.repository
    if pull is None or not (mine and here):
        return None, f"#{answer.pull} is not a pull request of this bot"
    for job in bot.configuration.skills:
        if re.fullmatch(re.escape(branch_name(job.name)) + r"(\.\d+)?", head["ref"]):
            record = state.read(bot.api, job.name)
            proposal = record.proposal(answer.pull)
            if proposal is not None:
                return Reviewed(job, record, proposal), ""
    return None, f"#{answer.pull}: nothing is known of its edits (branch {state.BRANCH})"


def _reply(bot: Bot, answer: Answer, asked: Reviewed) -> str:
    command = answer.command
    known = [edit["id"] for edit in asked.proposal.edits]
    if command.verb == "help":
        return f"{shown(command.problem)}\n\n{HELP}" if command.problem else HELP
    if command.edit not in known:
        return f"There is no edit {code(command.edit)} here; there is {', '.join(known)}."
    if command.verb == "explain":
        return explain(bot, asked, command.edit)
    return drop(bot, asked.job, asked.record, asked.proposal, command.edit, answer.actor, command.reason)


def explain(bot: Bot, asked: Reviewed, edit_id: str) -> str:
    """The diagnoses that led to an edit, and what the memory says of its patterns."""
    if asked.proposal.report is None:
        return f"The report of this pull request is no longer kept; the run's artifact has what is behind {edit_id}."
    report = Report.model_validate(asked.proposal.report)
    step = next(step for step in report.iterations if any(edit.id == edit_id for edit in step.edits))
    edit = next(edit for edit in step.edits if edit.id == edit_id)
    diagnoses = [
        f"- {code(d.task)}: {d.kind}, {code(d.label)} (guidance {d.guidance}): {shown(d.summary)} {shown(d.cause)}"
        for d in step.diagnoses
        if d.task in edit.tasks
    ]
    return compose(
        [
            Section(f"**{edit_id}**, {code(edit.file)}: {shown(edit.why)}", essential=True),
            Section("It says:\n", [fenced(edit.content)] if edit.content else []),
            Section(f"Diagnoses in iteration {step.number} that taught it:\n", diagnoses or ["- none is kept"]),
            Section("What the memory says of its patterns:\n", _patterns(bot, asked, edit.patterns) or ["- nothing"]),
        ],
        30_000,
    )


def _patterns(bot: Bot, asked: Reviewed, names: Sequence[str]) -> list[str]:
    path = bot.relative(memory_path(asked.job))
    text = file_at(bot.api, commit_at(bot.api, asked.proposal.head), path)
    if text is None:
        return []
    memory = parse_memory(text.decode("utf-8"), path)
    found = [pattern for pattern in map(memory.get, names) if pattern is not None]
    return [
        f"- {code(p.slug)} ({p.kind}, {p.absorption}): {shown(p.line)} {shown(p.description)} "
        f"Remedies so far: {shown('; '.join(remedy.text for remedy in p.remedy_log), 600) or 'none'}"
        for p in found
    ]
