"""LibreOffice recalculates, is replaced when it dies, reaches nothing, and never stays behind."""

import codecs
import contextlib
import http.server
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from openpyxl import load_workbook

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx import confinement, installation
from skillgrad_ci.graders.xlsx.formulas import calculated
from skillgrad_ci.graders.xlsx.grader import XlsxGrader
from skillgrad_ci.graders.xlsx.libreoffice import Desk, NotCalculated, Office
from skillgrad_ci.graders.xlsx.positions import Area
from skillgrad_ci.graders.xlsx.server import Dead, Hung, Server, start_server
from skillgrad_ci.method.evidence import Outcome
from tests.support.workbooks import book, cached, linked, result, single

libreoffice = pytest.mark.libreoffice
SUM = book({"Sheet1": {"A1": "=1+1"}})


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    made = Office()
    made.warm()
    yield made
    made.close()


def first(data: bytes, cell: str = "A1") -> object:
    return load_workbook(io.BytesIO(data), data_only=True).worksheets[0][cell].value


@libreoffice
def test_missing_and_stale_values_are_calculated(office: Office) -> None:
    assert first(office.recalculate(SUM)) == 2
    assert first(office.recalculate(cached(SUM, "99"))) == 2


@libreoffice
def test_a_right_formula_passes_and_a_wrong_one_fails(office: Office, tmp_path: Path) -> None:
    grader = XlsxGrader(office)
    task = single(tmp_path, cached(book({"Sheet1": {"A1": "=SUM(B1:B2)", "B1": 1, "B2": 1}}), "2"), "A1:B2")
    given = book({"Sheet1": {"A1": "=B1*2", "B1": 1, "B2": 1}})
    wrong = book({"Sheet1": {"A1": "=B1*3", "B1": 1, "B2": 1}})
    unknown = book({"Sheet1": {"A1": "=NOSUCH(B1)", "B1": 1, "B2": 1}})
    outcomes = {}
    for name, data in {"right": given, "wrong": wrong, "unknown": unknown}.items():
        outcomes[name] = grader.grade(task.graders[0], task, result(tmp_path / name, {"out.xlsx": data}))
    assert outcomes["right"].outcome is Outcome.PASSED
    assert outcomes["wrong"].outcome is Outcome.FAILED
    assert "Sheet1!A1: expected 2, got 3" in outcomes["wrong"].feedback
    assert "'#NAME?'" in outcomes["unknown"].feedback


@libreoffice
def test_constants_are_never_taken_from_the_recalculated_copy(office: Office, tmp_path: Path) -> None:
    """LibreOffice writes 15 digits of a number, and a text that looks like an escape as what it stands for."""
    cells = {"A1": "=1+1", "B1": 12345678901234567, "C1": "_x000D_"}
    task = single(tmp_path, cached(book({"Sheet1": cells}), "2"), "A1:C1")
    made = result(tmp_path / "work", {"out.xlsx": book({"Sheet1": cells | {"D1": "new"}})})
    assert XlsxGrader(office).grade(task.graders[0], task, made).outcome is Outcome.PASSED


@libreoffice
def test_a_dead_libreoffice_is_replaced(office: Office) -> None:
    office.recalculate(SUM)
    before = office._server
    assert before
    [pid] = [pid for pid, command in _using(before.folder).items() if "soffice.bin" in command]
    os.kill(pid, signal.SIGKILL)
    assert first(office.recalculate(SUM)) == 2
    assert office._server is not before
    assert not before.folder.exists()


@libreoffice
def test_a_workbook_that_takes_too_long_is_at_fault_itself() -> None:
    """The second server had calculated another workbook just before."""
    rows = 30_000
    cells: dict[str, object] = {
        f"A{row}": f"=SUMPRODUCT({'*'.join([f'(B$1:B${rows}>B{row})'] * 20)})"  # above a minute on a fast machine
        for row in range(1, rows + 1)
    }
    cells |= {f"B{row}": row for row in range(1, rows + 1)}
    slow, office = book({"Sheet1": cells}), Office(seconds=5.0)
    office.recalculate(SUM)
    started = time.monotonic()
    with pytest.raises(NotCalculated, match=r"within 5 s$"):
        office.recalculate(slow)
    assert time.monotonic() - started < 90
    office.close()


