"""A whole body of an issue, a comment or a pull request, within GitHub's bound.

It is shortened by whole rows, never cut inside a table or a fence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 65_536  # characters of an issue's, a comment's or a pull request's body
MARGIN = 1_000


@dataclass(frozen=True)
class BodyPart:
    """A part of a body. `head` (heading, table head) and `tail` always stay, `rows` give way from the end.

    Each row is whole by itself: a table's row, a list's item, a paragraph or a fenced block. Where no
    row is left, `head` and `tail` go too, unless `essential`.
    """

    head: str
    rows: Sequence[str] = ()
    tail: str = ""
    essential: bool = False

    def text(self, rows: int) -> str:
        kept = list(self.rows[:rows])
        if len(kept) < len(self.rows):
            if not kept and not self.essential:
                return ""
            left = len(self.rows) - len(kept)
            note = f"_{left} more in the run's report._"
            return "\n\n".join(part for part in (_joined(self.head, kept), note, self.tail) if part)
        return "\n\n".join(part for part in (_joined(self.head, kept), self.tail) if part)

    def fitting(self, room: int) -> int:
        """The most rows that fit in `room` characters (0 where not even one does)."""
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if len(self.text(middle)) <= room else (low, middle - 1)
        return low


def _joined(head: str, rows: Sequence[str]) -> str:
    return "\n".join(part for part in [head, *rows] if part)


def compose(sections: Sequence[BodyPart], limit: int = LIMIT - MARGIN) -> str:
    """All sections in order, within `limit` characters; one without rows only if it is essential.

    Small sections get what they ask for; the rest is shared alike, and what one leaves over goes to the next.
    """
    sections = [section for section in sections if section.rows or section.essential]
    rows = {number: len(section.rows) for number, section in enumerate(sections)}
    whole = {number: len(section.text(rows[number])) + 2 for number, section in enumerate(sections)}
    room = limit
    for waiting, number in zip(range(len(sections), 0, -1), sorted(whole, key=whole.__getitem__), strict=True):
        section, share = sections[number], room // waiting
        if whole[number] > share:
            rows[number] = section.fitting(share - 2)
        room -= len(section.text(rows[number])) + 2
    return "\n\n".join(filter(None, (section.text(rows[number]) for number, section in enumerate(sections)))) + "\n"
