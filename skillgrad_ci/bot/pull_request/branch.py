"""The bot's branch: which one it may write, and one commit per edit on it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from textwrap import shorten
from typing import Any

from unidiff.patch import PatchSet

from skillgrad_ci.bot.decide import PREFIX
from skillgrad_ci.bot.state import Proposal
from skillgrad_ci.document.inert_text import trailer
from skillgrad_ci.errors import EnvironmentFailure, SkillGradError, UserError
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.git_data import (
    Commit,
    branch_head,
    commit_at,
    commit_files,
    commits_between,
    create_branch,
    folder_at,
    move_branch,
)
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.skill.edit import Edit, apply_edit
from skillgrad_ci.skill.skill import Skill

TRAILER = re.compile(r"^Skillgrad-(Edit|Memory): \S", re.MULTILINE)
GITHUB = "web-flow"  # the committer that GitHub names for what it signs
ATTEMPTS = 5
SUBJECT = 72  # characters of a commit's first line
SUFFIXES = ("", *(f".{number}" for number in range(2, 20)))  # no skill's own branch has a dot
FORBIDDEN = {".git", ".github", ".skillgrad.yml", ".skillgrad"}


@dataclass(frozen=True)
class BranchContent:
    """What is to be pushed. `path` and `memory_path` are relative to the repository, `path` "" its root.

    `edits` lead from `initial` to `final`; `memory` is the text of the memory file.
    """

    skill: str
    path: str
    initial: Skill
    final: Skill
    edits: Sequence[Edit]
    memory: str
    memory_path: str
    run: str
    lines: Mapping[str, str] = field(default_factory=dict)  # what each pattern says, by its slug
    accepted: Mapping[str, str] = field(default_factory=dict)  # which measurement let an edit in, by its id


@dataclass(frozen=True)
class Pushed:
    """A branch as the bot left it. `avoided` are commits by others, for whose sake it has this name."""

    branch: str
    base: str
    head: str
    avoided: Sequence[str] = ()
    commits: Mapping[str, str] = field(default_factory=dict)  # of each edit, by its id


def branch_name(skill: str) -> str:
    """The skill's branch, another for every skill: a name that git or this bot cannot take as it is gets a digest."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", skill).strip("-")
    if plain == skill and plain != "state":
        return f"{PREFIX}/{plain}"
    return f"{PREFIX}/{plain or 'skill'}-{sha256(skill.encode()).hexdigest()[:8]}"


def push(api: Api, content: BranchContent, base: str, proposals: Sequence[Proposal] = ()) -> Pushed:
    """Commit the content on top of `base` and point the bot's branch to it.

    `proposals` are what the bot knows of its branches. Raises UserError where the content reaches outside the skill.
    """
    check_reach(content)
    made, commits = _commit_all(api, content, commit_at(api, base))
    for _ in range(ATTEMPTS):
        branch, before, avoided = _own_branch(api, content, base, proposals)
        if before is None and create_branch(api, branch, made.sha):
            return Pushed(branch, base, made.sha, avoided, commits)
        unchanged = before is not None and branch_head(api, branch) == before
        if unchanged and move_branch(api, branch, made.sha, force=True):
            return Pushed(branch, base, made.sha, avoided, commits)
    raise EnvironmentFailure(f"branch {branch_name(content.skill)}: others kept writing to it; start this run again")


def _own_branch(
    api: Api, content: BranchContent, base: str, proposals: Sequence[Proposal]
) -> tuple[str, str | None, list[str]]:
    """The first of the skill's branches that is free or holds the bot's commits alone, and where it stands.

    Also the commits of people on the first branch, if that is not the one.
    """
    avoided: list[str] = []
    first = branch_name(content.skill)
    for suffix in SUFFIXES:
        branch = f"{first}{suffix}"
        before = None if api.blind else branch_head(api, branch)
        known = [proposal.head for proposal in proposals if proposal.branch == branch]
        foreign = foreign_commits(api, content, base, before, known) if before else []
        if not foreign:
            return branch, before, avoided
        avoided = avoided or foreign
    raise EnvironmentFailure(f"branch {first}: people commit to it and to all that follow; delete some")


