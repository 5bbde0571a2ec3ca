"""Commands that nobody answers yet: what came while another run went on, and was dropped by GitHub.

An answer that takes its time is promised first, in the comment that will hold it. So two runs that read the same
comments do not both pay for one.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.decide import AnswerCommand
from skillgrad_ci.bot.preflight import JOB_LIMIT, ended
from skillgrad_ci.bot.slash_commands import parse_command
from skillgrad_ci.bot.state import Claim
from skillgrad_ci.document.inert_text import code
from skillgrad_ci.github.comments import marked, marker

AT_WORK = re.compile(r"^<!-- skillgrad-ci:at-work run:(?P<run>\d*) until:(?P<until>\S+) -->$", re.MULTILINE)


def waiting(bot: Bot, pull: int) -> Iterator[AnswerCommand]:
    """Commands on a pull request that nobody answers: GitHub keeps one waiting run of a group, and drops others."""
    if bot.api.blind:
        return
    rows = list(bot.api.pages(f"/issues/{pull}/comments"))
    mine = [str(row.get("body") or "") for row in rows if (row.get("user") or {}).get("login") == bot.api.login]
    for row in rows:
        text, author = str(row.get("body") or ""), row.get("user") or {}
        command = None if marked(text) or author.get("type") == "Bot" else parse_command(text)
        replies = [body for body in mine if body.startswith(marker(f"answer-{row['id']}"))]
        if command is not None and not any(_is_taken(bot, reply) for reply in replies):
            yield AnswerCommand(pull, int(row["id"]), str(author.get("login")), text, command)


def at_work(bot: Bot, verb: str) -> str:
    """The answer until there is one. Its hidden line tells other runs who is at work on it, and until when."""
    where = f"[workflow run]({bot.context.run_url})" if bot.context.run_url else "workflow run"
    until = (datetime.now(UTC) + JOB_LIMIT).isoformat()
    promise = f"<!-- skillgrad-ci:at-work run:{bot.context.run_id} until:{until} -->"
    return f"{promise}\nAt work on {code(verb)}, in this {where}."


def _is_taken(bot: Bot, reply: str) -> bool:
    """Whether a reply is an answer, or the promise of a run that still goes on."""
    promise = AT_WORK.search(reply)
    if promise is None:
        return True
    if promise["run"] == bot.context.run_id:
        return False  # this run's own earlier attempt
    return not ended(bot, Claim(run=promise["run"], since="", until=promise["until"]), datetime.now(UTC))
