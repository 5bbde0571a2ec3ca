"""Commands that nobody answers yet: what came while another run went on, and was dropped by GitHub.

An answer that takes its time is promised first, in the comment that will hold it. So two runs that read the same
comments do not both pay for one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.decide import AnswerCommand
from skillgrad_ci.bot.preflight import JOB_LIMIT, ended
from skillgrad_ci.bot.slash_commands import parse_command
from skillgrad_ci.bot.state import Claim
from skillgrad_ci.document.inert_text import code
from skillgrad_ci.github.comments import marked, marker

AT_WORK = re.compile(r"^<!-- skillgrad-ci:at-work run:(?P<run>\d*) until:(?P<until>\S+) -->$", re.MULTILINE)


ANSWERED = re.compile(r"^<!-- skillgrad-ci:answered run:(?P<run>\d*) -->$", re.MULTILINE)


def waiting(bot: Bot, pull: int) -> Iterator[AnswerCommand]:
    """Commands on a pull request that nobody answers: GitHub keeps one waiting run of a group, and drops others."""
    if bot.api.blind:
        return
    rows = list(bot.api.pages(f"/issues/{pull}/comments"))
    for row in rows:
        text, author = str(row.get("body") or ""), row.get("user") or {}
        command = None if marked(text) or author.get("type") == "Bot" else parse_command(text)
        if command is not None and not any(_is_taken(bot, reply) for reply in _replies(bot, rows, int(row["id"]))):
            yield AnswerCommand(pull, int(row["id"]), str(author.get("login")), text, command)


def left_to_another(bot: Bot, answer: AnswerCommand) -> bool:
    """Whether another run answered a comment, or promised to: it read the comments before this one could start."""
    rows = [] if bot.api.blind or not answer.comment else list(bot.api.pages(f"/issues/{answer.pull}/comments"))
    for reply in _replies(bot, rows, answer.comment):
        by = ANSWERED.search(reply)
        if _is_taken(bot, reply) and not (by and by["run"] == bot.context.run_id):  # a run may be started again
            return True
    return False


def _replies(bot: Bot, rows: Sequence[Mapping[str, Any]], comment: int) -> list[str]:
    mine = (str(row.get("body") or "") for row in rows if (row.get("user") or {}).get("login") == bot.api.login)
    return [body for body in mine if body.startswith(marker(f"answer-{comment}"))]


def answered(bot: Bot, reply: str) -> str:
    """An answer, with a hidden line that tells which run gave it."""
    return f"<!-- skillgrad-ci:answered run:{bot.context.run_id} -->\n{reply}"


def promise(bot: Bot) -> str:
    """A hidden line that tells other runs who is at work on an answer, and until when at most."""
    until = (datetime.now(UTC) + JOB_LIMIT).isoformat()
    return f"<!-- skillgrad-ci:at-work run:{bot.context.run_id} until:{until} -->\n"


def at_work(bot: Bot, verb: str) -> str:
    """The answer until there is one."""
    where = f"[workflow run]({bot.context.run_url})" if bot.context.run_url else "workflow run"
    return f"{promise(bot)}At work on {code(verb)}, in this {where}."


def _is_taken(bot: Bot, reply: str) -> bool:
    """Whether a reply is an answer, or the promise of a run that still goes on."""
    promised = AT_WORK.search(reply)
    if promised is None:
        return True
    if promised["run"] == bot.context.run_id:
        return False  # this run's own earlier attempt
    return not ended(bot, Claim(run=promised["run"], since="", until=promised["until"]), datetime.now(UTC))
