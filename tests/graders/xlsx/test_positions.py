"""Answer positions: the evaluation's reading where it works, the meant one where it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils import get_column_letter

from skillgrad_ci.graders.xlsx.positions import LAST_COLUMN, LAST_ROW, Area, PositionError, areas
from tests.support import official_xlsx

SHEETS = ["Sheet1", "a, b", "It's", " w", "two words", "A1", "x!y"]

corners = st.tuples(st.integers(1, 60), st.integers(1, 90))
quotes = st.sampled_from(["", "'", "''"])


@st.composite
def regular(draw: st.DrawFn) -> str:
    """What the evaluation reads: `A1` or `A1:C3`, with a sheet or without, quoted anyhow."""
    (left, top), (width, height) = draw(corners), draw(corners)
    start = f"{get_column_letter(left)}{top}"
    cells = draw(st.sampled_from([start, f"{start}:{get_column_letter(left + width - 1)}{top + height - 1}"]))
    sheet = draw(st.sampled_from(["", "Sheet1", " w", "two words", "A1"]))
    named = f"{draw(quotes)}{sheet}{draw(quotes)}!" if sheet else ""
    return f"{named}{draw(quotes)}{cells}{draw(quotes)}"


@given(st.lists(regular(), min_size=1, max_size=4))
def test_a_regular_position_names_the_cells_that_the_evaluation_grades(parts: list[str]) -> None:
    expected = []
    for part in parts:
        name, mark, cells = part.rpartition("!")
        sheet = name.strip("'") if mark else SHEETS[0]
        expected += [(sheet, cell) for cell in official_xlsx.names(cells.strip("'"))]
    assert _cells(areas(",".join(parts), SHEETS)) == sorted(expected)


def _cells(found: list[Area]) -> list[tuple[str, str]]:
    return sorted(
        (area.sheet, f"{get_column_letter(column)}{row}")
        for area in found
        for column in range(area.left, area.right + 1)
        for row in range(area.top, area.bottom + 1)
    )


MEANT = {
    # unbalanced quotes, a quote after the mark, names with spaces: read by the evaluation too
    "two words'!B2:C3": [Area("two words", 2, 2, 3, 3)],
    "'Sheet1!'B2:C3": [Area("Sheet1", 2, 2, 3, 3)],
    "two words!B2": [Area("two words", 2, 2, 2, 2)],
    "'Sheet1!A1:B2','two words!C3'": [Area("Sheet1", 1, 1, 2, 2), Area("two words", 3, 3, 3, 3)],
    # the evaluation's parser fails on these
    "B:C": [Area("Sheet1", 2, 1, 3, LAST_ROW)],
    "'two words'!D:D": [Area("two words", 4, 1, 4, LAST_ROW)],
    "2:5": [Area("Sheet1", 1, 2, LAST_COLUMN, 5)],
    "A2:C": [Area("Sheet1", 1, 2, 3, LAST_ROW)],
    "'a, b'!A1:B2": [Area("a, b", 1, 1, 2, 2)],
    "Sheet1!A1,'a, b'!A1:B2,C3": [Area("Sheet1", 1, 1, 1, 1), Area("a, b", 1, 1, 2, 2), Area("Sheet1", 3, 3, 3, 3)],
    "\u00a0'Sheet1'!A1": [Area("Sheet1", 1, 1, 1, 1)],
    "Sheet1!A1, 'two words'!B2:C3": [Area("Sheet1", 1, 1, 1, 1), Area("two words", 2, 2, 3, 3)],
    "A1:B2, C3": [Area("Sheet1", 1, 1, 2, 2), Area("Sheet1", 3, 3, 3, 3)],
    "$A$1:$B$2": [Area("Sheet1", 1, 1, 2, 2)],
    "'It''s'!A1": [Area("It's", 1, 1, 1, 1)],
    "'x!y'!A1": [Area("x!y", 1, 1, 1, 1)],
    "A1:B2,": [Area("Sheet1", 1, 1, 2, 2)],
    # and grades no cell, or others, of these
    "BD2:308": [Area("Sheet1", 56, 2, 56, 308)],
    "B2: C3": [Area("Sheet1", 2, 2, 3, 3)],
    "C3:B2": [Area("Sheet1", 2, 2, 3, 3)],
    "b2:c3": [Area("Sheet1", 2, 2, 3, 3)],
}


@pytest.mark.parametrize("position", MEANT)
def test_an_irregular_position_names_the_cells_that_are_meant(position: str) -> None:
    assert areas(position, SHEETS) == MEANT[position]


def test_a_default_sheet_stands_for_the_first() -> None:
    assert areas("A1,Sheet1!B2", SHEETS, "two words") == [Area("two words", 1, 1, 1, 1), Area("Sheet1", 2, 2, 2, 2)]


@pytest.mark.parametrize("position", ["", "A", "7", "none!A1", "A0", "XFE1", "A1048577", "A1:B2:C3", "A1;B2", "!", ","])
def test_what_names_no_cells_is_an_error(position: str) -> None:
    with pytest.raises(PositionError):
        areas(position, SHEETS)


@given(st.text(alphabet="AZ19:!', $\u00a0abS", max_size=40))
def test_any_text_is_read_or_refused(position: str) -> None:
    try:
        found = areas(position, SHEETS)
    except PositionError:
        return
    for area in found:
        assert area.sheet in SHEETS
        assert 1 <= area.left <= area.right <= LAST_COLUMN
        assert 1 <= area.top <= area.bottom <= LAST_ROW


def test_a_long_position_is_refused_in_no_time() -> None:
    with pytest.raises(PositionError):
        areas(",".join(["A1"] * 99 + ["?"]), SHEETS)
    with pytest.raises(PositionError):
        areas(",".join(["A1"] * 100_000), SHEETS)
