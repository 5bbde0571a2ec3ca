"""Which cells an answer position names, as SpreadsheetBench's evaluation reads it.

The evaluation splits a position at every comma and each part at `!`, takes quotes off both ends, and
means the golden's first sheet where none is named. That reading is taken wherever it works. It fails,
or grades no cell at all, on some of the benchmark's positions; what those mean is read then:

- whole columns or rows (`A:C`, `2:5`), and a column that is open below (`A2:C`);
- a comma inside a sheet's name (`'a, b'!A1`);
- a space or a no-break space before the sheet or the range, and `$` in a range;
- a quote doubled inside a sheet's name (`'It''s'!A1`), and a `!` in one;
- ranges that grade nothing: an end without a column (`BD2:308` is `BD2:BD308`), corners the other way round.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LAST_COLUMN, LAST_ROW = 16_384, 1_048_576  # of a sheet, as Excel has them
MAX_PARTS = 100

_PLAIN = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")
_LOOSE = re.compile(r"([A-Z]{0,3})([0-9]{0,7})(?::([A-Z]{0,3})([0-9]{0,7}))?")


class PositionError(ValueError):
    """The position names no cells of the golden. The message is the end of a sentence."""


@dataclass(frozen=True)
class Area:
    """A rectangle of cells; columns and rows count from 1, both corners belong to it."""

    sheet: str
    left: int
    top: int
    right: int
    bottom: int

    def holds(self, row: int, column: int) -> bool:
        return self.top <= row <= self.bottom and self.left <= column <= self.right


def areas(position: str, sheets: Sequence[str], default: str | None = None) -> list[Area]:
    """The cells that `position` names in a golden with these `sheets`, in their order.

    `default` is the sheet of a part that names none; without it, the golden's first. Raises PositionError.
    """
    if not sheets:
        raise PositionError("the golden has no sheet")
    default = default or sheets[0]
    parts = position.split(",")
    if len(parts) > MAX_PARTS:
        raise PositionError(f"more than {MAX_PARTS} parts")
    found = _official(parts, sheets, default) or _meant(parts, sheets, default)
    if not found:
        raise PositionError(f"{position!r} names no cells on the golden's sheets ({', '.join(map(repr, sheets))})")
    return found


def _official(parts: Sequence[str], sheets: Sequence[str], default: str) -> list[Area] | None:
    """The evaluation's own reading; None where it fails or where a part grades no cell."""
    found = []
    for part in parts:
        name, mark, cells = part.rpartition("!")
        sheet = name.strip("'") if mark else default
        match = _PLAIN.fullmatch(cells.strip("'"))
        if "!" in name or sheet not in sheets or match is None:
            return None
        area = _area(sheet, *match.groups())
        if area is None:
            return None
        found.append(area)
    return found


def _meant(parts: Sequence[str], sheets: Sequence[str], default: str) -> list[Area] | None:
    """What a person would read: pieces between commas are joined again until each names cells."""
    readings: list[list[Area] | None] = [[]]  # by how many pieces are left
    for start in reversed(range(len(parts))):
        reading = None
        for end in range(start + 1, len(parts) + 1):
            rest = readings[len(parts) - end]
            part = ",".join(parts[start:end])
            if rest is not None and not part.strip():
                reading = rest
            elif rest is not None and (area := _part(part, sheets, default)):
                reading = [area, *rest]
            if reading is not None:
                break
        readings.append(reading)
    return readings[len(parts)]


def _part(part: str, sheets: Sequence[str], default: str) -> Area | None:
    name, mark, cells = part.rpartition("!")
    sheet = _sheet(name, sheets) if mark else default
    match = _LOOSE.fullmatch(re.sub(r"[\s'$]", "", cells).upper())
    if sheet is None or sheet not in sheets or match is None:
        return None
    return _area(sheet, *match.groups())


def _sheet(name: str, sheets: Sequence[str]) -> str | None:
    """The golden's sheet that is meant by a name in any of its spellings."""
    bare = name.strip().strip("'")
    spellings = [name.strip("'"), bare, bare.strip(), bare.replace("''", "'")]
    return next((spelling for spelling in spellings if spelling in sheets), None)


def _area(sheet: str, left: str, top: str, right: str | None, bottom: str | None) -> Area | None:
    """From corners as they are written; a part that is absent is filled in from the other corner."""
    if right is None or bottom is None:  # a single cell
        right, bottom = (left, top) if left and top else ("", "")
    if not (left or top) or not (right or bottom) or bool(left) < bool(right) or bool(top) < bool(bottom):
        return None
    right = right or left
    columns = sorted([_column(left), _column(right)]) if left else [1, LAST_COLUMN]
    rows = sorted([int(top), int(bottom or LAST_ROW)]) if top else [1, LAST_ROW]
    if not (columns[0] >= 1 and columns[1] <= LAST_COLUMN and rows[0] >= 1 and rows[1] <= LAST_ROW):
        return None
    return Area(sheet, columns[0], rows[0], columns[1], rows[1])


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
