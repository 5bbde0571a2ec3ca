"""Warm LibreOffice for all workbooks of a run: started once, started again when it ends, stopped at the end.

One serves as long as it is quick. Where it is busy with a slow workbook, a second one serves the others, so that
a slow workbook holds up itself alone.
"""

import atexit
import threading
import time
from collections.abc import Callable

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.xlsx.installation import installation
from skillgrad_ci.graders.xlsx.server import Dead, Hung, Refused, Server, start_server

SECONDS = 60.0  # for one workbook; the benchmark's slowest took 11
PROBE_SECONDS = 20.0
STARTS = 2  # in a row, for one workbook
PAUSES = (2.0, 10.0, 30.0, 60.0)  # seconds before the next workbook's start, by how many before it failed in a row
PATIENCE = 3.0  # seconds that a workbook waits for the first LibreOffice before a second one is started
Starter = Callable[[Callable[[Server], None]], Server]


class NotCalculated(Exception):
    """LibreOffice works, and this workbook it cannot recalculate; the message says why."""


def _start(started: Callable[[Server], None]) -> Server:
    return start_server(installation(), started)


class Desk:
    """One LibreOffice, for one workbook at a time. A start that fails is tried again for later workbooks."""

    def __init__(self, seconds: float, starter: Starter, pause: Callable[[float], object]) -> None:
        self.server: Server | None = None
        self.starting = False
        self._seconds, self._starter, self._pause = seconds, starter, pause
        self._failed = 0  # starts in a row
        self._worked = False
        self._closed = False

    def recalculate(self, book: bytes) -> bytes:
        """The workbook with its formulas calculated. Raises NotCalculated, EnvironmentFailure.

        A workbook that takes too long is not tried again. Where the server ended, it is tried once more on a new
        one: what brings down two, each of which had calculated before, is the workbook's own fault.
        """
        reason = ""
        for _ in range(2):
            server = self.ready()
            try:
                return server.recalculate(book, self._seconds)
            except Refused as refused:
                if server.works(PROBE_SECONDS):
                    raise NotCalculated(f"LibreOffice cannot recalculate it ({refused})") from None
                reason = str(refused)
            except Hung:
                self.stop()
                self._refuse_closed()
                raise NotCalculated(f"LibreOffice did not recalculate it within {self._seconds:g} s") from None
            except Dead as dead:
                reason = str(dead)
            self.stop()
            self._refuse_closed()
        raise NotCalculated(f"LibreOffice ended on it, twice ({reason})")

    def ready(self) -> Server:
        """The running server, or a new one. Raises EnvironmentFailure with what stood in the way."""
        self._refuse_closed()
        if self.server:
            return self.server
        if self._failed:
            self._pause(PAUSES[min(self._failed // STARTS, len(PAUSES)) - 1])
        self.starting = True
        try:
            for _ in range(STARTS - 1):
                try:
                    return self._begin()
                except EnvironmentFailure:
                    continue
            return self._begin()
        finally:
            self.starting = False

    def close(self) -> None:
        self._closed = True
        self.stop()

    def stop(self) -> None:
        server, self.server = self.server, None
        if server:
            server.stop()

    def _begin(self) -> Server:
        self._refuse_closed()
        try:
            server = self._starter(self._keep)
        except EnvironmentFailure as failure:
            self.stop()
            self._refuse_closed()
            self._failed += 1
            again = "LibreOffice ended and does not start again" if self._worked else "LibreOffice is not ready"
            advice = "it is tried again for the next workbook" if self._worked else "look whether it is installed whole"
            raise EnvironmentFailure(f"{again}: {failure}; {advice}") from None
        self._failed, self._worked = 0, True
        return server

    def _keep(self, server: Server) -> None:
        self.server = server
        if self._closed:
            self.stop()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise EnvironmentFailure("LibreOffice was stopped; start the run again")


class Office:
    """Thread-safe. `confinement` is known once a LibreOffice has started."""

    def __init__(self, seconds: float = SECONDS, starter: Starter = _start, patience: float = PATIENCE) -> None:
        self._end = threading.Event()
        self._desks = [Desk(seconds, starter, self._end.wait) for _ in range(2)]
        self._busy: set[int] = set()
        self._patience = patience
        self._change = threading.Condition()
        self._closed = False
        atexit.register(self.close)

    @property
    def confinement(self) -> str:
        server = self._server
        return server.running.how if server else ""

    @property
    def _server(self) -> Server | None:
        return next((desk.server for desk in self._desks if desk.server), None)

    def warm(self) -> None:
        """Start in the background; a failure is told when a workbook needs it."""
        threading.Thread(target=self._warm, name="libreoffice", daemon=True).start()

    def recalculate(self, book: bytes) -> bytes:
        """The workbook with its formulas calculated. Raises NotCalculated, EnvironmentFailure."""
        number = self._take()
        try:
            return self._desks[number].recalculate(book)
        finally:
            self._give(number)

    def close(self) -> None:
        """Stop LibreOffice, also in the middle of a workbook. Afterwards nothing starts again."""
        self._closed = True
        self._end.set()
        for desk in self._desks:
            desk.close()
        atexit.unregister(self.close)

    def _warm(self) -> None:
        number = self._take()
        try:
            self._desks[number].ready()
        except EnvironmentFailure:
            return  # told by the next workbook's own start
        finally:
            self._give(number)

    def _take(self) -> int:
        """A free desk: the first, or the second where it runs already or the first is busy for long."""
        since = time.monotonic()
        with self._change:
            while True:
                if 0 not in self._busy:
                    self._busy.add(0)
                    return 0
                waited = time.monotonic() - since
                wanted = waited >= self._patience and not self._desks[0].starting
                if 1 not in self._busy and (self._desks[1].server or wanted):
                    self._busy.add(1)
                    return 1
                self._change.wait(max(0.05, self._patience - waited))

    def _give(self, number: int) -> None:
        with self._change:
            self._busy.discard(number)
            self._change.notify_all()
