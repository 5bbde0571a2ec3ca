"""Layer H as text: where the frontmatter of a `SKILL.md` lies, what it says, and how to change it.

A fence is a line of exactly `---` that starts in the first column, so dashes inside a value never
end it. The slices of the text, joined, are the text again, byte for byte.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from skillgrad_ci.document.inert_text import one_line
from skillgrad_ci.document.parsing import invalid_yaml, refuse_twice
from skillgrad_ci.errors import UserError

MAX_CHARACTERS = 50_000  # a description has at most 1,024; more is not metadata, and slow to parse
MAX_DEPTH = 8
FIRST_LINE = 2  # the line of `SKILL.md` on which the fields start
_OPENING = re.compile(r"\ufeff?---[ \t]*\r?\n")
_CLOSING = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)

_FIELD = re.compile(r"([\w-]+)[ \t]*:(?:[ \t]+(.*)|\Z)")
_INDICATORS = set("@`%&*!{}[],?|>-#")  # a value that starts with one of these is not plain text to YAML
_BREAKS = re.compile(r":(?:\s|\Z)|\s#")

_OPENERS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSERS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


@dataclass(frozen=True)
class Slices:
    """A `SKILL.md` cut at its fences: opening fence (and BOM), fields, closing fence, body."""

    opening: str
    fields: str
    closing: str
    body: str

    @property
    def body_line(self) -> int:
        """The number of the body's first line, from 1."""
        return f"{self.opening}{self.fields}{self.closing}".count("\n") + 1


def split(text: str, where: str) -> Slices:
    """Cut `text` at its fences. Raises UserError, naming the file `where`, if one is missing."""
    opening = _OPENING.match(text)
    if opening is None:
        raise UserError(f"{where}:1: no frontmatter; the first line is ---, then name and description, then ---")
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        raise UserError(f"{where}:1: the frontmatter is not closed; end it with a line ---")
    if closing.start() > MAX_CHARACTERS:
        raise UserError(f"{where}:1: the frontmatter is longer than {MAX_CHARACTERS:,} characters; shorten it")
    start, end = closing.span()
    return Slices(text[: opening.end()], text[opening.end() : start], text[start:end], text[end:])


def body_offset(text: str) -> int:
    """Where the body of any Markdown text starts: 0 without frontmatter, or with one that is not closed."""
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    return closing.end() if closing else 0


def read_fields(fields: str, where: str) -> dict[str, Any]:
    """The fields' values. Raises UserError with the line for what is not a plain mapping of YAML."""
    try:
        values = yaml.SafeLoader("").construct_document(_tree(fields, where))
    except yaml.YAMLError as problem:
        raise _unreadable(fields, where, problem) from None
    except ValueError as problem:  # a date such as 2026-13-45, a number without end
        raise _error(where, 0, f"a value of the frontmatter cannot be read ({problem}); quote it") from None
    if not all(isinstance(name, str) for name in values):
        raise _error(where, 0, "a field's name is text; quote it")
    return dict(values)


def with_description(parts: Slices, description: str, where: str) -> str:
    """The text with the description replaced, on one line; every other byte stays.

    The new value is written plain where YAML reads it back as the same text, else in double quotes.
    Raises UserError where the fields cannot be read.
    """
    description = one_line(description)
    before = read_fields(parts.fields, where)
    for scalar in (description, json.dumps(description, ensure_ascii=False)):
        fields = _replaced(parts, scalar, where)
        try:
            if read_fields(fields, where) == {**before, "description": description}:
                return parts.opening + fields + parts.closing + parts.body
        except UserError:
            continue  # not as a plain scalar; the quoted one follows
    raise UserError(f"{where}:{FIRST_LINE}: the description cannot be replaced; put it on a line of its own")


def _replaced(parts: Slices, scalar: str, where: str) -> str:
    """The fields with `scalar` in the place of the description's value, or added as the last field."""
    fields = parts.fields
    for key, value in _tree(fields, where).value:
        if key.value == "description":
            start, end = value.start_mark.index, value.end_mark.index
            end = start + len(fields[start:end].rstrip())  # a block's mark stands after its blank lines
            if end == start or value.start_mark.column <= key.start_mark.column:
                start = fields.find(":", key.end_mark.index) + 1  # without one, what is made reads back as another text
                end = max(end, start)
                scalar = f" {scalar}"
            return fields[:start] + scalar + fields[end:]
    newline = "\r\n" if parts.opening.endswith("\r\n") else "\n"
    return f"{fields}description: {scalar}{newline}"


def _tree(fields: str, where: str) -> yaml.MappingNode:
    """The fields as nodes with their places. No anchors (they can grow without bound), no field twice."""
    try:
        depth = 0
        for token in yaml.scan(fields, Loader=yaml.SafeLoader):
            line = token.start_mark.line
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise _error(where, line, "YAML anchors and aliases are not used in a skill; write the value out")
            depth += isinstance(token, _OPENERS) - isinstance(token, _CLOSERS)
            if depth > MAX_DEPTH:
                raise _error(where, line, f"the frontmatter is nested more than {MAX_DEPTH} deep; flatten it")
        node = yaml.compose(fields, Loader=yaml.SafeLoader)
    except yaml.YAMLError as problem:
        raise _unreadable(fields, where, problem) from None
    if not isinstance(node, yaml.MappingNode):
        raise _error(where, 0, "the frontmatter holds no fields; name and description are needed")
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _error(where, key.start_mark.line, "a field's name is one word; write it as one")
    refuse_twice(where, node, FIRST_LINE)
    return node


def _unreadable(fields: str, where: str, problem: yaml.YAMLError) -> UserError:
    """What is wrong, and what mends it: nearly always a value that wants quotes."""
    mark = getattr(problem, "problem_mark", None)
    return invalid_yaml(where, problem, FIRST_LINE, _remedy(fields, mark.line if mark else 0))


def _remedy(fields: str, line: int) -> str:
    lines = fields.splitlines()
    if any("\t" in text[: len(text) - len(text.lstrip())] for text in lines):
        return "; indent with spaces instead of tabs"
    for number in (line, line - 1):  # a fault is noticed on its line or on the next one
        starts = [(start, _FIELD.match(lines[start])) for start in range(min(number, len(lines) - 1), -1, -1)]
        start, match = next(((start, match) for start, match in starts if match), (0, None))
        if match is None:
            continue
        name, value = match[1], "\n".join([(match[2] or "").strip(), *lines[start + 1 : number + 1]])
        if value[:1] in {"'", '"'}:
            return f"; put the whole {name} in one pair of quotes, and those inside it twice or behind a backslash"
        if value[:1] in _INDICATORS or _BREAKS.search(value):
            return f"; put the {name} in quotes"
    return "; mend it"


def _error(where: str, line: int, message: str) -> UserError:
    return UserError(f"{where}:{line + FIRST_LINE}: {message}")
