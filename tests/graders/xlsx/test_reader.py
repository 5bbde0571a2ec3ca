"""Workbooks are read in a process of their own, within limits of time and memory, whatever they are."""

import io
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx import formulas, worker
from skillgrad_ci.graders.xlsx.positions import Area
from skillgrad_ci.graders.xlsx.reader import Reader, Unreadable
from tests.support.workbooks import SHEET, book, cached, edited, entity_bomb, huge_text, linked, many_cells, zip_bomb

A1 = (Area("Sheet1", 1, 1, 1, 1),)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


def test_cells_are_read_on_the_position_s_sheets_alone(reader: Reader) -> None:
    data = book({"Sheet1": {"A1": 1, "B2": "x", "C3": True}, "Sheet2": {"A1": 2.344}})
    found = reader.at(data, "A1:B2,Sheet2!A1")
    assert found.values == {("Sheet1", 1, 1): 1.0, ("Sheet1", 2, 2): "x", ("Sheet2", 1, 1): 2.34}
    assert found.calculated == frozenset()
    assert reader.within(data, (Area("Sheet3", 1, 1, 1, 1),)).missing == ("Sheet3",)


def test_a_chart_sheet_has_no_cells(reader: Reader) -> None:
    made, file = Workbook(), io.BytesIO()
    made.create_chartsheet("Chart").add_chart(BarChart())
    made.save(file)
    assert reader.within(file.getvalue(), (Area("Chart", 1, 1, 1, 1),)).missing == ("Chart",)


def test_what_is_hidden_below_a_merged_cell_is_empty(reader: Reader) -> None:
    merged = b'</sheetData><mergeCells count="1"><mergeCell ref="A1:B1"/></mergeCells>'
    data = edited(book({"Sheet1": {"A1": 1, "B1": 2}}), {SHEET: (b"</sheetData>", merged)})
    assert reader.at(data, "A1:B1").values == {("Sheet1", 1, 1): 1.0}


def test_cached_values_are_read_and_their_cells_known(reader: Reader) -> None:
    found = reader.at(cached(book({"Sheet1": {"A1": "=1+1", "B1": 3}}), "2"), "A1:B1")
    assert found.values == {("Sheet1", 1, 1): 2.0, ("Sheet1", 1, 2): 3.0}
    assert found.calculated == {("Sheet1", 1, 1)}


ROWS = (
    b'<worksheet><sheetData><row r="2"><c r="B2"><f t="array" ref="B2:C4">A1:A3</f></c><c><v>1</v></c></row>'
    b'<row><c r="E3"><f t="shared" si="0"/></c></row><row r="9"><c r="B9"><f>1</f></c></row></sheetData></worksheet>'
)


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ((2, 2, 2, 2), {(2, 2)}),
        ((3, 3, 5, 4), {(3, 3), (4, 3), (3, 5)}),  # inside the array, whose formula stands outside; a shared formula
        ((1, 1, 1, 9), set()),
        ((1, 8, 9, 9), {(9, 2)}),
    ],
)
def test_cells_that_a_formula_gives(area: tuple[int, int, int, int], expected: set[tuple[int, int]]) -> None:
    assert formulas.calculated(ROWS, [Area("Sheet1", *area)]) == expected
    prefixed = re.sub(rb"<(/?)(\w)", rb"<\1x:\2", ROWS).replace(b"<x:worksheet>", b'<x:worksheet xmlns:x="urn:x">')
    assert formulas.calculated(prefixed, [Area("Sheet1", *area)]) == expected


def test_array_formulas_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formulas, "MAX_FILLED", 2_000)
    cell = b'<c r="A1"><f t="array" ref="A1:XFD1048576">1</f></c>'
    with pytest.raises(ValueError, match="fill more than"):
        formulas.calculated(b'<s><row r="1">' + cell * 3 + b"</row></s>", [Area("Sheet1", 1, 1, 1, 1_000)])


