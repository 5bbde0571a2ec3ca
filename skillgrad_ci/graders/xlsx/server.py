"""A running LibreOffice with unoserver in front, in a folder of its own.

unoserver runs in the Python that can import `uno` (started by `hidden_server.py`) and is asked over XML-RPC
on a loopback address and ports of its own.
"""

import http.client
import io
import os
import shutil
import socket
import sys
import tempfile
import time
import xmlrpc.client
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx.confinement import Needs, Running, launch
from skillgrad_ci.graders.xlsx.installation import CLEAN, Installation
from skillgrad_ci.graders.xlsx.profile import SERVER, furnish

START = 120.0  # seconds; 8 on an idle machine, 7 of them unoserver's own pauses
MAX_BYTES = 100_000_000  # of a recalculated workbook

_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/opt", "/etc", "/dev", "/sys"),
    *("/var/lib/libreoffice", "/var/spool/libreoffice", "/var/cache/fontconfig"),
)
_SOCKETS = "/tmp"  # noqa: S108 (where LibreOffice makes its own socket, whatever TMPDIR says)


class Refused(Exception):
    """LibreOffice will not convert this workbook; the message says why."""


class Dead(Exception):
    """The server has ended or cannot be reached."""


class Hung(Dead):
    """The server did not answer in time."""


@dataclass
class Server:
    """Recalculates one workbook at a time; `stop` ends everything that was started. Not thread-safe."""

    folder: Path
    url: str
    running: Running
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def recalculate(self, book: bytes, seconds: float) -> bytes:
        """The workbook as LibreOffice calculates and writes it. Raises Refused, Dead, or Hung after `seconds`."""
        number = next(self._numbers)
        source, target = (self.folder / "books" / f"{number}-{end}.xlsx" for end in ("given", "calculated"))
        try:
            source.write_bytes(book)
            with xmlrpc.client.ServerProxy(self.url, _Timed(seconds), allow_none=True) as server:
                # inpath, indata, outpath, convert_to, filtername, filter_options, update_index
                server.convert(str(source), None, str(target), "xlsx", None, [], False)
            if target.stat().st_size > MAX_BYTES:
                raise Refused(f"its recalculated copy is larger than {MAX_BYTES:,} bytes")
            return target.read_bytes()
        except xmlrpc.client.Fault as fault:
            raise Refused(fault.faultString[-200:]) from None
        except TimeoutError:
            raise Hung(f"no answer within {seconds:g} s") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise Dead(f"{type(error).__name__}: {error}") from None
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def works(self, seconds: float) -> bool:
        """Whether it calculates 1+1."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.recalculate(_one_plus_one(), seconds))) as archive:
                return b"<v>2</v>" in archive.read("xl/worksheets/sheet1.xml")
        except (Refused, Dead, zipfile.BadZipFile, KeyError):
            return False

    def stop(self) -> None:
        self.running.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Timed(xmlrpc.client.Transport):
    """XML-RPC's transport with a time limit in seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def make_connection(self, host: "tuple[str, dict[str, str]] | str") -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._seconds
        return connection


def start(installation: Installation, started: Callable[[Server], None]) -> Server:
    """A server that has calculated a first workbook. Raises EnvironmentFailure.

    `started` is told of it as soon as there is something to stop.
    """
    folder = Path(tempfile.mkdtemp(prefix="skillgrad-office-")).resolve()
    address = _address()
    ports = _free_ports(address)
    furnish(folder)
    own = ["--interface", address, "--port", str(ports[0]), "--uno-interface", address, "--uno-port", str(ports[1])]
    own += ["--executable", str(installation.program), "--user-installation", str(folder / "profile")]
    own += ["--libreoffice-pid-file", str(folder / "pid")]
    command = [str(installation.python), str(folder / "lib" / SERVER.name), *own]
    needs = Needs(
        readable=[*(path for path in _SYSTEM if Path(path).exists()), str(installation.program.parent)],
        writable=[str(folder), "/dev/null", _SOCKETS],
        address=address,
        ports=ports,
        environment={**CLEAN, "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(folder / "lib")},
    )
    server = Server(folder, f"http://{address}:{ports[0]}", launch(installation.python, command, folder, needs))
    started(server)
    _wait(server)
    return server


def _wait(server: Server) -> None:
    """Until unoserver has written that it listens on its own port, and LibreOffice has calculated."""
    end = time.monotonic() + START
    while not (server.folder / "pid").exists():
        if time.monotonic() > end or (server.folder / "ended").exists() or not server.folder.exists():
            raise EnvironmentFailure(f"LibreOffice does not start ({_log(server.folder)})")
        time.sleep(0.05)
    if not server.works(max(1.0, end - time.monotonic())):
        raise EnvironmentFailure(f"LibreOffice starts and does not calculate ({_log(server.folder)})")


def _log(folder: Path) -> str:
    """The last line that the server wrote."""
    try:
        lines = (folder / "log").read_text("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    return next((line[:200] for line in reversed(lines) if line.strip()), "it says nothing")


def _address() -> str:
    """A loopback address: on Linux one that no other process has, so that nobody else takes its ports."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255}" if sys.platform == "linux" else "127.0.0.1"


def _free_ports(address: str) -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((address, 0))
        other.bind((address, 0))
        return one.getsockname()[1], other.getsockname()[1]


def _one_plus_one() -> bytes:
    from openpyxl import Workbook

    book, file = Workbook(), io.BytesIO()
    book.worksheets[0]["A1"] = "=1+1"
    book.save(file)
    return file.getvalue()
