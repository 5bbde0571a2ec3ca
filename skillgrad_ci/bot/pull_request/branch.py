"""The bot's branch: which one it may write, and one commit per edit on it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from unidiff.patch import PatchSet

from skillgrad_ci.bot.decide import PREFIX
from skillgrad_ci.errors import EnvironmentFailure, SkillGradError, UserError
from skillgrad_ci.github.client import Api
from skillgrad_ci.github.git_data import (
    Commit,
    blob_name,
    branch_head,
    commit_at,
    commit_files,
    commits_between,
    create_branch,
    folder_at,
    move_branch,
)
from skillgrad_ci.github.text import trailer
from skillgrad_ci.report.diff import skill_patch
from skillgrad_ci.skill.edit import Edit, apply_edit
from skillgrad_ci.skill.skill import Skill

TRAILER = re.compile(r"^Skillgrad-(Edit|Memory): \S", re.MULTILINE)
GITHUB = "web-flow"  # the committer that GitHub names for what it signs
ATTEMPTS = 5
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


@dataclass(frozen=True)
class Pushed:
    """A branch as the bot left it. `avoided` are commits by others, for whose sake it has this name."""

    branch: str
    base: str
    head: str
    avoided: Sequence[str] = ()


def branch_name(skill: str) -> str:
    """The skill's branch; a folder's name may hold what a branch's may not, and one name is the state's."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", skill).strip("-")
    return f"{PREFIX}/{'skill-state' if name == 'state' else name or 'skill'}"


def push(api: Api, change: BranchContent, base: str, default_branch: str) -> Pushed:
    """Commit the change on top of `base` and point the bot's branch to it.

    Raises UserError where the change reaches outside the skill, EnvironmentFailure where the skill on
    the base is not the one that was optimized.
    """
    check_reach(change)
    parent = commit_at(api, base)
    refuse_moved(api, change, parent, default_branch)
    made = _commit_all(api, change, parent)
    for _ in range(ATTEMPTS):
        branch, before, avoided = _own_branch(api, change.skill, base)
        if before is None and create_branch(api, branch, made.sha):
            return Pushed(branch, base, made.sha, avoided)
        unchanged = before is not None and branch_head(api, branch) == before
        if unchanged and move_branch(api, branch, made.sha, force=True):
            return Pushed(branch, base, made.sha, avoided)
    raise EnvironmentFailure(f"branch {branch_name(change.skill)}: others kept writing to it; start this run again")


def _own_branch(api: Api, skill: str, base: str) -> tuple[str, str | None, list[str]]:
    """The first of the skill's branches that is free or holds the bot's commits alone, and where it stands.

    Also the commits of people on the first branch, if that is not the one.
    """
    avoided: list[str] = []
    for suffix in SUFFIXES:
        branch = f"{branch_name(skill)}{suffix}"
        before = None if api.blind else branch_head(api, branch)
        foreign = foreign_commits(api, base, before) if before else []
        if not foreign:
            return branch, before, avoided
        avoided = avoided or foreign
    raise EnvironmentFailure(f"branch {branch_name(skill)}: people commit to it and to all that follow; delete some")


def push_to(api: Api, change: BranchContent, base: Commit, branch: str, expected: str) -> str:
    """Rewrite a branch of the bot's that stands at `expected`. Returns its new head."""
    check_reach(change)
    head = _commit_all(api, change, base)
    if branch_head(api, branch) != expected or not move_branch(api, branch, head.sha, force=True):
        raise EnvironmentFailure(f"branch {branch}: somebody committed to it meanwhile; nothing was changed")
    return head.sha


def check_reach(change: BranchContent) -> None:
    """Every file of the patch lies in the skill. Raises UserError that names the one that does not."""
    text = skill_patch(change.initial, change.final).decode("utf-8", errors="surrogateescape")
    for file in PatchSet(text):
        parts = PurePosixPath(file.path).parts
        if not parts or file.path.startswith("/") or ".." in parts or FORBIDDEN & {parts[0], parts[0].lower()}:
            raise UserError(f"{file.path}: outside the skill {change.skill}; nothing was written")


def refuse_moved(api: Api, change: BranchContent, base: Commit, default_branch: str) -> None:
    """The base is read again right before writing: people may have changed the skill during the run."""
    if api.blind:
        return
    there = {path: blob.sha for path, blob in folder_at(api, base, change.path).items()}
    ours = {path: blob_name(content) for path, content in change.initial.files.items()}
    moved = sorted(path for path in ours if there.get(path) != ours[path])
    moved += sorted(path for path in there if path not in ours and path in change.final.files)
    if moved:
        raise EnvironmentFailure(
            f"{change.path or '.'}: {', '.join(moved[:3])} changed on {default_branch} during the run; "
            "nothing was pushed, the next run starts from there"
        )


def foreign_commits(api: Api, base: str, head: str) -> list[str]:
    """Commits on top of `base` up to `head` that the bot did not make, each as `abc1234 by LOGIN`.

    Who amends or rebases a commit of the bot's leaves its author and message, and becomes its committer.
    """
    found = []
    for row in commits_between(api, base, head):
        author, committer = (
            str((row.get(role) or {}).get("login") or row["commit"][role]["name"]) for role in ("author", "committer")
        )
        mine = author == api.login and committer in {api.login, GITHUB} and TRAILER.search(row["commit"]["message"])
        if not mine:
            found.append(f"{row['sha'][:7]} by {committer if author == api.login else author}")
    return found


def steps(initial: Skill, edits: Sequence[Edit]) -> Iterator[tuple[Edit, Skill, Skill]]:
    """Each edit with the skill before and after it."""
    skill = initial
    for edit in edits:
        after = apply_edit(skill, edit)
        yield edit, skill, after
        skill = after


def _commit_all(api: Api, change: BranchContent, parent: Commit) -> Commit:
    skill = change.initial
    for edit, before, after in steps(change.initial, change.edits):
        files = changed_files(before, after, change.path)
        modes = frozenset(_at(change.path, name) for name in after.executable)
        parent = commit_files(api, parent, files, message(edit, change), modes)
        skill = after
    if skill.digest != change.final.digest:
        raise SkillGradError(
            f"{change.skill}: its edits do not lead to the skill that was measured; nothing was pushed"
        )
    text = f"Record what run {change.run} learned about {change.skill}\n\nSkillgrad-Memory: {change.skill}\n"
    return commit_files(api, parent, {change.memory_path: change.memory.encode()}, text, frozenset())


def changed_files(before: Skill, after: Skill, path: str) -> Mapping[str, bytes | None]:
    """What a commit holds: whole new contents by path in the repository, None for a removed file."""
    names = {*before.files, *after.files}
    return {_at(path, n): after.files.get(n) for n in names if before.files.get(n) != after.files.get(n)}


def _at(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def message(edit: Edit, change: BranchContent) -> str:
    """A commit's message. The trailers are code's; the words of a model are inert and stay on their line."""
    what = trailer(edit.summary, 60) or edit.file
    lines = [f"{edit.id}: {what}", "", trailer(edit.why, 500), ""] if edit.why else [f"{edit.id}: {what}", ""]
    facts = {
        "Edit": edit.id,
        "Layer": edit.layer,
        "Patterns": ", ".join(edit.patterns) or "none",
        "Tasks": ", ".join(edit.tasks) or "none",
        "Run": change.run,
    }
    return "\n".join([*lines, *(f"Skillgrad-{name}: {trailer(value, 2000)}" for name, value in facts.items())]) + "\n"
