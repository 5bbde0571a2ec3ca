"""One edit of a skill: addressed to a layer, a file and a place in it.

A place is a heading or an exact text. Everything outside the place keeps its bytes, the file its kind
of newline. An edit that cannot be applied raises ReplyError with what was expected; which edits may
be applied is `update`'s to say.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from skillgrad_ci.document.inert_text import one_line, printable
from skillgrad_ci.errors import ReplyError, UserError
from skillgrad_ci.skill.frontmatter import body_offset
from skillgrad_ci.skill.markdown import Outline, Section, outline
from skillgrad_ci.skill.skill import MAIN, Skill
from skillgrad_ci.skill.splice import insert, replace_section, without, without_lines

_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")

Op = Literal["append", "insert_after", "replace", "delete"]
Target = Literal["description", "heading", "text", "file"]
Layer = Literal["H", "B", "Q"]
OPS: dict[Target, tuple[Op, ...]] = {
    "description": ("replace",),
    "heading": ("append", "insert_after", "replace", "delete"),
    "text": ("insert_after", "replace", "delete"),
    "file": ("append", "delete"),
}

WORDS = 8  # of an edit that stand for it


@dataclass(frozen=True)
class Edit:
    """`id` is unique over a run. `patterns` are why it is made, `tasks` what taught it."""

    id: str
    iteration: int
    layer: Layer
    file: str
    op: Op
    target: Target
    address: str = ""
    content: str = ""
    patterns: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    why: str = ""

    @property
    def _says(self) -> str:
        """The first line of its content that is not a heading, printable."""
        lines = [printable(line) for line in self.content.splitlines() if line.strip()]
        return next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")

    @property
    def summary(self) -> str:
        """The edit in one printable line: where, and how it begins."""
        first, address = self._says, printable(self.address)
        at = "its description" if self.target == "description" else f"{address[:60]!r}" if address else "the file"
        return f"{self.op.replace('_', ' ')} {printable(self.file)[:100]}, {at}" + (f": {first[:300]}" if first else "")

    @property
    def opening(self) -> str:
        """The edit by its id and the first words of what it says: enough to find it where its text stands."""
        words = self._says.split() or self.summary.split()
        return f"{self.id}: {' '.join(words[:WORDS])[:100]}" + ("…" if len(words) > WORDS else "")


def quoted(address: str) -> str:
    """An exact text as messages quote it: the start of a long one."""
    text = address.replace("\r\n", "\n").strip("\n")
    return repr(text if len(text) <= 80 else text[:77] + "...")


def apply_edit(skill: Skill, edit: Edit) -> Skill:
    """The skill with one edit made. Raises ReplyError where its place or its operation does not fit."""
    if edit.op not in OPS[edit.target]:
        raise ReplyError(f"{edit.op} does not go with target {edit.target}; use {' or '.join(OPS[edit.target])}")
    if edit.op != "delete" and not edit.content.strip():
        raise ReplyError(f"{edit.op} needs content; to remove something, use delete")
    if edit.target == "description":
        return _with_description(skill, edit)
    if edit.target == "file" and edit.op == "delete":
        if edit.file == MAIN:
            raise ReplyError(f"{MAIN} cannot be removed; delete a heading's section or a text in it")
        _read(skill, edit.file)
        return skill.with_file(edit.file, None)
    content = edit.content.replace("\r\n", "\n").strip("\n")
    if edit.target == "file" and edit.file not in skill.files:
        return skill.with_file(edit.file, content + "\n")
    text = _read(skill, edit.file)
    start = body_offset(text)
    head, body = text[:start], text[start:]
    newline = "\r\n" if "\r\n" in text else "\n"
    body = _edited(edit, head, body, content.replace("\n", newline), newline)
    return skill.with_file(edit.file, head + body)


def _with_description(skill: Skill, edit: Edit) -> Skill:
    if edit.file != MAIN:
        raise ReplyError(f"only {MAIN} has a description; name it as the file")
    try:
        return skill.with_description(edit.content)
    except UserError as problem:
        raise ReplyError(f"description: {problem}") from None


def _read(skill: Skill, file: str) -> str:
    """A file of the skill as text."""
    if file not in skill.files:
        near = _nearest(file, [MAIN, *skill.resources], 0.3)
        hint = f"; there is {', '.join(near)}" if near else ""
        raise ReplyError(f"{file} is not in the skill{hint}; append with target file creates a resource")
    try:
        return skill.read(file)
    except UserError:
        raise ReplyError(f"{file} is not text; it cannot be edited") from None


def _edited(edit: Edit, head: str, body: str, content: str, newline: str) -> str:
    """The body with the edit made in it."""
    structure = outline(body)
    markdown = edit.file.lower().endswith(".md")
    if edit.target == "file":
        end = _end(structure, None, content) if markdown else len(structure.lines)
        return insert(structure, end, content, newline, parted=markdown)
    if edit.target == "heading":
        if not markdown:
            raise ReplyError(f"{edit.file}: not Markdown, so it has no headings; address an exact text")
        section = _section(structure, edit)
        if edit.op == "append":
            return insert(structure, _end(structure, section, content), content, newline)
        if edit.op == "insert_after":
            return insert(structure, section.inside, content, newline)
        if edit.op == "delete":
            return without_lines(structure, section.start, section.end)
        return replace_section(structure, section, content, newline)
    start, end = _place(edit, head, body)
    if edit.op == "insert_after":
        line = structure.line_at(end - 1)
        return insert(structure, line + 1, content, newline, parted=markdown and not structure.is_code(line))
    if edit.op == "replace":
        return body[:start] + content + body[end:]
    return without(structure, body, start, end)


def _end(structure: Outline, section: Section | None, content: str) -> int:
    """The line before which text is appended to a section, or to the file: above a thematic break that ends it.

    An item is not part of a deeper section's list: it goes to the end of the text above the first deeper heading.
    """
    end = structure.before_break(section.end if section else len(structure.lines))
    if not _ITEM.match(content) or outline(content).sections or not structure.ends_in_list(end):
        return end
    titles = [s for s in structure.sections if s.level == 1]
    whole = section or (titles[0] if len(titles) == 1 and titles[0].start == structure.sections[0].start else None)
    first = whole.start if whole else -1
    deeper = next((s.start for s in structure.sections if first < s.start < end), end)
    return structure.before_break(deeper) if structure.last_text(deeper) >= 0 else end


def _section(structure: Outline, edit: Edit) -> Section:
    """The one section with the heading of the address, written with or without its number signs."""
    wanted = _plain(edit.address)
    level = len(edit.address.strip()) - len(edit.address.strip().lstrip("#"))
    found = [s for s in structure.sections if _plain(s.heading) == wanted and level in (0, s.level)]
    found = found or [s for s in structure.sections if _plain(s.heading).casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ReplyError(
            f"{edit.file}: the heading {wanted!r} stands {len(found)} times; address an exact text instead"
        )
    headings = [s.heading for s in structure.sections]
    near = _nearest(wanted, headings, 0.3) or headings[:5]
    there = f"; there is {', '.join(map(repr, near))}" if near else "; the file has no heading"
    raise ReplyError(f"{edit.file}: no heading {wanted!r}{there}")


def _plain(heading: str) -> str:
    return one_line(heading.strip().strip("#"))


def _place(edit: Edit, head: str, body: str) -> tuple[int, int]:
    """Where the exact text of the address stands: once, in the body. Newlines match of either kind."""
    wanted = edit.address.replace("\r\n", "\n").strip("\n")
    if not wanted.strip():
        raise ReplyError(f"{edit.file}: target text needs the exact text as its address")
    pattern = re.compile(re.escape(wanted).replace("\\\n", "\r?\n"))
    found = [match.span() for match in pattern.finditer(body)]
    shown = quoted(edit.address)
    if len(found) == 1:
        return found[0]
    if found:
        raise ReplyError(f"{edit.file}: the text {shown} stands {len(found)} times; copy more of it, so that it is one")
    if pattern.search(head):
        raise ReplyError(f"{edit.file}: the text {shown} lies in the frontmatter; only its description can be replaced")
    near = _nearest(wanted.split("\n")[0], [line.strip() for line in body.split("\n") if line.strip()], 0.6)
    hint = f"; the nearest line is {near[0]!r}" if near else "; copy it character by character"
    raise ReplyError(f"{edit.file}: the text {shown} is not there{hint}")


def _nearest(wanted: str, there: Sequence[str], cutoff: float) -> list[str]:
    """At most three of what is there that look like what was wanted; long ones by their start."""
    return difflib.get_close_matches(wanted[:200], [text[:200] for text in there[:2000]], 3, cutoff)
