"""Q: text that can be read, blocks that end, pointers that resolve, files that somebody points to.

What a file says is worked out once for its bytes, and its Markdown is parsed only where a look at the lines
leaves a question open: a skill of 700 files is linted several times in a round of edits.
"""

import posixpath
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath

from skillgrad_ci.skill.markdown import may_be_unclosed, outline
from skillgrad_ci.skill.pointers import Pointer, found, mentions
from skillgrad_ci.skill.rules import Finding, finding
from skillgrad_ci.skill.skill import MAIN, Skill
from skillgrad_ci.skill.surroundings import Place, Surroundings

TEXT_SUFFIXES = {".md", ".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".xml"}
CODE_SUFFIXES = {".py", ".sh", ".js", ".ts", ".rb", ".sql", ".toml"}
TEMPLATES = ("assets/", "templates/")  # what lies there is copied elsewhere, and its links are for there


def lint_files(skill: Skill, around: Surroundings | None) -> Iterator[Finding]:
    """The findings of all files; `around` knows what lies beside the skill."""
    names = [MAIN, *skill.resources]
    there = {*names, *(folder for name in names for folder in _above(name))}
    for name in names:
        path = PurePosixPath(name)
        if path.parts[0] == "references" and len(path.parts) > 2:
            yield finding("Q003", name, 1, "deeper than one level under references/; move it up")
        if name != MAIN and path.suffix.lower() not in TEXT_SUFFIXES | CODE_SUFFIXES:
            continue
        text = _text(skill.content(name))
        if text is None:
            yield finding("Q004", name, 1, f"not UTF-8 text, as {path.suffix or path.name} should be; save it as UTF-8")
        elif path.suffix.lower() == ".md":
            body, first = (skill.body, skill.parts.body_line) if name == MAIN else (text, 1)
            for rule, line, message in _markdown(name, body, there, around):
                yield finding(rule, name, first + line, message)
    for name in skill.stray:
        yield finding("Q007", name, 1, "a link that leads out of the repository, or nowhere; remove it")


def unreached(skill: Skill, folders: tuple[str, ...]) -> Iterator[Finding]:
    """Files in `folders` that the body does not name: no agent will ever open them."""
    body = skill.body
    for name in skill.resources:
        if PurePosixPath(name).parts[0] in folders and not mentions(body, name):
            message = f'the body does not point to it; add "Read `{name}` when … Skip when …" to {MAIN}'
            yield finding("Q002", name, 1, message)


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


@lru_cache(maxsize=8192)
def _text(content: bytes) -> str | None:
    """The content as text; None if it is not text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _markdown(name: str, text: str, there: set[str], around: Surroundings | None) -> Iterator[tuple[str, int, str]]:
    """Rule, line (from 0) and message of each finding in a Markdown text."""
    unclosed = _unclosed(text)
    if unclosed is not None:
        yield "B005", unclosed, "a code block or comment is not closed; close it"
    if name.startswith(TEMPLATES):
        return
    for pointer in found(text, posixpath.dirname(name)):
        if any(path.rstrip("/") in there for path in pointer.candidates) or pointer.is_placeholder:
            continue
        if not outline(text).is_code(pointer.line):
            problem = _problem(pointer, around)
            if problem is not None:
                yield problem[0], pointer.line, problem[1]


def _problem(pointer: Pointer, around: Surroundings | None) -> tuple[str, str] | None:
    """Rule and message of a pointer that names no file of the skill; None where it leads to something that counts."""
    places = [around.place_of(path) if around else Place.NOWHERE for path in pointer.candidates]
    if Place.LEFT_OUT in places:
        return None
    if Place.UNTRACKED in places:
        return "Q006", f"points to {pointer.path}, which git does not track; add it"
    if Place.REPOSITORY in places:
        return (
            "Q005",
            f"points to {pointer.path}, outside the skill; it works only where the whole repository is installed",
        )
    return "Q001", f"points to {pointer.path}, which is not in the skill"


@lru_cache(maxsize=8192)
def _unclosed(text: str) -> int | None:
    return outline(text).unclosed if may_be_unclosed(text) else None
