"""Asks LibreOffice to calculate workbooks: `python calculator.py PROGRAM FILTER`, in the folder that is its own.

Run by the Python that imports LibreOffice's `uno`; it stands alone, beside `libreoffice_process.py`. It starts
PROGRAM, held to FILTER (a seccomp program in hex, of `calls`; it may be empty), and answers at a Unix socket named
`door`: for a line of JSON, [SOURCE, TARGET], a line with null, or with why LibreOffice will not convert that workbook.
There will be a file `ready` once it can. When LibreOffice ends, this ends.
"""

import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uno  # type: ignore[import-not-found, unused-ignore]
from libreoffice_process import filter_calls  # type: ignore[import-not-found, unused-ignore]

OPTIONS = [
    *("--headless", "--invisible", "--nocrashreport", "--nodefault", "--nologo", "--nofirststartwizard"),
    "--norestore",
]
# Hidden: a window for each workbook, never seen, would take two thirds of the time. UpdateDocMode 0 is NO_UPDATE (of
# links), MacroExecutionMode 0 is NEVER_EXECUTE.
OPENED = {"Hidden": True, "ReadOnly": True, "UpdateDocMode": 0, "MacroExecutionMode": 0}
SAVED = {"FilterName": "Calc MS Excel 2007 XML", "Overwrite": True}
CONTEXT = "urp;StarOffice.ComponentContext"


class NoWorkbook(Exception):
    """The file holds no workbook."""


def main() -> None:
    program, calls = sys.argv[1:]
    folder = Path.cwd()
    office = subprocess.Popen(  # noqa: S603
        [
            program,
            *OPTIONS,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            f"--accept=pipe,name={folder.name};{CONTEXT}",
        ],
        preexec_fn=lambda: filter_calls(bytes.fromhex(calls)) if calls else None,
    )
    threading.Thread(target=_end_with, args=(office,), daemon=True).start()
    desktop = _desktop(f"uno:pipe,name={folder.name};{CONTEXT}")

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            source, target = json.loads(self.rfile.readline())
            self.wfile.write(json.dumps(_convert(desktop, source, target)).encode() + b"\n")

    with socketserver.UnixStreamServer("door", Answer) as server:
        Path("ready").write_bytes(b"")
        server.serve_forever()


def _end_with(office: "subprocess.Popen[bytes]") -> None:
    code = office.wait()
    sys.stderr.write(f"LibreOffice ended with exit code {code}\n")
    os._exit(1)


def _desktop(address: str) -> Any:
    """LibreOffice's desktop, as soon as it listens; `_end_with` ends the wait for one that never does."""
    here = uno.getComponentContext()
    resolver = here.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", here)
    refused = uno.getClass("com.sun.star.connection.NoConnectException")
    while True:
        try:
            there = resolver.resolve(address)
        except refused:
            time.sleep(0.05)
            continue
        return there.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", there)


def _convert(desktop: Any, source: str, target: str) -> "str | None":
    try:
        _save(desktop.loadComponentFromURL(Path(source).as_uri(), "_default", 0, _properties(OPENED)), target)
    except (NoWorkbook, uno.getClass("com.sun.star.uno.Exception")) as error:
        return str(error) or type(error).__name__
    return None


def _save(document: Any, target: str) -> None:
    if document is None:
        raise NoWorkbook("it cannot be read")
    try:
        if not document.supportsService("com.sun.star.sheet.SpreadsheetDocument"):
            raise NoWorkbook("it is no spreadsheet")
        document.storeToURL(Path(target).as_uri(), _properties(SAVED))
    finally:
        document.close(True)


def _properties(values: "dict[str, Any]") -> "tuple[Any, ...]":
    make = uno.getClass("com.sun.star.beans.PropertyValue")
    return tuple(make(Name=name, Value=value) for name, value in values.items())


if __name__ == "__main__":
    main()