def push_beside(api: Api, content: BranchContent, base: str, branch: str) -> Pushed | None:
    """Commit the content on top of `base` and point a branch of the bot's own to it; None where people commit to it."""
    check_reach(content)
    before = None if api.blind else branch_head(api, branch)
    if before is not None and foreign_commits(api, content, base, before, []):
        return None
    made, commits = _commit_all(api, content, commit_at(api, base))
    there = before if before is None or api.blind else branch_head(api, branch)
    moved = there == before and before is not None and move_branch(api, branch, made.sha, force=True)
    if moved or (before is None and create_branch(api, branch, made.sha)):
        return Pushed(branch, base, made.sha, commits=commits)
    raise EnvironmentFailure(
        f"branch {branch}: somebody wrote to it meanwhile; nothing was changed, start this run again"
    )


def push_to(api: Api, content: BranchContent, base: Commit, branch: str, expected: str) -> Pushed:
    """Rewrite a branch of the bot's that stands at `expected`."""
    check_reach(content)
    head, commits = _commit_all(api, content, base)
    there = expected if api.blind else branch_head(api, branch)
    if there != expected or not move_branch(api, branch, head.sha, force=True):
        raise EnvironmentFailure(
            f"branch {branch}: somebody committed to it meanwhile; nothing was changed, start this run again"
        )
    return Pushed(branch, base.sha, head.sha, commits=commits)


def check_reach(content: BranchContent) -> None:
    """Every file of the patch lies in the skill. Raises UserError that names the one that does not."""
    text = skill_patch(content.initial, content.final).decode("utf-8", errors="surrogateescape")
    for file in PatchSet(text):
        parts = PurePosixPath(file.path).parts
        if not parts or file.path.startswith("/") or ".." in parts or FORBIDDEN & {parts[0], parts[0].lower()}:
            raise UserError(f"{file.path}: outside the skill {content.skill}; nothing was written")


def foreign_commits(api: Api, content: BranchContent, base: str, head: str, known: Sequence[str]) -> list[str]:
    """Commits up to `head` that are neither in `base` nor the bot's: `abc1234 by LOGIN` each.

    What a head in `known` holds is the bot's own or older, whatever became of the base since. Two kinds of commits are
    nobody's work: a merge that brings the base in and changes nothing of the skill ("Update branch"), and an empty one.
    """
    if head in known:
        return []
    rows = commits_between(api, base, head)
    since = [ours for ours in (commits_between(api, sha, head) for sha in known) if ours is not None]
    if rows is None and not since:
        return [f"{head[:7]} without a common history"]
    kept = [row for row in (rows if rows is not None else since[0]) if all(_holds(ours, row) for ours in since)]
    return [_by(api, row) for row in kept if not (_is_mine(api, row) or _brings_base_in(api, content, row))]


