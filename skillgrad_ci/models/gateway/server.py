"""HTTP over a connection that an agent made: one request after the other, until it ends.

Nothing listens on this machine: a connection is handed in, at the end of a pipe from the sandbox.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import socket
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from skillgrad_ci.models.gateway.dialect import EVENTS, Answer, Call, Dialect

LARGEST = 64 << 20  # bytes of a request
LENGTH = re.compile(r"[0-9]{1,12}")  # of a body, as RFC 9110 writes it
CHUNK = re.compile(rb"[0-9a-fA-F]{1,8}")
PATIENCE = 15.0  # seconds after which an agent that waits is told that its stream has begun
PING = 5.0  # seconds between signs of life
KEYS = ("x-api-key", "x-goog-api-key", "api-key")


class Answering(Protocol):
    """Who decides what is answered."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def room(self) -> AbstractContextManager[Any]:
        """Entered for each request, so that only so many are held at once."""
        ...

    def admits(self, key: str) -> bool: ...

    def answer_call(self, call: Call, beat: Callable[[], None]) -> Answer: ...


def serve(connection: socket, line: Answering) -> None:
    """Answer every request of a connection. An agent that goes away in the middle of one is not an error."""
    with suppress(OSError), connection:
        _Handler(connection, line)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "gateway"
    sys_version = ""

    def __init__(self, connection: socket, line: Answering) -> None:
        self.line = line
        self.begun = False  # whether a stream was begun before there was anything to say
        self.next_ping = 0.0
        super().__init__(connection, ("sandbox", 0), None)  # type: ignore[arg-type]  # there is no server

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what happened is in the record."""

    def do_HEAD(self) -> None:
        self._send(Answer(HTTPStatus.OK, "text/plain", b""))

    def do_GET(self) -> None:
        """There is nothing to get; a web socket is refused in the way after which plain HTTP is tried."""
        upgrade = self.headers.get("upgrade") is not None
        self._fail(HTTPStatus.UPGRADE_REQUIRED if upgrade else HTTPStatus.NOT_FOUND, "no such path")

    def do_POST(self) -> None:
        with self.line.room:
            self._post()

    def _post(self) -> None:
        content = self._content()
        if content is None:
            self.close_connection = True
            said = "the request's length is missing, told in two ways, or too large"
            return self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
        try:
            parts = urlsplit(self.path)
        except ValueError:
            return self._fail(HTTPStatus.NOT_FOUND, "no such path")
        query = dict(parse_qsl(parts.query))
        if not self.line.admits(self._key() or query.pop("key", "")):
            return self._fail(HTTPStatus.UNAUTHORIZED, "the key is not this execution's")
        query.pop("key", None)
        path = f"{parts.path}?{urlencode(query)}" if query else parts.path
        try:
            body = json.loads(content)
            asked = self.line.dialect.asked(parts.path, body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return self._fail(HTTPStatus.BAD_REQUEST, "the request has not the form of its dialect")
        if asked is None:
            return self._fail(HTTPStatus.NOT_FOUND, f"no such path: {parts.path[:100]}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.begun, self.next_ping = False, time.monotonic() + PATIENCE
        call = Call(asked, body, path, headers)
        self._answer(self.line.answer_call(call, lambda: self._beat(stream=asked.stream)))
        return None

    def _key(self) -> str:
        given = next(filter(None, map(self.headers.get, KEYS)), "")
        return given or self.headers.get("authorization", "").removeprefix("Bearer ")

    def _content(self) -> bytes | None:
        """The body, whose length is told or that comes in chunks (RFC 9112); None where it is too large.

        A request whose length is told in two ways is read by none: another request may be hidden in it.
        """
        lengths, codings = (self.headers.get_all(name, []) for name in ("content-length", "transfer-encoding"))
        if len(lengths) + len(codings) != 1:
            return None
        if lengths:
            told = lengths[0].strip()
            return self.rfile.read(int(told)) if LENGTH.fullmatch(told) and int(told) <= LARGEST else None
        if codings[0].strip().lower() != "chunked":
            return None
        kept = bytearray()
        while size := self._chunk_size():
            if len(kept) + size > LARGEST:
                return None
            kept += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(65_536).strip():
            pass  # trailers
        return bytes(kept)

    def _chunk_size(self) -> int:
        told = self.rfile.readline(1024).split(b";")[0].strip()
        return int(told, 16) if CHUNK.fullmatch(told) else LARGEST + 1

    def _beat(self, *, stream: bool) -> None:
        """Called while the provider is waited for: an agent that waits for long must not give up."""
        now = time.monotonic()
        if not stream or not self.line.dialect.ping or now < self.next_ping:
            return
        self.next_ping = now + PING
        with suppress(OSError):  # it is gone; the call is paid for, and is counted as it ends
            if not self.begun:
                self._head(HTTPStatus.OK, EVENTS, {"transfer-encoding": "chunked"})
            self.begun = True
            self._chunk(self.line.dialect.ping)

    def _answer(self, answer: Answer) -> None:
        if not self.begun:
            return self._send(answer)
        good = answer.status == HTTPStatus.OK
        self._chunk(answer.body if good else self.line.dialect.late_refusal(answer.body.decode()))
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _fail(self, status: int, said: str) -> None:
        self._send(self.line.dialect.refusal(status, said, stream=False))

    def _send(self, answer: Answer) -> None:
        self._head(answer.status, answer.content_type, {"content-length": str(len(answer.body))})
        self.wfile.write(answer.body)

    def _head(self, status: int, content_type: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": content_type, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
