"""The way from a sandbox without network to the gateway: connections over the pipe of a program inside.

No socket is mounted and nothing listens on this machine. So it works also where this program is itself in a
container, whose paths the Docker daemon does not know.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SHUT_RDWR, socket, socketpair

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.executors.relay_inside import HEAD, PIECE
from skillgrad_ci.method.ports import Pipe, PipingSession
from skillgrad_ci.method.ports.gateway import Line

CONNECTIONS = 256  # that one execution may have open at once
SCRIPT = Path(__file__).parent / "relay_inside.py"


@contextmanager
def relayed(session: PipingSession, line: Line) -> Iterator[str]:
    """Inside, the gateway answers at the yielded address of the sandbox's own loopback."""
    with session.pipe(["python3", "-c", SCRIPT.read_text("utf-8")], {}) as pipe:
        port = pipe.stdout.readline().strip()
        if not port.isdigit():
            raise EnvironmentFailure(f"sandbox: agents need python3 in the image: {pipe.said()}")
        relay = _Relay(pipe, line)
        threading.Thread(target=relay.run, name="relay", daemon=True).start()
        try:
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            relay.close()


class _Relay:
    """This end of the pipe: a socket for every connection inside, which the line serves on a thread of its own."""

    def __init__(self, pipe: Pipe, line: Line) -> None:
        self._pipe = pipe
        self._line = line
        self._ours: dict[int, socket] = {}
        self._writing = threading.Lock()

    def run(self) -> None:
        """Carry what comes from inside until it ends, or until it is not what our program would send."""
        with suppress(OSError, ValueError):
            while len(head := self._pipe.stdout.read(HEAD.size)) == HEAD.size:
                number, size = HEAD.unpack(head)
                if size > PIECE or (number not in self._ours and len(self._ours) >= CONNECTIONS):
                    break
                self._deliver(number, self._pipe.stdout.read(size))
        self.close()

    def close(self) -> None:
        for number in list(self._ours):
            self._end(number)

    def _deliver(self, number: int, data: bytes) -> None:
        if not data:
            self._end(number)
            return
        if number not in self._ours:
            self._ours[number], theirs = socketpair()
            threading.Thread(target=self._line.serve, args=(theirs,), name="gateway", daemon=True).start()
            threading.Thread(target=self._answer, args=(number, self._ours[number]), name="relay", daemon=True).start()
        with suppress(OSError):  # the gateway has closed it: the agent is told so
            self._ours[number].sendall(data)

    def _answer(self, number: int, ours: socket) -> None:
        with suppress(OSError, ValueError), ours:
            while data := ours.recv(PIECE):
                self._send(number, data)
            self._send(number, b"")

    def _send(self, number: int, data: bytes) -> None:
        with self._writing:
            self._pipe.stdin.write(HEAD.pack(number, len(data)) + data)
            self._pipe.stdin.flush()

    def _end(self, number: int) -> None:
        if ours := self._ours.pop(number, None):
            with suppress(OSError):
                ours.shutdown(SHUT_RDWR)
