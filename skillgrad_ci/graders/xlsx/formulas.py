"""Where a sheet has formulas: a look at its XML, for openpyxl reads either formulas or cached values."""

import io
import re
from collections.abc import Iterator, Sequence
from itertools import product
from xml.etree import ElementTree

from openpyxl.utils.cell import coordinate_to_tuple, range_boundaries

from skillgrad_ci.graders.xlsx.positions import Area

MAX_FILLED = 2_000_000  # cells that array formulas may fill, each counted as often as it is filled

_FORMULA = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?f[\s/>]")
Cell = tuple[int, int]  # row, column


def calculated(part: bytes, areas: Sequence[Area]) -> set[Cell]:
    """The cells of `areas` whose value a formula gives, in a sheet's XML `part`: by itself, or as part of an
    array formula or a data table that may start outside. Raises ValueError where they are too many.
    """
    found: set[Cell] = set()
    left = MAX_FILLED
    for place, reach in _formulas(part, max((area.bottom for area in areas), default=0)):
        for area in areas:
            if area.holds(*place):
                found.add(place)
            if reach:
                cells = _shared(reach, area)
                left -= len(cells[0]) * len(cells[1])
                if left < 0:
                    raise ValueError(f"its array formulas fill more than {MAX_FILLED:,} cells")
                found |= set(product(*cells))
    return found


def _formulas(part: bytes, last_row: int) -> Iterator[tuple[Cell, str]]:
    """Each formula's cell, and the range that it fills if it is more than its own cell. No formula that
    bears on a row stands below it.
    """
    if b"\0" not in part[:4] and not _FORMULA.search(part):  # with a null the sheet is UTF-16: only the parser reads it
        return
    row = column = 0
    for event, element in ElementTree.iterparse(io.BytesIO(part), ("start", "end")):  # noqa: S314 (under limits)
        tag = element.tag.rpartition("}")[2]
        if event == "start" and tag == "row":
            row, column = int(element.get("r", row + 1)), 0
            if row > last_row:
                return
        elif event == "end" and tag == "c":
            place = element.get("r")
            at, column = coordinate_to_tuple(place) if place else (row, column + 1)
            formula = next((child for child in element if child.tag.rpartition("}")[2] == "f"), None)
            if formula is not None:
                fills = formula.get("t") in {"array", "dataTable"}
                yield (at, column), formula.get("ref", "") if fills else ""
            element.clear()


def _shared(reach: str, area: Area) -> tuple[range, range]:
    """Rows and columns that a range has in common with an area."""
    left, top, right, bottom = range_boundaries(reach)
    rows = range(max(top or 1, area.top), min(bottom or area.bottom, area.bottom) + 1)
    columns = range(max(left or 1, area.left), min(right or area.right, area.right) + 1)
    return rows, columns
