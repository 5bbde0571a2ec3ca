"""A patch: edits in order, each tried on the skill as the ones before it left it.

An edit that does not fit, adds a lint error, leaks or reaches where it may not is refused with the
reason, and the others go on. A new file and the pointer to it may come in either order, so pointers
are judged at the end of the patch: whoever left one open is refused, until nothing is open.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from skillgrad_ci.document.inert_text import printable
from skillgrad_ci.errors import ReplyError
from skillgrad_ci.method.leaks import leaks
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.edit import Edit, apply_edit, quoted
from skillgrad_ci.skill.lint import CODE_SUFFIXES, RULES, TEXT_SUFFIXES, Finding, new_errors
from skillgrad_ci.skill.markdown import outline
from skillgrad_ci.skill.pointers import FOLDERS
from skillgrad_ci.skill.skill import MAIN, Skill

MAX_CONTENT = 20_000  # characters of one edit
BLOCK_BEGIN = "<!-- What whole epochs taught: kept by the optimizer, not edited by steps. -->"
BLOCK_END = "<!-- End of what whole epochs taught. -->"
JUDGED_AT_THE_END = {"Q001", "Q002"}
LEAKS = {"L001", "L002", "L003", "L004"}  # their messages quote what must not be published
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_INVISIBLE = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
_HARMLESS = "\n\t\u200c\u200d"  # the joiners are letters' parts in some scripts, and emoji's

Make = Callable[[Skill, Edit], Skill]


@dataclass(frozen=True)
class EditResult:
    """What became of an edit: `accepted`, `refused` by these checks, or `rejected` by a measurement."""

    edit: Edit
    status: Literal["accepted", "refused", "rejected"]
    reason: str = ""

    def rejected(self, reason: str) -> "EditResult":
        """This result once a measurement has spoken against the patch: only what was accepted changes."""
        return EditResult(self.edit, "rejected", reason) if self.status == "accepted" else self

    @property
    def published(self) -> str:
        """The reason as a published record may hold it: in one line, without the words of a leak or of the address."""
        rule = self.reason[:4]
        reason = f"{rule}: {RULES[rule][1]}" if rule in LEAKS else self.reason
        if self.edit.target == "text":
            reason = reason.replace(quoted(self.edit.address), "of its address")
        return printable(reason)


@dataclass(frozen=True)
class Rules:
    """What edits are held to.

    `tasks` are the training tasks that nothing may be learned by heart from; an edit names one or more
    of `patterns`, by their slugs.
    """

    tasks: Sequence[Task]
    patterns: Collection[str]
    allow_scripts: bool = False
    references: int | None = None  # the most files under references/ that an edit may lead to
    in_block: bool = False  # whether the block of the slow update may be touched
    shorten: bool = False  # whether each edit must make the skill shorter


def try_patch(skill: Skill, edits: Sequence[Edit], rules: Rules) -> tuple[Skill, list[EditResult]]:
    """The skill with every edit made that the rules allow, and what became of each."""

    def make(before: Skill, edit: Edit) -> Skill:
        if not set(edit.patterns) & set(rules.patterns):
            raise ReplyError("names no pattern of the record; an edit is made for one or more of them")
        _check_content(edit)
        _check_reach(before, edit.file, rules.allow_scripts)
        after = apply_edit(before, edit)
        _check_bounds(before, after, rules)
        copied = (leak for leak in leaks(skill, after, rules.tasks) if leak.severity == "error")
        for problem in [*new_errors(before, after), *copied]:
            if problem.rule not in JUDGED_AT_THE_END:
                raise ReplyError(_told(problem))
        return after

    return _settle(skill, edits, make)


def replay(skill: Skill, edits: Sequence[Edit], drop: Collection[str] = ()) -> tuple[Skill, list[EditResult]]:
    """Accepted edits made again on the skill that they began with, without those whose id is in `drop`.

    With nothing dropped this gives the same skill. Otherwise an edit that needs a dropped one (its
    place, its file, or the pointer to it) is refused, and the reason names the one it stands on.
    """
    dropped = [edit.id for edit in edits if edit.id in drop]
    result, outcomes = _settle(skill, [edit for edit in edits if edit.id not in drop], apply_edit)
    return result, [replace(o, reason=_support(skill, edits, dropped, o)) if o.reason else o for o in outcomes]


def _support(skill: Skill, edits: Sequence[Edit], dropped: Sequence[str], refused: EditResult) -> str:
    """The reason with the dropped edit that the refused one stands on: the one that would let it be made again."""
    for back in dropped:
        kept = [edit for edit in edits if edit.id not in dropped or edit.id == back]
        if EditResult(refused.edit, "accepted") in _settle(skill, kept, apply_edit)[1]:
            return f"stands on {back}, which is dropped: {refused.reason}"
    stands_on = f"stands on the dropped {', '.join(dropped)}: " if dropped else ""
    return f"{stands_on}{refused.reason}"


def _settle(skill: Skill, edits: Sequence[Edit], make: Make) -> tuple[Skill, list[EditResult]]:
    """Make the edits again and again, each time without those that left a pointer open, until none is."""
    refused: dict[str, str] = {}
    while True:
        result, outcomes, blame = _pass(skill, edits, refused, make)
        still_open = [problem for problem in new_errors(skill, result) if problem.rule in JUDGED_AT_THE_END]
        if not still_open:
            return result, outcomes
        for problem in still_open:
            refused.setdefault(blame[problem.identity], _told(problem))


def _pass(
    skill: Skill, edits: Sequence[Edit], refused: dict[str, str], make: Make
) -> tuple[Skill, list[EditResult], dict[tuple[str, str, str], str]]:
    """One go over the edits: the skill, what became of each, and who opened which pointer last."""
    outcomes = []
    blame: dict[tuple[str, str, str], str] = {}
    for edit in edits:
        if edit.id in refused:
            outcomes.append(EditResult(edit, "refused", refused[edit.id]))
            continue
        try:
            changed = make(skill, edit)
            if changed.digest == skill.digest:
                raise ReplyError("changes nothing: the skill says so already")
        except ReplyError as problem:
            outcomes.append(EditResult(edit, "refused", str(problem)))
            continue
        blame |= {opened.identity: edit.id for opened in new_errors(skill, changed)}
        skill = changed
        outcomes.append(EditResult(edit, "accepted"))
    return skill, outcomes, blame


def _told(problem: Finding) -> str:
    return f"{problem.rule} {problem.file}:{problem.line}: {problem.message}"


def block_of(body: str) -> str:
    """The block of the slow update, its marks included; empty where there is none."""
    start, end = body.find(BLOCK_BEGIN), body.rfind(BLOCK_END)
    return body[start : end + len(BLOCK_END)] if 0 <= start < end else ""


def _check_bounds(before: Skill, after: Skill, rules: Rules) -> None:
    """What a step may not do to the skill as a whole, whatever the single edit says."""
    marks = [(skill.body.count(BLOCK_BEGIN), skill.body.count(BLOCK_END)) for skill in (before, after)]
    if not rules.in_block and (block_of(before.body) != block_of(after.body) or marks[0] != marks[1]):
        raise ReplyError("touches the block of the slow update, which is not yours; leave its marks and text alone")
    chapters = [sum(name.startswith("references/") for name in skill.files) for skill in (before, after)]
    if rules.references is not None and chapters[1] > max(rules.references, chapters[0]):
        raise ReplyError(f"more than {rules.references} files under references/; merge it into one that is there")
    sizes = [sum(map(len, skill.files.values())) for skill in (before, after)]
    if rules.shorten and sizes[1] >= sizes[0]:
        raise ReplyError("does not make the skill shorter; here every edit must")


def _check_content(edit: Edit) -> None:
    """What an edit adds is short, seen by a reviewer, and does not swallow what follows."""
    if len(edit.content) > MAX_CONTENT:
        raise ReplyError(f"longer than {MAX_CONTENT:,} characters; say it in fewer words")
    for character in edit.content.replace("\r\n", "\n"):
        if character not in _HARMLESS and unicodedata.category(character) in _INVISIBLE:
            raise ReplyError(f"holds the invisible character U+{ord(character):04X}; leave it out")
    replaced = edit.address if edit.target == "text" and edit.op == "replace" else ""
    if outline(edit.content).unclosed is not None and outline(replaced).unclosed is None:
        raise ReplyError("opens a code block or a comment and does not close it")


def _check_reach(skill: Skill, file: str, allow_scripts: bool) -> None:
    """An edit reaches text files of the skill, and nothing else."""
    if file in skill.links or file in skill.linked:
        raise ReplyError(f"{file}: a link; edit {skill.links.get(file, 'nothing here, for it leads out of the skill')}")
    if file == MAIN:
        return
    path = PurePosixPath(file)
    inside = len(path.parts) > 1 and path.parts[0] in FOLDERS and path.as_posix() == file
    if not inside or not all(map(_NAME.fullmatch, path.parts)):
        folders = ", ".join(f"{folder}/" for folder in FOLDERS)
        raise ReplyError(f"{file[:100]!r} is out of reach; edit {MAIN} or a file in {folders}")
    if path.name.lower() == MAIN.lower():
        raise ReplyError(f"{file}: a second {MAIN} would be another skill; choose another name")
    _check_kind(skill, file, allow_scripts)
    for other in skill.files:
        if other != file and (other.lower() == file.lower() or _lies_in(other, file)):
            raise ReplyError(f"{file}: collides with {other}; choose another name")


def _check_kind(skill: Skill, file: str, allow_scripts: bool) -> None:
    """Text only, and code only under scripts/, where the configuration allows it."""
    suffix = PurePosixPath(file).suffix.lower()
    is_code = file.startswith("scripts/") or file in skill.executable or suffix in CODE_SUFFIXES
    if is_code and not allow_scripts:
        raise ReplyError(f"{file}: scripts are not edited here (allow_scripts is off); write guidance instead")
    if suffix not in TEXT_SUFFIXES and not (file.startswith("scripts/") and suffix in CODE_SUFFIXES):
        raise ReplyError(f"{file}: not a kind of text file that an edit may write; use .md")


def _lies_in(file: str, other: str) -> bool:
    """Whether one of two paths would have to be a folder and a file at once."""
    short, long = sorted((file.lower(), other.lower()), key=len)
    return long.startswith(f"{short}/")
