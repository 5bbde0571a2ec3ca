"""The way from a sandbox to the gateway: real connections over a real pipe, and what is not a frame."""

import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_connection, socket
from typing import cast

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.executors.relay import CONNECTIONS, relayed
from skillgrad_ci.executors.relay_inside import PIECE
from skillgrad_ci.method.ports import PipingSession
from skillgrad_ci.method.ports.gateway import Line
from skillgrad_ci.sandbox.pipe import ProgramPipe, end


@dataclass
class Echo:
    """A line that gives back what it gets, and counts connections."""

    served: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, connection: socket) -> None:
        with self.counting:
            self.served += 1
        with suppress(OSError), connection:
            while data := connection.recv(PIECE):
                connection.sendall(data)


@dataclass
class Inside:
    """A session whose program is this Python with other code than the forwarder's, where some is given."""

    code: str = ""

    @contextmanager
    def pipe(self, command: Sequence[str], env: Mapping[str, str]) -> Iterator[ProgramPipe]:
        code = self.code or command[2]
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(env)
        ) as process, Path("/dev/null").open("rb") as errors:  # fmt: skip
            try:
                yield ProgramPipe(process, errors)
            finally:
                end(process)


@contextmanager
def relay(line: Echo, code: str = "") -> Iterator[tuple[str, int]]:
    with relayed(cast("PipingSession", Inside(code)), cast("Line", line)) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        yield host, int(port)


def everything(connection: socket, size: int) -> bytes:
    kept = b""
    while len(kept) < size and (data := connection.recv(PIECE)):
        kept += data
    return kept


def test_connections_are_carried_both_ways_side_by_side() -> None:
    line = Echo()
    with relay(line) as address:
        ends = [create_connection(address) for _ in range(5)]
        for number, one in enumerate(ends):
            one.sendall(bytes([number]) * 300_000)
        assert [everything(one, 300_000) for one in ends] == [bytes([number]) * 300_000 for number in range(5)]
        for one in ends:
            one.close()
        with create_connection(address) as again:
            again.sendall(b"still here")
            assert everything(again, 10) == b"still here"
    assert line.served == 6


def test_only_its_own_loopback_is_listened_on() -> None:
    with relay(Echo()) as (host, _):
        assert host == "127.0.0.1"


def test_without_a_forwarder_it_says_what_an_image_needs() -> None:
    with pytest.raises(EnvironmentFailure, match="agents need python3 in the image"), relay(Echo(), "pass"):
        pass


FRAMES = {
    "too long": struct.pack(">II", 1, PIECE + 1) + b"x" * (PIECE + 1) + struct.pack(">II", 2, 1) + b"x",
    "too many": b"".join(struct.pack(">II", number, 1) + b"x" for number in range(CONNECTIONS + 50)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_our_forwarder_would_not_send_ends_the_way(name: str) -> None:
    """All that came is looked at: the program ends after it, and with it the thread that reads."""
    line = Echo()
    code = f"import sys; o = sys.stdout.buffer; o.write(b'1\\n' + {FRAMES[name]!r}); o.flush()"
    before = set(threading.enumerate())
    with relay(line, code):
        while left := set(threading.enumerate()) - before:
            for thread in left:
                with suppress(RuntimeError):  # listed before it has begun
                    thread.join(120)
    assert line.served == {"too long": 0, "too many": CONNECTIONS}[name]