WHOLE = book({"Sheet1": {"A1": 1}})
HOSTILE = {
    "nothing": (b"", "not a workbook"),
    "text": (b"no workbook at all", "not a workbook"),
    "truncated": (WHOLE[: len(WHOLE) // 2], "not a workbook"),
    "cut inside": (WHOLE[:200] + WHOLE[400:], "openpyxl|not a workbook"),
    "old format or encrypted": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "encrypted"),
    "zip without a workbook": (edited(WHOLE, {"[Content_Types].xml": (b"sheet.main", b"other")}), "openpyxl"),
    "broken XML": (edited(WHOLE, {SHEET: (b"</sheetData>", b"<oops")}), "openpyxl"),
    "zip bomb": (zip_bomb(), "unpacks to"),
    "entity bomb": (entity_bomb(), "openpyxl|memory|longer"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_workbook_is_refused_with_a_reason(reader: Reader, name: str) -> None:
    data, reason = HOSTILE[name]
    started = time.monotonic()
    with pytest.raises(Unreadable, match=reason):
        reader.within(data, A1)
    assert time.monotonic() - started < 40
    assert reader.within(WHOLE, A1).values == {("Sheet1", 1, 1): 1.0}  # and reading goes on


def test_a_dimension_of_a_million_rows_costs_nothing(reader: Reader) -> None:
    wide = edited(WHOLE, {SHEET: (b'ref="A1:A1"', b'ref="A1:XFD1048576"')})
    far = book({"Sheet1": {"A1": 1, "XFD1048576": 2}})
    for data in (wide, far):
        started = time.monotonic()
        assert reader.within(data, A1).values == {("Sheet1", 1, 1): 1.0}
        assert reader.at(data, "A:C").values == {("Sheet1", 1, 1): 1.0}
        assert time.monotonic() - started < 20


def test_time_is_limited() -> None:
    reader, slow = Reader(seconds=1.0), many_cells(60_000)
    started = time.monotonic()
    with pytest.raises(Unreadable, match="longer than 1 s"):
        reader.within(slow, A1)
    assert time.monotonic() - started < 30
    assert reader._idle == []
    reader.close()


def test_memory_is_limited() -> None:
    """With a limit that the test can afford to fill."""
    start = "from skillgrad_ci.graders.xlsx import worker; worker.MEMORY = 220 << 20; worker.main()"
    process = subprocess.Popen([sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    assert worker.read_frame(process.stdout) == {"ready": True}
    data = huge_text(50)
    worker.write_frame(process.stdin, {"areas": [["Sheet1", 1, 1, 1, 1]], "size": len(data)}, data)
    reply = worker.read_frame(process.stdout)
    process.stdin.close()
    process.wait()
    assert reply
    assert "memory" in reply["error"]


def test_the_reading_process_can_open_nothing() -> None:
    tries = (
        "from skillgrad_ci.graders.xlsx import worker; worker._give_up()\n"
        "import socket\n"
        "for make in (lambda: open('/etc/passwd'), socket.socket, lambda: socket.create_connection(('::1', 9))):\n"
        "    try:\n        make(); print('open')\n    except OSError as error:\n        print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", tries], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["24"] * 3  # too many open files


def test_the_reading_process_has_no_secret_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    reader = Reader()
    reader.within(WHOLE, A1)
    pid = reader._idle[0]._process.pid
    if sys.platform == "linux":
        assert b"sk-secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        assert soft == hard == worker.MEMORY
    reader.close()


def test_an_external_link_is_only_a_link(reader: Reader) -> None:
    found = reader.within(linked("file:///etc/passwd"), A1)
    assert found.values == {}
    assert found.calculated == {("Sheet1", 1, 1)}


def test_a_worker_that_is_lost_is_replaced(reader: Reader) -> None:
    reader.within(WHOLE, A1)
    for worker_process in reader._idle:
        worker_process._process.kill()
    assert reader.within(WHOLE, A1).values == {("Sheet1", 1, 1): 1.0}


def test_a_reader_that_cannot_start_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/nowhere/python", "/bin/false"):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(EnvironmentFailure, match="read workbooks"):
            Reader().within(WHOLE, A1)


def test_a_long_text_is_compared_whole(reader: Reader) -> None:
    found = [reader.within(book({"Sheet1": {"A1": "x" * 32_000 + end}}), A1) for end in ("a", "b")]
    assert found[0].values != found[1].values
    huge = [reader.within(huge_text(size), A1) for size in (1, 2, 2)]
    assert huge[0].values != huge[1].values == huge[2].values
    assert len(str(huge[0].values)) < 200
