"""What a workbook holds at an answer position. Runs in the worker's process alone (`worker.py`)."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from openpyxl.reader.excel import ExcelReader
from openpyxl.worksheet.worksheet import Worksheet

from skillgrad_ci.graders.xlsx import formulas
from skillgrad_ci.graders.xlsx.positions import Area, PositionError, areas
from skillgrad_ci.graders.xlsx.values import normalised, shown_value

MAX_UNPACKED = 256 << 20  # bytes of all parts; the benchmark's largest workbook unpacks to a few MiB
MAX_PARTS = 10_000
MAX_CELLS = 1_000_000  # that are graded; at most 104,110 in the benchmark
OLD_FORMAT = b"\xd0\xcf\x11\xe0"  # the container of .xls, and of an encrypted .xlsx

# What openpyxl and the libraries below it raise for a broken workbook, besides MemoryError.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class BadWorkbook(Exception):
    """The bytes are not a workbook that can be graded; the message says why."""


def contents(data: bytes, request: Mapping[str, Any]) -> dict[str, Any]:
    """The cells at a `position` (with its `default` sheet) or in `areas`, as JSON values.

    `areas` are those that were read. `sheets` has for each of their sheets `cells`, a list of `[row, column,
    value, text]` of those that are not empty, and `calculated`, a list of `[row, column]` of those whose value
    a formula gives; or None where the sheet is not there or is a chart. Raises BadWorkbook.
    """
    _check(data)
    try:
        reader = ExcelReader(io.BytesIO(data), data_only=True)
        reader.read()
        if "position" in request:
            wanted = areas(request["position"], reader.wb.sheetnames, request["default"])
        else:
            wanted = [Area(*area) for area in request["areas"]]
        parts = {sheet.name: rel.target for sheet, rel in reader.parser.find_sheets()}
        sheets = {}
        for name in dict.fromkeys(area.sheet for area in wanted):
            own = [area for area in wanted if area.sheet == name]
            sheet = reader.wb[name] if name in reader.wb.sheetnames else None
            sheets[name] = _sheet(sheet, data, parts[name], own) if isinstance(sheet, Worksheet) else None
    except PositionError as error:
        raise BadWorkbook(str(error)) from None
    except BROKEN as error:
        raise BadWorkbook(f"openpyxl cannot read it ({type(error).__name__}: {str(error)[:200]})") from None
    return {"areas": [astuple(area) for area in wanted], "sheets": sheets}


def _check(data: bytes) -> None:
    """Refuse what is not a workbook, or one that unpacks to more than is ever needed."""
    if data.startswith(OLD_FORMAT):
        raise BadWorkbook("an encrypted workbook or one in the old .xls format; save it as .xlsx without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise BadWorkbook(f"not a workbook, or a damaged one ({error})") from None
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED or len(parts) > MAX_PARTS:
        raise BadWorkbook(
            f"it unpacks to {unpacked:,} bytes in {len(parts):,} parts; at most {MAX_UNPACKED:,} bytes "
            f"and {MAX_PARTS:,} parts are read"
        )


def _sheet(sheet: Worksheet, data: bytes, part: str, own: Sequence[Area]) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        calculated = formulas.calculated(archive.read(part), own)
    cells = []
    for (row, column), cell in sheet._cells.items():  # iter_rows would make every empty cell
        if any(area.holds(row, column) for area in own):
            raw = cell.value
            value = normalised(raw)
            if value is not None:
                cells.append([row, column, value, shown_value(raw)])
    if len(cells) > MAX_CELLS:
        raise BadWorkbook(f"{len(cells):,} graded cells hold something; at most {MAX_CELLS:,} are read")
    return {"cells": cells, "calculated": sorted(calculated)}