def _holds(rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> bool:
    return any(row["sha"] == wanted["sha"] for row in rows)


def _accounts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Author and committer: accounts where GitHub knows them, names otherwise."""
    author, committer = (
        str((row.get(role) or {}).get("login") or row["commit"][role]["name"]) for role in ("author", "committer")
    )
    return author, committer


def _is_mine(api: Api, row: Mapping[str, Any]) -> bool:
    """Who amends or rebases a commit of the bot's leaves its author and message, and becomes its committer."""
    author, committer = _accounts(row)
    return author == api.login and committer in {api.login, GITHUB} and bool(TRAILER.search(row["commit"]["message"]))


def _by(api: Api, row: Mapping[str, Any]) -> str:
    author, committer = _accounts(row)
    return f"{row['sha'][:7]} by {committer if author == api.login else author}"


def _brings_base_in(api: Api, content: BranchContent, row: Mapping[str, Any]) -> bool:
    """A merge of two whose skill and memory are, each, as one of its parents has them; or a commit without a change."""
    parents = [str(parent["sha"]) for parent in row["parents"]]
    if len(parents) == 1:
        return commit_at(api, parents[0]).tree == str(row["commit"]["tree"]["sha"])
    if len(parents) != 2:
        return False
    memory = str(PurePosixPath(content.memory_path).parent)
    for path in (content.path, memory):
        merged, *sides = (folder_at(api, commit_at(api, sha), path) for sha in (row["sha"], *parents))
        if merged not in sides:
            return False
    return True


def steps(initial: Skill, edits: Sequence[Edit]) -> Iterator[tuple[Edit, Skill, Skill]]:
    """Each edit with the skill before and after it."""
    skill = initial
    for edit in edits:
        after = apply_edit(skill, edit)
        yield edit, skill, after
        skill = after


def lines_of(old: Skill, new: Skill, end: Skill) -> tuple[int, int]:
    """How many of the lines that an edit added or removed are so in a later skill, and how many there are."""
    kept = wanted = 0
    patch = PatchSet(skill_patch(old, new).decode("utf-8", errors="replace"))
    for file in patch:
        there = end.files.get(file.path, b"").decode("utf-8", errors="replace").splitlines()
        added = [line.value.strip() for hunk in file for line in hunk if line.is_added and line.value.strip()]
        now = {line.strip() for line in there}
        removed = [line.value.strip() for hunk in file for line in hunk if line.is_removed and line.value.strip()]
        gone = [line for line in removed if line not in added]
        kept += sum(line in now for line in added) + sum(line not in now for line in gone)
        wanted += len(added) + len(gone)
    return kept, wanted


def _commit_all(api: Api, content: BranchContent, parent: Commit) -> tuple[Commit, dict[str, str]]:
    """One commit an edit, and one for the memory: the last one, and each edit's commit by its id."""
    skill, made = content.initial, {}
    for edit, before, after in steps(content.initial, content.edits):
        files = changed_files(before, after, content.path)
        modes = frozenset(_at(content.path, name) for name in after.executable)
        parent = commit_files(api, parent, files, message(edit, content), modes)
        skill, made[edit.id] = after, parent.sha
    if skill.digest != content.final.digest:
        raise SkillGradError(
            f"{content.skill}: its edits do not lead to the skill that was measured; nothing was pushed, so run again"
        )
    text = f"Record what run {content.run} learned about {content.skill}\n\nSkillgrad-Memory: {content.skill}\n"
    return commit_files(api, parent, {content.memory_path: content.memory.encode()}, text, frozenset()), made


def changed_files(before: Skill, after: Skill, path: str) -> Mapping[str, bytes | None]:
    """What a commit holds: whole new contents by path in the repository, None for a removed file."""
    names = {*before.files, *after.files}
    return {_at(path, n): after.files.get(n) for n in names if before.files.get(n) != after.files.get(n)}


def _at(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def message(edit: Edit, content: BranchContent) -> str:
    """A commit's message. The trailers are code's; the words of a model are inert and stay on their line."""
    line = next(filter(None, (content.lines.get(slug, "") for slug in edit.patterns)), "")
    subject = shorten(trailer(line or edit.summary, 400) or edit.file, SUBJECT, placeholder="…")
    lines = [subject, "", trailer(edit.why, 500), ""] if edit.why else [subject, ""]
    facts = {
        "Edit": edit.id,
        "Layer": edit.layer,
        "Patterns": ", ".join(edit.patterns) or "none",
        "Tasks": ", ".join(edit.tasks) or "none",
        "Run": content.run,
        "Iteration": str(edit.iteration),
        "Accepted": content.accepted.get(edit.id, "") or "no measurement",
    }
    return "\n".join([*lines, *(f"Skillgrad-{name}: {trailer(value, 2000)}" for name, value in facts.items())]) + "\n"