def noting(paths: list[str]) -> type[http.server.BaseHTTPRequestHandler]:
    """A handler of requests that writes down what is asked for."""

    class Noting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret")

        do_HEAD = do_OPTIONS = do_PROPFIND = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Noting


@libreoffice
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("way", ["as it is", "limits only"])
def test_a_workbook_reaches_no_file_and_no_network(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However LibreOffice is confined here: links, INDIRECT, DDE and WEBSERVICE give nothing away."""
    if way == "limits only":
        monkeypatch.setattr(confinement, "_in_sandlock", _refused)
        monkeypatch.setattr(confinement, "_has_landlock", lambda: False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), noting(asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    web = f"http://127.0.0.1:{server.server_port}"
    golden = tmp_path / "golden.xlsx"
    golden.write_bytes(book({"S": {"A1": "secret"}}))
    formulas = {
        "A1": f"=INDIRECT(\"'{golden.as_uri()}'#$S.A1\")",
        "A2": f'=INDIRECT("[{golden.as_uri()}]S!A1")',
        "A3": f'=_xlfn.WEBSERVICE("{web}/formula")',
        "A4": f'=_xlfn.WEBSERVICE("{golden.as_uri()}")',
        "A5": f'=DDE("soffice","{golden}","S.A1")',
        "A6": "=1+1",
    }
    office = Office()
    made = office.recalculate(book({"Sheet1": formulas}))
    through_links = [office.recalculate(linked(target)) for target in (golden.as_uri(), f"{web}/linked.xlsx")]
    how, running = office.confinement, office._server
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in _using(running.folder)] if running else []
    office.close()
    server.shutdown()
    server.server_close()
    assert first(made, "A6") == 2
    found = [first(made, cell) for cell in formulas] + [first(data) for data in through_links]
    assert not [value for value in found if "secret" in str(value)]
    assert asked == []
    assert environments
    assert not [text for text in environments if b"sk-secret" in text]
    assert way in ("as it is", how)


def _refused(*_: object) -> None:
    """As inside a container."""


@libreoffice
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("way", ["as it is", "Landlock"])
def test_libreoffice_ends_when_its_parent_is_killed(way: str, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from skillgrad_ci.graders.xlsx import confinement\n"
        "from skillgrad_ci.graders.xlsx.libreoffice import Office\n"
        f"if {way != 'as it is'}: confinement._in_sandlock = lambda *_: None\n"
        "office = Office(); office.recalculate(open(sys.argv[1], 'rb').read())\n"
        "print(office._server.folder, flush=True); time.sleep(600)\n"
    )
    (tmp_path / "sum.xlsx").write_bytes(SUM)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "sum.xlsx")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    folder = Path(process.stdout.readline().strip())
    assert _using(folder)
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while _using(folder) and time.monotonic() < end:
        time.sleep(0.1)
    left = _using(folder)
    shutil.rmtree(folder)
    assert left == {}


def _using(folder: Path) -> dict[int, str]:
    """The processes whose command names `folder`."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().decode()
            if str(folder) in command:
                found[int(entry.name)] = command
    return found


@libreoffice
def test_closing_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    office = Office()
    office.warm()
    time.sleep(1)
    server = office._server
    office.close()
    with pytest.raises(EnvironmentFailure, match="stopped"):
        office.recalculate(SUM)
    assert server is None or (not server.folder.exists() and not _using(server.folder))


def test_an_absent_libreoffice_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_program", lambda: None)
    installation.version.cache_clear()
    installation.installation.cache_clear()
    office = Office()
    for _ in range(2):
        with pytest.raises(EnvironmentFailure, match="install libreoffice-calc and python3-uno"):
            office.recalculate(SUM)
    assert XlsxGrader(office).identity.endswith("no LibreOffice")
    office.close()
    installation.version.cache_clear()
    installation.installation.cache_clear()


@pytest.fixture
def soffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program of that name, the first in PATH, that knows its version and nothing else; its folder."""
    folder = tmp_path / "office"
    folder.mkdir()
    (folder / "soffice").write_text("#!/bin/sh\necho LibreOffice 7.4.7.2 40\n")
    (folder / "soffice").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    installation.version.cache_clear()
    installation.installation.cache_clear()
    yield folder
    installation.version.cache_clear()
    installation.installation.cache_clear()


def test_a_libreoffice_that_no_python_can_talk_to_is_said(soffice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(installation.CLEAN, "PYTHONHOME", "/nowhere")
    office = Office()
    with pytest.raises(EnvironmentFailure, match="no Python here can import LibreOffice's uno: install libre"):
        office.recalculate(SUM)
    office.close()


def test_a_uno_of_the_current_folder_is_not_imported(soffice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = soffice.parent / "repository"
    repository.mkdir()
    (repository / "uno.py").write_text(f"open({str(repository / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(repository)
    with contextlib.suppress(EnvironmentFailure):
        installation.installation()
    assert not (repository / "ran").exists()


def started(program: Path, python: Path) -> Office:
    """An office whose program and Python these are."""
    made = installation.Installation(program, python, "7.4.7.2")
    return Office(starter=lambda told: start_server(made, told))


@libreoffice
def test_a_libreoffice_that_ends_at_its_start_is_said_with_its_last_words() -> None:
    office = started(Path("/bin/false"), installation.installation().python)
    with pytest.raises(
        EnvironmentFailure, match=r"not ready: .* does not start \(LibreOffice ended with exit code 1\)"
    ):
        office.recalculate(SUM)
    office.close()


WITHOUT_CALC = """
class There:
    ServiceManager = property(lambda self: self)
    def createInstanceWithContext(self, name, context):
        return self
    resolve = createInstance = lambda self, address: self
    def loadComponentFromURL(self, *arguments):
        return None
getComponentContext = There
def getClass(name):
    return type("Known", (Exception,), {"__init__": lambda self, **values: None})
"""


@libreoffice
def test_a_libreoffice_that_opens_no_workbook_is_not_ready(soffice: Path) -> None:
    """As one without Calc: it starts, it listens, and it loads no spreadsheet."""
    python, real = soffice / "python", installation.installation().python
    (soffice / "soffice").write_text("#!/bin/sh\nexec sleep 600\n")
    (soffice / "uno.py").write_text(WITHOUT_CALC)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={soffice} exec {real} "$@"\n')
    python.chmod(0o755)
    office = started(soffice / "soffice", python)
    with pytest.raises(EnvironmentFailure, match="not ready: LibreOffice starts and does not calculate"):
        office.recalculate(SUM)
    office.close()


class Scripted:
    """A server that answers each workbook as its first bytes say; `starts` says which starts succeed."""

    def __init__(self, *starts: bool) -> None:
        self.starts, self.running, self.asked = list(starts), 0, list[bytes]()
        self.slow, self.go_on = threading.Event(), threading.Event()

    def start(self, started: Callable[[Server], None]) -> Server:
        if not (self.starts.pop(0) if self.starts else True):
            raise EnvironmentFailure("LibreOffice does not start (no room for its profile)")
        self.running += 1
        server = cast(Server, self)
        started(server)
        return server

    def recalculate(self, book: bytes, seconds: float) -> bytes:
        self.asked.append(book)
        if book == b"slow":
            self.slow.set()
            assert self.go_on.wait(20)
        if book == b"hangs":
            raise Hung("no answer")
        if book == b"kills":
            raise Dead("it is gone")
        return b"calculated"

    def works(self, seconds: float) -> bool:
        return True

    def stop(self) -> None:
        self.running -= 1


def test_a_workbook_that_hangs_is_not_tried_again_and_no_other_suffers() -> None:
    server = Scripted()
    office = Office(starter=server.start)
    with pytest.raises(NotCalculated, match=r"did not recalculate it within 60 s$"):
        office.recalculate(b"hangs")
    assert server.asked == [b"hangs"]
    assert server.running == 0  # killed
    assert office.recalculate(b"next") == b"calculated"
    office.close()


def test_a_failed_restart_leaves_one_workbook_unmeasured_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    server = Scripted(True, False, False, False, False, True)
    desk = Desk(60, server.start, pauses.append)
    assert desk.recalculate(b"first") == b"calculated"
    for _ in range(2):
        with pytest.raises(EnvironmentFailure) as failure:
            desk.recalculate(b"kills")
        assert "ended and does not start again: LibreOffice does not start (no room for its profile)" in str(
            failure.value
        )
        assert "install" not in str(failure.value)
    assert desk.recalculate(b"later") == b"calculated"
    assert pauses == [2.0, 10.0]  # it backs off before each new start
    desk.close()


def test_what_is_graded_after_a_failed_restart_is_measured(tmp_path: Path) -> None:
    """And the one that was lost is told of with its cause: LibreOffice is installed, so nobody is to install it."""
    deadly = book({"Sheet1": {"A1": "=1+2"}})

    class Calculating(Scripted):
        def recalculate(self, book: bytes, seconds: float) -> bytes:
            if book == deadly:
                raise Dead("it is gone")
            return cached(book, "2")

    office = Office(starter=Calculating(True, False, False, True).start)
    grader, task = XlsxGrader(office), single(tmp_path, cached(SUM, "2"), "A1")
    with pytest.raises(EnvironmentFailure, match="no room for its profile") as failure:
        grader.grade(task.graders[0], task, result(tmp_path / "deadly", {"out.xlsx": deadly}))
    assert "install" not in str(failure.value)
    given = book({"Sheet1": {"A1": "=1+1", "D1": "new"}})
    later = grader.grade(task.graders[0], task, result(tmp_path / "later", {"out.xlsx": given}))
    assert later.outcome is Outcome.PASSED
    office.close()


def test_what_brings_down_two_servers_has_itself_to_blame() -> None:
    server = Scripted()
    office = Office(starter=server.start)
    with pytest.raises(NotCalculated, match="ended on it, twice"):
        office.recalculate(b"kills")
    assert server.asked == [b"kills", b"kills"]
    office.close()


def test_a_slow_workbook_holds_up_itself_alone() -> None:
    server = Scripted()
    office = Office(starter=server.start, patience=0.05)
    slow = threading.Thread(target=office.recalculate, args=(b"slow",))
    slow.start()
    assert server.slow.wait(20)
    assert office.recalculate(b"quick") == b"calculated"
    assert office.recalculate(b"quick") == b"calculated"
    assert server.running == 2
    server.go_on.set()
    slow.join()
    office.close()
    assert server.running == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_a_sheet_in_any_encoding_has_formulas(encoding: str) -> None:
    sheet = '<worksheet><sheetData><row r="1"><c r="A1"><f>1+1</f><v>2</v></c></row></sheetData></worksheet>'
    part = f'<?xml version="1.0" encoding="{encoding.removesuffix("-be")}"?>{sheet}'.encode(encoding)
    part = codecs.BOM_UTF16_BE + part if encoding == "utf-16-be" else part
    assert calculated(part, [Area("S", 1, 1, 1, 1)]) == {(1, 1)}
    constant = "".join(sheet.partition("<f>")[::2]).replace("1+1</f>", "")
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-be")}"?>'
    part = (codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b"") + f"{head}{constant}".encode(encoding)
    assert calculated(part, [Area("S", 1, 1, 1, 1)]) == set()


@libreoffice
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_libreoffice_connects_to_nothing_while_who_asks_it_does(office: Office) -> None:
    office.recalculate(SUM)
    assert office._server
    filters: dict[str, int] = {}
    for pid, command in _using(office._server.folder).items():
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        filters["soffice" if "soffice.bin" in command else "asks" if "calculator.py" in command else "other"] = int(
            status["Seccomp_filters"]
        )
    assert filters["soffice"] == filters["asks"] + 1
