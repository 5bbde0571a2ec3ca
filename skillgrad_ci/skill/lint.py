"""What is wrong with a skill, layer by layer. The rules are listed in `docs/lint.md`.

Errors break the Agent Skills specification or the skill itself; warnings cost its users something.
A patch may not add an error, so an imperfect skill of somebody else can still be improved.
Messages of errors carry no counts: by rule, file and message a finding is known again after an edit.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from skillgrad_ci.skill.frontmatter import FIRST_LINE
from skillgrad_ci.skill.markdown import outline
from skillgrad_ci.skill.pointers import FOLDERS, mentions, pointers
from skillgrad_ci.skill.skill import MAIN, Skill

Severity = Literal["error", "warning"]
MAX_BODY_LINES = 500
MAX_BODY_TOKENS = 5_000
MAX_DESCRIPTION_WORDS = 50
RULES: dict[str, tuple[Severity, str]] = {
    "H001": ("error", "`name` is missing, or not 1–64 of a-z, 0-9 and single inner hyphens"),
    "H002": ("error", "`name` differs from the skill's folder"),
    "H003": ("error", "`description` is missing, no text, or longer than 1,024 characters"),
    "H004": ("warning", "`description` has more than 50 words: every agent pays for it in every session"),
    "H005": ("error", "a field that the specification does not know"),
    "H006": ("error", "`license` is no text"),
    "H007": ("error", "`compatibility` is no text of 1–500 characters"),
    "H008": ("error", "`metadata` does not map text to text"),
    "H009": ("error", "`allowed-tools` is no text of names separated by spaces"),
    "B001": ("warning", "the body has more than 500 lines"),
    "B002": ("warning", "the body has more than about 5,000 tokens"),
    "B003": ("warning", "a heading stands twice"),
    "B004": ("warning", "the body is empty"),
    "B005": ("error", "a code block or comment is never closed and swallows what follows"),
    "Q001": ("error", "a pointer to a file that is not in the skill"),
    "Q002": ("warning", "a file under `references/` that the body does not point to"),
    "Q003": ("warning", "a file under `references/` that lies deeper than one level"),
    "Q004": ("error", "a text file (by its name) that is not UTF-8 text"),
    "L001": ("error", "an added line names a training task"),
    "L002": ("error", "an added line names a training task's input file"),
    "L003": ("error", "an added line holds a training task's expected answer"),
    "L004": ("error", "an added line repeats a training task's grader"),
    "L005": ("warning", "an added line comes near a training task's grader"),
}
NOT_TO_BE_ADDED = {"B004", "Q002", "Q003"}  # warnings that a patch may not add, as if they were errors
TEXT_SUFFIXES = {".md", ".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".xml"}
CODE_SUFFIXES = {".py", ".sh", ".js", ".ts", ".rb", ".sql", ".toml"}
_FIELDS = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Finding:
    """One finding: `line` counts from 1 in `file` (a path inside the skill)."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What stays the same when an edit moves the finding to another line."""
        return self.rule, self.file, self.message


def finding(rule: str, file: str, line: int, message: str) -> Finding:
    """A finding with its rule's severity."""
    return Finding(rule, RULES[rule][0], file, line, message)


def lint(skill: Skill) -> list[Finding]:
    """All findings, by file and line. Raises UserError for a `SKILL.md` that cannot be read at all."""
    found = [*_metadata(skill), *_body(skill), *_files(skill), *_unreached(skill, ("references",))]
    return sorted(found, key=lambda f: (f.file != MAIN, f.file, f.line, f.rule))


