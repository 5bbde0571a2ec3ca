"""A running LibreOffice with `calculator.py` in front, in a folder of its own.

The calculator runs in the Python that can import `uno`, and is asked over a Unix socket in that folder, which no
other user can open. No port is used, so that neither of them needs a socket of an internet family.
"""

import io
import json
import shutil
import socket
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx import calls
from skillgrad_ci.graders.xlsx.confinement import Needs, Running, launch
from skillgrad_ci.graders.xlsx.installation import CLEAN, Installation
from skillgrad_ci.graders.xlsx.profile import CALCULATOR, furnish

START = 120.0  # seconds; 1 to 2 on an idle machine
MAX_BYTES = 100_000_000  # of a recalculated workbook

_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/opt", "/etc", "/dev", "/sys"),
    *("/var/lib/libreoffice", "/var/spool/libreoffice", "/var/cache/fontconfig"),
)
_SOCKETS = "/tmp"  # noqa: S108 (where LibreOffice makes its own sockets, whatever TMPDIR says)
_DOOR = 100  # bytes of a socket's path; what an operating system takes begins at 104
_ANSWER = 64 * 1024  # bytes


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
    running: Running
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def recalculate(self, book: bytes, seconds: float) -> bytes:
        """The workbook as LibreOffice calculates and writes it. Raises Refused, Dead, or Hung after `seconds`."""
        number = next(self._numbers)
        source, target = (self.folder / "books" / f"{number}-{end}.xlsx" for end in ("given", "calculated"))
        try:
            source.write_bytes(book)
            if refusal := _asked(self.folder / "door", [str(source), str(target)], seconds):
                raise Refused(refusal[-200:])
            if target.stat().st_size > MAX_BYTES:
                raise Refused(f"its recalculated copy is larger than {MAX_BYTES:,} bytes")
            return target.read_bytes()
        except TimeoutError:
            raise Hung(f"no answer within {seconds:g} s") from None
        except OSError as error:
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


def _asked(door: Path, question: list[str], seconds: float) -> str:
    """The calculator's answer, '' where it did what it was asked. Raises OSError, TimeoutError after `seconds`."""
    end = time.monotonic() + seconds
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(door))
        connection.sendall(json.dumps(question).encode() + b"\n")
        while not answer.endswith(b"\n"):
            connection.settimeout(max(0.01, end - time.monotonic()))
            piece = connection.recv(_ANSWER)
            if not piece or len(answer) > _ANSWER:
                raise ConnectionError("the answer broke off")
            answer += piece
    try:
        return str(json.loads(answer) or "")
    except (ValueError, RecursionError):
        raise ConnectionError("the answer cannot be read") from None


def start_server(installation: Installation, started: Callable[[Server], None]) -> Server:
    """A server that has calculated a first workbook. Raises EnvironmentFailure.

    `started` is told of it as soon as there is something to stop.
    """
    folder = _folder()
    furnish(folder)
    command = [str(installation.python), str(folder / CALCULATOR.name), str(installation.program)]
    needs = Needs(
        readable=[*(path for path in _SYSTEM if Path(path).exists()), str(installation.program.parent)],
        writable=[str(folder), "/dev/null", _SOCKETS],
        environment={**CLEAN, "HOME": str(folder), "TMPDIR": str(folder / "tmp")},
    )
    filtered = calls.no_connection().hex() if sys.platform == "linux" else ""
    server = Server(folder, launch(installation.python, [*command, filtered], folder, needs))
    started(server)
    _wait(server)
    return server


def _wait(server: Server) -> None:
    """Until the calculator has written that it listens, and LibreOffice has calculated."""
    end = time.monotonic() + START
    while not (server.folder / "ready").exists():
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


def _folder() -> Path:
    """A folder of this user alone, with a path that is short enough for a socket in it."""
    made = Path(tempfile.mkdtemp(prefix="skillgrad-office-")).resolve()
    if len(str(made / "door").encode()) <= _DOOR:
        return made
    made.rmdir()
    return Path(tempfile.mkdtemp(prefix="skillgrad-office-", dir=_SOCKETS)).resolve()


def _one_plus_one() -> bytes:
    from openpyxl import Workbook

    book, file = Workbook(), io.BytesIO()
    book.worksheets[0]["A1"] = "=1+1"
    book.save(file)
    return file.getvalue()
