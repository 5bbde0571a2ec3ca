"""Where cells come from: a process that has all that a cell needs loaded, and is forked for each.

To start an interpreter and load the library in it takes three quarters of a cell's processor time. The nursery is
told nothing of a run: a cell's settings and commands go over the cell's own socket.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.sandbox import environment
from skillgrad_ci.sandbox.supervise import AGAIN

CELL = Path(__file__).with_name("cell.py")
START = 60.0  # seconds for a cell to be there


class CellProcess:
    """A process that the nursery made. Its handle means this process also when its number is another's."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()

    def kill(self) -> None:
        """From any thread, at any time."""
        with self._lock, suppress(ProcessLookupError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Its number, -1 once it has been waited for. Raises OSError after `close`."""
        return int(Path(f"/proc/self/fdinfo/{self._handle}").read_text().partition("Pid:")[2].split()[0])

    def ended(self, seconds: float) -> bool:
        """Whether it has ended, waiting so long for it."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        with self._lock:
            os.close(self._handle)
            self._handle = -1


class Nursery:
    """Thread-safe. It ends when this process does, for its socket closes then."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with ExitStack() as undone, theirs:
            undone.callback(self._door.close)
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", str(CELL)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=variables,
                start_new_session=True,  # a Ctrl-C in the terminal is for us alone
            )
            undone.pop_all()
        self._door.settimeout(START)

    def make(self, channel: socket.socket, words: IO[bytes]) -> CellProcess:
        """A cell at the other end of `channel`, whose last words go to `words`. Raises OSError."""
        with self._lock:
            socket.send_fds(self._door, [b"\0"], [channel.fileno(), words.fileno()])
            _, files, _, _ = socket.recv_fds(self._door, 1, 1)
        if not files:
            raise BrokenPipeError("the process that cells are made from has ended")
        return CellProcess(files[0])

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        self._door.close()
        self._process.kill()
        self._process.wait()


_nurseries: dict[int, Nursery] = {}  # by the process that it is for: a fork of this one has another
_guard = threading.Lock()


def processes() -> list[int]:
    """The processes that cells of this process are made from, for whoever counts what they take."""
    with _guard:
        return [nursery.pid for owner, nursery in _nurseries.items() if owner == os.getpid()]


def _nursery() -> Nursery:
    with _guard:
        if os.getpid() not in _nurseries:  # HOME: the library asks for one, and not every user has it
            _nurseries[os.getpid()] = Nursery({"HOME": "/", **environment.interpreter()})
        return _nurseries[os.getpid()]


def new_cell(channel: socket.socket, words: IO[bytes]) -> CellProcess:
    """A new cell; the nursery is made at the first one, and once anew where it was lost. Raises EnvironmentFailure."""
    reason = ""
    for _ in range(2):
        try:
            nursery = _nursery()
        except OSError as error:  # no memory for a process, or an interpreter that is no more there
            reason = error.strerror or str(error)
            continue
        try:
            return nursery.make(channel, words)
        except OSError as error:
            reason = error.strerror or str(error)
            with _guard:
                if _nurseries.get(os.getpid()) is nursery:
                    del _nurseries[os.getpid()]
            nursery.close()
    raise EnvironmentFailure(f"sandlock: no process for a sandbox can be started here ({reason}); {AGAIN}")
