"""Runs inside the sandbox: connections to a port of its own loopback, carried over standard input and output.

The first line it writes is the port. Then frames go both ways: a connection's number, a length (both four
bytes, the high one first), so many bytes. Length 0 ends a connection. It needs Python 3.8 and no package.
"""

import os
import socket
import struct
import sys
import threading
from itertools import count

HEAD = struct.Struct(">II")
PIECE = 65_536  # bytes of one frame at the most
PORT = 23_517  # or another where it is taken: with one and the same, what commands print of it is the same
lock = threading.Lock()
peers: "dict[int, socket.socket]" = {}


def send(number: int, data: bytes) -> None:
    with lock:
        sys.stdout.buffer.write(HEAD.pack(number, len(data)) + data)
        sys.stdout.buffer.flush()


def carry_out(number: int, peer: socket.socket) -> None:
    try:
        while data := peer.recv(PIECE):
            send(number, data)
    except OSError:
        pass
    send(number, b"")


def carry_in() -> None:
    while len(head := sys.stdin.buffer.read(HEAD.size)) == HEAD.size:
        number, size = HEAD.unpack(head)
        data = sys.stdin.buffer.read(size)
        try:
            if data:
                peers[number].sendall(data)
            else:
                peers.pop(number).shutdown(socket.SHUT_RDWR)
        except (OSError, KeyError):
            pass
    os._exit(0)


if __name__ == "__main__":
    try:
        server = socket.create_server(("127.0.0.1", PORT))
    except OSError:
        server = socket.create_server(("127.0.0.1", 0))
    sys.stdout.buffer.write(b"%d\n" % server.getsockname()[1])
    sys.stdout.buffer.flush()
    threading.Thread(target=carry_in, daemon=True).start()
    for number in count(1):
        peers[number] = server.accept()[0]
        threading.Thread(target=carry_out, args=(number, peers[number]), daemon=True).start()
