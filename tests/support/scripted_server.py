"""A model provider of our own over a real socket: OpenAI's chat completions, and Anthropic's messages.

A script decides each answer: a callable from the request's JSON to a `Reply` or a fault, or a
sequence of answers used in order. The server keeps what it was asked and what it charged, so that a
test can hold the program's own accounts against it.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any

from skillgrad_ci.models.provider import LitellmModel
from tests.support.scripted_answers import (
    Answer,
    Call,
    Raw,
    Reply,
    Reset,
    Script,
    Stall,
    chat_completion,
    error,
    in_order,
    message,
    quarter,
)
from tests.support.serving import on_a_free_port

COMPLETIONS = "/v1/chat/completions"
MESSAGES = "/v1/messages"


@dataclass
class ScriptedServer:
    """What it was asked (`requests`, `headers`) and the (prompt, completion) tokens of each reply it `charged`."""

    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    charged: list[tuple[int, int]] = field(default_factory=list)
    most_at_once: int = 0
    connections: int = 0
    url: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _now: int = 0
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def answer(self, request: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        with self.lock:
            self.requests.append(request)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        return self.script(request)

    def finished(self) -> None:
        with self.lock:
            self._now -= 1

    def encode(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        """The reply's JSON, charged as soon as it is made: a provider bills what it has generated."""
        calls = [Call(c.name, c.arguments, c.id or f"call_{next(self._ids)}") for c in reply.calls]
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        if prompt is None:
            prompt = quarter([request["messages"], request.get("system"), request.get("tools")])
        if completion is None:
            completion = quarter([reply.text, *([c.name, c.arguments] for c in calls)])
        with self.lock:
            self.charged.append((prompt, completion))
        form = message if path == MESSAGES else chat_completion
        body = form(reply, calls, (prompt, reply.cached_tokens, completion))
        if not reply.usage:
            del body["usage"]
        return json.dumps({"id": f"reply-{next(self._ids)}", "model": request.get("model", ""), **body}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    world: ScriptedServer

    def setup(self) -> None:
        super().setup()
        with self.world.lock:
            self.world.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path not in (COMPLETIONS, MESSAGES):
            return self.send(error(404, f"no such path: {self.path}"))
        request = json.loads(body)
        try:
            self.give(request, self.world.answer(request, dict(self.headers.items())))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away: that is its right
        finally:
            self.world.finished()
        return None

    def give(self, request: dict[str, Any], answer: Answer) -> None:
        match answer:
            case Reply():
                self.send(Raw(body=self.world.encode(self.path, request, answer)))
            case Raw():
                self.send(answer)
            case Reset(after=None):
                self.reset()
            case Reset():
                body = self.world.encode(self.path, request, Reply("a reply that is cut off on its way"))
                self.send(Raw(body=body[: answer.after], missing=len(body)))
                self.reset()
            case Stall():
                self.world.stopped.wait(answer.seconds)
                self.send(Raw(body=self.world.encode(self.path, request, Reply("late"))), answer.drip)

    def send(self, raw: Raw, drip: float = 0.0) -> None:
        self.send_response(raw.status)
        headers = {"content-type": raw.content_type, "content-length": str(len(raw.body) + raw.missing), **raw.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for at in range(len(raw.body)) if drip else ():
            if self.world.stopped.wait(drip):
                break
            self.wfile.write(raw.body[at : at + 1])
        if not drip:
            self.wfile.write(raw.body)
        if raw.missing:
            self.close_connection = True

    def reset(self) -> None:
        """RST instead of FIN, so that the client sees a reset and not an end."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextmanager
def serve(script: Script | Sequence[Answer]) -> Iterator[ScriptedServer]:
    """A server on a free port of 127.0.0.1; `url` is the API base. It is gone on leaving."""
    world = ScriptedServer(script if callable(script) else in_order(script))
    handler = type("Handler", (_Handler,), {"world": world})
    with on_a_free_port(handler, world.stopped) as url:
        world.url = f"{url}/v1"
        yield world


def model_of(world: ScriptedServer, **settings: Any) -> LitellmModel:
    """The real adapter to this server, quick to retry."""
    known: dict[str, Any] = {"api_base": world.url, "api_key": "sk-scripted", "backoff": 0.001, "timeout": 20.0}
    return LitellmModel("openai/scripted", **(known | settings))
