"""Put text into a Markdown text, or take it out: every line elsewhere stays, byte for byte.

New content comes with the text's kind of newline and without one at its end.
"""

import re

from skillgrad_ci.skill.markdown import Outline, Section, outline

_ITEM = re.compile(r"\s*(?:(?P<mark>[-*+]|\d+[.)])(?:\s|$)|\|)")  # not "**bold**", "1.5 m" or "---"


def insert(structure: Outline, at: int, content: str, newline: str, *, parted: bool = True) -> str:
    """Put `content` before line `at`, right after the last line above it that is not blank.

    Where `parted`, blank lines part it from its neighbours, unless both are items of a list or rows
    of a table.
    """
    lines = list(structure.lines)
    while at > 1 and not lines[at - 1].strip():
        at -= 1
    above, below = lines[at - 1] if at else "", lines[at] if at < len(lines) else ""
    if above and not above.endswith(("\n", "\r")):
        lines[at - 1] += newline
    first, last = content.split("\n")[0], content.split("\n")[-1]
    gap_above = newline if parted and above.strip() and not _alike(above, first) else ""
    gap_below = newline if parted and below.strip() and not _alike(last, below) else ""
    return "".join([*lines[:at], gap_above, content, newline, gap_below, *lines[at:]])


def _alike(above: str, below: str) -> bool:
    """Whether both lines are items of a list, or both are rows of a table."""
    items = [_ITEM.match(line) for line in (above, below)]
    kinds = {item and bool(item["mark"]) for item in items}
    return len(kinds) == 1 and None not in kinds


def replace_section(structure: Outline, section: Section, content: str, newline: str) -> str:
    """A section's new text; its heading stays where the content brings none."""
    brings_heading = any(s.start == 0 for s in outline(content).sections)
    first, end = section.start if brings_heading else section.inside, section.end
    while end > first and not structure.lines[end - 1].strip():
        end -= 1
    above, below = structure.lines[:first], structure.lines[end:]
    gap_above = "" if brings_heading else newline
    gap_below = newline if below and below[0].strip() else ""
    return "".join([*above, gap_above, content, newline, gap_below, *below])


def without_lines(structure: Outline, first: int, end: int) -> str:
    """The text without some lines; blank lines that would then end it, or stand twice, go as well."""
    lines = structure.lines
    blank_below = end == len(lines) or not lines[end].strip()
    while blank_below and first > 0 and not lines[first - 1].strip():
        first -= 1
    return "".join([*lines[:first], *lines[end:]])


def without(structure: Outline, body: str, start: int, end: int) -> str:
    """The body without a text; lines that this leaves blank go as well."""
    first, last = structure.line_at(start), structure.line_at(end - 1)
    rest = body[structure.offset_of(first) : start] + body[end : structure.offset_of(last + 1)]
    return body[:start] + body[end:] if rest.strip() else without_lines(structure, first, last + 1)
