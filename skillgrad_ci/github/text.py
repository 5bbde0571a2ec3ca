"""Text from outside, on its way in and on its way out.

In: what GitHub does not show is taken away, because instructions hide there. Out: text of models,
tasks and people is shown as text; it calls nobody, closes nothing, links nowhere. And a whole body stays
within GitHub's bound: it is shortened by whole rows, never cut inside a table or a fence.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 65_536  # characters of an issue's, a comment's or a pull request's body
MARGIN = 1_000
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
JOINER = "\u2060"  # word joiner: no width, and no part of a login, a number or an address
ACTIVE = re.compile(r"@(?=\w)|#(?=\d)|(?<=\bGH)-(?=\d)|(?<=:)//|(?<=www)\.|(?<=mailto):", re.IGNORECASE)
SKIP = re.compile(r"(?<=\[)(?=(?:(?:skip|no)[ ]ci|ci[ ]skip|skip[ ]actions|actions[ ]skip)\])", re.IGNORECASE)
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
LEADING = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))", re.MULTILINE)


def inbound(text: str) -> str:
    """Without HTML comments, and without invisible, control, bidirectional and tag characters."""
    return "".join(c for c in COMMENT.sub("", text) if c in "\n\t" or not _hidden(c))


def _hidden(character: str) -> bool:
    """Categories: control, format (zero width, bidirectional, tags), surrogate, private, unassigned.

    Two ranges look like letters or marks to Unicode and show nothing: fillers and variation selectors.
    """
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}:
        return True
    point = ord(character)
    return point in {0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0} or 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF


def defused(text: str) -> str:
    """Text in which mentions, issue references (so closing keywords too) and addresses are inert."""
    return ACTIVE.sub(lambda match: _split(match[0]), inbound(text))


def _split(mark: str) -> str:
    return f"{JOINER}{mark}{JOINER}"


def shown(text: str, limit: int = 500) -> str:
    """One line of Markdown that shows `text` as it is, in at most about `limit` characters, fit for a table."""
    line = " ".join(inbound(text).split())
    line = line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
    return LEADING.sub(r"\1\\\2", MARKDOWN.sub(r"\\\1", defused(line)))


def code(text: str, limit: int = 200) -> str:
    """Text as inline code, whatever backticks are in it, fit for a table."""
    line = " ".join(inbound(text).split()).replace("|", "¦")
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if "`" in line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}" if line else ""


def fenced(text: str, language: str = "", limit: int = 4000) -> str:
    """Text as a code block that nothing in it can close."""
    block = inbound(text)
    block = block if len(block) <= limit else f"{block[:limit]}\n… {len(block) - limit:,} characters more"
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", block)), default=0))
    return f"{fence}{language}\n{block.rstrip()}\n{fence}"


def trailer(text: str, limit: int = 200) -> str:
    """Text for a commit message: one inert line, that cannot start a trailer of its own or switch workflows off.

    A squash puts it into the default branch's commit, where `[skip ci]` would count.
    """
    return SKIP.sub(JOINER, " ".join(defused(text).split()))[:limit]


@dataclass(frozen=True)
class Section:
    """A part of a body. `head` (heading, table head) and `tail` always stay, `rows` give way from the end.

    Each row is whole by itself: a table's row, a list's item, a paragraph or a fenced block. Where no
    row is left, `head` and `tail` go too, unless `essential`. `weight` is its share where all want room.
    """

    head: str
    rows: Sequence[str] = ()
    tail: str = ""
    weight: int = 1
    between: str = "\n"
    essential: bool = False

    def text(self, rows: int) -> str:
        kept = list(self.rows[:rows])
        if len(kept) < len(self.rows):
            if not kept and not self.essential:
                return ""
            left = len(self.rows) - len(kept)
            note = f"_{left} more in the run's report._"
            return "\n\n".join(part for part in (_joined(self.head, kept, self.between), note, self.tail) if part)
        return "\n\n".join(part for part in (_joined(self.head, kept, self.between), self.tail) if part)

    def fitting(self, room: int) -> int:
        """The most rows that fit in `room` characters (0 where not even one does)."""
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if len(self.text(middle)) <= room else (low, middle - 1)
        return low


def _joined(head: str, rows: Sequence[str], between: str) -> str:
    return between.join(part for part in [head, *rows] if part)


def compose(sections: Sequence[Section], limit: int = LIMIT - MARGIN) -> str:
    """All sections in order, within `limit` characters; one without rows only if it is essential.

    Small sections get what they ask for; the rest is shared by weight, and what one leaves over goes to
    the next.
    """
    sections = [section for section in sections if section.rows or section.essential]
    rows = {number: len(section.rows) for number, section in enumerate(sections)}
    whole = {number: len(section.text(rows[number])) + 2 for number, section in enumerate(sections)}
    room, weights = limit, sum(section.weight for section in sections)
    for number in sorted(whole, key=lambda number: whole[number] / sections[number].weight):
        section = sections[number]
        share = room * section.weight // weights
        if whole[number] > share:
            rows[number] = section.fitting(share - 2)
        room -= len(section.text(rows[number])) + 2
        weights -= section.weight
    return "\n\n".join(filter(None, (section.text(rows[number]) for number, section in enumerate(sections)))) + "\n"
