"""One warm LibreOffice for all workbooks of a run: started once, restarted when it dies, stopped at the end."""

import atexit
import threading

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx.installation import installation
from skillgrad_ci.graders.xlsx.server import Dead, Refused, Server, start

SECONDS = 60.0  # for one workbook; the benchmark's slowest took 11
PROBE_SECONDS = 20.0
STARTS = 2


class NotCalculated(Exception):
    """LibreOffice works, and this workbook it cannot recalculate; the message says why."""


class Office:
    """Thread-safe; workbooks wait for each other. `confinement` is known once it has started."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._server: Server | None = None
        self._failure: EnvironmentFailure | None = None
        self._turn = threading.Lock()
        self._closed = False
        atexit.register(self.close)

    @property
    def confinement(self) -> str:
        server = self._server
        return server.running.how if server else ""

    def warm(self) -> None:
        """Start in the background; a failure is told when a workbook needs it."""
        threading.Thread(target=self._warm, name="libreoffice", daemon=True).start()

    def recalculate(self, book: bytes) -> bytes:
        """The workbook with its formulas calculated. Raises NotCalculated, EnvironmentFailure.

        A server that is dead or hangs is replaced, and the workbook tried once more there. What brings down
        two servers, each of which had calculated before, is the workbook's own fault.
        """
        with self._turn:
            for _ in range(2):
                server = self._ready()
                try:
                    return server.recalculate(book, self._seconds)
                except Refused as refused:
                    if server.works(PROBE_SECONDS):
                        raise NotCalculated(f"LibreOffice cannot recalculate it ({refused})") from None
                    reason = str(refused)
                except Dead as dead:
                    reason = str(dead)
                self._stop()
            raise NotCalculated(f"LibreOffice did not recalculate it within {self._seconds:g} s, twice ({reason})")

    def close(self) -> None:
        """Stop LibreOffice, also in the middle of a workbook. Afterwards nothing starts again."""
        self._closed = True
        self._stop()
        atexit.unregister(self.close)

    def _warm(self) -> None:
        with self._turn:
            try:
                self._ready()
            except EnvironmentFailure:
                return  # kept in _failure

    def _ready(self) -> Server:
        """The running server, or a new one: a start that fails is tried once more, then not again."""
        if self._failure:
            raise self._failure
        for attempt in range(STARTS):
            if self._closed:
                raise EnvironmentFailure("LibreOffice was stopped")
            if self._server:
                return self._server
            try:
                return start(installation(), self._keep)
            except EnvironmentFailure as failure:
                self._stop()
                if attempt == STARTS - 1 and not self._closed:
                    self._failure = failure
        raise self._failure or EnvironmentFailure("LibreOffice was stopped")

    def _keep(self, server: Server) -> None:
        self._server = server
        if self._closed:
            self._stop()

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server:
            server.stop()
