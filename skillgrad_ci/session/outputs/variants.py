"""Outputs that no agent made: a suite's right results, and what becomes of them in many ways.

Each variant is a change of the one file that a grader looks at. The names of the variants are told with every
disagreement, so that its owner knows what was done to the file.
"""

import csv
import datetime
import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from skillgrad_ci.graders.xlsx.positions import PositionError, areas
from skillgrad_ci.method.task import GraderSpec, Task

COPIED, UNTOUCHED = "copied", "untouched"  # the right result as it is; what an agent leaves that did nothing
MOST_CELLS = 2_000  # of a graded range that are looked at for one to change
Change = Callable[[bytes], bytes | None]  # a file's new content; None: there is no such variant of it


def graded_file(task: Task) -> tuple[str, GraderSpec] | None:
    """The file that the task's first comparing grader looks at, by its path in the work folder."""
    for spec in task.graders:
        if spec.kind == "xlsx":
            return str(spec.options["cases"][0]["output"]), spec
        output = spec.options.get("output")
        if spec.kind in ("csv", "text", "table") and output and output != "answer":
            return str(output), spec
    return None


def changes(name: str, spec: GraderSpec, number: int) -> Iterator[tuple[str, Change]]:
    """The variants of one file: what they are called, and how they are made. `number` is that of one-cell changes."""
    yield "truncated", lambda content: content[: len(content) // 2]
    yield "empty", lambda _: b""
    if name.endswith((".xlsx", ".xlsm")):
        yield "re-saved", _resaved
        yield "values only", _values_only
        for way, change in list(WAYS.items())[:number]:
            yield f"one cell: {way}", partial(_one_cell, spec=spec, way=way, change=change)
    elif name.endswith(".csv"):
        yield "re-saved", _rewritten_csv
        for way, change in list(WAYS.items())[:number]:
            yield f"one cell: {way}", partial(_one_csv_cell, way=way, change=change)
    else:
        yield "other line ends", lambda content: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        yield "one character more", lambda content: content.rstrip() + b"x"


# Workbooks


def _resaved(content: bytes) -> bytes:
    import openpyxl

    return _saved(openpyxl.load_workbook(io.BytesIO(content)))


def _values_only(content: bytes) -> bytes:
    import openpyxl

    return _saved(openpyxl.load_workbook(io.BytesIO(content), data_only=True))


def _saved(book: Any) -> bytes:
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def _one_cell(content: bytes, spec: GraderSpec, way: str, change: Callable[[Any], Any]) -> bytes | None:
    """The workbook's values with one graded cell changed: one that has a value where the way needs one."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    try:
        places = areas(str(spec.options["answer_position"]), book.sheetnames, spec.options.get("answer_sheet"))
    except PositionError:
        return None
    cells = [
        book[area.sheet].cell(row, column)
        for area in places
        for row in range(area.top, min(area.bottom, book[area.sheet].max_row) + 1)
        for column in range(area.left, min(area.right, book[area.sheet].max_column) + 1)
    ][:MOST_CELLS]
    able = [(cell, new) for cell in cells if (new := _changed(cell.value, change)) is not _SAME]
    if not able:
        return None
    cell, new = able[_place(way, len(able))]
    try:
        cell.value = new
    except (ValueError, AttributeError):  # a merged cell, or what no workbook holds
        return None
    return _saved(book)


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """What a way makes of a value; `_SAME` where it is nothing for this value."""
    try:
        new = change(value)
    except (TypeError, ValueError, OverflowError, ArithmeticError, AttributeError):
        return _SAME
    return _SAME if type(new) is type(value) and new == value else new


def _place(way: str, number: int) -> int:
    """Which of the cells a way changes: always the same, and another for another way."""
    return int.from_bytes(hashlib.sha256(way.encode()).digest()[:4], "big") % number


# CSV files


def _rewritten_csv(content: bytes) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(_rows(content))
    return text.getvalue().encode()


def _rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def _one_csv_cell(content: bytes, way: str, change: Callable[[Any], Any]) -> bytes | None:
    rows = _rows(content)
    cells = [(row, column) for row in range(1, len(rows)) for column in range(len(rows[row]))][:MOST_CELLS]
    able = [(at, new) for at in cells if (new := _changed(_read(rows[at[0]][at[1]]), change)) is not _SAME]
    if not able:
        return None
    (row, column), new = able[_place(way, len(able))]
    rows[row][column] = "" if new is None else str(new)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _read(cell: str) -> Any:
    """A cell as a number where it is one, so that the ways of numbers have something to change."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


# Thirty ways to change a value. Each says what it needs by failing on anything else.

_SAME = object()


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _day(value: Any) -> datetime.datetime:
    if not isinstance(value, datetime.datetime):
        raise TypeError
    return value


def _there(value: Any) -> Any:
    if value is None or value == "":
        raise TypeError
    return value


WAYS: dict[str, Callable[[Any], Any]] = {
    "a number a little more (1e-9)": lambda value: _number(value) + 1e-9,
    "a number more by 0.004": lambda value: _number(value) + 0.004,
    "a number more by 0.01": lambda value: _number(value) + 0.01,
    "a number more by 1": lambda value: _number(value) + 1,
    "the other sign": lambda value: -_number(value),
    "ten times": lambda value: _number(value) * 10,
    "rounded to two decimals": lambda value: round(float(_number(value)), 2),
    "rounded to one decimal": lambda value: round(float(_number(value)), 1),
    "rounded to a whole": lambda value: round(_number(value)),
    "a whole number as a decimal": lambda value: float(_number(value)) if isinstance(value, int) else _SAME,
    "a number as text": lambda value: str(_number(value)),
    "a number as text with a comma": lambda value: f"{_number(value):,.2f}",
    "a percent as text": lambda value: f"{_number(value) * 100:g}%",
    "a number as a truth value": lambda value: bool(_number(value)),
    "a formula of the same value": lambda value: f"={_number(value)!r}+0",
    "a formula of another value": lambda value: f"={_number(value)!r}+1",
    "a zero": lambda value: 0 if _there(value) != 0 else _SAME,
    "nothing": lambda value: None if _there(value) is not None else _SAME,
    "an empty text": lambda value: "" if _there(value) else _SAME,
    "a space": lambda value: " " if _there(value) else _SAME,
    "another text": lambda value: f"{_there(value)} x",
    "an error": lambda value: "#N/A" if _there(value) else _SAME,
    "a text in an empty cell": lambda value: "x" if value is None else _SAME,
    "a zero in an empty cell": lambda value: 0 if value is None else _SAME,
    "upper case": lambda value: _text(value).upper(),
    "a space behind": lambda value: f"{_text(value)} ",
    "a no-break space behind": lambda value: f"{_text(value)}\u00a0",
    "decomposed letters": lambda value: unicodedata.normalize("NFD", _text(value)),
    "a day later": lambda value: _day(value) + datetime.timedelta(days=1),
    "a date as text": lambda value: _day(value).strftime("%Y-%m-%d"),
}


def folder_with(work: Path, name: str, content: bytes) -> None:
    """Put a variant in the place of the right file."""
    (work / name).parent.mkdir(parents=True, exist_ok=True)
    (work / name).write_bytes(content)