def new_errors(before: Skill, after: Skill) -> list[Finding]:
    """What `after` has and `before` has not: errors, and the warnings that a patch may not add.

    Files under `scripts/` and `assets/` count as unreached here too, if they are new or were reached.
    """
    old = Counter(item.identity for item in [*lint(before), *_unreached(before, FOLDERS[1:])])
    added = []
    for item in [*lint(after), *_unreached(after, FOLDERS[1:])]:
        old[item.identity] -= 1
        if old[item.identity] < 0 and (item.severity == "error" or item.rule in NOT_TO_BE_ADDED):
            added.append(item)
    return added


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its UTF-8 bytes."""
    return -(-len(text.encode()) // 4)


def _metadata(skill: Skill) -> Iterator[Finding]:
    """H: the fields of the Agent Skills specification, and no others."""
    fields = skill.metadata

    def at(rule: str, field: str, message: str) -> Finding:
        match = re.search(rf"^['\"]?{re.escape(field)}['\"]?\s*:", skill.frontmatter, re.MULTILINE)
        before = skill.frontmatter[: match.start()] if match else ""
        return finding(rule, MAIN, before.count("\n") + FIRST_LINE, message)

    name, description = fields.get("name"), fields.get("description")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield at("H001", "name", f"name: {name!r} is not 1 to 64 of a-z, 0-9 and single hyphens inside")
    elif name != skill.folder:
        yield at("H002", "name", f"name: {name!r} is not the folder's name {skill.folder!r}; make them equal")
    if not isinstance(description, str) or not description.strip():
        yield at("H003", "description", "description: missing; say what the skill does and when to use it")
    elif len(description) > 1024:
        yield at("H003", "description", "description: longer than 1,024 characters; shorten it")
    elif (words := len(description.split())) > MAX_DESCRIPTION_WORDS:
        yield at("H004", "description", f"description: {words} words, more than {MAX_DESCRIPTION_WORDS}; shorten it")
    for field in sorted(set(fields) - _FIELDS):
        yield at("H005", field, f"{field}: not a field of the specification; put it under metadata or remove it")
    if "license" in fields and not _is_text(fields["license"]):
        yield at("H006", "license", "license: a license's name, as text")
    compatibility = fields.get("compatibility", "any")
    if not _is_text(compatibility) or len(compatibility) > 500:
        yield at("H007", "compatibility", "compatibility: 1 to 500 characters of text")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for pair in metadata.items() for x in pair):
        yield at("H008", "metadata", "metadata: maps text to text; quote numbers, dates and true or false")
    if "allowed-tools" in fields and not _is_text(fields["allowed-tools"]):
        yield at("H009", "allowed-tools", "allowed-tools: names separated by spaces, as one text, not a list")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _body(skill: Skill) -> Iterator[Finding]:
    """B: always loaded, so its size is everybody's cost."""
    first = skill.parts.body_line
    structure = outline(skill.body)
    if len(structure.lines) > MAX_BODY_LINES:
        message = f"the body has {len(structure.lines)} lines, more than {MAX_BODY_LINES}; move details to references/"
        yield finding("B001", MAIN, first, message)
    if (tokens := estimate_tokens(skill.body)) > MAX_BODY_TOKENS:
        message = f"the body has about {tokens} tokens, more than {MAX_BODY_TOKENS}; move details to references/"
        yield finding("B002", MAIN, first, message)
    if not skill.body.strip():
        yield finding("B004", MAIN, first, "the body is empty; it holds the guidance that an agent reads")
    seen: set[str] = set()
    for section in structure.sections:
        heading = " ".join(section.heading.casefold().split())
        if heading in seen:
            yield finding(
                "B003", MAIN, first + section.start, f"the heading {section.heading!r} stands twice; merge them"
            )
        seen.add(heading)


def _files(skill: Skill) -> Iterator[Finding]:
    """Text that can be read, blocks that end, pointers that resolve."""
    for name in [MAIN, *skill.resources]:
        path = PurePosixPath(name)
        if path.parts[0] == "references" and len(path.parts) > 2:
            yield finding("Q003", name, 1, "deeper than one level under references/; move it up")
        if name != MAIN and path.suffix.lower() not in TEXT_SUFFIXES | CODE_SUFFIXES:
            continue
        content = skill.content(name)
        if not _is_readable(content):
            yield finding("Q004", name, 1, f"not UTF-8 text, as {path.suffix or path.name} should be; save it as UTF-8")
        elif path.suffix.lower() == ".md":
            yield from _markdown(skill, name)


def _is_readable(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _markdown(skill: Skill, name: str) -> Iterator[Finding]:
    text = skill.body if name == MAIN else skill.read(name)
    first = skill.parts.body_line if name == MAIN else 1
    unclosed = outline(text).unclosed
    if unclosed is not None:
        yield finding("B005", name, first + unclosed, "a code block or comment is not closed; close it")
    for pointer in pointers(text, PurePosixPath(name).parent.as_posix()):
        if not pointer.in_code and not _resolves(skill, pointer.path):
            yield finding("Q001", name, first + pointer.line, f"points to {pointer.path}, which is not in the skill")


def _resolves(skill: Skill, path: str) -> bool:
    names = [MAIN, *skill.resources]
    return path in names or any(name.startswith(f"{path.rstrip('/')}/") for name in names)


def _unreached(skill: Skill, folders: tuple[str, ...]) -> Iterator[Finding]:
    """Files in `folders` that the body does not name: no agent will ever open them."""
    for name in skill.resources:
        if PurePosixPath(name).parts[0] in folders and not mentions(skill.body, name):
            message = f'the body does not point to it; add "Read `{name}` when … Skip when …" to {MAIN}'
            yield finding("Q002", name, 1, message)
