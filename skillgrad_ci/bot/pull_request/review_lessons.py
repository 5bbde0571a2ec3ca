"""What became of earlier pull requests, as rejected edits that the next run's patcher is shown.

Closed unmerged by a person who may write here: every edit was rejected, until it is opened again. Merged: an
edit whose lines were dropped or changed on the way was rejected as it stood. The reasons are the words of people
with write access, and data like any other text from outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from skillgrad_ci.bot.bot import Bot
from skillgrad_ci.bot.committed import Checkout, skill_at
from skillgrad_ci.bot.ended_run import Lessons
from skillgrad_ci.bot.pull_request.branch import lines_of, steps
from skillgrad_ci.bot.slash_commands import parse_command
from skillgrad_ci.bot.state import Proposal, SkillState
from skillgrad_ci.document.inert_text import inbound, one_line
from skillgrad_ci.errors import ReplyError
from skillgrad_ci.github.client import Api, find
from skillgrad_ci.github.comments import marked, may_write
from skillgrad_ci.method.memory import RejectedEdit, Stamp
from skillgrad_ci.skill.edit import Edit

REASON = 600  # characters
EDITS = TypeAdapter(list[Edit])


@dataclass
class Reading:
    """The lessons as they are found, and a line for the log for each pull request."""

    kept: Lessons
    lines: list[str] = field(default_factory=list)
    new: list[RejectedEdit] = field(default_factory=list)


def edits_of(proposal: Proposal) -> list[Edit]:
    """The edits of a proposal, as the branch's state keeps them."""
    return EDITS.validate_python(proposal.edits)


def lessons_from(bot: Bot, record: SkillState, path: str, checkout: Checkout) -> Reading:
    """What people decided about the known proposals since the last run.

    What was learned before a merge is in the memory that was merged, where people may edit it.
    """
    reading = Reading(Lessons(known=list(record.rejected), rejected=list(record.rejected)))
    for proposal in [] if bot.api.blind else record.proposals:
        pull = find(bot.api, f"/pulls/{proposal.number}")
        if pull is None:
            continue
        if pull.get("merged_at"):
            _merged(bot, reading, proposal, pull, path, checkout)
        elif pull["state"] == "closed" and not proposal.judged:
            _closed(bot.api, reading, proposal)
        elif pull["state"] == "open" and proposal.judged:
            _reopened(reading, proposal)
    kept = reading.kept
    before = [] if kept.settled else kept.rejected
    reading.kept = kept.model_copy(update={"rejected": [*before, *reading.new]})
    return reading


def _merged(
    bot: Bot, reading: Reading, proposal: Proposal, pull: Mapping[str, Any], path: str, checkout: Checkout
) -> None:
    """Edits whose lines were dropped or changed on the way were rejected as they stood."""
    number, edits = proposal.number, _standing(proposal)
    commit = str(pull.get("merge_commit_sha") or "")
    if not commit or find(bot.api, f"/git/commits/{commit}") is None:  # not told, or rewritten since
        commit = bot.base()
    words = _words(bot.api, number)
    found = [
        rejected_by_people(edit, proposal, f"#{number} was merged {what}{words}")
        for edit, what in _not_merged(bot.api, proposal, edits, commit, path, checkout)
    ]
    reading.new += found
    reading.kept.settled.append(number)
    reading.lines.append(f"learned from #{number}: merged, {len(found)} edits dropped or changed")


def _closed(api: Api, reading: Reading, proposal: Proposal) -> None:
    """A person's no to every edit; a bot that tidies up, or whoever cannot write here, rejects nothing."""
    number = proposal.number
    by = (find(api, f"/issues/{number}") or {}).get("closed_by") or {}
    login = str(by.get("login") or "")
    if not login or by.get("type") == "Bot" or login == api.login or not may_write(api, login):
        reading.lines.append(f"#{number} was closed by {login or 'nobody known'}: no edit of it counts as rejected")
        return
    words = _words(api, number)
    reading.new += [
        rejected_by_people(edit, proposal, f"{_closed_mark(number)}{words}") for edit in _standing(proposal)
    ]
    reading.kept.judged.append(number)
    reading.lines.append(f"learned from #{number}: closed")


def _reopened(reading: Reading, proposal: Proposal) -> None:
    """It was closed and opened again: what its closing rejected is on the table again."""
    mark = _closed_mark(proposal.number)
    still = [
        edit for edit in reading.kept.rejected if not (edit.at.run == proposal.run and edit.reason.startswith(mark))
    ]
    reading.kept = reading.kept.model_copy(update={"rejected": still})
    reading.kept.reopened.append(proposal.number)
    reading.lines.append(f"#{proposal.number} was opened again: its edits are not rejected any more")


def _closed_mark(number: int) -> str:
    return f"#{number} was closed unmerged"


def _standing(proposal: Proposal) -> list[Edit]:
    return [edit for edit in edits_of(proposal) if edit.id not in proposal.dropped]


def rejected_by_people(edit: Edit, proposal: Proposal, reason: str) -> RejectedEdit:
    """An edit of a proposal as the memory keeps what reviewers refused."""
    at = Stamp(proposal.run, edit.iteration)
    return RejectedEdit(edit.id, at, edit.summary, edit.patterns, "reviewer", reason[:REASON] or "no reason given")


def _words(api: Api, number: int) -> str:
    """What people with write access said on a pull request, newest last, on one line; behind a colon, or nothing."""
    said = [
        *api.pages(f"/issues/{number}/comments"),
        *api.pages(f"/pulls/{number}/reviews"),
        *api.pages(f"/pulls/{number}/comments"),
    ]
    access: dict[str, bool] = {}
    lines = []
    for row in said:
        line = one_line(inbound(row.get("body") or ""))
        if line and not parse_command(row.get("body") or "") and _by_a_writer(api, row, access):
            lines.append(line[:300])
    return f": {' / '.join(lines)}"[:REASON] if lines else ""


def _by_a_writer(api: Api, row: Mapping[str, Any], access: dict[str, bool]) -> bool:
    """Asked of the API: an `author_association` says who belongs to a project, and not who may write to it."""
    author = row.get("user") or {}
    login = str(author.get("login") or "")
    if not login or author.get("type") == "Bot" or marked(row.get("body")):
        return False
    if login not in access:
        access[login] = may_write(api, login)
    return access[login]


def _not_merged(
    api: Api, proposal: Proposal, edits: Sequence[Edit], merged: str, path: str, checkout: Checkout
) -> Iterator[tuple[Edit, str]]:
    """Edits whose lines are not, or not all, in the merged skill."""
    folder = checkout.skill.folder
    before, after = (skill_at(api, sha, path, folder, checkout) for sha in (proposal.base, merged))
    if before is None or after is None:
        return
    try:
        for edit, old, new in steps(before, edits):
            kept, wanted = lines_of(old, new, after)
            if wanted and kept < wanted:
                yield edit, "without it" if kept == 0 else "with changes to it"
    except ReplyError:
        return  # the base was rewritten: nothing can be said
