"""What became of earlier pull requests, as rejected edits that the next run's patcher is shown.

Closed unmerged: every edit was rejected. Merged: an edit whose lines were dropped or changed on the way
was rejected as it stood. The reasons are the words of people with write access, and data like any other
text from outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter
from unidiff.patch import PatchSet

from skillgrad_ci.bot.pull_request.branch import steps
from skillgrad_ci.bot.slash_commands import parse
from skillgrad_ci.bot.state import Proposal
from skillgrad_ci.errors import ReplyError, UserError
from skillgrad_ci.github.client import Api, find
from skillgrad_ci.github.comments import marked
from skillgrad_ci.github.git_data import EXECUTABLE, LINK, commit_at, content_of, folder_at
from skillgrad_ci.github.text import inbound
from skillgrad_ci.method.memory import RejectedEdit, Stamp
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.folder import MAX_FILE_BYTES
from skillgrad_ci.skill.membership import IGNORED
from skillgrad_ci.skill.skill import EVALS, MAIN, Skill

TRUSTED = {"OWNER", "MEMBER", "COLLABORATOR"}  # GitHub's `author_association`
REASON = 600  # characters
EDITS = TypeAdapter(list[Edit])


@dataclass(frozen=True)
class Learned:
    """What became of one pull request: its rejected edits, and a line for the log."""

    number: int
    merged: bool
    rejected: Sequence[RejectedEdit]
    line: str


def edits_of(proposal: Proposal) -> list[Edit]:
    """The edits of a proposal, as the branch's state keeps them."""
    return EDITS.validate_python(proposal.edits)


def skill_at(api: Api, sha: str, path: str, folder: str) -> Skill | None:
    """The skill as a commit holds it, by the rules of `Skill.load`; None where it is not there."""
    blobs = folder_at(api, commit_at(api, sha), path)
    blobs = {
        name: blob
        for name, blob in blobs.items()
        if not _left_out(PurePosixPath(name).parts) and blob.mode != LINK  # no edit reaches a link
    }
    if MAIN not in blobs:
        return None
    for name, blob in blobs.items():
        if blob.size > MAX_FILE_BYTES:
            what = f"larger than {MAX_FILE_BYTES:,} bytes"
            raise UserError(f"{path}/{name} at {sha[:7]}: {what}; a skill holds files of moderate size")
    executable = frozenset(name for name, blob in blobs.items() if blob.mode == EXECUTABLE)
    return Skill(folder, {name: content_of(api, blob) for name, blob in blobs.items()}, executable)


def _left_out(parts: tuple[str, ...]) -> bool:
    """A suite inside the skill's folder, and what no skill holds."""
    return parts[0] == EVALS or bool(IGNORED & set(parts))


def lessons_of(api: Api, proposals: Sequence[Proposal], path: str, folder: str) -> Iterator[Learned]:
    """What became of every proposal that people decided about."""
    for proposal in [] if api.blind else proposals:
        learned = learn(api, proposal, path, folder)
        if learned is not None:
            yield learned


def learn(api: Api, proposal: Proposal, path: str, folder: str) -> Learned | None:
    """What people decided about a proposal; None while its pull request is open, or where it is gone."""
    pull = find(api, f"/pulls/{proposal.number}")
    if pull is None or pull["state"] == "open":
        return None
    number, edits = proposal.number, [edit for edit in edits_of(proposal) if edit.id not in proposal.dropped]
    words = _words(api, number)
    because = f": {words}" if words else ""
    if not pull.get("merged_at"):
        rejected = [rejected_by_people(edit, proposal, f"#{number} was closed unmerged{because}") for edit in edits]
        return Learned(number, False, rejected, f"learned from #{number}: closed")
    merged = str(pull["merge_commit_sha"])
    rejected = [
        rejected_by_people(edit, proposal, f"#{number} was merged {what}{because}")
        for edit, what in _not_merged(api, proposal, edits, merged, path, folder)
    ]
    return Learned(number, True, rejected, f"learned from #{number}: merged, {len(rejected)} edits dropped or changed")


def rejected_by_people(edit: Edit, proposal: Proposal, reason: str) -> RejectedEdit:
    """An edit of a proposal as the memory keeps what reviewers refused."""
    at = Stamp(proposal.run, edit.iteration)
    return RejectedEdit(edit.id, at, edit.summary, edit.patterns, "reviewer", reason[:REASON] or "no reason given")


def _words(api: Api, number: int) -> str:
    """What people with write access said on a pull request, newest last, on one line."""
    said = [
        *api.pages(f"/issues/{number}/comments"),
        *api.pages(f"/pulls/{number}/reviews"),
        *api.pages(f"/pulls/{number}/comments"),
    ]
    trusted = [row for row in said if _by_a_person(row) and not parse(row.get("body") or "")]
    lines = [" ".join(inbound(row.get("body") or "").split()) for row in trusted]
    return " / ".join(line[:300] for line in lines if line)[:REASON]


def _by_a_person(row: Mapping[str, Any]) -> bool:
    author = row.get("user") or {}
    mine = marked(row.get("body"))
    return row.get("author_association") in TRUSTED and author.get("type") != "Bot" and not mine


def _not_merged(
    api: Api, proposal: Proposal, edits: Sequence[Edit], merged: str, path: str, folder: str
) -> Iterator[tuple[Edit, str]]:
    """Edits whose lines are not, or not all, in the merged skill."""
    before, after = skill_at(api, proposal.base, path, folder), skill_at(api, merged, path, folder)
    if before is None or after is None:
        return
    try:
        for edit, old, new in steps(before, edits):
            kept, wanted = _kept(old, new, after)
            if wanted and kept < wanted:
                yield edit, "without it" if kept == 0 else "with changes to it"
    except ReplyError:
        return  # the base was rewritten: nothing can be said


def _kept(old: Skill, new: Skill, merged: Skill) -> tuple[int, int]:
    """How many of the lines that an edit added or removed are so in the merged skill, and how many there are."""
    kept = wanted = 0
    patch = PatchSet(skill_patch(old, new).decode("utf-8", errors="replace"))
    for file in patch:
        there = merged.files.get(file.path, b"").decode("utf-8", errors="replace").splitlines()
        added = [line.value.strip() for hunk in file for line in hunk if line.is_added and line.value.strip()]
        now = {line.strip() for line in there}
        removed = [line.value.strip() for hunk in file for line in hunk if line.is_removed and line.value.strip()]
        gone = [line for line in removed if line not in added]
        kept += sum(line in now for line in added) + sum(line not in now for line in gone)
        wanted += len(added) + len(gone)
    return kept, wanted
