"""Small workbooks, tasks that grade them, and hostile ones."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from openpyxl import Workbook

from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task

Sheets = Mapping[str, Mapping[str, object]]  # sheet → cell → value


def book(sheets: Sheets) -> bytes:
    """A workbook as openpyxl writes it: formulas have no cached values."""
    made, file = Workbook(), io.BytesIO()
    made.remove(made.worksheets[0])
    for name, cells in sheets.items():
        sheet = made.create_sheet(name)
        for cell, value in cells.items():
            sheet[cell] = value
    made.save(file)
    return file.getvalue()


def edited(data: bytes, changes: Mapping[str, tuple[bytes, bytes]], added: Mapping[str, bytes] | None = None) -> bytes:
    """A copy with bytes replaced in its parts, and parts added."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            old, new = changes.get(name, (b"", b""))
            part = before.read(name)
            assert old in part
            after.writestr(name, part.replace(old, new) if old else part)
        for name, part in (added or {}).items():
            after.writestr(name, part)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def cached(data: bytes, value: str) -> bytes:
    """A copy whose only formula, on the first sheet, has `value` cached, right or stale."""
    return edited(data, {SHEET: (b"</f><v />", f"</f><v>{value}</v>".encode())})


def single(folder: Path, golden: bytes, position: str, given: bytes | None = None) -> Task:
    """A task with one case: `in.xlsx` is to become `out.xlsx`."""
    (folder / "golden.xlsx").write_bytes(golden)
    (folder / "in.xlsx").write_bytes(given if given is not None else book({"Sheet1": {"A1": "untouched"}}))
    case = {"output": "out.xlsx", "input": "in.xlsx", "golden": "golden"}
    spec = GraderSpec("xlsx", {"answer_position": position, "cases": [case]}, {"golden": folder / "golden.xlsx"})
    return Task("one", "Do it.", [spec], {"in.xlsx": folder / "in.xlsx"}, ["out.xlsx"])


def result(folder: Path, files: Mapping[str, bytes]) -> Result:
    """An agent's work folder that holds `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Result(folder)


def zip_bomb() -> bytes:
    """A sheet that unpacks to 1 GiB."""
    file = io.BytesIO(book({"Sheet1": {"A1": 1}}))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/bomb.xml", "w") as part:
        for _ in range(1024):
            part.write(b" " * (1 << 20))
    return file.getvalue()


def many_cells(rows: int) -> bytes:
    """A sheet with `rows` rows of ten numbers."""
    row = "".join(f'<c r="{letter}%d"><v>1</v></c>' for letter in "ABCDEFGHIJ")
    cells = "".join(f'<row r="{number}">{row % ((number,) * 10)}</row>' for number in range(1, rows + 1))
    return _with_sheet_data(cells)


def huge_text(mebibytes: int) -> bytes:
    """A sheet with one text, which unpacks to as much."""
    return _with_sheet_data(f'<row r="1"><c r="A1" t="str"><v>{"x" * (mebibytes << 20)}</v></c></row>')


def entity_bomb() -> bytes:
    """A sheet whose entities unfold to 10^9 characters."""
    levels = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE worksheet [<!ENTITY x0 "x">{levels}]>'
    sheet = _with_sheet_data('<row r="1"><c r="A1" t="str"><v>&x9;</v></c></row>')
    return edited(sheet, {SHEET: (b"<worksheet ", f"{doctype}<worksheet ".encode())})


def _with_sheet_data(cells: str) -> bytes:
    return edited(
        book({"Sheet1": {}}), {SHEET: (b"<sheetData></sheetData>", f"<sheetData>{cells}</sheetData>".encode())}
    )


def linked(target: str, formula: str = "[1]S!A1") -> bytes:
    """A workbook whose A1 is a formula over an external workbook at `target`."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    content = "application/vnd.openxmlformats-officedocument.spreadsheetml.externalLink+xml"
    part = "xl/externalLinks/externalLink1.xml"
    rels = "xl/externalLinks/_rels/externalLink1.xml.rels"
    return edited(
        book({"Sheet1": {"A1": f"={formula}"}}),
        {
            "[Content_Types].xml": (
                b"</Types>",
                f'<Override PartName="/{part}" ContentType="{content}"/></Types>'.encode(),
            ),
            "xl/_rels/workbook.xml.rels": (
                b"</Relationships>",
                f'<Relationship Id="rId99" Type="{office}/externalLink" Target="externalLinks/externalLink1.xml"/>'
                "</Relationships>".encode(),
            ),
            "xl/workbook.xml": (
                b"</sheets>",
                f'</sheets><externalReferences xmlns:r="{office}"><externalReference r:id="rId99"/>'
                "</externalReferences>".encode(),
            ),
        },
        {
            part: f'<externalLink xmlns="{main}"><externalBook xmlns:r="{office}" r:id="rId1"><sheetNames>'
            '<sheetName val="S"/></sheetNames></externalBook></externalLink>'.encode(),
            rels: f'<Relationships xmlns="{package}"><Relationship Id="rId1" '
            f'Type="{office}/externalLinkPath" Target="{target}" TargetMode="External"/></Relationships>'.encode(),
        },
    )
